"""Runs a script: real processes joined by real pipes, none of which outlives its script."""

import asyncio
import contextlib
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.command import Command, End, Exit, Pipeline, Script, Step
from loadtest.family import MARK, Family
from loadtest.limits import Limits

KEPT_OUTPUT = 64 * 1024
"""Bytes that are kept of what a script writes: the last ones."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126
BEHIND = 10
"""How much nicer tasks are than the load tester itself: a gate is answered however much their load takes."""

KILLED_BY = 128
"""What a shell adds to the number of the signal that ended a program."""

LAST_WORDS = 1.0
"""Seconds to wait for output once all processes have been ended: only one of another user can still hold it."""


class OverLimitError(Exception):
    """A script was ended because it took more than it may; the text says of what."""


class Output(asyncio.Protocol):
    """The end of what a script has written so far, both outputs in one.

    Args:
        keep: bytes that are kept.
        limits: says how much may be written.
    """

    def __init__(self, keep: int = KEPT_OUTPUT, limits: Limits | None = None) -> None:
        self._keep = keep
        self._limits = limits or Limits()
        self._written = 0
        self._kept = bytearray()
        self._dropped = False
        loop = asyncio.get_running_loop()
        self.closed = loop.create_future()
        self.over: asyncio.Future[str] = loop.create_future()
        """Is given the reason when the script takes more than it may, of this or of anything else."""

    def data_received(self, data: bytes) -> None:
        """Keep what comes, and drop what is too old."""
        self._written += len(data)
        if self._written > self._limits.output and not self.over.done():
            self.over.set_result(self._limits.too_much_output)
        self._kept += data
        if len(self._kept) > self._keep:
            del self._kept[: -self._keep]
            self._dropped = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more will come."""
        if not self.closed.done():
            self.closed.set_result(None)

    def say(self, words: str) -> None:
        """Add words of our own, as a shell does for a program that can't be run."""
        self.data_received(f"{words}\n".encode())

    @property
    def text(self) -> str:
        """What was kept, as text, with a mark where something before it was dropped."""
        return ("…" if self._dropped else "") + self._kept.decode(errors="replace")


async def run(script: Script, output: Output, family: Family) -> int:
    """Run a script to its end and return its exit status, as sh would give it.

    Every program gets a session of its own. Whichever way this ends, cancelling included, all processes of the script
    have been killed, those that the programs left in the background or that made a session of their own too.

    Args:
        script: what to run.
        output: takes what it writes.
        family: finds the processes that the programs leave behind, and sees what they take.

    Raises:
        OverLimitError: it took more than it may, and was ended.
    """
    reading, writing = os.pipe()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: output, os.fdopen(reading, "rb", buffering=0))
    try:
        with _closing(writing):
            async with family.task(output.over) as mark:
                status = await _unless(output.over, _run_steps(script, _Place(writing, output, family, mark)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(output.closed), LAST_WORDS)
    finally:
        transport.close()
    return status


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a script runs: the pipe and the words for its output, and whose its processes are."""

    log: int
    output: Output
    family: Family
    mark: str


async def _unless(over: asyncio.Future[str], steps: Coroutine[None, None, int]) -> int:
    """Return what the steps do, unless they are over a limit before: then they are ended."""
    running = asyncio.create_task(steps)
    over.add_done_callback(lambda _: running.cancel())
    try:
        await asyncio.wait({running})
    finally:
        running.cancel()
        await asyncio.wait({running})
    if over.done():
        raise OverLimitError(over.result())
    return running.result()


async def _run_steps(script: Script, place: _Place) -> int:
    status = 0
    for step in script:
        if not step.when.holds(status):
            continue
        if isinstance(step, Exit):
            return status if step.status is None else step.status
        status = _status_of(step, await _run_pipeline(step.pipeline, place))
        if status and step.must_succeed:
            return status
    return status


def _status_of(step: Step, statuses: Sequence[int]) -> int:
    """Return a pipeline's status: that of its last program, or of the last one that failed."""
    return next((status for status in reversed(statuses) if status), 0) if step.any_fails else statuses[-1]


async def _run_pipeline(pipeline: Pipeline, place: _Place) -> Sequence[int]:
    """Run the programs of a pipeline at once and return their statuses."""
    started: list[Process | int] = []
    try:
        with ExitStack() as ours:
            joints = [_pipe(ours) for _ in pipeline[1:]]
            reads = [DEVNULL, *(reading for reading, _ in joints)]
            writes = [*(writing for _, writing in joints), place.log]
            for command, reading, writing in zip(pipeline, reads, writes, strict=True):
                started.append(await _start(command, place, reading, writing))
        return [await _status(each) for each in started]
    finally:
        processes = [each for each in started if isinstance(each, Process)]
        await _end(processes)
        place.family.started.difference_update(each.pid for each in processes)


def _pipe(owner: ExitStack) -> tuple[int, int]:
    """Open a pipe; our copies of its ends are closed by `owner`, else no reader would ever see the end."""
    reading, writing = os.pipe()
    owner.enter_context(_closing(reading))
    owner.enter_context(_closing(writing))
    return reading, writing


async def _start(command: Command, place: _Place, reading: int, writing: int) -> Process | int:
    """Start a program; return its process, or the status that a shell gives where it can't be started."""
    ends = {End.NEXT: writing, End.LOG: place.log, End.NULL: DEVNULL}
    name = command.argv[0]
    if (missing := _missing(name, dict(command.env).get("PATH"))) is not None:
        words, status = missing
        place.output.say(f"{name}: {words}")
        return status
    try:
        async with place.family.turn:
            process = await asyncio.create_subprocess_exec(
                *place.family.limits.bound(command.argv),
                stdin=DEVNULL if command.reads_null else reading,
                stdout=ends[command.stdout],
                stderr=ends[command.stderr],
                env=os.environ | dict(command.env) | {MARK: place.mark},
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        place.output.say(f"{name}: {error}")
        return NOT_EXECUTABLE
    place.family.started.add(process.pid)
    _stand_behind(process)
    return process


def _missing(name: str, path: str | None) -> tuple[str, int] | None:
    """Return why a program can't be run, and the status that a shell gives; None where it can be."""
    if shutil.which(name, path=path) is not None:
        return None
    if "/" in name and Path(name).exists():
        return "not a program", NOT_EXECUTABLE
    return "not found", NOT_FOUND


def _stand_behind(process: Process) -> None:
    """Let a program, which leads a group of its own, go after us wherever both could go on."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PGRP, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + BEHIND)


async def _status(started: Process | int) -> int:
    if isinstance(started, int):
        return started
    code = await started.wait()
    return code if code >= 0 else KILLED_BY - code


async def _end(processes: Iterable[Process]) -> None:
    """Kill the processes and whatever they left running, and wait until they are gone."""
    waiting = list(processes)
    for process in waiting:
        # The group has the id of its first process, and keeps that id taken until its last one is gone.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for process in waiting:
        await process.wait()


@contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
