"""While somebody has stopped a rollout: whatever changes, nothing is done, and then it goes on where it was."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary, CanarySpec
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.rollout.decision import Action, Route
from canary.rollout.simulation import (
    Annotate,
    Deploy,
    Drift,
    Edit,
    Kill,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    Side,
    Timeline,
    Version,
)

V2 = (60, Deploy("v2"))
MINUTE = timedelta(minutes=1)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


def suspended(canary: Canary) -> CanarySpec:
    return canary.spec.replace(suspend=True)


PHASES_WHEN = [
    (Phase.INITIALIZING, 1),
    (Phase.INITIALIZED, 30),
    (Phase.PROGRESSING, 61),
    (Phase.PROGRESSING, 200),
    (Phase.PROMOTING, 367.5),
    (Phase.FINALISING, 373),
    (Phase.SUCCEEDED, 1000),
]


class StoppedBetween(SafeWorld):
    """A world in which the rollout is stopped after a share was routed, and before that is stored."""

    share = 30
    stop: Edit | Annotate | None = None

    def after_action(self, action: Action, *, wrote: bool) -> None:
        """Somebody is quicker than the controller."""
        super().after_action(action, wrote=wrote)
        if wrote and self.stop is not None and isinstance(action, Route) and action.split.canary == self.share:
            stop, self.stop = self.stop, None
            self.change(stop)


@pytest.mark.parametrize("how", ["suspended", "paused"])
def test_a_share_that_was_routed_when_it_stopped_is_told_and_gone_on_from(canary: Make, story: Story, how: str) -> None:
    made = canary()
    goes_on = Edit(made.spec) if how == "suspended" else Annotate("flagger.app/pause", "")
    world = StoppedBetween(story(made, V2, (3000, goes_on), versions={"v2": Version()}))
    world.stop = Edit(suspended(made)) if how == "suspended" else Annotate("flagger.app/pause", "by mia")
    world.run(timedelta(seconds=2999))
    assert world.stop is None
    assert world.cluster.split.canary == world.canary.status.canary_weight == 30

    line = world.run()
    assert line.status.phase is Phase.SUCCEEDED
    assert line.weights == (0, 10, 20, 30, 40, 50, 0)


class TestSuspend:
    """Whatever changes, nothing is done."""

    @pytest.mark.parametrize(("phase", "at"), PHASES_WHEN)
    def test_it_stops_in_every_phase_and_goes_on_where_it_was(
        self, canary: Make, story: Story, phase: Phase, at: float
    ) -> None:
        made = canary()
        world = SafeWorld(
            story(made, V2, (at, Edit(suspended(made))), (3000, Edit(made.spec)), versions={"v2": Version()})
        )
        world.run(timedelta(seconds=at))
        stopped = world.canary.status
        world.run(timedelta(seconds=2999))

        assert stopped.phase is phase
        assert world.canary.status.phase is phase
        assert world.canary.status.canary_weight == stopped.canary_weight

        line = world.run()

        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 10, 20, 30, 40, 50, 0)

    @pytest.mark.parametrize(
        ("kind", "phase"), [("confirm-rollout", Phase.WAITING), ("confirm-promotion", Phase.WAITING_PROMOTION)]
    )
    def test_an_approval_in_the_meantime_changes_nothing(
        self, canary: Make, story: Story, hook: Hook, kind: str, phase: Phase
    ) -> None:
        made = canary(stepWeight=50, webhooks=[hook(kind)])
        replies = (Reply(approved=False, end=timedelta(seconds=300)),)
        world = SafeWorld(story(made, V2, (200, Edit(suspended(made))), (3000, Edit(made.spec)), replies=replies))
        world.run(timedelta(seconds=2999))

        assert world.canary.status.phase is phase
        assert world.run().status.phase is Phase.SUCCEEDED

    def test_a_new_revision_waits_for_its_end(self, canary: Make, play: Play) -> None:
        made = canary()
        line = play(made, (50, Edit(suspended(made))), V2, (3000, Edit(made.spec)))

        assert line.when(Phase.PROGRESSING) == timedelta(seconds=3000)

    def test_a_suspended_canary_costs_nothing(self, canary: Make, play: Play) -> None:
        made = canary()
        line = play(made, V2, (200, Edit(suspended(made))))

        assert line.over
        assert line.passes < 35

    def test_pods_that_die_meanwhile_lose_their_traffic(self, canary: Make, play: Play) -> None:
        """And the version starts from the first step when it goes on."""
        made = canary()
        line = play(
            made,
            V2,
            (200, Edit(suspended(made))),
            (300, Kill(Side.CANARY, timedelta(seconds=10))),
            (3000, Edit(made.spec)),
        )

        assert line.weights == (0, 10, 20, 30, 0, 10, 20, 30, 40, 50, 0)
        assert (timedelta(seconds=300), 0) in line.weight_changes
        assert "" not in line.served

    def test_its_time_does_not_count_for_the_deadline_of_pods(self, canary: Make, play: Play) -> None:
        made = canary()
        versions = {"v2": Version(ready_after=timedelta(seconds=3100))}
        line = play(made, V2, (200, Edit(suspended(made))), (3000, Edit(made.spec)), versions=versions)

        assert line.status.phase is Phase.SUCCEEDED

    def test_its_time_does_not_count_for_a_hold(self, canary: Make, play: Play) -> None:
        made = canary()
        versions = {"v2": Version(readings=(Reading(None), Reading(99.9, after=timedelta(seconds=3000))))}
        line = play(made, V2, (200, Edit(suspended(made))), (3000, Edit(made.spec)), versions=versions)

        assert line.status.phase is Phase.SUCCEEDED

    def test_its_end_does_not_cut_a_step_short(self, canary: Make, play: Play) -> None:
        """The step at 30 began at 185: it is not looked at before 245, though it was suspended for 5 s."""
        made = canary()
        line = play(made, V2, (200, Edit(suspended(made))), (205, Edit(made.spec)))
        steps = {weight: at for at, weight in line.weight_changes}

        assert steps[40] - steps[30] >= MINUTE


def test_a_drifted_route_is_seen_though_the_canary_is_suspended(canary: Make, play: Play) -> None:
    """Suspended means hands off: what others do to the route is theirs."""
    made = canary()
    line = play(made, (100, Edit(suspended(made))), (200, Drift(Split(0))))

    assert line.status.phase is Phase.INITIALIZED
