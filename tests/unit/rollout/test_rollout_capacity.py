"""A failed version is taken back as fast as the primary can serve what it gives up, or in steps where that is asked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Deploy,
    Edit,
    Kill,
    Reading,
    Reply,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Timeline,
    Version,
)

V2 = (60, Deploy("v2"))
BAD = {"v2": Version(readings=(Reading(1.0, weight=80),))}
WIDE: dict[str, Any] = {"stepWeights": [40, 80], "threshold": 1}
"""The second step, at 125 s, leaves the primary a fifth of the requests; the look at 185 s fails."""

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]

AT_ONCE = timedelta(0)
SCALED_DOWN = (130, Scale(Side.PRIMARY, 1))


def shares(line: Timeline) -> dict[int, float]:
    """The second at which the canary got each share, those before the failure left out."""
    return {weight: at.total_seconds() for at, weight in line.weight_changes if at > timedelta(seconds=126)}


class TestPrimaryThatLostPods:
    """Somebody has scaled the primary down in mid-rollout, where it had little to do."""

    def test_it_gets_them_back_first_and_traffic_as_they_get_ready(self, canary: Make, story: Story) -> None:
        """One pod of four takes a quarter of the requests, four take all."""
        world = SafeWorld(story(canary(**WIDE), V2, SCALED_DOWN, versions=BAD, replicas=4, latency=AT_ONCE))
        line = world.run()

        assert shares(line) == {75: 186.0, 0: 191.0}
        assert line.status.phase is Phase.FAILED
        assert world.cluster.primary is not None
        assert world.cluster.primary.desired == 4
        assert line.endings == (Ending.FAILED,)

    def test_it_is_told_once_and_the_status_says_why(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**WIDE), V2, SCALED_DOWN, versions=BAD, replicas=4, latency=AT_ONCE))
        line = world.run(timedelta(seconds=186))
        assert (line.status.phase, line.status.reason) == (Phase.PROGRESSING, "RollingBack")
        assert (line.status.canary_weight, line.status.message) == (75, "failed checks threshold reached 1")

        line = world.run()
        assert sum("Rolling back" in each for each in line.events) == 1
        assert len([each for each in line.alerts if "threshold" in each]) == 1
        assert line.events[-1].startswith("Canary failed!")

    def test_pods_that_are_gone_for_a_moment_make_nobody_wait(self, canary: Make, play: Play) -> None:
        """A node is drained: the primary has had no fewer pods to do with than before."""
        line = play(canary(**WIDE), V2, versions=BAD, replicas=4, latency=AT_ONCE)

        assert shares(line) == {0: 186.0}

    def test_whoever_scales_is_left_alone_until_then(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**WIDE), V2, SCALED_DOWN, versions=BAD, replicas=4))
        world.run(timedelta(seconds=180))

        assert world.cluster.primary is not None
        assert world.cluster.primary.desired == 1

    def test_a_failed_version_does_not_keep_traffic_for_ever(self, canary: Make, story: Story) -> None:
        """Pods that don't come are waited for as long as any progress is."""
        world = SafeWorld(story(canary(**WIDE), V2, SCALED_DOWN, versions=BAD, replicas=4, latency=AT_ONCE))
        world.run(timedelta(seconds=140))
        stuck = story(world.canary, versions={**BAD, "v1": Version(ready_after=None)})
        assert world.cluster.primary is not None
        world.cluster.primary.scenario = stuck
        line = world.run()

        assert shares(line) == {75: 186.0, 0: 486.0}
        assert line.status.phase is Phase.FAILED

    def test_a_canary_without_ready_pods_loses_all_at_once(self, canary: Make, play: Play) -> None:
        killed = (187, Kill(Side.CANARY, None))
        line = play(canary(**WIDE), V2, SCALED_DOWN, killed, versions=BAD, replicas=4, latency=AT_ONCE)

        assert shares(line) == {75: 186.0, 0: 187.0}

    def test_a_new_revision_begins_from_the_start(self, canary: Make, play: Play) -> None:
        """What nobody has looked at gets no traffic, whatever the primary has."""
        newer = (187, Deploy("v3"))
        line = play(canary(**WIDE), V2, SCALED_DOWN, newer, versions=BAD, replicas=4, latency=AT_ONCE)

        assert line.weights == (0, 40, 80, 75, 0, 40, 80, 0)
        assert line.status.phase is Phase.SUCCEEDED

    def test_a_promotion_waits_for_them_too(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**WIDE), V2, SCALED_DOWN, replicas=4, latency=AT_ONCE))
        line = world.run()

        assert line.status.phase is Phase.SUCCEEDED
        assert world.cluster.primary is not None
        assert world.cluster.primary.desired == 4
        assert line.when(Phase.FINALISING) == timedelta(seconds=198), "first new pods, then more of them"

    @pytest.mark.parametrize("back", [0, 50])
    def test_a_promotion_waits_no_longer_than_the_deadline_for_whoever_takes_them_away(
        self, canary: Make, story: Story, back: int
    ) -> None:
        """Before they are all ready, each time. The spec's deadline is five minutes, and nothing more is to be had."""
        again = [(at, Scale(Side.PRIMARY, 1)) for at in range(130, 3600, 4)]
        made = canary(**WIDE, stepWeightPromotion=back)
        world = SafeWorld(story(made, V2, *again, replicas=4, latency=AT_ONCE))
        world.run(timedelta(seconds=300))
        status = world.canary.status
        line = world.run(timedelta(seconds=900))

        assert (status.phase, status.reason) == (Phase.PROMOTING, "RefillingPrimary")
        assert status.message == "something takes pods from app-primary.prod, which gets them back"
        assert line.status.phase is Phase.SUCCEEDED
        assert sum("gets the traffic with the pods that it has" in each for each in line.events) == (2 if back else 1)

    @pytest.mark.parametrize("kind", ["DaemonSet", "Service"])
    def test_pods_that_nobody_scales_are_not_counted(self, canary: Make, story: Story, kind: str) -> None:
        """A node that goes takes one away for good."""
        target = {"apiVersion": "apps/v1" if kind == "DaemonSet" else "v1", "kind": kind, "name": "app"}
        made = canary(**WIDE, spec={"targetRef": target})
        line = SafeWorld(story(made, V2, SCALED_DOWN, versions=BAD, replicas=4, latency=AT_ONCE)).run()

        assert shares(line) == {0: 186.0}

    def test_one_that_was_scaled_to_nothing_is_woken(self, canary: Make, story: Story) -> None:
        nothing = (130, Scale(Side.PRIMARY, 0))
        world = SafeWorld(story(canary(**WIDE), V2, nothing, versions=BAD, replicas=4, latency=AT_ONCE))
        line = world.run()

        assert line.status.phase is Phase.FAILED
        assert world.cluster.primary is not None
        assert world.cluster.primary.desired == 4


