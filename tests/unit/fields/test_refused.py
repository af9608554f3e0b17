"""Fields that are for a traffic provider to honour, on the providers that can't: refused by name, with a remedy."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from canary.api import in_place, knative
from canary.api.canary import Canary, parse_canary
from canary.api.crds import DEFINITIONS, root_schema, schema_at
from canary.api.schema import plain_fields
from canary.kube.types import Json
from canary.routers.base import routed_fields
from canary.routers.registry import ROUTERS, router_of

SCHEMA = root_schema(next(each for each in DEFINITIONS if each.model is Canary))
BARE: Json = {
    "metadata": {"name": "app", "namespace": "shop"},
    "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}, "analysis": {}},
}
ROUTED = tuple(f"spec.{path}" for path in routed_fields(parse_canary(BARE)))
NAME = re.compile(r"\.x\b")

UNSPEAKABLE = (
    "name",
    "ignoreUriCase",
    "scheme",
    "authority",
    "port",
    "gateways",
    "sourceLabels",
    "sourceNamespace",
    "withoutHeaders",
)
"""Conditions of Istio's that the Gateway API has no words for."""

BEYOND_GATEWAYS = (
    *(
        f"spec.service.{name}"
        for name in ("gateways", "delegation", "trafficPolicy", "retries", "meshName", "backends")
    ),
    *(f"spec.service.match[].{name}" for name in UNSPEAKABLE),
    "spec.service.match[].uri.suffix",
    *(f"spec.service.match[].method.{form}" for form in ("prefix", "suffix", "regex")),
    *(f"spec.service.corsPolicy.allowOrigins[].{form}" for form in ("prefix", "suffix", "regex")),
    *(
        f"spec.{room}[].{what}.*.{form}"
        for room in ("service.match", "analysis.match", "analysis.alwaysMatch")
        for what in ("headers", "queryParams")
        for form in ("prefix", "suffix")
    ),
    "spec.analysis.alwaysMatch[].sourceLabels",
    "spec.analysis.match[].sourceLabels",
    "spec.analysis.replicaRatio",
    "spec.ingressRef",
    "spec.routeRef",
    "spec.upstreamRef",
)
BEYOND_ISTIO = (
    *(f"spec.service.{name}" for name in ("gatewayRefs", "backendTimeout", "meshName", "backends")),
    *("spec.service.ports[].gatewayRefs", "spec.service.ports[].routeKind", "spec.service.routeKind"),
    *(f"spec.service.mirror[].backendRef.{name}" for name in ("group", "kind", "namespace")),
    "spec.analysis.replicaRatio",
    "spec.ingressRef",
    "spec.routeRef",
    "spec.upstreamRef",
)
BEYOND_CONTOUR = (
    *(
        f"spec.service.{name}"
        for name in (
            "backendTimeout",
            "gateways",
            "gatewayRefs",
            "hosts",
            "ports[].gatewayRefs",
            "routeKind",
            "ports[].routeKind",
            "delegation",
            "trafficPolicy",
            "corsPolicy",
            "meshName",
            "backends",
            "match[].uri.suffix",
            "headers.request.add",
            "headers.response.add",
        )
    ),
    *(f"spec.service.match[].{name}" for name in UNSPEAKABLE if name != "authority"),
    "spec.analysis.alwaysMatch",
    "spec.analysis.match[].sourceLabels",
    "spec.analysis.replicaRatio",
    "spec.analysis.sessionAffinity",
    "spec.ingressRef",
    "spec.routeRef",
    "spec.upstreamRef",
)
BEYOND_GLOO = (
    *(path for path in BEYOND_CONTOUR if not path.endswith((".corsPolicy", ".add", ".upstreamRef"))),
    "spec.service.mirror",
    *(f"spec.service.match[].method.{form}" for form in ("prefix", "suffix", "regex")),
)
BEYOND_KUMA = (
    *(path for path in BEYOND_GATEWAYS if ".corsPolicy." not in path),
    *(
        f"spec.service.{name}"
        for name in (
            "timeout",
            "backendTimeout",
            "gatewayRefs",
            "hosts",
            "ports[].gatewayRefs",
            "routeKind",
            "ports[].routeKind",
            "corsPolicy",
        )
    ),
    "spec.analysis.alwaysMatch",
    "spec.analysis.sessionAffinity",
)
PORTS = "spec.service.ports"
LISTENERS = ("spec.service.ports[].gatewayRefs", "spec.service.ports[].routeKind")
"""Further ports are honoured by every provider, and listeners and routes of their own by gateways."""

BY_PODS = "spec.analysis.replicaRatio"
BY_WEIGHT = tuple(f"spec.analysis.stepWeight{what}" for what in ("", "Promotion", "Rollback"))

BY_INGRESS = ("spec.ingressRef", *(f"spec.analysis.match[].headers.*.{form}" for form in ("exact", "regex")))


def is_below(path: str, holders: tuple[str, ...]) -> bool:
    return path in holders or path.startswith(tuple(f"{holder}{sign}" for holder in holders for sign in ".["))


