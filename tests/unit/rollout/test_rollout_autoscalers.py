"""With an autoscaler: who scales what and when, and how many pods the primary keeps in mid-rollout."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.capacity import FLOOR_STAYS
from canary.rollout.decide import decide
from canary.rollout.decision import (
    Action,
    HandBack,
    KeepAutoscaler,
    RestAutoscaler,
    Route,
    ScalePrimary,
    ScaleTarget,
    WakeAutoscaler,
)
from canary.rollout.facts import Facts
from canary.rollout.simulation import (
    Delete,
    Deploy,
    Kill,
    Reading,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Version,
)

V2 = (60, Deploy("v2"))
PODS = 4
LEAST = 2
AUTOSCALED = {"autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "app"}}
BAD = {"v2": Version(readings=(Reading(1.0),))}

Make = Callable[..., Canary]
Story = Callable[..., Scenario]


class GreedyWorld(SafeWorld):
    """A world whose autoscalers take every pod of the primary that they may take, whenever they may."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.did: list[Action] = []
        self.floor: int | None = None

    def facts(self) -> Facts:
        return replace(super().facts(), autoscaler_minimum=LEAST)

    def after_action(self, action: Action, *, wrote: bool) -> None:
        super().after_action(action, wrote=wrote)
        self.did.append(action)
        if isinstance(action, KeepAutoscaler):
            self.floor = action.floor
            self.take()

    def advance(self, moment: Any) -> None:
        self.take()
        super().advance(moment)

    def take(self) -> None:
        if self.floor is not None and self.cluster.primary is not None:
            self.cluster.primary.scale(max(1, self.floor), self.now)

    @property
    def pods(self) -> int:
        """How many pods the primary has."""
        return self.cluster.primary.desired if self.cluster.primary is not None else 0


@pytest.fixture
def world(canary: Make, story: Story) -> Callable[..., GreedyWorld]:
    """Makes a world with an autoscaler; the primary has grown to 4 pods by the time of the first rollout."""

    def make(*changes: Any, **fields: Any) -> GreedyWorld:
        return GreedyWorld(story(canary(spec={**AUTOSCALED, **fields.pop("spec", {})}), *changes, **fields))

    return make


World = Callable[..., GreedyWorld]


def played(world: GreedyWorld, until: float) -> GreedyWorld:
    world.run(timedelta(seconds=until))
    return world


class TestFloor:
    """The primary keeps the pods that it has, for it may have to take everything back at any time."""

    @pytest.mark.parametrize("ending", [Phase.SUCCEEDED, Phase.FAILED])
    def test_no_pod_is_taken_from_it_until_the_rollout_has_ended(self, world: World, ending: Phase) -> None:
        going = world(V2, replicas=PODS, versions=BAD if ending is Phase.FAILED else {})
        while going.canary.status.phase is not ending:
            moment = going.next_moment()
            assert moment is not None
            going.advance(moment)
            going.settle()
            if going.now >= going.scenario.start + timedelta(seconds=60):
                assert going.pods == PODS

    def test_a_restarted_rollout_keeps_the_floor_that_it_had(self, world: World) -> None:
        going = played(world(V2, (200, Deploy("v3")), replicas=PODS), 400)
        assert going.canary.status.phase is Phase.PROGRESSING
        assert going.pods == PODS

    def test_it_is_as_high_as_the_primary_has_come_since(self, world: World) -> None:
        """What the autoscaler adds in mid-rollout is needed for a rollback too."""
        going = played(world(V2, (150, Scale(Side.PRIMARY, 9)), replicas=PODS), 200)
        assert (going.pods, going.canary.status.primary_replicas) == (9, 9)

    def test_it_stands_while_the_autoscaler_judges_by_numbers_from_before(self, world: World) -> None:
        """What was measured while the canary had its share says too little for all of the traffic."""
        going = world(V2, replicas=PODS)
        line = going.run(timedelta(seconds=500))
        ended = line.when(Phase.SUCCEEDED)
        assert ended is not None
        again = played(world(V2, replicas=PODS), (ended + FLOOR_STAYS).total_seconds() - 2)
        assert again.pods == PODS
        after = played(world(V2, replicas=PODS), (ended + FLOOR_STAYS).total_seconds() + 2)
        assert (after.pods, after.canary.status.primary_replicas) == (1, None)

    def test_a_primary_that_was_just_made_keeps_the_targets_number_for_a_while(self, world: World) -> None:
        going = played(world(replicas=PODS), 60)
        assert going.canary.status.phase is Phase.INITIALIZED
        assert going.pods == PODS
        assert played(world(replicas=PODS), 600).pods == 1

    def test_one_that_sleeps_is_woken_before_a_canary_is_judged(self, world: World) -> None:
        """Scaled to nothing at rest, it is the users' way back once the canary has traffic."""
        going = played(world((590, Scale(Side.PRIMARY, 0)), (600, Deploy("v2"))), 640)
        assert going.canary.status.phase is Phase.PROGRESSING
        assert going.pods == 1

    def test_without_an_autoscaler_it_ends_with_the_rollout(self, canary: Make, story: Story) -> None:
        """Until then it says how many pods the primary needs when it is to serve everybody again."""
        going = SafeWorld(story(canary(), V2))
        going.run(timedelta(seconds=200))
        assert going.canary.status.primary_replicas == going.scenario.replicas
        going.run()
        assert going.canary.status.primary_replicas is None

    def test_a_settled_canary_decides_nothing(self, world: World) -> None:
        going = world(V2)
        going.run()
        decision = decide(going.canary, going.facts())
        assert decision.status == going.canary.status
        assert decision.wake is None
        assert KeepAutoscaler(0) in decision.actions


