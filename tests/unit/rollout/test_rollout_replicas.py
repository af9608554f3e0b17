"""replicaRatio: weights by the numbers of pods behind one Service."""

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.rollout.decision import Ending, Route, ScaleTarget
from canary.rollout.replica_weights import counts, pods_for, share_of
from canary.rollout.simulation import (
    Change,
    Deploy,
    Drift,
    Edit,
    Forget,
    Kill,
    Reading,
    Reply,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Version,
)

V2 = (60, Deploy("v2"))
AT_ONCE = timedelta(0)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]

sizes = st.integers(1, 400)
weights = st.integers(1, 99)


class TestCounts:
    """Which weights so many pods can make."""

    @pytest.mark.parametrize(
        ("weight", "primary", "pods", "share"),
        [
            (10, 3, 1, 25),
            (25, 3, 1, 25),
            (32, 3, 1, 25),
            (33, 3, 2, 40),
            (40, 3, 2, 40),
            (50, 3, 3, 50),
            (90, 3, 3, 50),
            (10, 9, 1, 10),
            (1, 1, 1, 50),
            (5, 19, 1, 5),
            (1, 400, 4, 1),
        ],
    )
    def test_the_nearest_is_taken(self, weight: int, primary: int, pods: int, share: int) -> None:
        assert pods_for(weight, primary) == pods
        assert share_of(pods, primary) == share

    @given(weights, sizes)
    def test_no_other_number_of_pods_comes_nearer(self, weight: int, primary: int) -> None:
        def distance(pods: int) -> Fraction:
            return abs(Fraction(pods, pods + primary) - Fraction(weight, 100))

        assert distance(pods_for(weight, primary)) == min(distance(pods) for pods in range(1, primary + 1))

    @given(weights, sizes)
    def test_what_is_stored_leads_back_to_the_same_pods(self, weight: int, primary: int) -> None:
        """The status keeps a share in whole percents, and nothing else."""
        pods = pods_for(weight, primary)
        assert pods_for(share_of(pods, primary), primary) == pods

    @given(st.lists(st.integers(1, 100), min_size=1, unique=True).map(sorted), sizes)
    def test_steps_grow_and_each_weight_belongs_to_one(self, asked: list[int], primary: int) -> None:
        found = counts(asked, primary)

        assert [weight for count in found for weight in count.asked] == asked
        assert sorted({count.share for count in found}) == [count.share for count in found]
        assert all(1 <= count.pods <= primary for count in found)

    def test_all_of_the_traffic_is_the_canarys_alone(self) -> None:
        (count,) = counts((100,), 4)
        assert (count.pods, count.primary, count.share, count.exact) == (4, 0, 100, True)

    def test_what_is_had_is_told_beside_what_was_asked(self) -> None:
        (count,) = counts((10, 20), 3)
        assert str(count) == "asked 10 %, 20 %, 1 of 4 pods is 25 %"


@pytest.fixture
def ratio(canary: Make) -> Make:
    """Makes a Canary whose requests are divided by the numbers of pods."""

    def make(**analysis: Any) -> Canary:
        spec = {"provider": "kubernetes", **analysis.pop("spec", {})}
        return canary(spec=spec, replicaRatio=True, **analysis)

    return make


def world(story: Story, canary: Canary, *changes: Any, **fields: Any) -> SafeWorld:
    return SafeWorld(story(canary, *changes, **{"replicas": 3, "latency": AT_ONCE, **fields}))


