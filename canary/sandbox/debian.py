"""Packages of this machine's Debian, unpacked into a folder of ours: nothing is installed, and no root is needed."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_SECONDS = 300.0


class DebianError(RuntimeError):
    """Packages can't be had; the text says why."""


def unpack(packages: Sequence[str], folder: Path) -> None:
    """Fetch packages, which apt holds against Debian's signatures, and unpack them.

    What they depend on is neither fetched nor looked for.

    Args:
        packages: their names.
        folder: gets their files, at the paths that they would have under `/`.

    Raises:
        DebianError: this is no Debian, or apt does not get them.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise DebianError(f"of Debian's packages it needs {', '.join(packages)}, and this machine has no apt-get")
    fetched = folder / ".fetched"
    shutil.rmtree(folder, ignore_errors=True)
    fetched.mkdir(parents=True)
    # Without the option, root's apt gives up its rights, and with them the right to write here.
    _run(["apt-get", "download", "--quiet", "-o", "APT::Sandbox::User=", *packages], fetched)
    for package in sorted(fetched.iterdir()):
        _run(["dpkg-deb", "--extract", str(package), str(folder)], fetched)
    shutil.rmtree(fetched)


def _run(command: list[str], folder: Path) -> None:
    try:
        result = subprocess.run(  # noqa: S603 - our own command
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DebianError(f"{command[0]}: {error}") from error
    if result.returncode != 0:
        raise DebianError(f"{' '.join(command)}: {result.stderr.strip()} (try `apt-get update` first)")
