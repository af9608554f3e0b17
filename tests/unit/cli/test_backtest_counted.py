"""Backtests of metrics that wait, count in a row, have limits of their own, or are critical: as the controller does."""

from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.cli.backtest.policy import FAIL, NO_DATA, PASS, End, Looks, Played, Policy

STEPS, CHECKS = 5, 3


def canary(**errors: Any) -> Canary:
    limits = {"thresholdRange": {"max": 1}}
    metrics = [{"name": "errors", "query": "errors", **limits, **errors}, {"name": "lag", "query": "lag", **limits}]
    analysis = {"interval": "1m", "threshold": CHECKS, "stepWeight": 10, "maxWeight": 50, "metrics": metrics}
    conditions = [{"name": "never", "expression": "metrics.errors.value < -1"}]
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "test"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80},
                "progressDeadlineSeconds": 300,
                "analysis": {**analysis, "conditions": conditions},
            },
        }
    )


def played(errors: list[int], lag: list[int] | None = None, **fields: Any) -> Played:
    """The rollout that begins at the first look; what is not said passes."""
    said = [bytearray([*each, *[PASS] * (60 - len(each))]) for each in (errors, lag or [])]
    return Policy(canary(**fields), weighted=True).play(Looks(said), 0)


def test_conditions_are_taken_as_true() -> None:
    assert played([]) == Played(End.PROMOTED, STEPS)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([PASS, FAIL, FAIL, FAIL, FAIL, FAIL], Played(End.FAILED_CHECKS, 5, 0b01)),
        ([PASS, FAIL, FAIL, PASS, FAIL, FAIL, PASS], Played(End.PROMOTED, STEPS + 4)),
        ([PASS, FAIL, NO_DATA, FAIL, FAIL, FAIL, FAIL], Played(End.FAILED_CHECKS, 6, 0b01)),
    ],
)
def test_failures_count_from_the_third_in_a_row_on(looks: list[int], expected: Played) -> None:
    assert played(looks, consecutive=3) == expected


def test_a_limit_of_its_own_is_used_up_alone() -> None:
    assert played([PASS, FAIL, FAIL], failureLimit=1) == Played(End.FAILED_CHECKS, 2, 0b01)
    assert played([PASS, *[FAIL] * 4], failureLimit=4) == Played(End.PROMOTED, STEPS + 4, 0b01)


def test_of_a_critical_metric_one_failed_check_is_enough() -> None:
    assert played([PASS, PASS, FAIL], critical=True) == Played(End.FAILED_CHECKS, 2, 0b01)


def test_a_metric_that_waits_is_neither_asked_nor_blamed() -> None:
    assert played([PASS, FAIL, FAIL], initialDelay="3m") == Played(End.PROMOTED, STEPS)
    assert played([PASS, *[FAIL] * 5], initialDelay="3m") == Played(End.FAILED_CHECKS, 5, 0b01)
    assert played([PASS, FAIL], [PASS, FAIL, PASS, FAIL, FAIL], initialDelay="3m").blamed == 0b10


def test_a_dry_run_is_not_blamed() -> None:
    assert played([PASS, *[FAIL] * 3], [PASS, *[FAIL] * 3], dryRun=True) == Played(End.FAILED_CHECKS, 3, 0b10)


def test_requests_are_taken_as_enough_where_a_verdict_is_given() -> None:
    spec = canary().spec
    rate = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "minSamples": 50}
    raw = spec.analysis.model_dump(by_alias=True, mode="json") if spec.analysis is not None else {}
    whole = {**raw, "metrics": [rate], "conditions": []}
    made = parse_canary(
        {
            "metadata": {"name": "app", "namespace": "test"},
            "spec": {"targetRef": {"kind": "Deployment", "name": "app"}, "service": {"port": 80}, "analysis": whole},
        }
    )
    looks = Looks([bytearray([PASS] * 60)])
    assert Policy(made, weighted=True).play(looks, 0) == Played(End.PROMOTED, STEPS)