class Watching(SafeWorld):
    """Writes down the pods of the canary that answer, and the real share that they get."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.seen: list[tuple[int, float]] = []

    def after_store(self, canary: Canary, decision: Any) -> None:
        super().after_store(canary, decision)
        target = self.cluster.target
        pods = target.readiness(self.now).ready if target is not None else 0
        share = round(self.cluster.shares(self.now)[Side.CANARY], 2) if self.cluster.managed else -1.0
        if not self.seen or self.seen[-1] != (pods, share):
            self.seen.append((pods, share))


class TestRollout:
    def test_each_step_has_as_many_pods_as_its_weight_takes(self, ratio: Make, story: Story) -> None:
        made = ratio(stepWeights=[10, 25, 40, 50])
        going = Watching(story(made, V2, replicas=3, latency=AT_ONCE))
        line = going.run()

        assert line.weights == (0, 25, 40, 50, 0)
        during = [each for each in going.seen if each[1] > 0]
        assert [each for each in during if each[0] in (1, 2, 3)] == [(1, 0.25), (2, 0.4), (3, 0.5)]
        assert line.endings == (Ending.PROMOTED,)
        assert line.served.keys() == {"v1", "v2"}

    def test_weights_that_come_to_the_same_are_one_step(self, ratio: Make, story: Story) -> None:
        line = world(story, ratio(stepWeight=5, maxWeight=50), V2).run()

        assert line.weights == (0, 25, 40, 50, 0)
        assert line.status.phase is Phase.SUCCEEDED

    def test_it_is_told_what_can_be_had(self, ratio: Make, story: Story) -> None:
        going = world(story, ratio(stepWeights=[10, 50]), V2)
        line = going.run(timedelta(seconds=70))

        assert "Weights by the numbers of pods: asked 10 %, 1 of 4 pods is 25 %; asked 50 %, 3 of 6 pods is 50 %" in (
            line.events
        )
        assert line.status.canary_weight == 25
        assert line.status.message == "asked 10 %, 1 of 4 pods is 25 %"

    def test_where_all_can_be_had_nothing_is_told(self, ratio: Make, story: Story) -> None:
        line = world(story, ratio(stepWeights=[25, 50]), V2).run()

        assert not any("numbers of pods" in each for each in line.events)

    def test_capacity_stands_before_traffic_comes(self, ratio: Make, story: Story) -> None:
        """The first pods start while the Service leads to the primary alone; all others before their step begins."""
        order: list[object] = []

        class Ordered(SafeWorld):
            def after_action(self, action: Any, *, wrote: bool) -> None:
                super().after_action(action, wrote=wrote)
                if wrote and isinstance(action, Route | ScaleTarget):
                    order.append(action.replicas if isinstance(action, ScaleTarget) else f"{action.split.canary} %")

        Ordered(story(ratio(stepWeights=[25, 50, 100]), V2, replicas=3)).run()

        assert order == ["0 %", 0, 1, "25 %", 3, "50 %", "100 %", "0 %", 0]

    def test_all_of_the_traffic_comes_when_the_canary_has_all_of_the_pods(self, ratio: Make, story: Story) -> None:
        going = Watching(story(ratio(stepWeights=[10, 100]), V2, replicas=3, latency=AT_ONCE))
        line = going.run()

        assert line.weights == (0, 25, 100, 0)
        assert (3, 1.0) in going.seen
        assert not any(share == 1.0 and pods < 3 for pods, share in going.seen)

    def test_a_step_lasts_an_interval_from_when_its_pods_are_ready(self, ratio: Make, story: Story) -> None:
        slow = {"v2": Version(ready_after=timedelta(seconds=30))}
        line = world(story, ratio(stepWeights=[25, 50]), V2, versions=slow).run()
        at = {weight: moment.total_seconds() for moment, weight in line.weight_changes}

        assert (at[25], at[50]) == (91.0, 181.0)
        assert line.when(Phase.PROMOTING) == timedelta(seconds=241)

    def test_a_bad_version_loses_its_traffic_before_its_pods(self, ratio: Make, story: Story) -> None:
        versions = {"v2": Version(readings=(Reading(1.0, weight=50),))}
        going = world(story, ratio(stepWeights=[25, 50], threshold=1), V2, versions=versions)
        line = going.run()

        assert line.weights == (0, 25, 50, 0)
        assert line.status.phase is Phase.FAILED
        assert going.cluster.target is not None
        assert going.cluster.target.desired == 0

    def test_pods_that_never_come_end_the_rollout_with_the_reason(self, ratio: Make, story: Story) -> None:
        class Full(SafeWorld):
            """There is room for one pod of the canary."""

            def after_action(self, action: Any, *, wrote: bool) -> None:
                super().after_action(action, wrote=wrote)
                target = self.cluster.target
                if isinstance(action, ScaleTarget) and action.replicas > 1 and target is not None:
                    target.pods[-1].ready_at = None

        line = Full(story(ratio(stepWeights=[25, 50]), V2, replicas=3)).run()

        assert line.weights == (0, 25, 0)
        assert line.status.reason == "ProgressDeadlineExceeded"

    def test_gates_are_asked_before_any_pod_starts_for_a_step(self, ratio: Make, story: Story, hook: Hook) -> None:
        made = ratio(stepWeights=[25, 50], webhooks=[hook("confirm-traffic-increase")])
        closed = (Reply(approved=True), Reply(approved=False, start=timedelta(seconds=100)))
        going = world(story, made, V2, replies=closed)
        going.run(timedelta(minutes=10))

        assert going.cluster.target is not None
        assert going.cluster.target.desired == 1

    def test_a_new_revision_begins_with_the_pods_of_the_first_step(self, ratio: Make, story: Story) -> None:
        going = Watching(story(ratio(stepWeights=[25, 50]), V2, (150, Deploy("v3")), replicas=3, latency=AT_ONCE))
        line = going.run()

        assert line.weights == (0, 25, 50, 0, 25, 50, 0)
        assert (1, 0.25) in going.seen[-8:]
        assert line.status.last_promoted_spec == "v3"

    def test_while_the_primary_lacks_the_label_a_version_is_rolled_out_without_requests(
        self, ratio: Make, story: Story
    ) -> None:
        """Or the label by which both are selected would select the canary alone."""
        line = world(story, ratio(stepWeights=[25, 50]), V2, weighted=False).run()

        assert line.weights == (0,)
        assert line.status.phase is Phase.SUCCEEDED


class TestScaling:
    """Somebody else scales in mid-rollout."""

    def test_a_primary_with_more_pods_makes_other_weights(self, ratio: Make, story: Story) -> None:
        going = world(story, ratio(stepWeights=[25, 50]), V2, (80, Scale(Side.PRIMARY, 9)))
        going.run(timedelta(seconds=100))

        assert going.cluster.target is not None
        assert going.cluster.target.desired == 3
        assert going.canary.status.canary_weight == 25

        line = going.run()
        assert line.weights == (0, 25, 50, 0)
        assert line.status.phase is Phase.SUCCEEDED

    def test_the_status_tells_the_weight_that_is_left_by_fewer(self, ratio: Make, story: Story) -> None:
        going = world(story, ratio(stepWeights=[25, 50]), V2, (80, Scale(Side.PRIMARY, 2)))
        line = going.run(timedelta(seconds=100))

        assert line.status.canary_weight == 33

    def test_pods_taken_from_the_canary_come_back(self, ratio: Make, story: Story) -> None:
        going = world(story, ratio(stepWeights=[40, 50]), V2, (80, Scale(Side.CANARY, 1)))
        going.run(timedelta(seconds=90))

        assert going.cluster.target is not None
        assert going.cluster.target.desired == 2

    def test_a_plan_that_is_edited_takes_pods_away_after_their_traffic(self, ratio: Make, story: Story) -> None:
        edited = (200, Edit(ratio(stepWeights=[25]).spec))
        line = world(story, ratio(stepWeights=[25, 50]), V2, edited).run()

        assert line.status.phase is Phase.SUCCEEDED

    def test_a_canary_that_loses_its_pods_starts_again(self, ratio: Make, story: Story) -> None:
        line = world(story, ratio(stepWeights=[25, 50]), V2, (150, Kill(Side.CANARY))).run()

        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 25, 50, 0, 25, 50, 0)
        assert "" not in line.served


class TestRefused:
    @pytest.mark.parametrize(
        ("spec", "analysis", "said"),
        [
            ({"provider": "traefik"}, {}, "provider traefik divides requests by weights of its own"),
            (
                {"autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "app"}},
                {},
                "an autoscaler changes the numbers of pods",
            ),
            (
                {"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "app"}},
                {},
                "the number of pods of a DaemonSet",
            ),
            ({}, {"iterations": 3}, "with iterations no request reaches the canary"),
        ],
    )
    def test_what_does_not_fit_together_is_refused_by_name(
        self, ratio: Make, story: Story, spec: dict[str, Any], analysis: dict[str, Any], said: str
    ) -> None:
        line = world(story, ratio(spec=spec, **analysis), V2).run()

        assert line.status.phase is Phase.EMPTY
        assert any(event.startswith("spec.analysis.replicaRatio") and said in event for event in line.events)


troubles = st.one_of(
    st.builds(Deploy, st.sampled_from(["v1", "v2", "v3"])),
    st.builds(Kill, st.sampled_from(Side), st.sampled_from([None, timedelta(0), timedelta(seconds=20)])),
    st.builds(Scale, st.sampled_from(Side), st.integers(0, 7)),
    st.builds(Drift, st.sampled_from([None, Split(0), Split(40), Split(100)])),
    st.just(Forget()),
)


@given(st.lists(st.tuples(st.integers(0, 1100), troubles), max_size=6), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_happens_it_ends_and_requests_go_where_pods_are(
    canary: Make, story: Story, happening: list[tuple[int, Change]], data: st.DataObject
) -> None:
    plan = data.draw(st.sampled_from([[10], [10, 50], [25, 60, 100], [1, 2, 3]]))
    bad = data.draw(st.sampled_from([Version(), Version(readings=(Reading(1.0, weight=30),))]))
    made = canary(spec={"provider": "kubernetes"}, replicaRatio=True, stepWeights=plan)
    mended = (Deploy("v9"), Kill(Side.PRIMARY, AT_ONCE), Kill(Side.CANARY, AT_ONCE))
    changes = (*happening, *((1200, change) for change in mended))
    going = SafeWorld(story(made, *changes, versions={"v2": bad, "v3": bad}, replicas=3, limit=timedelta(days=2)))
    line = going.run()

    assert line.over
    assert line.status.last_applied_spec == "v9"
    assert line.status.canary_weight == 0
    assert going.cluster.primary is not None
    assert (going.cluster.primary.revision == "v9") is (line.status.phase is not Phase.FAILED)
