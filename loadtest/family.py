"""The processes of tasks, those included that have left their group: they are found by a mark in their environment."""

import asyncio
import contextlib
import ctypes
import os
import re
import secrets
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.limits import Limits, Usage

MARK = "LOADTEST_TASK"
"""The variable that every process of a task has from its first one."""

ROUNDS = 100
PAUSE = 0.01
"""How often, and after how many seconds each, to look for processes that one just killed had started before."""

EVERY = 0.5
"""Seconds between two looks at what tasks take."""

_SET_CHILD_SUBREAPER = 36
_TICK = os.sysconf("SC_CLK_TCK")
_OWN_MEMORY = re.compile(rb"^(?:RssAnon|RssShmem|VmSwap):\s*(\d+) kB", re.MULTILINE)
_MARKED = re.compile(rb"(?:^|\0)%s=([0-9a-f]+)(?:\0|$)" % MARK.encode())


@dataclass(frozen=True, slots=True)
class _Process:
    """A process that runs, or has ended and is not waited for yet.

    Args:
        pid: its number.
        parent: its parent's number.
        mark: the mark of the task that it belongs to, None where it has none (any more).
        cpu: seconds of processors that it and its children that have ended have had.
    """

    pid: int
    parent: int
    mark: str | None
    cpu: float


class Family:
    """Knows which processes belong to tasks that run, and ends tasks that take too much.

    Args:
        limits: what a task may take.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.started: set[int] = set()
        """Processes that were started by us, and that are ended and waited for by who started them."""
        self.turn = asyncio.Lock()
        """Held where the kernel takes its time, to start a program or to tell of all: calls are answered in between."""
        self._running: dict[str, asyncio.Future[str]] = {}
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
    async def task(self, over: asyncio.Future[str]) -> AsyncIterator[str]:
        """Give a task its mark; when it ends, whatever has the mark is killed, and gone.

        Args:
            over: is given the reason where the task takes more than it may.
        """
        mark = secrets.token_hex(8)
        self._running[mark] = over
        try:
            yield mark
        finally:
            del self._running[mark]
            await self._end(mark)

    async def watch(self) -> None:
        """Look at what tasks take, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            if self._running:
                await self.look()

    async def look(self) -> None:
        """Tell of tasks that take more than they may, and kill what hides from its task."""
        async with self.turn:
            found = {process.pid: process for process in _processes()}
            owners = {pid: _owner(pid, found, self._running) for pid in found}
            for mark, over in self._running.items():
                usages = [_usage(found[pid]) for pid, owner in owners.items() if owner == mark]
                reason = self.limits.broken(usages)
                if reason is not None and not over.done():
                    over.set_result(reason)
            for pid, owner in owners.items():
                if owner is None and self._is_adopted(found[pid]):
                    _kill(found[pid])

    async def _end(self, mark: str) -> None:
        for _ in range(ROUNDS):
            async with self.turn:
                left = [process for process in _processes() if self._is_left(process, mark)]
                await asyncio.sleep(0)  # else whoever comes just now would search before a call is answered
            if not left:
                return
            for process in left:
                _kill(process)
            await asyncio.sleep(PAUSE)

    def _is_left(self, process: _Process, mark: str) -> bool:
        """Tell whether a process is of the task with this mark, or ours and of none that runs."""
        if process.pid in self.started:
            return False
        return process.mark == mark or (process.mark not in self._running and self._is_adopted(process))

    def _is_adopted(self, process: _Process) -> bool:
        """Tell whether a process is ours because its own parent has ended."""
        return self._adopts and process.parent == os.getpid() and process.pid not in self.started


def _owner(pid: int, found: Mapping[int, _Process], running: Mapping[str, object]) -> str | None:
    """Return the mark of the running task whose a process is, by its own mark or that of one that it comes from."""
    for _ in range(len(found)):
        process = found.get(pid)
        if process is None:
            return None
        if process.mark in running:
            return process.mark
        pid = process.parent
    return None


def _usage(process: _Process) -> Usage:
    try:
        status = Path(f"/proc/{process.pid}/status").read_bytes()
    except OSError:
        return Usage(processes=0)  # it has just gone
    return Usage(sum(map(int, _OWN_MEMORY.findall(status))) * 1024, process.cpu)


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
        fields = stat.rpartition(b")")[2].split()
        cpu = sum(map(int, fields[11:15])) / _TICK
        yield _Process(int(name), int(fields[1]), mark[1].decode() if mark else None, cpu)


def threads() -> int:
    """Return how many threads this user has, as far as they can be seen."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, StopIteration):
            if folder.stat().st_uid == os.getuid():
                lines = (folder / "status").read_text().splitlines()
                total += int(next(line for line in lines if line.startswith("Threads:")).split()[1])
    return total


def _environment(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (PermissionError, ProcessLookupError):
        return b""  # it is another user's, or has ended and is not waited for yet
