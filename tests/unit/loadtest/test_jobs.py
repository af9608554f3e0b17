import asyncio
from datetime import timedelta

import pytest

from loadtest.jobs import RENEWAL, Busy, Finished, Jobs, Outcome, Start, Stopped, TimedOut
from loadtest.limits import Limits
from loadtest.processes import Output
from loadtest.tasks import Task, one

pytestmark = pytest.mark.looptime


def task(command: str = "true", *, waits: bool = False) -> Task:
    return Task("podinfo.test", "cmd", command, one((command,)), waits)


class Log:
    """Remembers what it is told, with the loop's time."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.outcomes: list[Outcome] = []

    def started(self, task: Task) -> None:
        self.starts.append(now())

    def ended(self, task: Task, outcome: Outcome, seconds: float) -> None:
        self.outcomes.append(outcome)


def now() -> float:
    return asyncio.get_running_loop().time()


async def takes_a_minute(task: Task, output: Output) -> int:
    output.say("working")
    await asyncio.sleep(60)
    return 3


def jobs(log: Log, *, limit: float = 3600, most: int = 10, queue: int = 0) -> Jobs:
    return Jobs(takes_a_minute, log, limits=Limits(time=timedelta(seconds=limit)), most=most, queue=queue)


async def test_a_task_runs_once_at_a_time() -> None:
    log = Log()
    running = jobs(log)

    assert running.start(task()) is Start.STARTED
    await asyncio.sleep(30)
    assert running.start(task()) is Start.RUNNING
    await asyncio.sleep(31)
    assert log.outcomes == [Finished(3, "working\n")]
    assert running.start(task()) is Start.STARTED
    await asyncio.sleep(1)
    assert log.starts == [0, 61]
    await running.close()


async def test_different_tasks_run_side_by_side() -> None:
    log = Log()
    running = jobs(log)

    running.start(task("a"))
    running.start(task("b"))
    await asyncio.sleep(60.5)

    assert log.starts == [0, 0]
    assert len(log.outcomes) == 2


async def test_a_task_asked_for_just_before_its_end_is_run_again_at_once() -> None:
    """A load of one minute every minute has no gap, however the calls fall."""
    log = Log()
    running = jobs(log)

    running.start(task())
    for _ in range(3):
        await asyncio.sleep(59.5)
        running.start(task())
    await asyncio.sleep(200)

    assert log.starts == [0, 60, 120, 180]


async def test_a_task_asked_for_long_before_its_end_is_not_run_again() -> None:
    log = Log()
    running = jobs(log)

    running.start(task())
    await asyncio.sleep(60 - RENEWAL.total_seconds() - 0.1)
    running.start(task())
    await asyncio.sleep(200)

    assert log.starts == [0]


async def test_whoever_waits_gets_the_outcome() -> None:
    assert await jobs(Log()).wait(task(waits=True)) == Finished(3, "working\n")


async def test_a_second_who_waits_joins_the_same_run() -> None:
    log = Log()
    running = jobs(log)

    outcomes = await asyncio.gather(running.wait(task(waits=True)), running.wait(task(waits=True)))

    assert set(outcomes) == {Finished(3, "working\n")}
    assert log.starts == [0]


async def test_a_run_ends_when_the_last_who_waits_has_gone() -> None:
    log = Log()
    running = jobs(log)
    first, second = (asyncio.create_task(running.wait(task(waits=True))) for _ in range(2))
    await asyncio.sleep(1)

    first.cancel()
    await asyncio.sleep(1)
    assert log.outcomes == []
    second.cancel()
    await asyncio.sleep(1)
    assert log.outcomes == [Stopped("nobody waits for it any more")]
    assert await running.wait(task(waits=True)) == Finished(3, "working\n")


async def test_a_task_ends_at_the_limit_with_what_it_had_written() -> None:
    assert await jobs(Log(), limit=7).wait(task()) == TimedOut(timedelta(seconds=7), "working\n")
    assert now() == 7


async def test_no_more_than_so_many_tasks_run_at_once() -> None:
    running = jobs(Log(), most=2)
    running.start(task("a"))
    running.start(task("b"))

    assert running.start(task("c")) == Busy(2)
    assert await running.wait(task("c")) == Busy(2)
    assert running.start(task("a")) is Start.RUNNING
    await asyncio.sleep(61)
    assert running.start(task("c")) is Start.STARTED
    await running.close()


async def test_closing_ends_everything_and_tells_those_who_wait() -> None:
    log = Log()
    running = jobs(log)
    running.start(task("a"))
    waiting = asyncio.create_task(running.wait(task("b", waits=True)))
    await asyncio.sleep(1)

    await running.close()

    assert log.outcomes == [Stopped(), Stopped()]
    assert await waiting == Stopped()


async def test_a_machine_that_cannot_start_a_process_is_a_failed_task() -> None:
    async def full(task: Task, output: Output) -> int:
        raise OSError(24, "Too many open files")

    running = Jobs(full, Log(), limits=Limits(time=timedelta(seconds=1)), most=1)

    assert await running.wait(task()) == Finished(126, "[Errno 24] Too many open files")