class TestSteps:
    """stepWeightRollback: a failed version loses its traffic step by step."""

    def test_the_first_step_is_taken_at_once_and_one_an_interval_after_it(self, canary: Make, play: Play) -> None:
        line = play(canary(**WIDE, stepWeightRollback=30), V2, versions=BAD, latency=AT_ONCE)

        assert shares(line) == {50: 186.0, 20: 246.0, 0: 306.0}
        assert line.status.phase is Phase.FAILED
        assert line.endings == (Ending.FAILED,)
        assert "Advance app.prod primary weight 50" in line.events

    def test_they_end_at_the_deadline(self, canary: Make, play: Play) -> None:
        line = play(canary(**WIDE, stepWeightRollback=1), V2, versions=BAD, latency=AT_ONCE)

        assert line.entries[-1].at <= timedelta(seconds=487)
        assert line.status.phase is Phase.FAILED

    def test_a_rollback_hook_goes_by_them_too(self, canary: Make, play: Play, hook: Hook) -> None:
        made = canary(stepWeights=[40, 80], stepWeightRollback=50, webhooks=[hook("rollback")])
        asked = (Reply(approved=True, start=timedelta(seconds=150)),)
        line = play(made, V2, replies=asked, latency=AT_ONCE)

        assert shares(line) == {30: 186.0, 0: 246.0}

    def test_chosen_requests_have_no_weight_to_go_back_by(self, canary: Make, play: Play) -> None:
        """And the two together are refused."""
        match = [{"headers": {"x-canary": {"exact": "yes"}}}]
        line = play(canary(iterations=2, match=match, stepWeightRollback=10))

        assert any("stepWeightRollback" in each for each in line.events)

    def test_blue_green_goes_back_by_them_from_everybody(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(readings=(Reading(1.0, weight=100),))}
        line = play(canary(iterations=1, threshold=1, stepWeightRollback=60), V2, versions=versions)

        assert line.weights == (0, 100, 40, 0)

    def test_suspended_on_the_way_it_stays_and_goes_on(self, canary: Make, play: Play) -> None:
        made = canary(**WIDE, stepWeightRollback=30)
        stop, go = Edit(made.spec.replace(suspend=True)), Edit(made.spec)
        line = play(made, V2, (200, stop), (1000, go), versions=BAD, latency=AT_ONCE)

        assert line.weights == (0, 40, 80, 50, 20, 0)
        assert line.status.phase is Phase.FAILED
