"""Backtests of steps that are written out: by the plan that the controller has of them."""

import functools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.cli.backtest.policy import FAIL, NO_DATA, PASS, End, Looks, Played, Policy
from canary.cli.backtest.replay import replay, verdicts
from canary.cli.backtest.support import Side, Support
from canary.cli.backtest.traffic import traffic
from metrics.threshold import Threshold
from tests.unit.cli.test_backtest_policy import SPECS, VERDICT, simulated

INTERVAL = timedelta(minutes=1)
CHECKS = 3
LOOKS = 40

STEPS: list[dict[str, Any]] = [
    {"scale": {"replicas": 2}},
    {"weight": 10},
    {"pause": {"duration": "3m"}},
    {"analysis": {"checks": ["lag"], "looks": 2}},
    {"weight": 50},
]


@functools.cache
def canary(no_data: str = "Hold", unavailable: str = "Hold") -> Canary:
    return canary_of(STEPS, no_data, unavailable)


def canary_of(steps: list[dict[str, Any]], no_data: str = "Hold", unavailable: str = "Hold") -> Canary:
    metrics = [
        {"name": name, "query": name, "thresholdRange": {"max": 1}, "noData": no_data, "unavailable": unavailable}
        for name in ("errors", "lag")
    ]
    webhooks = [{"name": "gate", "type": "confirm-traffic-increase", "url": "http://gate.test/"}]
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "progressDeadlineSeconds": 300,
        "analysis": {
            "interval": "1m",
            "threshold": CHECKS,
            "steps": steps,
            "metrics": metrics,
            "webhooks": webhooks,
        },
    }
    return parse_canary({"metadata": {"name": "app", "namespace": "test"}, "spec": spec})


@functools.cache
def _policy() -> Policy:
    return Policy(canary(), weighted=True)


def played(errors: Sequence[int] = (), lag: Sequence[int] = (), subject: Canary | None = None) -> Played:
    """The rollout that begins at the first look; what is not said passes."""
    said = [bytearray([*each, *[PASS] * (LOOKS - len(each))]) for each in (errors, lag)]
    return Policy(subject or canary(), weighted=True).play(Looks(said), 0)


def test_each_step_takes_the_looks_that_it_asks_for() -> None:
    """Three of the pause, two of the checks, and one of the last weight."""
    assert Policy(canary(), weighted=True).steps == 6
    assert played() == Played(End.PROMOTED, 6)


def test_a_pause_is_over_in_its_time_whatever_was_seen_in_it() -> None:
    assert played([PASS, FAIL, FAIL]) == Played(End.PROMOTED, 6, 0b01)
    assert played([PASS, FAIL, PASS, FAIL]) == Played(End.PROMOTED, 7, 0b01), "it ends with a good look"


def test_checks_that_a_step_names_are_looked_at_there_alone() -> None:
    assert played(lag=[PASS, FAIL, FAIL, FAIL]) == Played(End.PROMOTED, 6)
    assert played(lag=[PASS] * 4 + [FAIL] * 3) == Played(End.FAILED_CHECKS, 6, 0b10)


def test_a_metric_that_nobody_looks_at_is_not_blamed_for_the_deadline() -> None:
    assert played([NO_DATA] * LOOKS, [NO_DATA] * LOOKS) == Played(End.DEADLINE, 6, 0b01)


def test_people_resume_and_gates_are_open_at_the_first_look() -> None:
    steps: list[dict[str, Any]] = [{"weight": 10}, {"pause": {}}, {"gate": {"name": "gate"}}, {"weight": 50}]
    assert played(subject=canary_of(steps)) == Played(End.PROMOTED, 3)


def test_while_no_request_is_led_to_the_canary_no_metric_is_looked_at() -> None:
    steps: list[dict[str, Any]] = [{"pause": {"duration": "5m"}}, {"weight": 10}]
    assert played([FAIL] * 6, subject=canary_of(steps)) == Played(End.PROMOTED, 6)


@pytest.mark.parametrize("kth", [1, CHECKS])
@given(values=st.lists(st.integers(-9, 9).map(float), min_size=12, max_size=LOOKS))
def test_a_limit_that_is_suggested_is_enough(kth: int, values: list[float]) -> None:
    """Steps may look at a metric less often than it is reckoned with, and never more often."""
    policy = _policy()
    for index, metric in enumerate(canary().analysis.metrics):
        bound = Support(metric, values, policy.steps, CHECKS).bound(Side.MAX, kth, 0.0)
        if bound is not None:
            said = [
                verdicts(values, Threshold(max=bound if at == index else 10), [True] * len(values)) for at in (0, 1)
            ]
            assert replay(policy, Looks(said), 2).failed == 0


def test_the_traffic_of_each_step_with_a_share_is_told() -> None:
    found = traffic(
        [99.9] * 50, [10.0] * 50, least=99, window=INTERVAL, weights=[10, 50], looks=[3, 1], threshold=CHECKS
    )
    once = traffic(
        [99.9] * 50, [10.0] * 50, least=99, window=INTERVAL, weights=[10, 50], looks=[1, 1], threshold=CHECKS
    )
    assert found is not None
    assert once is not None
    assert [each.weight for each in found.shares] == [10, 50]
    assert (found.rolled_back or 0) > (once.rolled_back or 0) > 0


@settings(max_examples=40, deadline=None)
@given(errors=st.lists(VERDICT, max_size=25), lag=st.lists(VERDICT, max_size=25), spec=SPECS)
def test_it_ends_as_in_the_simulated_cluster(errors: list[int], lag: list[int], spec: tuple[str, str]) -> None:
    """Every look is put in front of a whole controller in virtual time, its pods and route included."""
    mine = played([PASS, *errors], [PASS, *lag], canary(*spec))
    phase, looks = simulated(canary(*spec), errors, lag)
    assert {End.PROMOTED: Phase.SUCCEEDED}.get(mine.end, Phase.FAILED) is phase
    assert mine.last == looks
