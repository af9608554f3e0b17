"""The line for turns is bounded, and fair among Canaries."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.jobs import Busy, Finished, Jobs, Start
from loadtest.limits import Limits
from loadtest.processes import Output
from loadtest.tasks import Task, one
from loadtest.turns import Turn, Turns

pytestmark = pytest.mark.looptime


def task(canary: str, command: str) -> Task:
    return Task(canary, "cmd", command, one((command,)), waits=False)


class Log:
    def __init__(self) -> None:
        self.starts: list[tuple[str, float]] = []

    def started(self, task: Task) -> None:
        self.starts.append((task.canary, asyncio.get_running_loop().time()))

    def ended(self, task: Task, outcome: object, seconds: float) -> None:
        pass


async def takes_a_minute(task: Task, output: Output) -> int:
    await asyncio.sleep(60)
    return 0


def jobs(log: Log, most: int, queue: int) -> Jobs:
    return Jobs(takes_a_minute, log, limits=Limits(), most=most, queue=queue)


async def test_one_canary_with_many_tasks_does_not_keep_another_waiting() -> None:
    """They take turns, though one of them came with fifty at once."""
    log = Log()
    running = jobs(log, most=1, queue=100)
    for n in range(50):
        running.start(task("greedy", str(n)))
    await asyncio.sleep(1)
    for n in range(3):
        running.start(task("modest", str(n)))

    await asyncio.sleep(400)

    turns = ["greedy", "modest", "greedy", "modest", "greedy", "modest", "greedy"]
    assert log.starts[:7] == [(canary, 60 * n) for n, canary in enumerate(turns)]
    await running.close()


async def test_no_canary_takes_all_turns_though_nobody_else_waits() -> None:
    log = Log()
    running = jobs(log, most=8, queue=100)
    for n in range(20):
        running.start(task("greedy", str(n)))
    await asyncio.sleep(1)
    assert len(log.starts) == 6

    running.start(task("modest", "a"))
    await asyncio.sleep(1)

    assert log.starts[-1] == ("modest", 1)
    await running.close()


async def test_a_full_line_has_room_for_whoever_has_less_in_it() -> None:
    log = Log()
    running = jobs(log, most=1, queue=4)
    last = [asyncio.create_task(running.wait(task("greedy", str(n)))) for n in range(5)]
    await asyncio.sleep(1)
    assert isinstance(running.start(task("greedy", "more")), Busy)

    assert running.start(task("modest", "a")) is Start.QUEUED
    await asyncio.sleep(1)

    assert last[-1].result() == Busy(1)
    assert running.queued == 4
    assert await last[3] == Finished(0, "")
    await running.close()


async def test_whoever_gives_up_waiting_leaves_the_line() -> None:
    running = jobs(Log(), most=1, queue=4)
    running.start(task("a", "x"))
    waiting = asyncio.create_task(running.wait(task("b", "y")))
    await asyncio.sleep(1)
    assert running.queued == 1

    waiting.cancel()
    await asyncio.sleep(1)

    assert running.queued == 0
    await running.close()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "leave", "cancel"])), max_size=60))
def test_there_are_never_more_turns_than_may_be_nor_one_that_is_free_while_somebody_may_have_it(
    steps: Sequence[tuple[str, str]],
) -> None:
    async def play() -> None:
        turns, held = Turns(4, 5), list[Turn]()
        for canary, step in steps:
            if step == "take":
                turn = turns.take(canary)
                held += [turn] if turn else []
            elif held:
                turn = held.pop(0)
                if step == "cancel" and not turn.given.done():
                    turn.given.cancel()
                turns.leave(turn)
            having = [each.canary for each in held if each.given.done() and each.given.result()]
            waiting = [each.canary for each in held if not each.given.done()]
            assert turns.running == len(having) <= 4
            assert turns.waiting == len(waiting) <= 5
            assert all(having.count(each) <= 3 for each in "abc")
            assert len(having) == 4 or all(having.count(each) == 3 for each in waiting)

    with asyncio.Runner() as runner:
        runner.run(play())
