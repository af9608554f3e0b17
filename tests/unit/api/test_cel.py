"""The rules in CEL promise no more than the list of rules: what an API server refuses by them, everybody refuses.

They are judged by the library of the CEL project, on examples in which something is broken; in `tests/cluster` a real
API server is asked.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api import strict
from canary.api.canary import parse_canary
from canary.api.crds import DEFINITIONS, newer_version, root_schema
from canary.api.problems import InvalidResource
from canary.api.v1beta2 import table
from canary.api.v1beta2.convert import is_canary, to_v1beta1, to_v1beta2
from canary.cli.rehearse.fleets.read import problems_of_fleet
from canary.controller.problems import of_spec
from tests.tools.cel import refused, rules_of

Json = dict[str, Any]

pytest.importorskip("cel_expr_python")

EXAMPLES: Final[dict[str, Json]] = {
    document["metadata"]["name"]: document
    for file in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
}
NEWER: Final = "v1beta2"
SCHEMAS: Final[dict[str, Json]] = {
    **{each.model.__name__: root_schema(each) for each in DEFINITIONS},
    NEWER: newer_version()["schema"]["openAPIV3Schema"],
}


def kind_of(document: Json) -> str:
    return NEWER if is_newer(document) else str(document["kind"])


def schema_of(document: Json) -> Json:
    return SCHEMAS[kind_of(document)]


def by_cel(document: Json) -> list[tuple[str, str]]:
    """What an API server refuses by its rules in CEL: where, and the words."""
    return list(refused(schema_of(document), document))


def by_rules(document: Json) -> list[str]:
    """What lint, the controller and admission refuse, without anything beside it."""
    found = list(strict.problems(document))
    if document["kind"] == "CanaryFleet":
        found += problems_of_fleet(document)
    if document["kind"] == "Canary":
        try:
            found += of_spec(parse_canary(to_v1beta1(document) if is_newer(document) else document), "traefik")
        except InvalidResource as error:
            found += error.problems
    return [str(each) for each in found]


def is_newer(document: Json) -> bool:
    return is_canary(document, table.API_VERSION)


def broken(name: str, path: str, value: Any) -> Json:
    """An example in which a field is another one, or none."""
    return changed(EXAMPLES[name], path, value)


def changed(document: Json, path: str, value: Any) -> Json:
    document = deepcopy(document)
    *parents, last = path.split(".")
    here: Any = document
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    key: Any = int(last) if isinstance(here, list) else last
    if value is None:
        del here[key]
    else:
        here[key] = value
    return document


SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "x"}
METRIC = "spec.analysis.metrics.0"
HOOK = "spec.analysis.webhooks.0"
BREAKS: Final[list[tuple[str, str, Any]]] = [
    ("my-app", "spec.analysis", None),
    ("my-app", "spec.analysis.stepWeight", 0),
    ("my-app", "spec.analysis.stepWeights", [5]),
    ("my-app", "spec.service", None),
    ("my-app", "spec.provider", "knative"),
    ("on-knative", "spec.autoscalerRef", SCALER),
    ("my-app", "spec.targetRef.kind", "StatefulSet"),
    ("compared-before", "spec.provider", "istio"),
    ("compared-before", "spec.autoscalerRef", SCALER),
    ("shop", "spec.service.gatewayRefs", None),
    ("behind-nginx", "spec.ingressRef", None),
    ("behind-apisix", "spec.routeRef", None),
    ("my-app", "spec.provider", "openshift"),
    ("shop", "spec.service.mirror.0.backendRef.port", None),
    ("ledger", "spec.autoscalerRef.primaryScalerReplicas.maxReplicas", 1),
    ("shop", "spec.analysis.stepWeights", [20, 10]),
    ("stepped", "spec.analysis.steps.0", {}),
    ("stepped", "spec.analysis.steps.3.scale.weight", 5),
    ("my-app", f"{METRIC}.name", "latency"),
    ("my-app", f"{METRIC}.threshold", None),
    ("my-app", METRIC, {"name": "request-rate", "compareTo": "primary"}),
    ("my-app", f"{METRIC}.compareTo", "primary"),
    ("my-app", f"{METRIC}.thresholdRange", {"min": 2.5, "max": 1}),
    ("my-app", f"{HOOK}.url", "ftp://x/"),
    ("my-app", f"{HOOK}.url", None),
    ("my-app", HOOK, {"name": "g", "type": "event", "gate": {"approval": {}}}),
    ("my-app", f"{HOOK}.gate", {"approval": {}}),
    ("my-app", HOOK, {"name": "g", "type": "rollout", "gate": {}}),
    ("my-app", HOOK, {"name": "g", "type": "rollout", "gate": {"tekton": {}}}),
    ("my-app", HOOK, {"name": "g", "type": "rollout", "gate": {"flux": {}}}),
    ("my-app", HOOK, {"name": "g", "type": "rollout", "gate": {"approval": {"approvers": ["a"], "minApprovals": 2}}}),
    ("my-app", HOOK, {"name": "g", "type": "rollout", "gate": {"approval": {"onTimeout": "approve"}}}),
    ("shop", "spec.analysis.sessionAffinity.primaryCookieName", "shop-canary"),
    ("error-rate", "spec.query", None),
    ("error-rate", "spec.provider.type", "job"),
    ("by-slack", "spec.address", None),
    ("by-slack", "spec.body", "x"),
    ("by-slack", "spec.headers", {"a": "b"}),
    ("fleet-shop", "spec.waves", []),
    ("fleet-shop", "spec.waves.3.count", 2),
    ("fleet-shop", "spec.waves.1.percent", 5),
    ("fleet-shop", "spec.waves.2.gates.0.url", "ftp://x"),
    ("fleet-shop", "spec.waves.2.gates.0.argocd", {"application": "x"}),
    ("fleet-shop", "spec.waves.2.gates.0", {"name": "synced", "flux": {}}),
    ("fleet-shop", "spec.members.selector.matchExpressions.0.operator", "Exists"),
    ("fleet-shop", "spec.waves.1.selector.matchExpressions.0.operator", "In"),
    ("fleet-shop", "spec.waves.1.stepWeights", [10]),
    ("fleet-by-cluster", "spec.traffic", None),
    ("fleet-by-cluster", "spec.mode", "watch"),
    ("fleet-by-cluster", "spec.traffic.members.0.share", 51),
    ("fleet-by-cluster", "spec.traffic.members.0.name", "us"),
    ("fleet-by-cluster", "spec.traffic.routes.0.apiVersion", "networking.istio.io/v1"),
    ("fleet-by-cluster", "spec.traffic.routes.0.host", "shop.example.com"),
]


NEWER_BREAKS: Final[list[tuple[str, Any]]] = [
    ("spec.rollout", None),
    ("spec", {"target": EXAMPLES["my-app"]["spec"]["targetRef"], "skipChecks": True, "traffic": {"hosts": ["a"]}}),
    ("spec.checks.0.when", "rollout"),
    ("spec.checks", [{"name": f"c{number}", "expression": "x"} for number in range(33)]),
    ("spec.checks.2.gate", {"approval": {}}),
    ("spec.checks.2.window", "1m"),
    ("spec.checks.0", {"name": "a", "expression": "x", "window": "1m"}),
]
"""The same of v1beta2 alone, where the example `my-app` is broken."""

NO_PLACE: Final = ("my-app", f"{HOOK}.url", None)
"""A webhook that nobody answers is no check of v1beta2, and is kept aside."""


def otherwise(document: Json) -> Iterator[Json]:
    """The same object as it may be written otherwise."""
    yield document
    spec = document["spec"]
    if document["kind"] == "Canary" and not is_newer(document):
        yield to_v1beta2(document)
        if "analysis" in spec:
            yield {**document, "spec": {"canaryAnalysis" if key == "analysis" else key: spec[key] for key in spec}}


@pytest.mark.parametrize(("name", "path", "value"), BREAKS, ids=[f"{name}-{path}" for name, path, _ in BREAKS])
def test_what_is_refused_by_cel_is_refused_by_the_rules(name: str, path: str, value: Any) -> None:
    """In each version and form, and the example itself by neither."""
    for good in otherwise(EXAMPLES[name]):
        assert by_cel(good) == []
    for document in otherwise(broken(name, path, value)):
        kept_aside = is_newer(document) and (name, path, value) == NO_PLACE
        assert by_cel(document) != [] or kept_aside, document["apiVersion"]
        assert {*by_rules(document)} - {*by_rules(EXAMPLES[name])} != set()


@pytest.mark.parametrize(("path", "value"), NEWER_BREAKS)
def test_what_v1beta2_alone_refuses_by_cel_is_refused_by_the_rules(path: str, value: Any) -> None:
    document = changed(to_v1beta2(EXAMPLES["my-app"]), path, value)
    assert by_cel(document) != []
    assert by_rules(document) != []


def test_every_rule_in_cel_is_broken_by_one_of_these() -> None:
    """So that none promises what nobody has looked at; durations are all alike."""
    documents = [each for entry in BREAKS for each in otherwise(broken(*entry))]
    documents += [changed(to_v1beta2(EXAMPLES["my-app"]), *entry) for entry in NEWER_BREAKS]
    hit = {(kind_of(each), *rule) for each in documents for rule in by_cel(each)}
    known = {(kind, *rule) for kind, schema in SCHEMAS.items() for rule in rules_of(schema)}
    assert sorted(each for each in known - hit if "is not a duration" not in each[2]) == []


def _places(value: Any, path: str) -> Iterator[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        if "." not in str(key):
            yield f"{path}.{key}"
            yield from _places(each, f"{path}.{key}")


FIELDS: Final = sorted(
    (name, place)
    for name, document in EXAMPLES.items()
    if not by_rules(document)
    for place in _places(document["spec"], "spec")
)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 1, 100, "x", "istio", "knative", "nginx", "10m", True, [], {}, {"min": 5, "max": 1}]
)


@given(st.sampled_from(FIELDS), VALUES)
@settings(max_examples=300, deadline=None)
def test_whatever_is_broken_cel_refuses_nothing_that_the_rules_let_pass(field: tuple[str, str], value: Any) -> None:
    """In what an API server has found to be of the right types; it looks at CEL after that."""
    for document in otherwise(broken(*field, value)):
        if not list(strict.problems(document)) and by_cel(document):
            assert by_rules(document) != [], by_cel(document)
