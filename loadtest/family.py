"""The processes of tasks, those included that have left their group: they are found by a mark in their environment."""

import asyncio
import contextlib
import ctypes
import os
import re
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

MARK = "LOADTEST_TASK"
"""The variable that every process of a task has from its first one."""

ROUNDS = 100
PAUSE = 0.01
"""How often, and after how many seconds each, to look for processes that one just killed had started before."""

_SET_CHILD_SUBREAPER = 36
_MARKED = re.compile(rb"(?:^|\0)%s=([0-9a-f]+)(?:\0|$)" % MARK.encode())


@dataclass(frozen=True, slots=True)
class _Process:
    """A process that runs, or has ended and is not waited for yet.

    Args:
        pid: its number.
        parent: its parent's number.
        mark: the mark of the task that it belongs to, None where it has none (any more).
    """

    pid: int
    parent: int
    mark: str | None


class Family:
    """Knows which processes belong to tasks that run."""

    def __init__(self) -> None:
        self.started: set[int] = set()
        """Processes that were started by us, and that are ended and waited for by who started them."""
        self.turn = asyncio.Lock()
        """Held where the kernel takes its time, to start a program or to tell of all: calls are answered in between."""
        self._running: set[str] = set()
        self._adopts = False

    def adopt(self) -> None:
        """Become the parent of all whose own parents end, so that nothing gets away by losing its mark, too.

        Raises:
            OSError: the kernel refuses.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        self._adopts = True

    @asynccontextmanager
    async def task(self) -> AsyncIterator[str]:
        """Give a task its mark; when it ends, whatever has the mark is killed, and gone."""
        mark = secrets.token_hex(8)
        self._running.add(mark)
        try:
            yield mark
        finally:
            self._running.discard(mark)
            await self._end(mark)

    async def _end(self, mark: str) -> None:
        for _ in range(ROUNDS):
            async with self.turn:
                left = [process for process in _processes() if self._is_left(process, mark)]
            if not left:
                return
            for process in left:
                _kill(process)
            await asyncio.sleep(PAUSE)

    def _is_left(self, process: _Process, mark: str) -> bool:
        """Tell whether a process is of the task with this mark, or ours and of none that runs."""
        if process.pid in self.started:
            return False
        adopted = self._adopts and process.parent == os.getpid()
        return process.mark == mark or (adopted and process.mark not in self._running)


def _kill(process: _Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, signal.SIGKILL)
    if process.parent == os.getpid():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def _processes() -> Iterator[_Process]:
    """Read what runs on this machine, as far as this user may see it."""
    for name in (entry.name for entry in Path("/proc").iterdir()):
        if not name.isdigit():
            continue
        try:
            stat = Path(f"/proc/{name}/stat").read_bytes()
            mark = _MARKED.search(_environment(name))
        except OSError:
            continue  # it has just gone
        parent = int(stat.rpartition(b")")[2].split()[1])
        yield _Process(int(name), parent, mark[1].decode() if mark else None)


def _environment(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (PermissionError, ProcessLookupError):
        return b""  # it is another user's, or has ended and is not waited for yet
