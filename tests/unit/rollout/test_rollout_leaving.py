"""A Canary is deleted: at rest or in mid-rollout, with the target there or not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.simulation import Delete, Deploy, Edit, Kill, Remove, SafeWorld, Scenario, Side, Version

V2 = (60, Deploy("v2"))
REVERT = {"revertOnDeletion": True}

Make = Callable[..., Canary]
Story = Callable[..., Scenario]


def leave(scenario: Scenario) -> SafeWorld:
    """Play it, and end when the Canary is gone."""
    world = SafeWorld(scenario)
    world.run()

    assert world.gone
    return world


def test_without_revert_it_goes_at_once(canary: Make, story: Story) -> None:
    """Nothing holds it."""
    world = leave(story(canary(), V2, (1000, Delete())))

    assert world.entries[-1].at == timedelta(seconds=1000)


@pytest.mark.parametrize("at", [30, 61, 200, 366.5, 371, 1000])
def test_the_target_serves_everybody_before_it_goes(canary: Make, story: Story, at: float) -> None:
    """Pods first, then traffic, then the finalizer: in every phase, with no request lost."""
    world = leave(story(canary(spec=REVERT), V2, (at, Delete())))

    assert not world.cluster.managed
    assert world.cluster.target is not None
    assert world.cluster.target.serving(world.now)
    assert "" not in world.served
    assert not world.cluster.finalizer


def test_it_says_so(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(spec=REVERT), (100, Delete()), versions={"v1": Version(timedelta(seconds=30))}))
    world.run(timedelta(seconds=110))

    assert world.canary.status.phase is Phase.TERMINATING
    assert [event.message for event in world.entries[-1].events] == ["Terminating canary app.prod"] or any(
        event.message == "Terminating canary app.prod" for each in world.entries for event in each.events
    )


def test_a_finalizer_is_held_from_the_moment_on_that_revert_is_asked_for(canary: Make, story: Story) -> None:
    """Not only by a Canary that was made with it."""
    made = canary()
    world = leave(story(made, V2, (1000, Edit(made.spec.replace(revert_on_deletion=True))), (2000, Delete())))

    assert not world.cluster.managed
    assert "" not in world.served


def test_a_revert_that_is_no_longer_asked_for_holds_nothing(canary: Make, story: Story) -> None:
    made = canary(spec=REVERT)
    world = leave(story(made, (100, Edit(made.spec.replace(revert_on_deletion=False))), (200, Delete())))

    assert world.entries[-1].at == timedelta(seconds=200)


def test_a_target_that_is_missing_does_not_hold_it(canary: Make, story: Story) -> None:
    world = leave(story(canary(spec=REVERT), (100, Remove(Side.CANARY)), (200, Delete())))

    assert world.entries[-1].at == timedelta(seconds=200)


def test_a_target_that_goes_while_it_leaves_does_not_hold_it(canary: Make, story: Story) -> None:
    slow = {"v1": Version(timedelta(seconds=60))}
    world = leave(story(canary(spec=REVERT), (100, Delete()), (120, Remove(Side.CANARY)), versions=slow))

    assert world.entries[-1].at <= timedelta(seconds=121)


def test_a_target_that_never_becomes_ready_leaves_the_primary_serving(canary: Make, story: Story) -> None:
    """The finalizer comes off at the deadline, and the primary outlives the Canary."""
    never = {"v1": Version(ready_after=timedelta(seconds=1)), "v2": Version(ready_after=None)}
    world = leave(story(canary(spec=REVERT), V2, (100, Delete()), versions=never))

    assert world.cluster.orphaned
    assert world.cluster.primary is not None
    assert "" not in world.served
    assert world.entries[-1].at <= timedelta(seconds=402)


def test_pods_of_the_target_that_die_before_the_finalizer_is_off_give_traffic_back(canary: Make, story: Story) -> None:
    """The primary is still there, and goes only once the target serves for good."""
    world = leave(story(canary(spec=REVERT), (100, Delete()), (105.5, Kill(Side.CANARY, timedelta(seconds=20)))))

    assert "" not in world.served
    assert not world.cluster.managed


def test_pods_of_the_canary_that_die_while_it_waits_to_leave_lose_their_traffic(canary: Make, story: Story) -> None:
    world = leave(
        story(
            canary(spec={**REVERT, "progressDeadlineSeconds": 900}),
            V2,
            (200, Delete()),
            (200, Kill(Side.CANARY, timedelta(seconds=600))),
        )
    )

    assert "" not in world.served


def test_a_suspended_one_leaves_too(canary: Make, story: Story) -> None:
    made = canary(spec=REVERT)
    world = leave(story(made, (100, Edit(made.spec.replace(suspend=True))), (200, Delete())))

    assert not world.cluster.managed


def test_one_with_a_spec_that_cannot_work_leaves_too(canary: Make, story: Story) -> None:
    broken = canary(stepWeight=0, spec=REVERT)
    world = leave(story(canary(spec=REVERT), (100, Edit(broken.spec)), (200, Delete())))

    assert not world.cluster.managed
    assert "" not in world.served


def test_one_that_was_never_started_leaves_at_once(canary: Make, story: Story) -> None:
    world = leave(story(canary(stepWeight=0), (100, Delete())))

    assert world.served.keys() == {"v1"}


def test_nothing_is_stored_once_the_finalizer_is_off(canary: Make, story: Story) -> None:
    """There is nothing left to store it in."""

    class Strict(SafeWorld):
        def after_store(self, canary: Canary, decision: Any) -> None:
            assert not self.gone or decision.status == canary.status
            super().after_store(canary, decision)

    for spec in (REVERT, {}):
        world = Strict(story(canary(spec=spec), V2, (200, Delete())))
        world.run()

        assert not any(each.note.startswith("failed") for each in world.entries)
