import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, Protocol

import pytest

from canary.api.alertprovider import parse_alert_provider
from canary.api.canary import parse_canary
from canary.api.metrictemplate import parse_metric_template
from canary.api.problems import InvalidResource, Problem


class Raw(Protocol):
    def __call__(
        self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()
    ) -> dict[str, Any]: ...


@pytest.mark.parametrize(
    ("path", "value", "field", "remedy"),
    [
        ("spec.analysis.interval", "1min", "spec.analysis.interval", "1m30s"),
        ("spec.analysis.interval", 60, "spec.analysis.interval", "1m30s"),
        ("spec.analysis.threshold", "many", "spec.analysis.threshold", "whole number"),
        ("spec.analysis.metrics.0.threshold", "high", "spec.analysis.metrics[0].threshold", "number"),
        ("spec.analysis.metrics.1.noData", "Ignore", "spec.analysis.metrics[1].noData", "'Hold'"),
        ("spec.analysis.webhooks.1.type", "pre", "spec.analysis.webhooks[1].type", "'pre-rollout'"),
        ("spec.analysis.webhooks.0.metadata", "x", "spec.analysis.webhooks[0].metadata", "map"),
        ("spec.analysis.webhooks.0.metadata.n", 1, "spec.analysis.webhooks[0].metadata.n", "quote"),
        ("spec.analysis.webhooks", "x", "spec.analysis.webhooks", "list"),
        ("spec.suspend", "perhaps", "spec.suspend", "true or false"),
        ("spec.service.targetPort", 1.5, "spec.service.targetPort", "number or a name"),
        ("spec.service", 80, "spec.service", "map of fields"),
        ("spec", "x", "spec", "map of fields"),
        ("metadata.creationTimestamp", "today", "metadata.creationTimestamp", "RFC 3339"),
        ("spec.analysis.onFailure", "dream", "spec.analysis.onFailure", "'hold'"),
    ],
)
def test_what_cant_be_read_is_told_with_field_and_remedy(
    raw: Raw, path: str, value: object, field: str, remedy: str
) -> None:
    with pytest.raises(InvalidResource) as caught:
        parse_canary(raw({path: value}))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert remedy in problem.remedy
    assert str(problem).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("spec.targetRef", "spec.targetRef"),
        ("spec.targetRef.name", "spec.targetRef.name"),
        ("spec.analysis.metrics.0.name", "spec.analysis.metrics[0].name"),
        ("metadata.name", "metadata.name"),
    ],
)
def test_what_is_missing_is_told(raw: Raw, path: str, field: str) -> None:
    with pytest.raises(InvalidResource) as caught:
        parse_canary(raw({path: None}))
    assert caught.value.problems == (Problem(field, "is missing", f"set {field}"),)


def test_every_problem_is_told_at_once(raw: Raw) -> None:
    with pytest.raises(InvalidResource) as caught:
        parse_canary(raw({"spec.suspend": "perhaps", "spec.analysis.interval": "soon", "spec.targetRef.name": 1}))
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"spec.suspend", "spec.analysis.interval", "spec.targetRef.name"}


def test_a_null_is_an_absent_field(raw: Raw) -> None:
    nulls = {
        "spec.analysis.metrics": None,
        "spec.analysis.webhooks.0.metadata": None,
        "spec.service.name": None,
        "status": None,
    }
    absent = raw(without=("spec.analysis.metrics",))
    del absent["spec"]["analysis"]["webhooks"][0]["metadata"]
    assert parse_canary(raw(nulls)) == parse_canary(absent)


def test_unknown_fields_are_passed_over(raw: Raw) -> None:
    assert parse_canary(raw({"spec.futureField": {"a": 1}})) == parse_canary(raw())


@pytest.mark.parametrize("document", [{}, {"spec": {}}, {"metadata": {}, "spec": None}])
def test_an_empty_object_is_a_problem_not_a_crash(document: dict[str, Any]) -> None:
    for parse in (parse_canary, parse_metric_template, parse_alert_provider):
        with pytest.raises(InvalidResource):
            parse(document)


def test_a_metric_template_is_read() -> None:
    template = parse_metric_template(
        {
            "metadata": {"name": "errors", "namespace": "shop"},
            "spec": {
                "provider": {
                    "type": "prometheus",
                    "address": "http://prometheus:9090",
                    "headers": {"X-Scope": ["a", "b"]},
                    "secretRef": {"name": "token"},
                    "insecureSkipVerify": True,
                },
                "query": "sum(rate(x[{{ interval }}]))",
            },
        }
    )
    assert template.key == "shop/errors"
    assert template.spec.provider.headers == {"X-Scope": ("a", "b")}
    assert template.spec.provider.insecure_skip_verify
    assert template.spec.provider.secret_ref is not None
    assert template.spec.provider.secret_ref.name == "token"


def test_an_alert_provider_is_read() -> None:
    provider = parse_alert_provider(
        {"metadata": {"name": "on-call"}, "spec": {"type": "slack", "channel": "ops", "secretRef": {"name": "hook"}}}
    )
    assert provider.spec.type == "slack"
    assert provider.spec.address == ""


def test_reading_a_canary_takes_few_calls(raw: Raw) -> None:
    """Thousands of Canaries are read again whenever they change: what pydantic does in Rust is not done in Python."""
    document, calls = raw(), 0
    parse_canary(document)

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        parse_canary(document)
    finally:
        sys.setprofile(None)
    assert calls < 200


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"status.phase": "Progressing", "status.canaryWeight": 20},
        {"metadata.resourceVersion": "9", "metadata.generation": 3},
        {"spec.analysis.stepWeight": 7},
        {"spec.service.port": 8081, "status.phase": "Failed"},
    ],
)
def test_what_is_known_of_an_earlier_state_makes_no_difference(raw: Raw, changes: Mapping[str, object]) -> None:
    before, after = raw({}), raw(changes)
    known = parse_canary(before)

    again = parse_canary(after, (before, known))
    assert again == parse_canary(after)
    assert again.to_json() == parse_canary(after).to_json()
    assert (again.spec is known.spec) == (before["spec"] == after["spec"])
