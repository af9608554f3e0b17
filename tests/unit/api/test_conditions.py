"""Conditions, and what says when a check counts: what can't be is refused, with its field and the remedy."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.api import expressions
from canary.api.canary import Canary, parse_canary
from canary.api.rules import problems

RATE = {"name": "request-success-rate", "threshold": 99}
COMPARED = {"name": "request-success-rate", "compareTo": "primary"}
OWN = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}
EXPRESSION = "metrics.errors.value < 1"


def canary(metrics: list[dict[str, Any]], *conditions: dict[str, Any]) -> Canary:
    analysis = {"interval": "1m", "threshold": 2, "stepWeight": 10, "maxWeight": 50}
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "analysis": {**analysis, "metrics": metrics, "conditions": list(conditions)},
    }
    return parse_canary({"metadata": {"name": "app", "namespace": "prod"}, "spec": spec})


def found(metrics: list[dict[str, Any]], *conditions: dict[str, Any]) -> list[str]:
    """Field and message of each problem."""
    analysed = problems(canary(metrics, *conditions), "traefik")
    return [f"{each.field.removeprefix('spec.analysis.')}: {each.message}" for each in analysed]


@pytest.mark.parametrize(
    "fields", [{"consecutive": 3}, {"failureLimit": 0}, {"initialDelay": "2m"}, {"series": "last"}, {"noData": "Fail"}]
)
def test_a_metric_of_one_s_own_takes_each(fields: dict[str, Any]) -> None:
    assert found([{**OWN, **fields}]) == []


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ({**OWN, "dryRun": True, "consecutive": 2}, "metrics[0].consecutive: does not go with dryRun"),
        ({**OWN, "dryRun": True, "failureLimit": 2}, "metrics[0].failureLimit: does not go with dryRun"),
        ({**OWN, "critical": True, "failureLimit": 2}, "metrics[0].failureLimit: does not go with critical"),
        ({**OWN, "consecutive": 0}, "metrics[0].consecutive: 0 is too little"),
        ({**OWN, "consecutive": 101}, "metrics[0].consecutive: 101 is too much"),
        ({**OWN, "failureLimit": -1}, "metrics[0].failureLimit: -1 is too little"),
        ({**OWN, "initialDelay": "-1m"}, "metrics[0].initialDelay: -1m is no delay"),
        ({**OWN, "minSamples": 10}, "metrics[0].minSamples: how many requests errors is taken over is not known"),
        ({**RATE, "series": "max"}, "metrics[0].series: the query of request-success-rate is built in"),
        ({**COMPARED, "consecutive": 2}, "metrics[0].consecutive: does not go with compareTo"),
        ({**COMPARED, "failureLimit": 2}, "metrics[0].failureLimit: does not go with compareTo"),
        ({**COMPARED, "initialDelay": "2m"}, "metrics[0].initialDelay: does not go with compareTo"),
        ({**COMPARED, "series": "sum"}, "metrics[0].series: does not go with compareTo"),
    ],
)
def test_what_does_not_go_together_is_refused(metric: dict[str, Any], problem: str) -> None:
    (said,) = found([metric])

    assert said.startswith(problem)


def test_requests_are_counted_for_success_rate_and_duration() -> None:
    duration = {"name": "request-duration", "threshold": 500, "minSamples": 20}

    assert found([{**RATE, "minSamples": 20}, duration]) == []
    assert len(found([{"name": "request-rate", "threshold": 1, "minSamples": 20}])) == 1


def test_two_metrics_of_a_name_can_not_both_be_counted_by_it() -> None:
    twice = [{**OWN, "consecutive": 2}, {**OWN, "failureLimit": 1}]

    assert [each.split(":")[0] for each in found(twice)] == ["metrics[1].name"]
    assert found([{**OWN, "consecutive": 2}, OWN]) == []


def test_a_condition_names_metrics_that_there_are() -> None:
    assert found([OWN], {"name": "few", "expression": EXPRESSION}) == []
    assert found([RATE], {"name": "few", "expression": EXPRESSION}) == [
        "conditions[0].expression: there is no metric errors"
    ]
    assert found([OWN, OWN], {"name": "few", "expression": EXPRESSION}) == [
        "conditions[0].expression: there are 2 metrics errors"
    ]


def test_what_is_no_expression_is_refused_with_its_place_and_an_example() -> None:
    (said,) = problems(canary([OWN], {"name": "few", "expression": "metrics.errors.value <"}), "traefik")

    assert said.field == "spec.analysis.conditions[0].expression"
    assert said.message.startswith("line 1, column 23: Syntax error")
    assert 'metrics["error-rate"].value < 1' in said.remedy


def test_a_condition_has_a_name_of_its_own() -> None:
    conditions = [{"name": name, "expression": EXPRESSION} for name in ("errors", "few", "few", "")]

    assert [each.split(":")[0] for each in found([OWN], *conditions)] == [
        "conditions[0].name",
        "conditions[2].name",
        "conditions[3].name",
    ]


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    expressions._environment.cache_clear()
    expressions.parse_expression.cache_clear()
    yield
    expressions.parse_expression.cache_clear()


@pytest.mark.usefixtures("no_library")
def test_without_the_library_the_canary_is_refused_with_what_to_install() -> None:
    (said,) = problems(canary([OWN], {"name": "few", "expression": EXPRESSION}), "traefik")

    assert said.message == "needs the package cel-expr-python, which is not installed"
    assert said.remedy == "pip install 'canary-controller[cel]', or run the image, which has it"
    assert found([OWN]) == []


def test_the_page_on_conditions_shows_what_can_work() -> None:
    page = (Path(__file__).parents[3] / "docs/conditions.md").read_text()
    (written,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    analysis = {**yaml.safe_load(written)["analysis"], "maxWeight": 50}
    spec = {"targetRef": {"kind": "Deployment", "name": "app"}, "service": {"port": 80}, "analysis": analysis}

    assert problems(parse_canary({"metadata": {"name": "app", "namespace": "prod"}, "spec": spec}), "traefik") == ()
