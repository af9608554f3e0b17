"""A member that a release waits for, and whose watch stays open without a word: it is asked whether it is there."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.controller.api_in_memory import Answer, Asked, now, refused
from tests.unit.hub.test_hub import set_up, world
from tests.unit.hub.whole_hub import World, eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)

__all__ = ["world"]

TOLD_WITHIN = 35
"""Seconds: a quarter of a minute of silence, ten for an answer, five as with every outage, and some to spare."""


async def roll_out(world: World) -> None:
    """Two members, of which the first rolls out for an hour."""
    await set_up(world, "a", "b")
    sketch = world.played["a"].sketch
    sketch.fate = replace(sketch.fate, takes=timedelta(hours=1))
    world.put_fleet("r2", 2)
    await eventually(lambda: world.states.get("a") == "Progressing", 10, lambda: world.status)


async def test_one_that_hangs_is_told_of_and_is_back_once_it_answers(world: World, looptime: int) -> None:
    await roll_out(world)
    world.members["a"].hangs = True
    began = now()
    await eventually(lambda: "unreachableSince" in world.member("a"), TOLD_WITHIN, lambda: world.status)
    assert now() - began > 15
    assert world.states["a"] == "Progressing"
    assert "no answer within 10 s" in world.member("a")["message"]
    assert world.status["message"].startswith("waits for a (unreachable since ")

    world.members["a"].come_back()
    await eventually(lambda: "unreachableSince" not in world.member("a"), 20, lambda: world.status)
    told = [each for each in world.events if "reach" in each]
    assert len(told) == 2
    assert told[0].startswith("Member a is unreachable since")
    assert told[1] == "Member a can be reached again"


async def test_one_that_takes_the_credentials_no_more_is_told_of_before_anything_is_written(
    world: World, looptime: int
) -> None:
    await roll_out(world)
    world.members["a"].ill = lambda _: refused(401, "Unauthorized")
    await eventually(lambda: "unreachableSince" in world.member("a"), TOLD_WITHIN, lambda: world.status)
    said = ": its API server does not take the hub's credentials; write new ones into its Secret"
    assert world.member("a")["message"].endswith(said)


async def test_one_that_has_failed_by_its_silence_is_judged_by_what_it_says_once_it_answers(
    world: World, looptime: int
) -> None:
    await roll_out(world)
    world.put_fleet("r2", 3, unreachableDeadline="1m")
    world.members["a"].hangs = True
    await eventually(lambda: world.states["a"] == "Failed", 120, lambda: world.status)
    world.members["a"].come_back()
    await eventually(lambda: world.states["a"] == "Progressing", 30, lambda: world.status)


async def test_it_is_asked_now_and_then_and_one_whose_turn_has_not_come_never(world: World, looptime: int) -> None:
    await roll_out(world)
    await asyncio.sleep(1)
    before = {name: len(each.asked) for name, each in world.members.items()}
    await asyncio.sleep(150)
    asked = {name: len(each.asked) - before[name] for name, each in world.members.items()}
    assert 8 <= asked["a"] <= 10
    assert asked["b"] == 0


async def test_that_it_has_too_much_to_do_is_a_word_too(world: World, looptime: int) -> None:
    await roll_out(world)

    def busy(asked: Asked) -> Answer | None:
        return refused(429, "too many requests")

    world.members["a"].ill = busy
    await asyncio.sleep(120)
    assert "unreachableSince" not in world.member("a")


async def test_one_whose_turn_comes_when_it_takes_the_credentials_no_more_is_told_of(
    world: World, looptime: int
) -> None:
    """The vote that it refuses is told of at once, and that it can't be reached once it is asked for a sign of life."""
    await set_up(world, "a", "b")
    await asyncio.sleep(30)
    world.members["a"].ill = lambda _: refused(401, "Unauthorized")
    world.put_fleet("r2", 2)
    await eventually(lambda: "can't be written: its API" in world.member("a").get("message", ""), 10)
    assert world.status["message"].startswith("waits for a (its Canary can't be written: its API server does not take")
    await eventually(lambda: "unreachableSince" in world.member("a"), TOLD_WITHIN, lambda: world.status)
    world.members["a"].ill = lambda _: None
    await eventually(lambda: world.status["phase"] == "Succeeded", 60, lambda: world.status)
