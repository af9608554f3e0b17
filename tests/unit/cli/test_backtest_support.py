import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.analysis import Metric, NoDataPolicy
from canary.api.canary import Canary, parse_canary
from canary.cli.backtest.policy import Looks, Policy
from canary.cli.backtest.replay import Replay, replay, verdicts
from canary.cli.backtest.support import ALLOWED, Limit, Side, Support, together
from metrics.threshold import Threshold

STEPS, CHECKS = 3, 2


def canary(*metrics: dict[str, Any]) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "test"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80},
                "progressDeadlineSeconds": 86_400,
                "analysis": {
                    "interval": "1m",
                    "threshold": CHECKS,
                    "stepWeights": list(range(10, 10 * STEPS + 1, 10)),
                    "metrics": [{"query": "x", **metric} for metric in metrics],
                },
            },
        }
    )


def metric_of(**fields: Any) -> Metric:
    return canary({"name": "x", **fields}).analysis.metrics[0]


def play(subject: Canary, values: Sequence[Sequence[float]], thresholds: Sequence[Threshold]) -> Replay:
    recorded = [True] * len(values[0])
    said = [verdicts(each, threshold, recorded) for each, threshold in zip(values, thresholds, strict=True)]
    return replay(Policy(subject, weighted=True), Looks(said), len(said))


VALUES = st.lists(st.integers(-9, 9).map(float), min_size=12, max_size=40)
GAPPED = st.lists(st.one_of(st.just(math.nan), st.integers(-9, 9).map(float)), min_size=20, max_size=40)


@settings(max_examples=60, deadline=None)
@given(values=VALUES, side=st.sampled_from(Side), allowed=st.sampled_from([0.0, 0.1, 0.3]))
def test_a_bound_is_the_tightest_that_rolls_back_no_more_rollouts(
    values: list[float], side: Side, allowed: float
) -> None:
    """Played with the bound, and with one that is a little tighter."""
    subject = canary({"name": "x", "thresholdRange": {side.value: 0}})
    bound = Support(subject.analysis.metrics[0], values, STEPS, CHECKS).bound(side, CHECKS, allowed)
    assert bound is not None

    def rolled_back(limit: float) -> float:
        threshold = Threshold(min=limit) if side is Side.MIN else Threshold(max=limit)
        share = play(subject, [values], [threshold]).failed_share
        assert share is not None
        return share

    assert rolled_back(bound) <= allowed
    assert rolled_back(bound + (0.5 if side is Side.MIN else -0.5)) > allowed


@settings(max_examples=60, deadline=None)
@given(values=GAPPED, policy=st.sampled_from(NoDataPolicy))
def test_looks_without_data_count_as_the_spec_says(values: list[float], policy: NoDataPolicy) -> None:
    """With the bound for none, no rollout is rolled back by a check that failed, however many looks have no data."""
    subject = canary({"name": "x", "thresholdRange": {"max": 0}, "noData": policy.value})
    bound = Support(subject.analysis.metrics[0], values, STEPS, CHECKS).bound(Side.MAX, CHECKS, 0.0)
    if bound is not None:
        assert play(subject, [values], [Threshold(max=bound)]).failed == 0


def test_a_bound_is_rounded_away_from_the_values() -> None:
    values = [99.98765, 99.91234, 99.95555, 99.98, 99.97] * 5
    low = Support(metric_of(thresholdRange={"min": 99}), values, STEPS, 1).bound(Side.MIN, 1, 0.0)
    high = Support(metric_of(thresholdRange={"max": 99}), values, STEPS, 1).bound(Side.MAX, 1, 0.0)
    assert (low, high) == (99.91, 99.99)


def test_too_little_data_supports_nothing() -> None:
    assert Support(metric_of(thresholdRange={"max": 1}), [1.0] * 3, STEPS, CHECKS).alone() == ()
    infinite = Support(metric_of(thresholdRange={"max": 1}), [math.inf] * 30, STEPS, CHECKS)
    assert infinite.alone() == ()
    assert infinite.accepted(1, 0.0) == Threshold(max=1)


def test_each_side_that_the_spec_limits_is_looked_at() -> None:
    support = Support(metric_of(thresholdRange={"min": 0, "max": 9}), [1.0, 2.0, 3.0] * 9, STEPS, CHECKS)
    found = support.alone()
    assert [(each.side, each.allowed) for each in found] == [(side, part) for side in Side for part in ALLOWED]
    assert Limit(Side.MAX, 0.0, 3.0) in found


@settings(max_examples=25, deadline=None)
@given(first=VALUES, second=VALUES)
def test_set_at_once_the_thresholds_keep_within_what_is_allowed(first: list[float], second: list[float]) -> None:
    looks = min(len(first), len(second))
    values = [first[:looks], second[:looks]]
    subject = canary({"name": "a", "thresholdRange": {"max": 5}}, {"name": "b", "thresholdRange": {"min": -5}})
    own = [Threshold(max=5), Threshold(min=-5)]
    supports = [
        Support(metric, each, STEPS, CHECKS) for metric, each in zip(subject.analysis.metrics, values, strict=True)
    ]

    def share(thresholds: Sequence[Threshold | None]) -> float | None:
        set_ = [other or mine for other, mine in zip(thresholds, own, strict=True)]
        return play(subject, values, set_).failed_share

    found = together(supports, share)
    assert set(found) == set(ALLOWED)
    for allowed, thresholds in found.items():
        played = share(thresholds)
        assert played is not None
        assert played <= allowed
    maxima = [thresholds[0].max for thresholds in found.values() if thresholds[0] is not None]
    assert maxima == sorted(maxima, key=lambda bound: -(bound or 0.0))


@pytest.mark.parametrize("allowed", ALLOWED)
def test_without_data_the_spec_s_own_thresholds_stay(allowed: float) -> None:
    assert together([None], lambda _: 0.0)[allowed] == (None,)
