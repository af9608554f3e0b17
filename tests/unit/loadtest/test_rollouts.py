"""A load ends with its rollout."""

import asyncio
from datetime import timedelta

import pytest

from loadtest.jobs import MISSED, SILENCE, Jobs, Outcome, Start, Stopped
from loadtest.limits import Limits
from loadtest.processes import Output
from loadtest.tasks import Call, Task, one

pytestmark = pytest.mark.looptime


def load(command: str = "load", rollout: str = "new", *, canary: str = "podinfo.test", bound: bool = True) -> Task:
    return Task(canary, "cmd", command, one((command,)), waits=False, bound=bound, rollout=rollout)


def ending(rollout: str = "new") -> Call:
    return Call("podinfo", "test", "event", {}, phase="Failed", checksum=rollout)


class Log:
    def __init__(self) -> None:
        self.running: list[str] = []
        self.ends: list[tuple[str, Outcome, float]] = []

    def started(self, task: Task) -> None:
        self.running.append(task.command)

    def ended(self, task: Task, outcome: Outcome, seconds: float) -> None:
        self.running.remove(task.command)
        self.ends.append((task.command, outcome, asyncio.get_running_loop().time()))


async def runs_long(task: Task, output: Output) -> int:
    await asyncio.sleep(30_000)
    return 0


def jobs(log: Log, most: int = 10) -> Jobs:
    return Jobs(runs_long, log, limits=Limits(time=timedelta(hours=10)), most=most)


async def test_a_load_ends_when_the_end_of_its_rollout_is_told_and_others_go_on() -> None:
    log = Log()
    running = jobs(log)
    for each in (load("a"), load("other", canary="x.test"), load("free", bound=False)):
        running.start(each)
    await asyncio.sleep(1)

    running.rollout_ended(ending())
    await asyncio.sleep(1)

    assert sorted(log.running) == ["free", "other"]
    assert log.ends == [("a", Stopped("its rollout has ended"), 1)]
    await running.close()


async def test_a_late_word_of_an_earlier_rollout_ends_nothing() -> None:
    log = Log()
    running = jobs(log)
    running.start(load())
    await asyncio.sleep(1)

    running.rollout_ended(ending("old"))
    await asyncio.sleep(1)

    assert log.running == ["load"]
    await running.close()


async def test_another_rollout_of_the_same_canary_ends_the_loads_of_the_one_before() -> None:
    log = Log()
    running = jobs(log)
    for each in (load("a", "old"), load("b", "old"), load("other", "old", canary="x.test")):
        running.start(each)
    await asyncio.sleep(1)

    assert running.start(load("a", "new")) is Start.RUNNING, "the same load goes on, for the new one"
    await asyncio.sleep(1)

    assert sorted(log.running) == ["a", "other"]
    assert log.ends == [("b", Stopped("another rollout has begun"), 1)]
    running.rollout_ended(ending("new"))
    await asyncio.sleep(1)
    assert log.running == ["other"]
    await running.close()


async def test_a_load_ends_when_its_hook_has_missed_several_calls() -> None:
    """Nobody has to tell the end of a rollout: its hooks just call no more."""
    log = Log()
    running = jobs(log)
    for _ in range(5):
        running.start(load())
        await asyncio.sleep(20)

    await asyncio.sleep(1000)

    last = 80
    assert log.ends == [("load", Stopped("its hook calls no more"), last + MISSED * 20 + SILENCE.total_seconds())]


async def test_a_load_whose_hook_calls_seldom_goes_on_in_between() -> None:
    log = Log()
    running = jobs(log)
    for _ in range(10):
        running.start(load())
        await asyncio.sleep(900)

    assert log.running == ["load"]
    await running.close()


async def test_a_load_that_was_asked_for_once_runs_for_as_long_as_it_takes() -> None:
    log = Log()
    running = jobs(log)
    running.start(load())

    await asyncio.sleep(29_000)

    assert log.running == ["load"]
    await running.close()


async def test_a_load_that_waits_for_its_turn_gives_it_up_with_its_rollout() -> None:
    log = Log()
    running = jobs(log, most=1)
    running.start(load("first", canary="x.test"))
    assert running.start(load()) is Start.QUEUED
    assert running.queued == 1

    running.rollout_ended(ending())
    await asyncio.sleep(1)

    assert running.queued == 0
    assert running.start(load()) is Start.QUEUED
    await running.close()
