"""Nothing that the CRD takes is more than a rollout can reckon with: what it accepts is read and decided on."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import parse_canary
from canary.api.crds import DEFINITIONS, root_schema
from canary.api.durations import LONGEST_TEXT, PATTERN, parse_duration
from canary.api.rules import problems
from canary.api.status import Phase
from canary.api.traffic import Readiness, Split
from canary.controller.ask.metric_questions import window_of
from canary.rollout.decide import decide
from canary.rollout.facts import Answer, Facts, HookAnswer, HookQuestion, MetricQuestion, PodsAnswer, Question, Workload
from metrics.question import Number
from metrics.reading import Cause, Reading, Unread

Schema = dict[str, Any]

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
INT64 = 2**63 - 1
SCHEMA = root_schema(next(each for each in DEFINITIONS if each.plural == "canaries"))
SPEC: Schema = SCHEMA["properties"]["spec"]
ANALYSIS: Schema = SPEC["properties"]["analysis"]
FIELDS = (
    *("interval", "threshold", "iterations", "maxWeight", "stepWeight", "stepWeights", "stepWeightPromotion"),
    *("stepWeightRollback", "mirror", "mirrorWeight", "primaryReadyThreshold", "canaryReadyThreshold", "onFailure"),
    *("bake", "metrics", "webhooks", "sessionAffinity"),
)
"""Of the analysis, what has to do with time and numbers."""


def durations(rule: str) -> st.SearchStrategy[str]:
    """What a rule of the schema takes for a duration: short ones, and the longest that there are."""
    limit = re.search(r"duration\('(.*)'\)$", rule)
    longest = parse_duration(limit[1]) if limit else timedelta.max
    texts = st.one_of(
        st.sampled_from(["0s", "1ns", "1s", "1m30s", "24h", "720h", "8760h", "9999999h", "99999h", "999999999s" * 6]),
        st.tuples(st.integers(0, 10**9), st.sampled_from(["ms", "s", "m", "h"])).map(
            lambda pair: f"{pair[0]}{pair[1]}"
        ),
    )

    def accepted(text: str) -> bool:
        return len(text) <= LONGEST_TEXT and bool(re.fullmatch(PATTERN, text)) and parse_duration(text) <= longest

    return texts.filter(accepted)


def values(schema: Schema, *, only: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Values that the API server takes for a schema."""
    rules = schema.get("x-kubernetes-validations", [])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "integer":
            least, most = schema.get("minimum", -INT64), schema.get("maximum", INT64)
            return st.one_of(st.sampled_from([least, most]), st.integers(least, most), st.integers(max(least, 0), 3))
        case "number":
            return st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-INT64, INT64))
        case "boolean":
            return st.booleans()
        case "string":
            return durations(rules[0]["rule"]) if rules and "is not a duration" in rules[0]["message"] else st.just("a")
        case "array":
            return st.lists(values(schema["items"]), max_size=2)
        case "object" if "properties" in schema:
            return objects(schema, only)
    return st.just({})


def objects(schema: Schema, only: tuple[str, ...]) -> st.SearchStrategy[Mapping[str, Any]]:
    fields = {name: values(inner) for name, inner in schema["properties"].items() if not only or name in only}
    required = {name: fields.pop(name) for name in schema.get("required", ()) if name in fields}
    return st.fixed_dictionaries(required, optional=fields)


@st.composite
def canaries(draw: st.DrawFn) -> Mapping[str, Any]:
    """Canaries with any numbers that the schema takes, in any phase."""
    kind = draw(st.sampled_from(["Deployment", "StatefulSet"]))
    finalizers = draw(st.sampled_from([[], ["finalizer.flagger.app"]]))
    metadata = {"name": "app", "namespace": "prod", "uid": "1", "generation": 1, "finalizers": finalizers}
    if draw(st.booleans()):
        metadata["deletionTimestamp"] = "2026-11-28T11:59:00Z"
    started = draw(st.sampled_from(["2026-11-28T11:00:00Z", "2026-11-28T12:00:00.5Z"]))
    status: dict[str, Any] = {
        "phase": draw(st.sampled_from([each.value for each in Phase])),
        "canaryWeight": draw(st.integers(0, 100)),
        "lastAppliedSpec": draw(st.sampled_from(["", "v1", "v2"])),
        "lastPromotedSpec": draw(st.sampled_from(["", "v1"])),
        "lastProgressTime": started,
        "lastCheckTime": started,
        "observedGeneration": 1,
        "conditions": [{"type": "Promoted", "status": "Unknown"}],
    }
    if draw(st.booleans()):
        status["bake"] = {"lastGoodSpec": "v1", "startTime": started}
    spec: dict[str, Any] = {
        "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "app"},
        "service": {"port": 80},
        "analysis": draw(values(ANALYSIS, only=FIELDS)),
        "skipAnalysis": draw(st.booleans()),
    }
    deadline = draw(st.one_of(st.none(), values(SPEC["properties"]["progressDeadlineSeconds"])))
    if deadline is not None:
        spec["progressDeadlineSeconds"] = deadline
    return {"metadata": metadata, "spec": spec, "status": status}


