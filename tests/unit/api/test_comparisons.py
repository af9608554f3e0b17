"""Which metrics can be compared with the primary's, and what goes with a comparison alone."""

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from canary.api.canary import Canary
from canary.controller.problems import of_spec

RATE = {"name": "request-success-rate", "compareTo": "primary"}
TIME = {"name": "request-duration", "compareTo": "primary"}
METRIC = "spec.analysis.metrics[0]"


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


def found(make: Make, metric: dict[str, Any], provider: str = "traefik", **analysis: object) -> dict[str, str]:
    changes = {f"spec.analysis.{name}": value for name, value in analysis.items()}
    canary = make({"spec.analysis.metrics": [metric], **changes})
    return {problem.field: f"{problem.message}; {problem.remedy}" for problem in of_spec(canary, provider)}


@pytest.mark.parametrize("metric", [RATE, TIME, {**TIME, "thresholdRange": {"max": 500}}])
@pytest.mark.parametrize("provider", ["traefik", "contour", "nginx"])
def test_failures_and_latency_are_compared_where_both_versions_are_counted(
    make: Make, metric: dict[str, Any], provider: str
) -> None:
    assert not {name for name in found(make, metric, provider) if "metrics" in name}
    assert not {name for name in found(make, {**metric, "tolerance": 0.5}, advance="onEvidence") if "analysis" in name}


@pytest.mark.parametrize("metric", [RATE, TIME])
@pytest.mark.parametrize("provider", ["kubernetes", "linkerd", "apisix"])
def test_where_nobody_counts_them_apart_it_is_refused_with_the_way_out(
    make: Make, metric: dict[str, Any], provider: str
) -> None:
    said = found(make, metric, provider, iterations=5, stepWeight=0, maxWeight=0)[f"{METRIC}.compareTo"]
    assert f"with provider {provider} nobody counts" in said
    assert "set thresholdRange" in said


@pytest.mark.parametrize("provider", ["kubernetes", "linkerd", "apisix", "traefik"])
def test_the_time_before_is_to_be_had_wherever_the_workload_is_counted(make: Make, provider: str) -> None:
    before = {**RATE, "compareTo": "previous"}
    assert not {
        name for name in found(make, before, provider, iterations=5, stepWeight=0, maxWeight=0) if "metrics" in name
    }


def test_in_place_only_the_time_before_is_to_be_had_and_steps_end_by_the_clock(make: Make) -> None:
    in_place = {"spec.targetRef.kind": "StatefulSet"}
    said = {
        each.field: f"{each.message}; {each.remedy}"
        for other in ("primary", "previous")
        for each in of_spec(
            make(
                {
                    **in_place,
                    "spec.analysis.metrics": [{**RATE, "compareTo": other}],
                    "spec.analysis.advance": "onEvidence",
                },
                without=("spec.service",),
            ),
            "kubernetes",
        )
    }
    assert "write previous" in said[f"{METRIC}.compareTo"]
    assert "write onInterval" in said["spec.analysis.advance"]


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        ({**RATE, "name": "request-rate"}, "compareTo"),
        ({**TIME, "threshold": 500}, "threshold"),
        ({**TIME, "thresholdRange": {"min": 1}}, "thresholdRange.min"),
        ({**TIME, "thresholdRange": {"max": 0}}, "thresholdRange.max"),
        ({**RATE, "query": "up"}, "compareTo"),
        ({**RATE, "threshold": 99}, "threshold"),
        ({**RATE, "thresholdRange": {"min": 99}}, "thresholdRange"),
        ({**RATE, "tolerance": -1}, "tolerance"),
        ({**RATE, "tolerance": 100}, "tolerance"),
        ({**RATE, "minSamples": -1}, "minSamples"),
        ({"name": "request-success-rate", "threshold": 99, "tolerance": 1}, "tolerance"),
    ],
)
def test_what_does_not_go_together_is_named(make: Make, metric: dict[str, Any], field: str) -> None:
    assert f"{METRIC}.{field}" in found(make, metric)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"name": "request-success-rate", "threshold": 99}, "set compareTo: primary in a metric"),
        ({**RATE, "tolerance": 0}, "set tolerance, such as 0.5"),
    ],
)
def test_there_is_evidence_of_comparisons_with_a_tolerance_alone(
    make: Make, metric: dict[str, Any], words: str
) -> None:
    assert words in found(make, metric, advance="onEvidence")["spec.analysis.advance"]


VALUES = {**RATE, "method": "mannWhitney"}
OWN = {"name": "queue", "query": "sum(queue)", "compareTo": "primary", "method": "mannWhitney"}


def test_values_of_any_query_are_compared_and_scored(make: Make) -> None:
    ways = {"mannWhitney": {"groups": ["load"], "effectSize": {"allowedIncrease": 1.1}}}
    scores = {"pass": 90, "marginal": 60, "weights": {"load": 100}}
    for metric in (VALUES, OWN, {**OWN, **ways}):
        assert not {name for name in found(make, metric) if "metrics" in name}
    assert not {name for name in found(make, {**OWN, **ways}, scores=scores) if "scores" in name}


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        ({**VALUES, "tolerance": 1}, "tolerance"),
        ({**VALUES, "minSamples": 1}, "minSamples"),
        ({**VALUES, "threshold": 99}, "threshold"),
        ({**VALUES, "thresholdRange": {"min": 99}}, "thresholdRange"),
        ({**VALUES, "mannWhitney": {"effectSize": {"allowedIncrease": -1}}}, "mannWhitney.effectSize.allowedIncrease"),
        ({**RATE, "mannWhitney": {"direction": "increase"}}, "mannWhitney"),
        ({"name": "request-success-rate", "threshold": 99, "method": "mannWhitney"}, "method"),
        ({"name": "request-success-rate", "threshold": 99, "mannWhitney": {"direction": "either"}}, "mannWhitney"),
    ],
)
def test_what_does_not_go_with_the_method_is_named(make: Make, metric: dict[str, Any], field: str) -> None:
    assert f"{METRIC}.{field}" in found(make, metric)


@pytest.mark.parametrize(
    ("metric", "scores", "field", "words"),
    [
        (RATE, {}, "", "set method in a metric"),
        (VALUES, {"pass": 101}, ".pass", "write 0 to 100"),
        (VALUES, {"pass": 50}, ".marginal", "write pass or less"),
        (VALUES, {"weights": {"load": 40}}, ".weights", "write metrics, or none"),
        (VALUES, {"weights": {"metrics": 40}}, ".weights", "they come to 40 %"),
        (VALUES, {"weights": {"metrics": 120}}, ".weights", "they come to 120 %"),
    ],
)
def test_scores_that_can_t_be_are_named(
    make: Make, metric: dict[str, Any], scores: dict[str, Any], field: str, words: str
) -> None:
    assert words in found(make, metric, scores=scores)[f"spec.analysis.scores{field}"]


def test_values_are_no_evidence_for_a_step_that_ends_early(make: Make) -> None:
    assert "no evidence without a comparison" in found(make, VALUES, advance="onEvidence")["spec.analysis.advance"]


@pytest.mark.parametrize("percent", [0, 51, -1])
def test_a_promise_is_a_percentage(make: Make, percent: float) -> None:
    assert "0.01 to 50" in found(make, RATE, falseRollback=percent)["spec.analysis.falseRollback"]
