"""Runs a script: real processes joined by real pipes, none of which outlives its script."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from loadtest.command import Command, End, Pipeline, Script

KEPT_OUTPUT = 64 * 1024
"""Bytes that are kept of what a script writes: the last ones."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126
KILLED_BY = 128
"""What a shell adds to the number of the signal that ended a program."""

LAST_WORDS = 1.0
"""Seconds to wait for output once all processes have been ended: only one that fled its group can still hold
it."""


class Output(asyncio.Protocol):
    """The end of what a script has written so far, both outputs in one."""

    def __init__(self, keep: int = KEPT_OUTPUT) -> None:
        self._keep = keep
        self._kept = bytearray()
        self._dropped = False
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Keep what comes, and drop what is too old."""
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


Launch = Callable[[tuple[str, ...]], tuple[str, ...]]
"""From a command's words to what is executed for it."""


async def run(script: Script, output: Output, launch: Launch) -> int:
    """Run a script to its end and return its exit status, as sh would give it.

    Every program gets a session of its own. Whichever way this ends, cancelling included, all processes of
    the script have been killed, those that the programs left in the background too.

    Args:
        script: what to run.
        output: takes what it writes.
        launch: what to execute for a command.
    """
    reading, writing = os.pipe()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: output, os.fdopen(reading, "rb", buffering=0))
    try:
        with _closing(writing):
            status = await _run_steps(script, _Place(writing, output, launch))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(output.closed), LAST_WORDS)
    finally:
        transport.close()
    return status


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a script runs: the pipe and the words for its output, and how programs are found."""

    log: int
    output: Output
    launch: Launch


async def _run_steps(script: Script, place: _Place) -> int:
    status = 0
    for step in script:
        if step.when.holds(status):
            status = await _run_pipeline(step.pipeline, place)
    return status


async def _run_pipeline(pipeline: Pipeline, place: _Place) -> int:
    """Run the programs of a pipeline at once; the status is the last one's, as in sh without pipefail."""
    started: list[Process | int] = []
    try:
        with ExitStack() as ours:
            joints = [_pipe(ours) for _ in pipeline[1:]]
            reads = [DEVNULL, *(reading for reading, _ in joints)]
            writes = [*(writing for _, writing in joints), place.log]
            for command, reading, writing in zip(pipeline, reads, writes, strict=True):
                started.append(await _start(command, place, reading, writing))
        return [await _status(each) for each in started][-1]
    finally:
        await _end([each for each in started if isinstance(each, Process)])


def _pipe(owner: ExitStack) -> tuple[int, int]:
    """Open a pipe; our copies of its ends are closed by `owner`, else no reader would ever see the end."""
    reading, writing = os.pipe()
    owner.enter_context(_closing(reading))
    owner.enter_context(_closing(writing))
    return reading, writing


async def _start(command: Command, place: _Place, reading: int, writing: int) -> Process | int:
    """Start a program; return its process, or the status that a shell gives where it can't be started."""
    ends = {End.NEXT: writing, End.LOG: place.log, End.NULL: DEVNULL}
    try:
        return await asyncio.create_subprocess_exec(
            *place.launch(command.argv),
            stdin=DEVNULL if command.reads_null else reading,
            stdout=ends[command.stdout],
            stderr=ends[command.stderr],
            env=os.environ | dict(command.env),
            start_new_session=True,
        )
    except FileNotFoundError:
        place.output.say(f"{command.argv[0]}: not found")
        return NOT_FOUND
    except (OSError, ValueError) as error:
        place.output.say(f"{command.argv[0]}: {error}")
        return NOT_EXECUTABLE


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
