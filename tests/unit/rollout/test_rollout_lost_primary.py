"""A primary that somebody deletes is made again of what was promoted, not of what nobody has found good."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Deploy,
    Forget,
    Reading,
    Remove,
    SafeWorld,
    Scenario,
    Side,
    Version,
)

V2 = (60, Deploy("v2"))
SETTLE = timedelta(seconds=30)
BAD = {"v2": Version(readings=(Reading(1.0),))}

Make = Callable[..., Canary]
Story = Callable[..., Scenario]


def primary_of(world: SafeWorld) -> str:
    return world.cluster.primary.revision if world.cluster.primary is not None else ""


def finalising(canary: Make, story: Story) -> float:
    """A moment at which the primary has all traffic back, and the canary still its pods."""
    line = SafeWorld(story(canary(stepWeight=50), V2, settle=SETTLE)).run()
    at = line.when(Phase.FINALISING)
    assert at is not None
    return at.total_seconds() + 1


def test_at_rest_after_a_failed_rollout(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(stepWeight=50), V2, (1000, Remove(Side.PRIMARY)), versions=BAD))
    line = world.run()

    assert primary_of(world) == "v1"
    assert (line.status.phase, line.status.last_applied_spec) == (Phase.FAILED, "v2")
    assert line.endings == (Ending.FAILED,), "what has failed is not rolled out again"


def test_together_with_a_new_revision(canary: Make, story: Story) -> None:
    changes = (V2, (1000, Remove(Side.PRIMARY)), (1000, Deploy("v3")))
    world = SafeWorld(story(canary(stepWeight=50), *changes, versions=BAD))
    line = world.run()

    assert primary_of(world) == "v3"
    assert line.endings == (Ending.FAILED, Ending.PROMOTED)


def test_in_the_middle_of_a_rollout(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(stepWeight=50), V2, (100, Remove(Side.PRIMARY))))
    world.run(timedelta(seconds=101))
    assert primary_of(world) == "v1"

    line = world.run()
    assert line.endings == (Ending.PROMOTED,)
    assert primary_of(world) == "v2"


def test_when_the_next_revision_came_before_the_promotion_had_ended(canary: Make, story: Story) -> None:
    """What is promoted is kept before anything else begins."""
    changes = (V2, (132.5, Deploy("v3")), (150, Remove(Side.PRIMARY)))
    world = SafeWorld(story(canary(stepWeight=50), *changes, latency=timedelta(0)))
    world.run(timedelta(seconds=133))
    assert (world.canary.status.last_promoted_spec, world.canary.status.last_applied_spec) == ("v2", "v3")
    world.run(timedelta(seconds=151))
    assert primary_of(world) == "v2"


@pytest.mark.parametrize("at", [0.5, 1, 1.5, 2, 2.5])
def test_when_the_first_revision_came_before_the_initialization_had_ended(
    canary: Make, story: Story, at: float
) -> None:
    world = SafeWorld(story(canary(stepWeight=50), (at, Deploy("v2")), (at + 15, Remove(Side.PRIMARY))))
    world.run(timedelta(seconds=at + 14))
    promoted = primary_of(world)
    world.run(timedelta(seconds=at + 17))
    assert primary_of(world) == promoted == world.canary.status.last_promoted_spec


def test_when_the_traffic_has_just_gone_back_to_it(canary: Make, story: Story) -> None:
    """The canary still has its pods, and serves everybody until the primary is there again."""
    at = finalising(canary, story)
    world = SafeWorld(story(canary(stepWeight=50), V2, (at, Remove(Side.PRIMARY)), settle=SETTLE))
    world.run(timedelta(seconds=at + 1))
    assert world.cluster.served(world.now) == {"v2": 1}

    line = world.run()
    assert line.endings == (Ending.PROMOTED,)
    assert (line.status.phase, primary_of(world)) == (Phase.SUCCEEDED, "v2")


@pytest.mark.parametrize("gone", [(Side.PRIMARY, Side.CANARY), (Side.CANARY, Side.PRIMARY)])
def test_nothing_is_promoted_without_a_primary_and_a_target(
    canary: Make, story: Story, gone: tuple[Side, Side]
) -> None:
    """As when `targetRef.name` is edited to a name that there is not: the primary goes by that name, too."""
    removed = ((finalising(canary, story), Remove(side)) for side in gone)
    world = SafeWorld(story(canary(stepWeight=50), V2, *removed, settle=SETTLE))
    line = world.run()

    assert not line.endings
    assert line.status.phase is Phase.INITIALIZING
    stalled = line.status.condition("Stalled")
    assert stalled is not None
    assert "does not exist" in stalled.message


def test_so_that_a_bad_version_can_be_taken_back(canary: Make, story: Story) -> None:
    made = canary(stepWeight=50, threshold=1)
    world = SafeWorld(story(made, V2, (100, Remove(Side.PRIMARY)), versions=BAD))
    line = world.run()

    assert (line.status.phase, primary_of(world)) == (Phase.FAILED, "v1")


def test_of_the_target_where_nothing_was_kept(canary: Make, story: Story) -> None:
    """Or nobody would be served."""
    changes = (V2, (1000, Forget()), (1000, Remove(Side.PRIMARY)))
    world = SafeWorld(story(canary(stepWeight=50), *changes, versions=BAD))
    line = world.run()

    assert (line.status.phase, primary_of(world)) == (Phase.INITIALIZED, "v2")


def test_a_revision_that_mends_what_does_not_get_ready_any_more_is_let_through(canary: Make, story: Story) -> None:
    changes = (V2, (1000, Remove(Side.PRIMARY)), (1010, Deploy("v3")))
    world = SafeWorld(story(canary(stepWeight=50), *changes, versions=BAD))
    world.run(timedelta(seconds=999))
    broken = story(world.canary, *changes, versions={**BAD, "v1": Version(ready_after=None)})
    world.scenario = world.cluster.scenario = broken
    line = world.run()

    assert primary_of(world) == "v3"
    assert line.status.phase is Phase.INITIALIZED
