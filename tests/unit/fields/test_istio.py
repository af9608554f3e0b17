"""Fields that Istio's objects honour: each arrives where istiod reads it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.crds import DEFINITIONS, root_schema
from canary.api.schema import plain_fields
from canary.api.traffic import Split
from canary.routers.istio import ISTIO as ROUTER
from tests.tools.routes import made

FIELDS = plain_fields(root_schema(next(each for each in DEFINITIONS if each.model is Canary)))
SERVICE, ANALYSIS, ALWAYS = "spec.service.", "spec.analysis.match[].", "spec.analysis.alwaysMatch[]."
RULE = "http.0"
NOBODY, CHOSEN = Split(0), Split(100, matched=True)
TIMES = (
    "timeout",
    "perTryTimeout",
    "maxAge",
    "idleTimeout",
    "ttl",
    "warmupDurationSecs",
    "baseEjectionTime",
    "interval",
)

SAME = tuple(f"{SERVICE}{each}" for each in ("match[].", "retries.", "headers.", "corsPolicy."))
"""Parts of the spec that a rule has under the same names."""

POLICY = f"{SERVICE}trafficPolicy."
OTHERWISE = (f"{SERVICE}corsPolicy.allowOrigin",)


def value_of(field: str) -> Any:
    """Some value of a field."""
    schema = FIELDS[field]
    if field.endswith(TIMES):
        return "30s"
    if "enum" in schema:
        return schema["enum"][-1]
    if "items" in schema:
        return ["x"]
    if "additionalProperties" in schema:
        return {"x": 1 if schema["additionalProperties"]["type"] == "integer" else "y"}
    return {"integer": 3, "boolean": True}.get(schema["type"], "x")


def place(field: str) -> str:
    return field.replace("[]", ".0").replace("*", "x")


ALL = [each for each in FIELDS if not each.endswith(".suffix") and each not in OTHERWISE]
RULES = [each for each in ALL if each.startswith(SAME)]
POLICIES = [each for each in ALL if each.startswith(POLICY)]
CHOICES = [each for each in ALL if each.startswith(ANALYSIS)]
AHEAD = [each for each in ALL if each.startswith(ALWAYS)]

Shows = Callable[..., None]
At = Callable[[Any, str], Any]


def route(canary: Canary, split: Split) -> Any:
    assert ROUTER.problems(canary) == ()
    return made(ROUTER, canary, split, {})[-1]["spec"]


@pytest.mark.parametrize("by", ["istio"])
@pytest.mark.parametrize("field", RULES)
def test_the_rule_has_it_under_the_same_name(shows: Shows, at: At, field: str, by: str) -> None:
    where, value = f"{RULE}.{place(field.removeprefix(SERVICE))}", value_of(field)
    attempts = f"{SERVICE}retries.attempts"
    beside = {attempts: 2} if field.startswith(f"{SERVICE}retries.") and field != attempts else {}
    shows(field, value, lambda canary: at(route(canary, NOBODY), where), value, beside)


@pytest.mark.parametrize("by", ["istio"])
@pytest.mark.parametrize("field", CHOICES)
def test_the_first_rule_is_for_requests_that_match(shows: Shows, at: At, field: str, by: str) -> None:
    where, value = f"{RULE}.match.0.{place(field.removeprefix(ANALYSIS))}", value_of(field)
    iterations = {"spec.analysis.iterations": 3}
    shows(field, value, lambda canary: at(route(canary, CHOSEN), where), value, iterations)


@pytest.mark.parametrize("by", ["istio"])
@pytest.mark.parametrize("field", AHEAD)
def test_beside_weights_the_first_rule_is_for_those_that_always_match(
    shows: Shows, at: At, field: str, by: str
) -> None:
    where, value = f"{RULE}.match.0.{place(field.removeprefix(ALWAYS))}", value_of(field)
    steps = {"spec.analysis.stepWeight": 20}
    shows(field, value, lambda canary: at(route(canary, Split(20)), where), value, steps)


@pytest.mark.parametrize("by", ["istio"])
@pytest.mark.parametrize("field", POLICIES)
def test_both_destination_rules_have_it(shows: Shows, at: At, field: str, by: str) -> None:
    where, value = place(field.removeprefix(SERVICE)), value_of(field)

    def read(canary: Canary) -> list[object]:
        assert ROUTER.problems(canary) == ()
        return [at(rule["spec"], where) for rule in made(ROUTER, canary, NOBODY, {})[:-1]]

    shows(field, value, read, [value, value], {})


MIRROR = f"{RULE}.mirrors.0.destination"
NAMED = {"mirror[].backendRef.name": "shadow"}
CASES: list[tuple[str, object, str, object, Mapping[str, object]]] = [
    ("timeout", "1m30s", f"{RULE}.timeout", "1m30s", {}),
    ("hosts", ["a.example.com"], "hosts", ["a.example.com", "app"], {}),
    ("gateways", ["istio-system/public"], "gateways", ["istio-system/public"], {}),
    ("delegation", True, "hosts", None, {}),
    ("rewrite.uri", "/new", f"{RULE}.rewrite.uri", "/new", {}),
    ("rewrite.authority", "in.example.com", f"{RULE}.rewrite.authority", "in.example.com", {}),
    (
        "rewrite.type",
        "ReplaceFullPath",
        f"{RULE}.rewrite.uriRegexRewrite",
        {"match": "/.*", "rewrite": "/new"},
        {"rewrite.uri": "/new"},
    ),
    ("mirror[].backendRef.name", "shadow", f"{MIRROR}.host", "shadow", {"mirror[].backendRef.port": 8080}),
    ("mirror[].backendRef.port", 8080, f"{MIRROR}.port.number", 8080, NAMED),
    ("corsPolicy.allowOrigin", ["https://a"], f"{RULE}.corsPolicy.allowOrigins", [{"exact": "https://a"}], {}),
]


@pytest.mark.parametrize("by", ["istio"])
@pytest.mark.parametrize(
    ("field", "value", "where", "expected", "beside"),
    [(f"{SERVICE}{name}", *rest) for name, *rest in CASES],
    ids=[name for name, *_ in CASES],
)
def test_the_virtual_service_honours_it(
    shows: Shows,
    at: At,
    field: str,
    value: object,
    where: str,
    expected: object,
    beside: Mapping[str, object],
    by: str,
) -> None:
    others = {f"{SERVICE}{path}": other for path, other in beside.items()}
    shows(field, value, lambda canary: at(route(canary, NOBODY), where), expected, others)
