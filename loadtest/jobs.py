"""Running tasks: each once at a time, so many at once, none beyond its limit or its rollout, all ended on shutdown."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Protocol, TypeAlias

from loadtest.limits import Limits
from loadtest.processes import NOT_EXECUTABLE, Output, OverLimitError
from loadtest.tasks import Call, Task
from loadtest.turns import Turn, Turns

RENEWAL = timedelta(seconds=2)
"""A task asked for this shortly before its run ends is run again.

A load of one minute asked for every minute would else fall out whenever a call comes a moment before the run
before has ended.
"""

SILENCE = timedelta(minutes=1)
MISSED = 3
"""A load whose hook has called more than once is ended when that many calls and this time have gone by without one."""

LONGEST_LINE = 256
"""Tasks that may wait for their turn."""

SHUTDOWN = "the load tester shuts down"


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
class OverLimit:
    """The task was ended because it took more than it may.

    Args:
        reason: of what, and how much, in words.
        output: the end of what it had written.
    """

    reason: str
    output: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The task was ended before its time.

    Args:
        reason: why, in words.
    """

    reason: str = SHUTDOWN


@dataclass(frozen=True, slots=True)
class Busy:
    """The task was not started: too many others run.

    Args:
        running: how many.
    """

    running: int


Outcome: TypeAlias = Finished | TimedOut | OverLimit | Stopped


class Start(StrEnum):
    """What has become of a task that nobody waits for."""

    STARTED = "started"
    RUNNING = "already running"
    QUEUED = "queued"


class Watcher(Protocol):
    """Is told of what happens to tasks."""

    def started(self, task: Task) -> None:
        """A run of the task begins."""

    def ended(self, task: Task, outcome: Outcome, seconds: float) -> None:
        """A run of the task has ended after so many seconds."""


Execute: TypeAlias = Callable[[Task, Output], Awaitable[int]]
"""Runs a task, hands over what it writes, and returns its exit status."""

Outputs: TypeAlias = Callable[[Task, Limits], Output]
"""Makes what takes the output of a task."""


class _Job:
    """One task being run, or waiting for its turn."""

    def __init__(self, task: Task, turn: Turn) -> None:
        self.task = task
        self.turn = turn
        self.rollout = task.rollout
        self.waiting = 0
        self.asked: float | None = None
        self.heard = asyncio.get_running_loop().time()
        self.gap = 0.0
        """Seconds between two calls at most, so far."""
        self.silence: asyncio.TimerHandle | None = None
        self.why = SHUTDOWN
        self.run: asyncio.Task[Outcome | Busy] | None = None

    def stop(self, why: str) -> None:
        """End it, with the reason."""
        self.why = why
        if self.run is not None:
            self.run.cancel()


class Jobs:
    """The tasks that run now.

    Args:
        execute: runs one task.
        watcher: is told of each run's beginning and end.
        limits: what a task may take; its time is seen to here.
        most: how many may run at once.
        queue: how many may wait for their turn.
        outputs: makes what takes a task's output.
    """

    def __init__(
        self,
        execute: Execute,
        watcher: Watcher,
        *,
        limits: Limits,
        most: int,
        queue: int = LONGEST_LINE,
        outputs: Outputs = lambda task, limits: Output(limits=limits),
    ) -> None:
        self._execute = execute
        self._watcher = watcher
        self._limits = limits
        self._outputs = outputs
        self._turns = Turns(most, queue)
        self._current: dict[tuple[str, str, str, bool], _Job] = {}
        self._runs: set[asyncio.Task[Outcome | Busy]] = set()

    @property
    def queued(self) -> int:
        """How many tasks wait for their turn."""
        return self._turns.waiting

    def start(self, task: Task) -> Start | Busy:
        """Run a task in the background, unless it runs already.

        Loads for an earlier rollout of the same Canary end; one that is asked for again goes on for the new one.
        """
        job = self._current.get(task.key)
        if job is not None:
            job.asked, job.rollout = asyncio.get_running_loop().time(), task.rollout
            self._hear(job)
        if task.bound and task.rollout:
            self._end_others(task)
        begun = job or self._begin(task)
        if isinstance(begun, Busy):
            return begun
        if not begun.turn.given.done():
            return Start.QUEUED
        return Start.STARTED if job is None else Start.RUNNING

    def rollout_ended(self, call: Call) -> None:
        """End the loads of the rollout that a call tells the end of."""
        for job in list(self._current.values()):
            same = not call.checksum or not job.rollout or call.checksum == job.rollout
            if job.task.bound and job.task.canary == call.canary and same:
                self._forget(job)
                job.stop("its rollout has ended")

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
                job.stop("nobody waits for it any more")

    async def close(self) -> None:
        """End all tasks and return when their processes are gone."""
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def _end_others(self, task: Task) -> None:
        for job in list(self._current.values()):
            other = job.task.canary == task.canary and job.rollout not in ("", task.rollout)
            if other and job.task.bound:
                self._forget(job)
                job.stop("another rollout has begun")

    def _hear(self, job: _Job) -> None:
        """Note a call for a load; after a silence several times as long as those before, nobody needs it any more."""
        now = asyncio.get_running_loop().time()
        job.gap, job.heard = max(job.gap, now - job.heard), now
        if job.silence is not None:
            job.silence.cancel()
        if job.task.bound:
            patience = MISSED * job.gap + SILENCE.total_seconds()
            job.silence = asyncio.get_running_loop().call_later(patience, job.stop, "its hook calls no more")

    def _begin(self, task: Task) -> "_Job | Busy":
        turn = self._turns.take(task.canary)
        if turn is None:
            return Busy(self._turns.running)
        job = _Job(task, turn)
        job.run = asyncio.create_task(self._run(job), name=f"{task.type} for {task.canary}")
        self._current[task.key] = job
        self._runs.add(job.run)
        # A run that is cancelled before its first step never comes to a `finally` of its own.
        job.run.add_done_callback(partial(self._done, job))
        return job

    def _done(self, job: _Job, run: asyncio.Task[Outcome | Busy]) -> None:
        self._runs.discard(run)
        self._forget(job)
        self._turns.leave(job.turn)
        if job.silence is not None:
            job.silence.cancel()

    async def _run(self, job: _Job) -> Outcome | Busy:
        loop = asyncio.get_running_loop()
        try:
            if not await job.turn.given:
                return Busy(self._turns.running)
        except asyncio.CancelledError:
            # Those who joined this run must not take its end for their own.
            return Stopped(job.why)
        while True:
            begin, job.asked = loop.time(), None
            self._watcher.started(job.task)
            outcome = await self._once(job)
            self._watcher.ended(job.task, outcome, loop.time() - begin)
            if isinstance(outcome, Stopped) or not self._renewed(job, loop.time()):
                self._forget(job)
                return outcome

    async def _once(self, job: _Job) -> Outcome:
        output = self._outputs(job.task, self._limits)
        try:
            async with asyncio.timeout(self._limits.time.total_seconds()):
                return Finished(await self._execute(job.task, output), output.text)
        except TimeoutError:
            return TimedOut(self._limits.time, output.text)
        except OverLimitError as error:
            return OverLimit(str(error), output.text)
        except OSError as error:
            return Finished(NOT_EXECUTABLE, f"{output.text}{error}")
        except asyncio.CancelledError:
            return Stopped(job.why)

    def _renewed(self, job: _Job, now: float) -> bool:
        return job.asked is not None and now - job.asked < RENEWAL.total_seconds()

    def _forget(self, job: _Job) -> None:
        if self._current.get(job.task.key) is job:
            del self._current[job.task.key]
