"""A status that somebody has edited by hand, with numbers, phases and times that nothing of ours would store."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import TOTAL_WEIGHT
from canary.rollout.simulation import Deploy, Scenario, World

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

V2 = (60, Deploy("v2"))
HUGE = 10**12

numbers = st.one_of(st.sampled_from([-HUGE, -5, -1, 0, 1, 100, 101, 1000, 2**31, 2**63, HUGE]), st.integers(-200, 200))
unreadable = st.sampled_from(["x", 5.5, [], {"a": 1}, True])
times = st.sampled_from(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:02:00Z", "soon", 5])
phases = st.one_of(st.sampled_from([phase.value for phase in Phase]), st.sampled_from(["Nonsense", 5, {}]))
counts = st.one_of(numbers, unreadable)
edits: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "phase": phases,
        "canaryWeight": counts,
        "iterations": counts,
        "failedChecks": counts,
        "partition": counts,
        "primaryReplicas": counts,
        "told": counts,
        "bake": st.one_of(unreadable, st.fixed_dictionaries({}, optional={"failedChecks": counts, "startTime": times})),
        "outbox": st.sampled_from([5, [5], [{"number": 1}], [{"number": -1, "time": "soon", "phase": "Nonsense"}]]),
        "checks": st.sampled_from([5, [5], [{"name": "x"}], [{"name": "x", "verdict": "Perhaps"}]]),
        "conditions": st.sampled_from([5, [5], [{"type": "Stalled"}], [{"type": "Promoted", "status": "Perhaps"}]]),
        "lastCheckTime": times,
        "lastProgressTime": times,
        "heldSince": times,
        "trafficRemovedTime": times,
        "analysisStartTime": times,
        "rolloutStartTime": times,
        "lastTransitionTime": times,
        "reason": st.sampled_from(["Analysing", "WaitingForPods", "RollingBack", "NoData", "Held", "Suspended", 5]),
    },
)
strategies = st.sampled_from(
    [
        {"stepWeight": 30, "maxWeight": 80},
        {"stepWeight": 50, "stepWeightPromotion": 20, "stepWeightRollback": 30},
        {"iterations": 2},
        {"stepWeight": 50, "bake": "5m"},
        {"stepWeight": 50, "mirror": True},
    ]
)


class Recorded(World):
    """A world whose status is what the API server has, whatever that is."""

    def edit(self, change: dict[str, Any]) -> None:
        raw = self.canary.model_dump(mode="json", by_alias=True, exclude_none=True)
        raw["status"] = {**raw["status"], **change}
        self._touch(parse_canary(raw))
        self._wake = self.now

    def keep(self, status: CanaryStatus) -> CanaryStatus:
        assert 0 <= status.canary_weight <= TOTAL_WEIGHT
        assert status.failed_checks >= 0
        assert status.iterations >= 0
        return super().keep(status)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(edits, strategies, st.booleans(), st.integers(0, 900))
@example({"canaryWeight": 1000}, {"stepWeight": 50}, False, 100)
@example({"canaryWeight": -5}, {"stepWeight": 50}, False, 100)
@example({"iterations": HUGE}, {"iterations": 2}, False, 130)
@example({"failedChecks": -5}, {"stepWeight": 50}, False, 100)
@example({"phase": "Nonsense"}, {"stepWeight": 50}, False, 100)
@example({"lastProgressTime": "9999-12-31T23:59:59Z"}, {"stepWeight": 50}, False, 62)
def test_whatever_stands_there_decisions_are_made_and_weights_stay_weights(
    canary: Make, story: Story, edit: dict[str, Any], strategy: dict[str, Any], in_place: bool, at: int
) -> None:
    target = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}}
    given = {key: strategy[key] for key in strategy if not in_place or key in ("stepWeight", "maxWeight", "iterations")}
    made = canary(spec=target if in_place else {}, **given)
    world = Recorded(story(made, V2, in_place=in_place))
    world.run(timedelta(seconds=at))
    world.edit(edit)
    world.run(timedelta(hours=2))


def read(status: Any) -> CanaryStatus:
    """What is read of a status."""
    raw = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "app", "namespace": "prod"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "app"}, "service": {"port": 80}},
        "status": status,
    }
    return parse_canary(raw).status


@pytest.mark.parametrize("weight", [-5, 101, 1000, HUGE, "x", 5.5])
def test_what_is_no_weight_is_none(weight: object) -> None:
    """Least of all is it all of the traffic."""
    assert read({"phase": "Progressing", "canaryWeight": weight}).canary_weight == 0


@pytest.mark.parametrize("status", ["x", 5, [], {"phase": "Nonsense"}])
def test_a_status_that_makes_no_sense_is_none(status: object) -> None:
    """The primary that is there goes on serving: the Canary is taken up as one without a status."""
    assert read(status) == CanaryStatus()


def test_what_can_be_read_beside_it_counts() -> None:
    status = read({"phase": "Progressing", "canaryWeight": 20, "checks": [{"name": "x"}], "lastCheckTime": "soon"})

    assert (status.phase, status.canary_weight) == (Phase.PROGRESSING, 20)
    assert status.checks == ()
    assert status.last_check_time is None
