"""Turns at asking: bounded in all and to one host, and a host that is slow to answer holds up nobody but itself."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.errors import CrowdedError
from outbound.slots import Slots

pytestmark = pytest.mark.looptime


class Asked:
    """Asks hosts that take their time, and remembers when each answered and how many were under way at most."""

    def __init__(self, total: int, per_host: int) -> None:
        self.slots = Slots(total, per_host)
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_in_all = 0
        self.answered: list[tuple[str, float]] = []

    async def ask(self, host: str, seconds: float, patience: float | None = None) -> None:
        async with self.slots.of(host, patience):
            self.under_way[host] += 1
            self.most[host] = max(self.most[host], self.under_way[host])
            self.most_in_all = max(self.most_in_all, self.under_way.total())
            try:
                await asyncio.sleep(seconds)
            finally:
                self.under_way[host] -= 1
        self.answered.append((host, asyncio.get_running_loop().time()))


async def test_a_dead_host_holds_up_nobody_else() -> None:
    asked = Asked(total=4, per_host=2)
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(asked.ask("dead", 5))
        await asyncio.sleep(1)
        for _ in range(10):
            group.create_task(asked.ask("well", 0.1))

    assert max(time for host, time in asked.answered if host == "well") == pytest.approx(1.5)
    assert (asked.most["dead"], asked.most_in_all) == (2, 4)


async def test_hosts_take_turns_where_there_are_more_of_them_than_turns() -> None:
    asked = Asked(total=1, per_host=1)
    async with asyncio.TaskGroup() as group:
        for host in "aaabbc":
            group.create_task(asked.ask(host, 1))

    assert [host for host, _ in asked.answered] == list("abcaba")


async def test_whoever_waits_in_vain_is_told() -> None:
    asked = Asked(total=1, per_host=1)
    async with asyncio.TaskGroup() as group:
        group.create_task(asked.ask("a", 60))
        await asyncio.sleep(0)
        with pytest.raises(CrowdedError):
            await asked.ask("b", 1, patience=10)
        assert asyncio.get_running_loop().time() == 10


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from([None, 0, 1, 2])), max_size=12),
    st.lists(st.integers(0, 11), max_size=4),
)
async def test_no_turn_is_lost_whatever_is_given_up(
    questions: list[tuple[str, int, int | None]], cancelled: list[int]
) -> None:
    asked = Asked(total=2, per_host=1)
    tasks = [asyncio.create_task(asked.ask(host, seconds, patience)) for host, seconds, patience in questions]
    await asyncio.sleep(0.5)
    for index in cancelled:
        if index < len(tasks):
            tasks[index].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert asked.most_in_all <= 2
    before = asyncio.get_running_loop().time()
    await asyncio.gather(asked.ask("a", 1), asked.ask("b", 1))
    assert asyncio.get_running_loop().time() == before + 1
