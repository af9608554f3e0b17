"""Running tasks: each once at a time, so many at once, none beyond the limit, and all ended on shutdown."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias

from loadtest.processes import NOT_EXECUTABLE, Output
from loadtest.tasks import Task

RENEWAL = timedelta(seconds=2)
"""A task asked for this shortly before its run ends is run again.

A load of one minute asked for every minute would else fall out whenever a call comes a moment before the run
before has ended.
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """The task ran to its end.

    Args:
        status: exit status, 0 is success.
        output: the end of what it wrote.
    """

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The task was ended at the limit.

    Args:
        limit: the longest that a task may run.
        output: the end of what it had written.
    """

    limit: timedelta
    output: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The task was ended because nobody waits for it any more, or the load tester shuts down."""


@dataclass(frozen=True, slots=True)
class Busy:
    """The task was not started: too many others run.

    Args:
        running: how many.
    """

    running: int


Outcome: TypeAlias = Finished | TimedOut | Stopped


class Watcher(Protocol):
    """Is told of what happens to tasks."""

    def started(self, task: Task) -> None:
        """A run of the task begins."""

    def ended(self, task: Task, outcome: Outcome, seconds: float) -> None:
        """A run of the task has ended after so many seconds."""


Execute: TypeAlias = Callable[[Task, Output], Awaitable[int]]
"""Runs a task, hands over what it writes, and returns its exit status."""


class _Job:
    """One task being run."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.waiting = 0
        self.asked: float | None = None
        self.run: asyncio.Task[Outcome] | None = None


class Jobs:
    """The tasks that run now.

    Args:
        execute: runs one task.
        watcher: is told of each run's beginning and end.
        limit: how long a task may run.
        most: how many may run at once.
    """

    def __init__(self, execute: Execute, watcher: Watcher, *, limit: timedelta, most: int) -> None:
        self._execute = execute
        self._watcher = watcher
        self._limit = limit
        self._most = most
        self._current: dict[tuple[str, str, str, bool], _Job] = {}
        self._runs: set[asyncio.Task[Outcome]] = set()

    def start(self, task: Task) -> bool | Busy:
        """Run a task in the background; return whether that starts it, rather than finds it running."""
        job = self._current.get(task.key)
        if job is not None:
            job.asked = asyncio.get_running_loop().time()
            return False
        begun = self._begin(task)
        return begun if isinstance(begun, Busy) else True

    async def wait(self, task: Task) -> Outcome | Busy:
        """Run a task, or join the run of the same task, and return its outcome.

        When the last of those who wait is cancelled, the task is ended.
        """
        job = self._current.get(task.key) or self._begin(task)
        if isinstance(job, Busy):
            return job
        assert job.run is not None, "a current job runs"  # noqa: S101
        job.waiting += 1
        try:
            return await asyncio.shield(job.run)
        finally:
            job.waiting -= 1
            if not job.waiting and not job.run.done():
                self._forget(job)
                job.run.cancel()

    async def close(self) -> None:
        """End all tasks and return when their processes are gone."""
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def _begin(self, task: Task) -> "_Job | Busy":
        if len(self._runs) >= self._most:
            return Busy(len(self._runs))
        job = _Job(task)
        job.run = asyncio.create_task(self._run(job), name=f"{task.type} for {task.canary}")
        self._current[task.key] = job
        self._runs.add(job.run)
        job.run.add_done_callback(self._runs.discard)
        # A run that is cancelled before its first step never comes to its own `finally`.
        job.run.add_done_callback(lambda _: self._forget(job))
        return job

    async def _run(self, job: _Job) -> Outcome:
        loop = asyncio.get_running_loop()
        try:
            while True:
                begin, job.asked = loop.time(), None
                self._watcher.started(job.task)
                outcome = await self._once(job.task)
                self._watcher.ended(job.task, outcome, loop.time() - begin)
                if isinstance(outcome, Stopped) or not self._renewed(job, loop.time()):
                    return outcome
        finally:
            self._forget(job)

    async def _once(self, task: Task) -> Outcome:
        output = Output()
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                return Finished(await self._execute(task, output), output.text)
        except TimeoutError:
            return TimedOut(self._limit, output.text)
        except OSError as error:
            return Finished(NOT_EXECUTABLE, f"{output.text}{error}")
        except asyncio.CancelledError:
            # Those who joined this run must not take its end for their own.
            return Stopped()

    def _renewed(self, job: _Job, now: float) -> bool:
        return job.asked is not None and now - job.asked < RENEWAL.total_seconds()

    def _forget(self, job: _Job) -> None:
        if self._current.get(job.task.key) is job:
            del self._current[job.task.key]
