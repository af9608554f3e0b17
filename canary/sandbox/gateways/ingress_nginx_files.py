"""Puts together what ingress-nginx finds under `/etc/nginx`: `python -m canary.sandbox.gateways.ingress_nginx_files`.

Its template and its Lua are its own. Debian's nginx is older than the one that it is made for, has no Lua for streams,
and lacks some of OpenResty's libraries: what stands in for those is in the folder `lua` beside this file.
"""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

_STAND_INS = Path(__file__).parent / "lua"
_MODULES = ("ndk_http", "ngx_http_lua", "ngx_http_headers_more_filter", "ngx_stream")
"""Each after what it needs."""


class TemplateError(RuntimeError):
    """The template of ingress-nginx is not as it was."""


def put_together(program: Path, folder: Path) -> None:
    """Write the files.

    Args:
        program: of ingress-nginx; beside it lie its files, and Debian's.
        folder: gets what goes to `/etc/nginx` as `nginx`, what goes to `/etc/ingress-controller` as `controller`, what
            goes to `/tmp/nginx` as `temporary`, nginx itself as `program`, and its libraries as `libraries`.

    Raises:
        TemplateError: the template is not as it was.
    """
    debian = program.parent / "debian"
    own = folder / "nginx"
    shutil.copytree(program.parent / "files", own, dirs_exist_ok=True)
    shutil.copytree(_STAND_INS, own / "lua", dirs_exist_ok=True)
    shutil.copy(debian / "etc/nginx/mime.types", own)
    template = own / "template/nginx.tmpl"
    template.write_text(_changed(template.read_text(), debian))
    for name in ("telemetry", "ssl", "auth", "geoip"):
        (folder / "controller" / name).mkdir(parents=True, exist_ok=True)
    for name in ("client-body", "proxy-temp"):
        (folder / "temporary" / name).mkdir(parents=True, exist_ok=True)
    _link(folder / "program", debian / "usr/sbin/nginx")
    (folder / "libraries").mkdir(exist_ok=True)
    for library in debian.glob("**/lib/*-linux-*/*.so.*"):
        _link(folder / "libraries" / library.name, library)


def _changed(template: str, debian: Path) -> str:
    """The template for Debian's nginx."""
    modules = "".join(f"load_module {debian}/usr/lib/nginx/modules/{name}_module.so;\n" for name in _MODULES)
    libraries = f'lua_package_path "/etc/nginx/lua/?.lua;{debian}/usr/share/lua/5.1/?.lua;;";\n'
    native = f'lua_package_cpath "{next(debian.glob("usr/lib/*-linux-*"))}/lua/5.1/?.so;;";\n'
    # It is told there which Services are to be had as streams. There are none, but somebody must read it to the end.
    stream = "stream { server { listen 127.0.0.1:{{ .StreamPort }}; proxy_pass 127.0.0.1:{{ .StatusPort }}; } }\n"
    template = _once(r'    lua_package_path "/etc/nginx/lua/\?\.lua;;";\n', libraries + native, template)
    template = _once(r"^stream \{.*?^\}\n", stream, template)
    template = _once(r"^ *http2 on;\n", "", template)
    return modules + template


def _once(pattern: str, text: str, template: str) -> str:
    changed, count = re.subn(pattern, lambda _: text, template, flags=re.MULTILINE | re.DOTALL)
    if count != 1:
        raise TemplateError(f"the template has {count} of {pattern}")
    return changed


def _link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def main(arguments: Sequence[str]) -> None:
    """Write the files.

    Args:
        arguments: the program and the folder.
    """
    program, folder = arguments
    put_together(Path(program), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
