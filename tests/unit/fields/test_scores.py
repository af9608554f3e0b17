"""Fields of metrics whose values are compared, and scored: the same story ends otherwise with each."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.simulation import Deploy, Reading, SafeWorld, Scenario, Scheduled, Timeline, Version

METRICS, WAY = "spec.analysis.metrics", "spec.analysis.metrics[].mannWhitney"
SIZE = f"{WAY}.effectSize"
VALUES = {"compareTo": "primary", "method": "mannWhitney", "interval": "10s"}
RATE: dict[str, object] = {"name": "request-success-rate", **VALUES}
QUEUE: dict[str, object] = {"name": "queue", "query": "sum(queue)", **VALUES}
STEPS: dict[str, object] = {"spec.analysis.stepWeight": 25, "spec.analysis.maxWeight": 50}

Way = Callable[[Canary], object]


def played(canary: Canary, *readings: Reading) -> Timeline:
    versions = {"v1": Version(), "v2": Version(readings=readings)}
    changes = (Scheduled(timedelta(minutes=1), Deploy("v2")),)
    return SafeWorld(Scenario(canary=canary, versions=versions, changes=changes)).run()


def half_of_it_fails(canary: Canary) -> tuple[Phase, int]:
    """How it ends, and after how many steps."""
    line = played(canary, Reading(50.0, "request-success-rate"))
    return line.status.phase, len([weight for weight in line.weights if weight])


def twice_as_many_wait(canary: Canary) -> tuple[Phase, int]:
    line = played(canary, Reading(200.0, "request-duration"))
    return line.status.phase, len([weight for weight in line.weights if weight])


def nothing_is_measured(canary: Canary) -> Phase:
    return played(canary, Reading(None, "queue")).status.phase


def named_group(canary: Canary) -> bool:
    return "(errors 0)" in played(canary, Reading(50.0, "request-success-rate")).status.message


def scored(canary: Canary) -> bool:
    return "score 0 " in played(canary, Reading(50.0, "request-success-rate")).status.message


GOOD, AT_ONCE, AT_LAST = (Phase.SUCCEEDED, 2), (Phase.FAILED, 1), (Phase.FAILED, 2)
ONE: dict[str, object] = {**STEPS, METRICS: [RATE]}
TIME: dict[str, object] = {**STEPS, METRICS: [{**RATE, "name": "request-duration"}]}
TWO: dict[str, object] = {**STEPS, METRICS: [RATE, QUEUE]}
NEVER: dict[str, object] = {"spec.analysis.scores": {"pass": 0, "marginal": 0}, f"{METRICS}[].critical": True}
HALF: dict[str, object] = {f"{SIZE}.allowedDecrease": 0.3}
GROUPS: dict[str, object] = {f"{WAY}.groups": ["errors"], "spec.analysis.scores.pass": 80}

CASES: list[tuple[str, object, Way, object, dict[str, object]]] = [
    (f"{METRICS}[].method", "mannWhitney", scored, True, {**STEPS, METRICS: [{**RATE, "method": "sequential"}]}),
    (f"{WAY}.direction", "increase", half_of_it_fails, GOOD, ONE),
    (f"{WAY}.nanStrategy", "replace", nothing_is_measured, Phase.SUCCEEDED, {**STEPS, METRICS: [QUEUE]}),
    (f"{WAY}.groups", ["errors"], named_group, True, ONE),
    (f"{SIZE}.measure", "cles", half_of_it_fails, AT_ONCE, {**ONE, **HALF}),
    (f"{SIZE}.allowedDecrease", 0.3, half_of_it_fails, GOOD, ONE),
    (f"{SIZE}.allowedIncrease", 5, twice_as_many_wait, GOOD, TIME),
    (f"{SIZE}.criticalDecrease", 0.3, half_of_it_fails, GOOD, {**ONE, **NEVER}),
    (f"{SIZE}.criticalIncrease", 5, twice_as_many_wait, GOOD, {**TIME, **NEVER}),
    ("spec.analysis.scores.pass", 50, half_of_it_fails, GOOD, {**TWO, "spec.analysis.scores.marginal": 50}),
    ("spec.analysis.scores.marginal", 50, half_of_it_fails, AT_LAST, TWO),
    ("spec.analysis.scores.weights", {"errors": 10}, half_of_it_fails, GOOD, {**TWO, **GROUPS}),
]


@pytest.mark.parametrize(("field", "value", "read", "expected", "beside"), CASES)
def test_the_score_comes_out_otherwise(
    shows: Callable[..., None], field: str, value: object, read: Way, expected: object, beside: dict[str, object]
) -> None:
    shows(field, value, read, expected, beside)
