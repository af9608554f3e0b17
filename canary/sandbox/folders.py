"""Temporary folders of clusters, which the next cluster removes if theirs could not."""

import fcntl
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PREFIX = "canary-sandbox-"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class TemporaryFolder:
    """A folder that belongs to this process as long as it lives.

    Attributes:
        path: where it is.
    """

    path: Path
    _lock: IO[bytes]

    def remove(self) -> None:
        """Remove it with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def make() -> TemporaryFolder:
    """Make a temporary folder, and remove those whose processes were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    unfinished = path / f"{_LOCK}.part"
    lock = unfinished.open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    unfinished.rename(path / _LOCK)
    return TemporaryFolder(path, lock)


def _abandoned(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # no lock yet, held by its owner, or another user's
        return False
    return True