FIELDS = [path for path in plain_fields(SCHEMA) if is_below(path, ROUTED)]
NOT_ALL = [path for path in FIELDS if not is_below(path, (PORTS,)) or is_below(path, LISTENERS)]
CASES = [
    *(("kubernetes", path) for path in NOT_ALL if path != BY_PODS),
    *(("traefik", path) for path in NOT_ALL if path not in BY_WEIGHT),
    *(("apisix", path) for path in NOT_ALL if path not in BY_WEIGHT and not is_below(path, ("spec.routeRef",))),
    *(("contour", path) for path in FIELDS if is_below(path, BEYOND_CONTOUR)),
    *(("gloo", path) for path in FIELDS if is_below(path, BEYOND_GLOO)),
    *(("kuma", path) for path in FIELDS if is_below(path, BEYOND_KUMA)),
    *((by, path) for by in ("linkerd", "smi") for path in NOT_ALL if path not in (*BY_WEIGHT, "spec.service.hosts")),
    *(("alb", path) for path in FIELDS if path not in BY_WEIGHT and not is_below(path, ("spec.ingressRef",))),
    *(("openshift", path) for path in FIELDS if path not in BY_WEIGHT and not is_below(path, ("spec.routeRef",))),
    *(("nginx", path) for path in NOT_ALL if path not in BY_WEIGHT and not is_below(path, BY_INGRESS)),
    *(("skipper", path) for path in NOT_ALL if path not in BY_WEIGHT and not is_below(path, BY_INGRESS[:1])),
    *(("gatewayapi", path) for path in FIELDS if is_below(path, BEYOND_GATEWAYS)),
    *(("istio", path) for path in FIELDS if is_below(path, BEYOND_ISTIO) or path.endswith(".suffix")),
    *(("knative", path) for path in FIELDS if path not in BY_WEIGHT or path.endswith("Promotion")),
    *(("in place", path) for path in FIELDS if path != "spec.analysis.stepWeight"),
]


def example(schema: Json, path: str) -> Any:
    """The least value of a schema that sets the field at a path, and whatever must be there beside it."""
    if not path and "properties" not in schema:
        return plain(schema)
    if path.startswith("[]"):
        return [example(schema["items"], path[2:].removeprefix("."))]
    name, _, rest = path.partition(".")
    if name == "*":
        return {"x": example(schema["additionalProperties"], rest)}
    properties = schema["properties"]
    made = {each: example(properties[each], "") for each in schema.get("required", ())}
    if name:
        bare = name.removesuffix("[]")
        made[bare] = example(properties[bare], name.removeprefix(bare) + ("." if rest and name != bare else "") + rest)
    return made


def plain(schema: Json) -> Any:
    if "enum" in schema:
        return schema["enum"][-1]
    if "items" in schema:
        return [example(schema["items"], "")]
    if "additionalProperties" in schema:
        return {"x": example(schema["additionalProperties"], "")}
    return {"integer": 1, "number": 1.5, "boolean": True}.get(schema.get("type", ""), "x")


def told(canary: Canary, provider: str) -> set[str]:
    """The fields that a provider refuses, as the CRD writes their paths."""
    if provider == "in place":
        target = canary.spec.target_ref.replace(kind="StatefulSet")
        canary = canary.replace(spec=canary.spec.replace(target_ref=target))
    if provider == "knative":
        target = canary.spec.target_ref.replace(api_version="serving.knative.dev/v1", kind="Service")
        canary = canary.replace(spec=canary.spec.replace(target_ref=target))
    router = router_of(canary, next((name for name in ROUTERS if name.partition(":")[0] == provider), ""))
    assert router is not None
    problems = (*router.problems(canary), *in_place.references(canary, ""), *knative.references(canary, ""))
    assert all(problem.message and problem.remedy for problem in problems)
    return {NAME.sub(".*", re.sub(r"\[\d+\]", "[]", problem.field)) for problem in problems}


@pytest.mark.parametrize(("refused_by", "field"), CASES)
def test_it_is_refused_by_its_name(document: Callable[..., Json], refused_by: str, field: str) -> None:
    """Or by the name of what it is in, where all of that is refused."""
    *_, room = (each for each in ("spec", "spec.service", "spec.analysis") if field.startswith(f"{each}."))
    changes = {f"{room}.{name}": value for name, value in beneath(room, field).items()}
    bare, made = (parse_canary(document(BARE, each)) for each in ({}, changes))
    new = told(made, refused_by) - told(bare, refused_by)
    assert any(is_below(field, (name,)) for name in new), new


def beneath(room: str, field: str) -> dict[str, Any]:
    """The least value that sets a field, by the name that it has in a part of the spec."""
    path = field.removeprefix(f"{room}.")
    first = path.partition(".")[0].removesuffix("[]")
    return {first: example({"properties": schema_at(SCHEMA, room)["properties"]}, path)[first]}
