"""Which metrics can be compared with the primary's, and what goes with a comparison alone."""

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from canary.api.canary import Canary
from canary.controller.problems import of_spec

RATE = {"name": "request-success-rate", "compareTo": "primary"}
METRIC = "spec.analysis.metrics[0]"


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


def found(make: Make, metric: dict[str, Any], provider: str = "traefik", **analysis: object) -> dict[str, str]:
    changes = {f"spec.analysis.{name}": value for name, value in analysis.items()}
    canary = make({"spec.analysis.metrics": [metric], **changes})
    return {problem.field: f"{problem.message}; {problem.remedy}" for problem in of_spec(canary, provider)}


@pytest.mark.parametrize("provider", ["traefik", "contour", "nginx"])
def test_the_built_in_success_rate_is_compared_where_both_versions_are_counted(make: Make, provider: str) -> None:
    assert not {name for name in found(make, RATE, provider) if "metrics" in name}
    assert not {name for name in found(make, {**RATE, "tolerance": 0.5}, advance="onEvidence") if "analysis" in name}


@pytest.mark.parametrize("provider", ["kubernetes", "linkerd", "apisix"])
def test_where_nobody_counts_them_apart_it_is_refused_with_the_way_out(make: Make, provider: str) -> None:
    said = found(make, RATE, provider, iterations=5, stepWeight=0, maxWeight=0)[f"{METRIC}.compareTo"]
    assert f"with provider {provider} nobody counts" in said
    assert "set thresholdRange" in said


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        ({**RATE, "name": "request-duration"}, "compareTo"),
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


@pytest.mark.parametrize("percent", [0, 51, -1])
def test_a_promise_is_a_percentage(make: Make, percent: float) -> None:
    assert "0.01 to 50" in found(make, RATE, falseRollback=percent)["spec.analysis.falseRollback"]
