"""Who wrote v1beta2 is told of its fields."""

import pytest

from canary.api import strict
from canary.api.crds import DEFINITIONS, root_schema
from canary.api.problems import Problem
from canary.api.schema import field_types
from canary.api.v1beta2.checks import Kind
from canary.api.v1beta2.schema import v1beta2_schema
from canary.api.v1beta2.words import field_in, in_words_of, sentence

OLD = root_schema(DEFINITIONS[0])
GOOD = {
    "apiVersion": "flagger.app/v1beta2",
    "kind": "Canary",
    "metadata": {"name": "shop"},
    "spec": {
        "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
        "rollout": {"interval": "1m", "failureThreshold": 3, "steps": [{"weight": 10}]},
        "checks": [{"name": "smoke", "webhook": {"url": "http://smoke.test"}}, {"name": "request-success-rate"}],
    },
}


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("spec.targetRef.name", "spec.target.name"),
        ("spec.provider", "spec.traffic.provider"),
        ("spec.service.port", "spec.service.port"),
        ("spec.service.match[0].uri", "spec.traffic.match[0].uri"),
        ("spec.analysis.steps[1].weight", "spec.rollout.steps[1].weight"),
        ("spec.canaryAnalysis.stepWeight", "spec.rollout.ramp.by"),
        ("spec.analysis", "spec.rollout"),
        ("spec.analysis.metrics", "spec.checks"),
        ("spec.analysis.metrics[0].thresholdRange.min", "spec.checks[1].range.min"),
        ("spec.analysis.metrics[0].threshold", "spec.checks[1].range"),
        ("spec.analysis.webhooks[0].url", "spec.checks[0].webhook.url"),
        ("spec.scheduling.errorBudget.templateRef", "spec.scheduling.errorBudget.template"),
        ("metadata.name", "metadata.name"),
    ],
)
def test_a_field_is_named_where_it_stands(field: str, meant: str) -> None:
    assert field_in(field, [Kind.CALL, Kind.METRIC]) == meant


def test_every_field_of_v1beta1_has_a_place_in_the_schema_of_v1beta2() -> None:
    """And every field there has one in v1beta1: both are made of one table."""
    new = {path for path in field_types(v1beta2_schema(OLD)) if path.startswith("spec.")}
    gone = ("canaryAnalysis", "spec.analysis.metrics[].threshold ")
    old = [
        path for path in field_types(OLD) if path.startswith("spec.") and not any(each in f"{path} " for each in gone)
    ]
    meant = {field_in(path.replace("[]", "[0]")).replace("[0]", "[]") for path in old}
    made = {"spec.traffic", "spec.rollout.ramp", "spec.rollout.ready", "spec.checks[].compare", "spec.checks[].webhook"}
    assert meant | made == new


def test_sentences_name_fields_of_v1beta2_and_leave_words_alone() -> None:
    assert sentence("set thresholdRange.max: the threshold of analysis.metrics") == (
        "set range.max: the threshold of checks"
    )
    assert sentence("set stepWeight (such as 10) or stepWeights") == (
        "set rollout.ramp.by (such as 10) or rollout.ramp.weights"
    )


def test_a_field_of_v1beta1_is_unknown_and_told_by_its_new_name() -> None:
    raw = {**GOOD, "spec": {**GOOD["spec"], "analysis": {"stepWeight": 10}}}  # type: ignore[dict-item]  # a spec
    assert [str(each) for each in strict.problems(raw)] == [
        "spec.analysis: unknown field; in v1beta2 it is spec.rollout"
    ]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"rollout": None}, "spec.rollout"),
        ({"rollout": None, "checks": None, "skipChecks": True, "alerts": []}, "spec.rollout"),
        ({"service": None, "traffic": {"hosts": ["a"]}}, "spec.service"),
        ({"traffic": {}}, "spec.traffic"),
        ({"checks": [{"name": "a", "webhook": {"url": "b"}, "range": {"min": 1}}]}, "spec.checks[0].range"),
        ({"checks": [{"name": "a", "webhook": {"url": "b"}, "gate": {"job": {}}}]}, "spec.checks[0].gate"),
        ({"checks": [{"name": "a", "webhook": {}}]}, "spec.checks[0].webhook.url"),
        ({"checks": [{"name": "a", "expression": "true", "window": "1m"}]}, "spec.checks[0].window"),
        ({"checks": [{"name": "a", "when": "rollout"}]}, "spec.checks[0].when"),
    ],
)
def test_what_v1beta1_would_have_no_place_for_is_refused(spec: dict[str, object], field: str) -> None:
    made = {name: value for name, value in {**GOOD["spec"], **spec}.items() if value is not None}  # type: ignore[dict-item]  # a spec
    assert [each.field for each in strict.problems({**GOOD, "spec": made})] == [field]
    assert not list(strict.problems(GOOD))


def test_what_rules_of_v1beta1_find_is_told_of_the_version_that_was_written() -> None:
    found = Problem("spec.analysis.metrics[0].thresholdRange", "is missing", "set thresholdRange")
    assert list(in_words_of({"apiVersion": "flagger.app/v1beta1", "kind": "Canary"}, [found])) == [found]
    (told,) = in_words_of(GOOD, [found])
    assert str(told) == "spec.checks[1].range: is missing; set range"


@pytest.mark.parametrize(
    ("part", "written", "meant"),
    [
        ("rollout", {"threshold": 3}, "spec.rollout.threshold: unknown field; did you mean failureThreshold?"),
        ("checks", [{"name": "a", "threshold": 99}], "spec.checks[0].threshold: unknown field; did you mean range?"),
        ("checks", [{"name": "a", "type": "rollout"}], "spec.checks[0].type: unknown field; did you mean when?"),
        ("checks", [{"name": "a", "interval": "1m"}], "spec.checks[0].interval: unknown field; did you mean window?"),
    ],
)
def test_a_name_of_v1beta1_is_told_by_that_of_v1beta2(part: str, written: object, meant: str) -> None:
    spec = {**GOOD, "spec": {**GOOD["spec"], part: written}}  # type: ignore[dict-item]  # a spec
    assert meant in [str(each) for each in strict.problems(spec)]
