"""A Canary is deleted: at rest or in mid-rollout, with the target there or not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.deletion import TOGETHER
from canary.rollout.facts import Facts
from canary.rollout.simulation import Delete, Deploy, Edit, Kill, Reading, Remove, SafeWorld, Scenario, Side, Version

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


def seconds_to_leave(world: SafeWorld, since: float) -> float:
    """How long it took from its deletion until it was gone."""
    return world.entries[-1].at.total_seconds() - since


@pytest.mark.parametrize("spec", [{}, REVERT])
def test_it_goes_once_the_target_serves(canary: Make, story: Story, spec: dict[str, Any]) -> None:
    """Its pods take 5 s and the route 1 s: whether revert is asked for or not, nobody is left without an answer."""
    world = leave(story(canary(spec=spec), V2, (1000, Delete())))

    assert 5 < seconds_to_leave(world, 1000) < 8
    assert not world.cluster.managed
    assert world.cluster.primary is None
    assert world.cluster.served(world.now) == {"v2": 1}
    assert "" not in world.served


def test_before_users_are_led_anywhere_nothing_holds_it(canary: Make, story: Story) -> None:
    slow = {"v1": Version(timedelta(seconds=60))}
    world = leave(story(canary(), (30, Delete()), versions=slow))

    assert seconds_to_leave(world, 30) == 0
    assert world.served.keys() == {"v1"}


@pytest.mark.parametrize("at", [66, 200, 300])
def test_a_version_that_nobody_promoted_does_not_get_everybody(canary: Make, story: Story, at: float) -> None:
    """Without revert the primary takes its traffic back, and outlives the Canary."""
    world = leave(story(canary(), V2, (at, Delete())))

    assert world.cluster.orphaned
    assert world.cluster.served(world.now) == {"v1": 1}
    assert "" not in world.served
    assert seconds_to_leave(world, at) == TOGETHER.total_seconds()


def test_a_version_that_failed_does_not_get_everybody(canary: Make, story: Story) -> None:
    bad = {"v2": Version(readings=(Reading(0.0),))}
    world = leave(story(canary(), V2, (1000, Delete()), versions=bad))

    assert world.canary.status.phase is Phase.TERMINATING
    assert world.cluster.served(world.now) == {"v1": 1}


def test_revert_gives_everybody_what_the_target_runs(canary: Make, story: Story) -> None:
    """Whatever it is: that is what is asked for."""
    world = leave(story(canary(spec=REVERT), V2, (200, Delete())))

    assert world.cluster.served(world.now) == {"v2": 1}


@pytest.mark.parametrize("spec", [{}, REVERT])
@pytest.mark.parametrize("at", [200, 1000])
def test_a_target_that_has_long_been_missing_leaves_the_primary_serving(
    canary: Make, story: Story, at: float, spec: dict[str, Any]
) -> None:
    """In mid-rollout too: its traffic goes to the primary."""
    world = leave(story(canary(spec=spec), V2, (at, Remove(Side.CANARY)), (at + 60, Delete())))

    assert seconds_to_leave(world, at + 60) == 0
    assert world.cluster.orphaned
    assert world.cluster.served(world.now).keys() <= {"v1", "v2"}


@pytest.mark.parametrize("spec", [{}, REVERT])
@pytest.mark.parametrize("later", [-5, 0, 3])
def test_a_target_that_is_deleted_with_it_takes_all_along(
    canary: Make, story: Story, later: float, spec: dict[str, Any]
) -> None:
    """As by `kubectl delete -f` of the application: nothing is left running that nobody looks after."""
    slow = {"v1": Version(timedelta(seconds=60))}
    changes = ((200 + later, Remove(Side.CANARY)), (200, Delete()))
    world = leave(story(canary(spec=spec), *changes, versions=slow))

    assert world.cluster.primary is None
    assert not world.cluster.orphaned
    assert seconds_to_leave(world, 200) == max(later, 0)


def test_an_unpromoted_target_that_is_deleted_with_it_takes_all_along(canary: Make, story: Story) -> None:
    world = leave(story(canary(), V2, (200, Delete()), (205, Remove(Side.CANARY))))

    assert world.cluster.primary is None
    assert not world.cluster.orphaned


def test_a_primary_that_dies_meanwhile_leaves_the_users_to_the_target(canary: Make, story: Story) -> None:
    world = leave(story(canary(), V2, (200, Delete()), (205, Kill(Side.PRIMARY, None))))

    assert world.cluster.served(world.now) == {"v2": 1}


@pytest.mark.parametrize("spec", [{}, REVERT])
def test_where_users_cannot_be_led_back_the_primary_goes_on_serving(
    canary: Make, story: Story, spec: dict[str, Any]
) -> None:
    """The target has lost the label that tells its pods, or the spec names a provider that nobody knows."""

    class Unknown(SafeWorld):
        def facts(self) -> Facts:
            known = self.now < self.scenario.start + timedelta(seconds=200)
            return replace(super().facts(), returnable=known)

    world = Unknown(story(canary(spec=spec), V2, (1000, Delete())))
    world.run()

    assert world.gone
    assert world.cluster.orphaned
    assert world.cluster.served(world.now) == {"v2": 1}


@pytest.mark.parametrize("at", [30, 61, 200, 367.5, 373, 1000])
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


def test_a_revert_that_is_no_longer_asked_for_is_not_done(canary: Make, story: Story) -> None:
    made = canary(spec=REVERT)
    edit = (300, Edit(made.spec.replace(revert_on_deletion=False)))
    world = leave(story(made, V2, edit, (320, Delete())))

    assert seconds_to_leave(world, 320) == TOGETHER.total_seconds()
    assert world.cluster.served(world.now) == {"v1": 1}


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
