"""What each strategy does with traffic, on routers that can divide it and on those that can't."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, Kill, Reading, Reply, Side, Timeline, Version

V2 = (60, Deploy("v2"))
MINUTE = timedelta(minutes=1)
ANSWERS = timedelta(seconds=1)
FAILING = {"v2": Version(readings=(Reading(90.0),))}

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Hook = Callable[..., dict[str, Any]]


def splits(line: Timeline) -> list[Split]:
    seen = [each.split for each in line.entries if each.split is not None]
    return [seen[0], *(after for before, after in pairwise(seen) if before != after)]


class TestWeights:
    """Canary: a growing share of all requests."""

    @pytest.mark.parametrize(
        ("analysis", "weights"),
        [
            ({"stepWeight": 10, "maxWeight": 50}, (10, 20, 30, 40, 50)),
            ({"stepWeight": 20, "maxWeight": 50}, (20, 40, 50)),
            ({"stepWeight": 50, "maxWeight": 50}, (50,)),
            ({"stepWeight": 60, "maxWeight": 50}, (50,)),
            ({"stepWeight": 40, "maxWeight": 0}, (40, 80, 100)),
            ({"stepWeights": [1, 2, 10, 80]}, (1, 2, 10, 80)),
            ({"stepWeights": [100]}, (100,)),
        ],
    )
    def test_the_plan_is_what_the_spec_says(
        self, canary: Make, play: Play, analysis: dict[str, Any], weights: tuple[int, ...]
    ) -> None:
        line = play(canary(**analysis), V2)

        assert line.weights == (0, *weights, 0)
        assert line.status.phase is Phase.SUCCEEDED

    def test_a_router_without_weights_gets_iterations_instead(self, canary: Make, play: Play) -> None:
        """Ten looks with no user near it, as the spec has no number of its own."""
        line = play(canary(), V2, weighted=False)

        assert line.weights == (0,)
        assert line.status.phase is Phase.SUCCEEDED
        assert "Advance app.prod canary iteration 10/10" in line.events
        assert "Advance app.prod canary iteration 11/10" not in line.events


class TestStepsBack:
    """stepWeightPromotion: traffic goes back to the primary step by step."""

    def test_the_primary_takes_a_step_an_interval(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=50, stepWeightPromotion=20), V2)
        steps = [at for at, weight in line.weight_changes if weight in (30, 10)] + [line.weight_changes[-1][0]]

        assert line.weights == (0, 50, 30, 10, 0)
        assert all(MINUTE <= after - before <= MINUTE + ANSWERS for before, after in pairwise(steps))
        assert "Advance app.prod primary weight 70" in line.events
        assert "Advance app.prod primary weight 90" in line.events
        assert line.events[-2] == "Routing all traffic to primary"

    def test_the_canary_keeps_its_pods_until_the_last_step(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=50, stepWeightPromotion=20), V2)

        assert "" not in line.served

    def test_a_canary_that_dies_on_the_way_gives_back_all_at_once(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=50, stepWeightPromotion=20), V2, (160, Kill(Side.CANARY, None)))

        assert line.weights == (0, 50, 30, 0)
        assert line.status.phase is Phase.SUCCEEDED

    def test_a_new_revision_on_the_way_gets_none_of_it(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=50, stepWeightPromotion=20), V2, (160, Deploy("v3")))

        assert line.weights == (0, 50, 30, 0, 50, 30, 10, 0)
        assert (timedelta(seconds=160), 0) in line.weight_changes


class TestBlueGreen:
    """Iterations with no user on the new version, then all of them, then promotion."""

    def test_with_weights_users_see_it_whole_before_it_replaces_the_old_one(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3), V2)

        assert line.weights == (0, 100, 0)
        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.iterations == 0

    def test_each_iteration_lasts_an_interval(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3), V2)
        begun, whole, back = (at for at, _ in ((timedelta(seconds=65), 0), *line.weight_changes[1:]))

        assert 3 * MINUTE <= whole - begun <= 3 * MINUTE + 5 * ANSWERS
        assert MINUTE <= back - whole <= MINUTE + timedelta(seconds=10)

    def test_events_count_the_iterations(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=2), V2)

        assert line.events[2:] == (
            "Starting canary analysis for app.prod",
            "Advance app.prod canary iteration 1/2",
            "Advance app.prod canary iteration 2/2",
            "Routing all traffic to canary",
            "Copying app.prod template spec to app-primary.prod",
            "Routing all traffic to primary",
            "Promotion completed! Scaling down app.prod",
        )

    def test_without_weights_no_user_sees_it_before_it_is_promoted(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3), V2, weighted=False)

        assert line.weights == (0,)
        assert line.status.phase is Phase.SUCCEEDED
        assert line.events.count("Routing all traffic to canary") == 0

    @pytest.mark.parametrize("weighted", [True, False])
    def test_a_bad_one_reaches_no_user(self, canary: Make, play: Play, weighted: bool) -> None:
        line = play(canary(iterations=3), V2, versions=FAILING, weighted=weighted)

        assert line.weights == (0,)
        assert line.status.phase is Phase.FAILED
        assert line.served.keys() == {"v1"}

    def test_users_see_it_only_once_its_promotion_is_confirmed(self, canary: Make, play: Play, hook: Hook) -> None:
        """The step that gives it to everybody is as much a promotion as the copy."""
        closed = (Reply(approved=False, end=timedelta(seconds=900)),)
        line = play(canary(iterations=2, webhooks=[hook("confirm-promotion")]), V2, replies=closed)
        whole = next(at for at, weight in line.weight_changes if weight == 100)

        assert Phase.WAITING_PROMOTION in line.phases
        assert whole >= timedelta(seconds=900)
        assert line.status.phase is Phase.SUCCEEDED

    def test_a_traffic_gate_is_not_asked(self, canary: Make, play: Play, hook: Hook) -> None:
        """There is no increase to confirm."""
        closed = (Reply(approved=False),)
        line = play(canary(iterations=2, webhooks=[hook("confirm-traffic-increase")]), V2, replies=closed)

        assert line.status.phase is Phase.SUCCEEDED

    def test_pods_that_die_while_everybody_is_on_it(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=2), V2, (200, Kill(Side.CANARY, timedelta(seconds=5))))

        assert (timedelta(seconds=200), 0) in line.weight_changes
        assert "" not in line.served


MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]


class TestAB:
    """Chosen requests reach the new version, for a number of iterations."""

    def test_matched_requests_go_to_it_from_the_first_iteration_on(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3, match=MATCH), V2)

        assert splits(line) == [ALL_PRIMARY, Split(100, matched=True), ALL_PRIMARY]
        assert line.status.phase is Phase.SUCCEEDED

    def test_it_lasts_as_many_intervals_as_iterations(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3, match=MATCH), V2)
        promoting = line.when(Phase.PROMOTING)

        assert promoting is not None
        begun = next(at for at, weight in line.weight_changes if weight)
        assert 3 * MINUTE <= promoting - begun <= 3 * MINUTE + 3 * ANSWERS

    def test_other_users_never_meet_it_before_promotion(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3, match=MATCH), V2, matching=0)

        promoting = line.when(Phase.PROMOTING)
        assert promoting is not None
        assert line.served["v2"] <= line.lasted - promoting

    def test_a_bad_one_comes_back(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=3, match=MATCH), V2, versions=FAILING)

        assert splits(line) == [ALL_PRIMARY, Split(100, matched=True), ALL_PRIMARY]
        assert line.status.phase is Phase.FAILED
        assert line.status.iterations == 0

    def test_without_weights_it_is_blue_green(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=2, match=MATCH), V2, weighted=False)

        assert splits(line) == [ALL_PRIMARY]
        assert line.status.phase is Phase.SUCCEEDED


class TestSkip:
    """skipAnalysis: the way out, when the analysis is in the way."""

    SKIP = {"skipAnalysis": True}  # noqa: RUF012 - never changed

    def test_it_is_promoted_once_its_pods_are_ready(self, canary: Make, play: Play) -> None:
        line = play(canary(spec=self.SKIP), V2)

        assert line.weights == (0,)
        assert line.status.phase is Phase.SUCCEEDED
        assert line.lasted <= timedelta(seconds=75)
        assert line.endings == (Ending.PROMOTED_UNCHECKED,)

    def test_it_says_so(self, canary: Make, play: Play) -> None:
        line = play(canary(spec=self.SKIP), V2)

        assert line.events[1:] == (
            "New revision detected! Scaling up app.prod",
            "Copying app.prod template spec to app-primary.prod",
            "Routing all traffic to primary",
            "Promotion completed! Canary analysis was skipped for app.prod",
        )
        assert line.alerts[-1] == "Canary analysis was skipped, promotion finished."

    def test_no_check_is_asked_that_could_be_what_is_broken(self, canary: Make, play: Play, hook: Hook) -> None:
        hooks = [hook("pre-rollout"), hook("rollout"), hook("confirm-promotion"), hook("rollback")]
        line = play(canary(spec=self.SKIP, webhooks=hooks), V2, replies=(Reply(approved=False),), versions=FAILING)

        assert line.status.phase is Phase.SUCCEEDED

    def test_pods_that_never_come_still_fail(self, canary: Make, play: Play) -> None:
        line = play(canary(spec=self.SKIP), V2, versions={"v2": Version(ready_after=None)})

        assert line.status.phase is Phase.FAILED
        assert line.status.last_promoted_spec == "v1"

    def test_a_canary_without_analysis_has_none(self, canary: Make, play: Play) -> None:
        made = canary()
        line = play(made.replace(spec=made.spec.replace(analysis=None)), V2)

        assert line.status.phase is Phase.SUCCEEDED
        assert line.endings == (Ending.PROMOTED_UNCHECKED,)

    def test_its_rollout_may_still_be_held_by_a_gate(self, canary: Make, play: Play, hook: Hook) -> None:
        closed = (Reply(approved=False, end=timedelta(seconds=500)),)
        line = play(canary(spec=self.SKIP, webhooks=[hook("confirm-rollout")]), V2, replies=closed)

        assert Phase.WAITING in line.phases
        assert line.status.phase is Phase.SUCCEEDED
