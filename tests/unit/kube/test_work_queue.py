"""Workers on the work queue, in virtual time: each key is worked on by one of them, as soon as it is due."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.kube.backoff import Backoff
from canary.kube.queue import WorkQueue


@given(failures=st.integers(1, 10_000), seed=st.integers())
def test_backoff_stays_between_half_and_all_of_a_capped_power(failures: int, seed: int) -> None:
    backoff = Backoff(first=0.2, cap=60.0, random=Random(seed))  # noqa: S311 - jitter

    whole = min(60.0, 0.2 * 2.0 ** min(failures - 1, 60))
    assert whole / 2 <= backoff.delay(failures) <= whole


@pytest.mark.looptime
async def test_get_waits_until_a_timer_is_due(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.schedule("a", 123.0)

    assert await queue.get() == "a"
    assert looptime == 123


@pytest.mark.looptime
async def test_get_sees_a_key_that_is_added_while_it_waits(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.schedule("late", 100.0)
    asyncio.get_running_loop().call_later(5, queue.add, "a")

    assert await queue.get() == "a"
    assert looptime == 5


@pytest.mark.looptime
async def test_get_follows_a_timer_that_is_moved(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.schedule("a", 10.0)
    asyncio.get_running_loop().call_later(5, queue.schedule, "a", 20.0)

    assert await queue.get() == "a"
    assert looptime == 25


@pytest.mark.looptime
async def test_workers_never_share_a_key(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    at_work: set[str] = set()
    rounds = dict.fromkeys("abc", 0)

    async def worker() -> None:
        while True:
            key = await queue.get()
            assert key not in at_work
            at_work.add(key)
            queue.add(key)
            await asyncio.sleep(1)
            at_work.remove(key)
            rounds[key] += 1
            queue.done(key)

    for key in rounds:
        queue.add(key)
    workers = [asyncio.create_task(worker()) for _ in range(4)]
    await asyncio.sleep(10.5)
    for task in workers:
        task.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)

    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert rounds == {"a": 10, "b": 10, "c": 10}


@pytest.mark.looptime
async def test_a_worker_that_is_cancelled_as_it_is_called_leaves_the_key_to_another(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(1)
    queue.add("a")
    first.cancel()

    assert await second == "a"
    assert first.cancelled()
    assert looptime == 1


@pytest.mark.looptime
async def test_keys_that_are_due_together_are_worked_on_together(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    for key in "abc":
        queue.schedule(key, 10.0)

    assert set(await asyncio.gather(*workers)) == {"a", "b", "c"}
    assert looptime == 10


@pytest.mark.looptime
async def test_a_timer_that_comes_due_while_all_work_is_taken_afterwards(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.schedule("b", 5.0)
    await asyncio.sleep(20)

    assert await queue.get() == "b"
    assert looptime == 20


@pytest.mark.looptime
async def test_a_key_rests_between_changes_and_not_before_the_first(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue(rest=2.0)
    for expected in (0, 2, 4):
        queue.add("a")
        assert await queue.get() == "a"
        assert looptime == expected
        queue.done("a")

    await asyncio.sleep(10)  # of virtual time, longer than any rest
    queue.add("a")
    assert await queue.get() == "a"
    assert looptime == 14
    queue.done("a")
    queue.urge("a")
    assert await queue.get() == "a"
    assert looptime == 14


@pytest.mark.looptime
async def test_retries_wait_longer_each_time_until_forgotten(looptime: int) -> None:
    queue: WorkQueue[str] = WorkQueue(Backoff(first=1.0, cap=5.0, jitter=0.0))

    assert [queue.retry("a") for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]
    assert queue.failures("a") == 4
    queue.forget("a")
    assert queue.retry("a") == 1.0
    assert queue.retry("a", at_least=30.0) == 30.0
    assert await queue.get() == "a"
    assert looptime == 30