def answered(questions: tuple[Question, ...], *, well: bool) -> dict[Question, Answer]:
    found: dict[Question, Answer] = {}
    for each in questions:
        match each:
            case HookQuestion():
                found[each] = HookAnswer(approved=well)
            case MetricQuestion():
                said = Number(1.0) if well else Unread(Cause.TIMEOUT, "slow")
                found[each] = Reading(said=said, interval=timedelta(minutes=1), time=NOW)
            case _:
                found[each] = PodsAnswer("")
    return found


def workload(revision: str, pods: int) -> Workload:
    return Workload(revision, Readiness(desired=2, updated=2, ready=pods, available=pods, total=2))


@given(raw=canaries(), canary_pods=st.sampled_from([0, 2]), primary_pods=st.sampled_from([0, 2]), well=st.booleans())
def test_what_the_crd_takes_is_read_judged_and_decided_on(
    raw: Mapping[str, Any], canary_pods: int, primary_pods: int, *, well: bool
) -> None:
    """Also where its rules refuse it: what is under way, or to be deleted, is decided on by what it says."""
    canary = parse_canary(dict(raw))
    problems(canary, "traefik")
    for metric in canary.analysis.metrics:
        window_of(canary, metric, NOW)
    target, primary = workload("v2", canary_pods), workload("v1", primary_pods)
    facts = Facts(now=NOW, target=target, primary=primary, split=Split(canary=canary.status.canary_weight))
    first = decide(canary, facts)
    decide(canary.replace(status=first.status), Facts(
        now=NOW, target=target, primary=primary, split=Split(canary=first.status.canary_weight),
        answers=answered(first.asks, well=well),
    ))  # fmt: skip


def numbers(schema: Schema, path: str = "spec") -> dict[str, Schema]:
    """Each number and duration of a schema, by its path."""
    found = {}
    for name, field in schema.get("properties", {}).items():
        where, inner = f"{path}.{name}", field
        while "items" in inner or isinstance(inner.get("additionalProperties"), dict):
            inner = inner.get("items") or inner["additionalProperties"]
        rules = inner.get("x-kubernetes-validations", [])
        if inner.get("type") == "integer" or any("is not a duration" in rule["message"] for rule in rules):
            found[where] = inner
        found |= numbers(inner, where)
    return found


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.plural)
def test_every_number_and_duration_of_a_spec_has_an_end(definition: Any) -> None:
    schema = root_schema(definition)["properties"]["spec"]
    endless = [
        path
        for path, field in numbers(schema).items()
        if "maximum" not in field and "<= duration(" not in str(field.get("x-kubernetes-validations"))
    ]
    assert endless == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"progressDeadlineSeconds": 10**12}, "spec.progressDeadlineSeconds"),
        ({"analysis": {"threshold": 10**12}}, "spec.analysis.threshold"),
        ({"analysis": {"iterations": 10_001}}, "spec.analysis.iterations"),
        ({"analysis": {"interval": "721h"}}, "spec.analysis.interval"),
        ({"analysis": {"bake": "8761h"}}, "spec.analysis.bake"),
        ({"analysis": {"metrics": [{"name": "m", "interval": "8761h"}]}}, "spec.analysis.metrics[0].interval"),
        ({"analysis": {"webhooks": [{"name": "h", "retries": 101}]}}, "spec.analysis.webhooks[0].retries"),
        ({"analysis": {"webhooks": [{"name": "h", "timeout": "25h"}]}}, "spec.analysis.webhooks[0].timeout"),
        (
            {"analysis": {"sessionAffinity": {"cookieName": "c", "maxAge": 2**31}}},
            "spec.analysis.sessionAffinity.maxAge",
        ),
        (
            {"autoscalerRef": {"name": "a", "primaryScalerReplicas": {"maxReplicas": 2**31}}},
            "spec.autoscalerRef.primaryScalerReplicas.maxReplicas",
        ),
    ],
)
def test_what_is_out_of_bounds_is_told_with_the_limit(changes: dict[str, Any], field: str) -> None:
    """An API server with older CRDs takes it."""
    spec = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}, "service": {"port": 80}}
    canary = parse_canary({"metadata": {"name": "app", "namespace": "prod"}, "spec": spec | changes})
    (found,) = [each for each in problems(canary, "traefik") if each.field == field]
    assert re.fullmatch(r"write \d+h? or less", found.remedy)
    facts = Facts(now=NOW, target=workload("v2", 2), primary=workload("v1", 2), split=Split(canary=50))
    for phase in Phase:
        decide(canary.replace(status=canary.status.replace(phase=phase)), facts)


def test_a_skipped_analysis_is_no_concern() -> None:
    spec = {"targetRef": {"kind": "Deployment", "name": "app"}, "service": {"port": 80}, "skipAnalysis": True}
    canary = parse_canary({"metadata": {"name": "app"}, "spec": spec | {"analysis": {"threshold": 10**12}}})
    assert problems(canary, "traefik") == ()
