"""What builds have left in the user's cache folder: listed, and removed."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from canary.sandbox import binaries, golang

_BUILT = re.compile(rf"({'|'.join(re.escape(recipe.folder) for recipe in binaries.RECIPES)})-v[\w.-]+-[0-9a-f]{{8}}")
_TOOLCHAIN = re.compile(r"go-[\d.]+(\.part)?")


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of the cache.

    Attributes:
        path: where it is.
        size: bytes of its files.
        used: whether this version of the sandbox would take what is in it.
    """

    path: Path
    size: int
    used: bool


def kept() -> list[Kept]:
    """What is in the cache, in order of its names.

    Raises:
        ToolMissingError: there is no home folder.
    """
    wanted = {recipe.key for recipe in binaries.RECIPES} | {golang.TOOLCHAIN}
    return [Kept(path, _size(path), path.name in wanted) for path in _ours(binaries.cache_folder())]


def user() -> int | None:
    """A process that runs a program out of the cache; None where none does."""
    folder = binaries.cache_folder() / "bin"
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "exe").readlink().is_relative_to(folder):
                return int(entry.name)
        except OSError:  # it has ended meanwhile, or is another user's
            continue
    return None


def clean() -> int:
    """Remove what builds have left, and nothing else; how many bytes it were.

    Waits for a build that goes on.

    Raises:
        ToolMissingError: there is no home folder.
        OSError: something can't be removed.
    """
    folder = binaries.cache_folder()
    if not folder.is_dir():
        return 0
    with binaries.locked():
        removed = 0
        for path in list(_ours(folder)):
            removed += _size(path)
            shutil.rmtree(path)
    (folder / binaries.LOCK).unlink(missing_ok=True)
    for empty in (folder / "bin", folder):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()
    return removed


def _ours(folder: Path) -> Iterator[Path]:
    for pattern, parent in ((_BUILT, folder / "bin"), (_TOOLCHAIN, folder)):
        if parent.is_dir():
            yield from sorted(path for path in parent.iterdir() if pattern.fullmatch(path.name) and path.is_dir())
    if (folder / golang.SCRATCH).is_dir():
        yield folder / golang.SCRATCH


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
