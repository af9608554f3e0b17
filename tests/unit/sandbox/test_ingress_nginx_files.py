"""ingress-nginx's own template, made to fit Debian's nginx."""

from pathlib import Path

import pytest

from canary.sandbox.gateways.ingress_nginx_files import TemplateError, put_together

TEMPLATE = """\
pid {{ .PID }};
http {
    lua_package_path "/etc/nginx/lua/?.lua;;";
    server {
            http2 on;
    }
}
stream {
    lua_shared_dict tcp_udp_configuration_data 5M;
    server {
    }
}
# the rest
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """What a build leaves: the program, files of its module, and Debian's."""
    for folder in ("files/template", "files/lua", "debian/etc/nginx", "debian/usr/lib/x86_64-linux-gnu"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "files/template/nginx.tmpl").write_text(TEMPLATE)
    (tmp_path / "files/lua/balancer.lua").write_text("-- theirs")
    (tmp_path / "debian/etc/nginx/mime.types").write_text("types {}")
    (tmp_path / "debian/usr/lib/x86_64-linux-gnu/libluajit-5.1.so.2").write_text("")
    return tmp_path / "ingress-nginx"


def test_what_debians_nginx_does_not_know_goes_and_what_it_has_as_a_module_is_loaded(
    program: Path, tmp_path: Path
) -> None:
    put_together(program, tmp_path / "gateway")
    debian, made = tmp_path / "debian", tmp_path / "gateway/nginx/template/nginx.tmpl"
    loaded = [f"load_module {debian}/usr/lib/nginx/modules/{name}_module.so;" for name in MODULES]
    lua = f"{debian}/usr/share/lua/5.1/?.lua"
    native = f"{debian}/usr/lib/x86_64-linux-gnu/lua/5.1/?.so"
    assert made.read_text().splitlines() == [
        *loaded,
        "pid {{ .PID }};",
        "http {",
        f'lua_package_path "/etc/nginx/lua/?.lua;{lua};;";',
        f'lua_package_cpath "{native};;";',
        "    server {",
        "    }",
        "}",
        "stream { server { listen 127.0.0.1:{{ .StreamPort }}; proxy_pass 127.0.0.1:{{ .StatusPort }}; } }",
        "# the rest",
    ]


MODULES = ("ndk_http", "ngx_http_lua", "ngx_http_headers_more_filter", "ngx_stream")


def test_its_own_files_and_the_stand_ins_lie_together(program: Path, tmp_path: Path) -> None:
    """Also where they are there already: its program may be started again."""
    for _ in range(2):
        put_together(program, tmp_path / "gateway")
    lua = {str(path.relative_to(tmp_path / "gateway/nginx/lua")) for path in (tmp_path / "gateway").rglob("*.lua")}
    assert {"balancer.lua", "resty/roundrobin.lua", "resty/dns/resolver.lua"} <= lua
    assert (tmp_path / "gateway/libraries/libluajit-5.1.so.2").is_file()
    assert (tmp_path / "gateway/nginx/mime.types").read_text() == "types {}"


def test_another_template_is_told(program: Path, tmp_path: Path) -> None:
    (tmp_path / "files/template/nginx.tmpl").write_text(TEMPLATE.replace("http2 on;", ""))
    with pytest.raises(TemplateError, match="the template has 0 of"):
        put_together(program, tmp_path / "gateway")
