"""What can't work of written steps, by the name of the field; the remedy leads to a spec that is accepted."""

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from canary.api.canary import Canary
from canary.api.rules import problems

STEPS = "spec.analysis.steps"
GATE = {"name": "qa", "type": "confirm-traffic-increase", "url": "http://qa.test/"}
TESTERS = {"header": {"match": [{"headers": {"x-tester": {"exact": "yes"}}}]}}
GOOD: list[dict[str, Any]] = [
    {"scale": {"weight": 20}},
    TESTERS,
    {"pause": {}},
    {"weight": 10},
    {"analysis": {"checks": ["request-success-rate"], "looks": 3}},
    {"gate": {"name": "qa"}},
    {"header": {}},
    {"weight": 50},
]
BASE: dict[str, Any] = {
    "spec.provider": "gatewayapi:v1",
    "spec.service.gatewayRefs": [{"name": "edge"}],
    "spec.analysis": {
        "interval": "1m",
        "threshold": 2,
        "metrics": [{"name": "request-success-rate", "threshold": 99}],
        "webhooks": [GATE],
        "steps": GOOD,
    },
}


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


def found(make: Make, steps: list[dict[str, Any]] | None = None, **changes: object) -> dict[str, str]:
    spec = {f"spec.{name.replace('__', '.')}": value for name, value in changes.items()}
    base = {**BASE, "spec.analysis": {**BASE["spec.analysis"], **({"steps": steps} if steps is not None else {})}}
    made = make({**base, **spec})
    return {each.field: f"{each.message}: {each.remedy}" for each in problems(made, made.spec.provider)}


def test_all_kinds_of_step_are_accepted(make: Make) -> None:
    assert found(make) == {}


@pytest.mark.parametrize(
    ("step", "field", "said"),
    [
        ({}, "", "says nothing; a step is one thing: write exactly one of weight, scale, header"),
        ({"weight": 5, "pause": {}}, "", "says weight and pause"),
        ({"weight": 101}, ".weight", "write 0 to 100"),
        ({"mirror": {"weight": -1}}, ".mirror.weight", "write 0 to 100"),
        ({"pause": {"duration": "0s"}}, ".pause.duration", "write a duration such as 10m, or {}"),
        ({"scale": {}}, ".scale", "write exactly one of replicas, weight and matchTraffic"),
        ({"scale": {"replicas": 1, "weight": 5}}, ".scale", "says replicas and weight"),
        ({"analysis": {"checks": ["errors"]}}, ".analysis.checks[0]", "write one of request-success-rate"),
        ({"gate": {"name": "boss"}}, ".gate.name", "write one of qa"),
        ({"experiment": {"duration": "0s", "checks": ["x"]}}, ".experiment.duration", "write one such as 10m"),
        ({"experiment": {"duration": "5m", "checks": ["x"]}}, ".experiment.checks[0]", "write one of request-success"),
    ],
)
def test_a_step_that_can_not_be_is_named(make: Make, step: dict[str, Any], field: str, said: str) -> None:
    assert said in found(make, [{"weight": 10}, step])[f"{STEPS}[1]{field}"]


COMPARED = {"name": "request-duration", "compareTo": "baseline"}
EXPERIMENT: dict[str, Any] = {"experiment": {"duration": "5m", "checks": ["request-duration"]}}


def test_an_experiment_compares_with_a_baseline(make: Make) -> None:
    """Following the remedy leads to steps that are accepted."""
    steps: list[dict[str, Any]] = [{"weight": 5}, EXPERIMENT]
    metric = {"name": "request-duration", "threshold": 500}
    said = found(make, steps, analysis__metrics=[metric])
    assert "set compareTo: baseline of one of these metrics" in said[f"{STEPS}[1].experiment.checks"]
    other = {"experiment": {"duration": "5m", "checks": ["request-success-rate"]}}
    rate = BASE["spec.analysis"]["metrics"][0]
    said = found(make, [{"weight": 5}, other], analysis__metrics=[rate, COMPARED])
    assert "add request-duration" in said[f"{STEPS}[1].experiment.checks"]
    assert found(make, steps, analysis__metrics=[COMPARED]) == {}


@pytest.mark.parametrize("before", [[], [{"weight": 0}], [{"weight": 100}]])
def test_an_experiment_stands_behind_a_weight_that_leaves_as_much_for_the_baseline(
    make: Make, before: list[dict[str, Any]]
) -> None:
    said = found(make, [*before, EXPERIMENT], analysis__metrics=[COMPARED])
    assert "write a weight before it, such as {weight: 5}" in said[f"{STEPS}[{len(before)}].experiment"]
    assert found(make, [*before, {"weight": 5}, EXPERIMENT], analysis__metrics=[COMPARED]) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stepWeight", 5),
        ("stepWeights", [5]),
        ("maxWeight", 50),
        ("iterations", 5),
        ("match", TESTERS["header"]["match"]),
        ("alwaysMatch", TESTERS["header"]["match"]),
        ("mirror", True),
        ("advance", "onEvidence"),
        ("sessionAffinity", {"cookieName": "c"}),
    ],
)
def test_what_steps_say_is_said_by_them_alone(make: Make, name: str, value: Any) -> None:
    assert f"spec.analysis.{name}" in found(make, None, **{f"analysis__{name}": value})


def test_a_canary_that_answers_gets_no_copies(make: Make) -> None:
    assert "before the first weight" in found(make, [{"weight": 5}, {"mirror": {}}])[f"{STEPS}[1].mirror"]


def test_steps_that_look_at_nothing_are_refused(make: Make) -> None:
    assert "every version would pass" in found(make, [{"pause": {}}])[STEPS]
    assert found(make, [{"analysis": {"checks": ["request-success-rate"]}}]) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"targetRef__kind": "DaemonSet"}, "take the step out, or roll out a Deployment"),
        (
            {"autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "app"}},
            "take the step out, or autoscalerRef",
        ),
    ],
)
def test_pods_that_others_count_are_not_scaled(make: Make, changes: dict[str, Any], said: str) -> None:
    assert said in found(make, **changes)[f"{STEPS}[0].scale"]


def test_pods_that_are_replaced_in_place_have_no_steps(make: Make) -> None:
    assert "set stepWeight" in found(make, targetRef__kind="StatefulSet")[STEPS]