class TestSleep:
    """The target has no pods at rest, and its autoscaler gives it none."""

    def test_its_autoscaler_rests_before_its_pods_go(self, world: World) -> None:
        going = played(world(V2), 500)
        gone = [index for index, action in enumerate(going.did) if action == ScaleTarget(0)]
        assert len(gone) == 2
        assert all(going.did[index - 1] == RestAutoscaler() for index in gone)

    def test_one_that_was_made_anew_meanwhile_rests_too(self, world: World) -> None:
        going = played(world(V2), 500)
        assert RestAutoscaler() in decide(going.canary, going.facts()).actions
        assert ScaleTarget(0) not in decide(going.canary, going.facts()).actions

    def test_it_wakes_before_the_pods_come_and_does_not_take_the_last(self, world: World) -> None:
        going = played(world(V2), 70)
        come = going.did.index(ScaleTarget(LEAST))
        assert going.did[come - 1] == WakeAutoscaler(held=True)

    def test_a_canary_starts_with_its_autoscalers_least_and_is_scaled_no_more(self, world: World) -> None:
        going = played(world(V2, (100, Scale(Side.CANARY, 5)), replicas=PODS), 360)
        assert going.cluster.target is not None
        assert going.cluster.target.desired == 5
        assert [action for action in going.did if isinstance(action, ScaleTarget)] == [
            ScaleTarget(0),
            ScaleTarget(LEAST),
        ]

    def test_nobody_scales_the_primary_once_it_is_there(self, world: World) -> None:
        going = played(world(V2, (500, Deploy("v3")), replicas=PODS), 1500)
        scaled = [action for action in going.did if isinstance(action, ScalePrimary)]
        assert scaled == [ScalePrimary(PODS)]

    def test_a_canary_without_pods_under_traffic_is_woken_again(self, world: World) -> None:
        going = played(world(V2, (200, Scale(Side.CANARY, 0))), 215)
        assert going.cluster.target is not None
        assert going.cluster.target.desired == LEAST
        assert "" not in going.served


class TestOrder:
    def test_the_floor_stands_before_the_first_request_leaves_the_primary(self, world: World) -> None:
        going = played(world(V2, replicas=PODS), 130)
        moved = next(
            index for index, action in enumerate(going.did) if isinstance(action, Route) and action.split.canary
        )
        before = [action.floor for action in going.did[:moved] if isinstance(action, KeepAutoscaler)]
        assert before[-1] == PODS


class TestLeaving:
    """A Canary that goes leaves autoscalers as they were without it."""

    def test_the_target_gets_the_primarys_pods_and_not_just_its_least(self, world: World) -> None:
        going = world((200, Delete()), replicas=PODS)
        going.run()
        assert going.gone
        assert ScaleTarget(PODS) in going.did
        assert going.did.index(ScaleTarget(PODS)) < going.did.index(HandBack())

    def test_its_autoscaler_is_woken_for_good(self, world: World) -> None:
        going = world((200, Delete()), replicas=PODS)
        going.run()
        assert [action for action in going.did if isinstance(action, WakeAutoscaler)][-1] == WakeAutoscaler(held=False)

    def test_a_canary_with_few_pods_does_not_get_everybody(self, world: World) -> None:
        """In mid-rollout the canary has as many pods as its share takes."""
        revert = {"revertOnDeletion": True}
        going = world(V2, (200, Delete()), replicas=PODS, spec=revert)
        going.run()
        assert going.gone
        handed = going.did.index(HandBack())
        assert ScaleTarget(PODS) in going.did[:handed]
        assert going.did[handed:].count(WakeAutoscaler(held=False)) or WakeAutoscaler(held=False) in going.did[:handed]


def test_a_canary_that_dies_is_not_scaled_by_us(world: World) -> None:
    going = played(world(V2, (200, Kill(Side.CANARY, timedelta(seconds=10)))), 205)
    assert [action for action in going.did if isinstance(action, ScaleTarget)] == [ScaleTarget(0), ScaleTarget(LEAST)]
