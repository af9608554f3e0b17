"""Kuma: a MeshHTTPRoute for each port, beside the Services, for all who call them in the mesh.

Services are chosen by their labels, the one way that Kuma 3 knows. By the name and namespace alone it is a route of
whoever offers the Service, and so for callers of every namespace. The canary stays on the list with a weight of 0.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import MESH_HTTP_ROUTE, Json, ObjectRef, items, mapping
from canary.routers import filters, matches
from canary.routers.base import (
    BY_WEIGHT,
    Apply,
    Granularity,
    Observed,
    Provider,
    need_conditions,
    refused,
    route_metadata,
    route_refs,
    routed_ports,
    spec_path,
    together,
)
from canary.routers.route_kind import Lists, lists, summed
from canary.routers.shares import by_rules, weights_of

KUMA_FOLLOWS = timedelta(seconds=5)
"""How long requests may go on as before after a MeshHTTPRoute has changed.

Kuma's control plane looks once a second for what is new for a proxy (`dataplaneConfigurationRefreshInterval`), and
nothing tells when the last of the callers' proxies has taken it. Two of these looks, and three seconds for many
proxies: as long as for the slowest gateway that was measured.
"""

_MESH = "kuma.io/mesh"
_NAME, _NAMESPACE = "kuma.io/display-name", "k8s.kuma.io/namespace"
_MODIFIERS = ("requestHeaderModifier", "responseHeaderModifier")
_REMEDIES = {
    "service.timeout": "take it out and write a MeshTimeout",
    "service.backendTimeout": "take it out and write a MeshTimeout",
    "service.retries": "take it out and write a MeshRetry",
    "service.hosts": "take it out: callers name the Service",
    "service.gateways": "take it out: callers name the Service",
    "service.gatewayRefs": "take it out, or set provider: gatewayapi:v1",
    "service.meshName": f"take it out, and name the mesh by the Canary's annotation {_MESH}",
}


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    return route_refs(canary, MESH_HTTP_ROUTE)


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The MeshHTTPRoutes that divide requests so, one for each port.

    Raises:
        ValueError: the split is for matched requests, and the spec has no conditions to match by.
    """
    need_conditions(canary, split)
    return tuple(
        _manifest(canary, name, port, _rules(canary, port, split), observed, owned=True)
        for name, port in routed_ports(canary)
    )


def _split(canary: Canary, observed: Observed) -> Split | None:
    return together(_split_of(canary, observed.get(ref, {})) for ref in _makes(canary))


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return tuple(
        _manifest(
            canary,
            name,
            port,
            [
                _rule(
                    canary, matches.service_matches(canary), [_backend(canary, canary.service_name, port, TOTAL_WEIGHT)]
                )
            ],
            observed,
            owned=False,
        )
        for name, port in routed_ports(canary)
    )


def _problems(canary: Canary) -> tuple[Problem, ...]:
    known = (*matches.problems(canary, "Kuma"), *filters.rewrite_problems(canary))
    return (*refused(canary, KUMA, _REMEDIES), *known, *_mirrors(canary))


def _mirrors(canary: Canary) -> Iterator[Problem]:
    for index, mirror in enumerate(canary.spec.service.mirror):
        backend, path = mirror.backend_ref, spec_path(canary, f"service.mirror[{index}].backendRef")
        for field, value, known in (("group", backend.group, ""), ("kind", backend.kind, "Service")):
            if value != known:
                yield Problem(f"{path}.{field}", "Kuma copies requests to Services only", "name a Service")


def _split_of(canary: Canary, route: Json) -> Split | None:
    """How one MeshHTTPRoute divides requests; None where it doesn't exist or leads elsewhere."""
    rules = [rule for to in items(mapping(route.get("spec")).get("to")) for rule in items(to.get("rules"))]
    weights = [summed(items(mapping(rule.get("default")).get("backendRefs")), _name) for rule in rules]
    said = by_rules(canary, weights)
    return None if said is None else replace(said, mirror=_mirrored(canary, rules[0]))


def _mirrored(canary: Canary, rule: Json) -> int:
    for entry in items(mapping(rule.get("default")).get("filters")):
        if _copied_to(entry) == canary.service_canary_name:
            return _percent(mapping(entry.get("requestMirror")).get("percentage"))
    return 0


def _percent(percentage: object) -> int:
    """A number, or a text with one; all where there is none, and a part of a percent counts as a whole one."""
    try:
        return max(0, min(TOTAL_WEIGHT, math.ceil(float(str(percentage)))))
    except (ValueError, OverflowError):
        return TOTAL_WEIGHT


def _rules(canary: Canary, port: ServicePort, split: Split) -> list[Json]:
    everybody = matches.service_matches(canary)
    weighted = [_backend(canary, name, port, weight) for name, weight in weights_of(canary, split).items()]
    mirror = _mirror(canary.service_canary_name, canary.namespace, port.port)
    copies = [{**mirror, "requestMirror": {**mirror["requestMirror"], "percentage": split.mirror}}] * bool(split.mirror)
    if not split.matched:
        return [_rule(canary, everybody, weighted, copies)]
    primary = [_backend(canary, canary.service_primary_name, port, TOTAL_WEIGHT)]
    return [_rule(canary, matches.analysis_matches(canary), weighted, copies), _rule(canary, everybody, primary)]


def _rule(canary: Canary, conditions: list[Json], backends: list[Json], copies: list[Json] | None = None) -> Json:
    default: Json = {"backendRefs": backends}
    if found := [*(_spoken(canary, each) for each in filters.filters(canary)), *(copies or ())]:
        default["filters"] = found
    return {"matches": [_lower_names(each) for each in conditions], "default": default}


def _spoken(canary: Canary, entry: Json) -> Json:
    """A filter of the Gateway API's in Kuma's words, which differ in names of headers and in references."""
    if "requestMirror" in entry:
        backend = entry["requestMirror"]["backendRef"]
        return _mirror(backend["name"], backend.get("namespace") or canary.namespace, backend.get("port"))
    for field in _MODIFIERS:
        if field in entry:
            changes = {
                what: [
                    each.lower() if isinstance(each, str) else {**each, "name": each["name"].lower()} for each in found
                ]
                for what, found in entry[field].items()
            }
            return {**entry, field: changes}
    return entry


def _lower_names(condition: Json) -> Json:
    if "headers" not in condition:
        return condition
    return {**condition, "headers": [{**each, "name": each["name"].lower()} for each in condition["headers"]]}


def _mirror(name: str, namespace: str, port: int | None) -> Json:
    labels = {_NAME: name, _NAMESPACE: namespace}
    backend: Json = {"kind": "MeshService", "labels": labels, **({} if port is None else {"port": port})}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": backend}}


def _backend(canary: Canary, name: str, port: ServicePort, weight: int) -> Json:
    labels = {_NAME: name, _NAMESPACE: canary.namespace}
    return {"kind": "MeshService", "labels": labels, "port": port.port, "weight": weight}


def _manifest(
    canary: Canary, name: str, port: ServicePort, rules: list[Json], observed: Observed, *, owned: bool
) -> Apply:
    existing = observed.get(ObjectRef(MESH_HTTP_ROUTE, canary.namespace, name))
    metadata = route_metadata(canary, name, existing, owned=owned)
    metadata["labels"] = {**metadata.get("labels", {}), _MESH: canary.metadata.annotations.get(_MESH, "default")}
    target = {
        "kind": "MeshService",
        "labels": {_NAME: canary.service_name, _NAMESPACE: canary.namespace},
        "sectionName": port.name,
    }
    return Apply(
        {
            "apiVersion": MESH_HTTP_ROUTE.api_version,
            "kind": MESH_HTTP_ROUTE.kind,
            "metadata": metadata,
            "spec": {"targetRef": {"kind": "Mesh"}, "to": [{"targetRef": target, "rules": rules}]},
        }
    )


def _name(backend: Json) -> str:
    return str(mapping(backend.get("labels")).get(_NAME, ""))


def _named(backend: Json, name: str) -> Json:
    return {**backend, "labels": {**mapping(backend.get("labels")), _NAME: name}}


def _lists(spec: Json, field: str) -> list[list[Json]]:
    rules = (rule for to in items(spec.get("to")) for rule in items(to.get("rules")))
    return lists((mapping(rule.get("default")) for rule in rules), field)


def _copied_to(entry: Json) -> str:
    return _name(mapping(mapping(entry.get("requestMirror")).get("backendRef")))


KUMA = Provider(
    names=("kuma",),
    makes=_makes,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    settle=KUMA_FOLLOWS,
    baseline=True,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT
    | {
        "service.ports",
        "service.match",
        "service.rewrite",
        "service.headers",
        "service.mirror",
        "analysis.match",
        "analysis.mirror",
    },
    problems=_problems,
    routes={
        MESH_HTTP_ROUTE: Lists(
            backends=lambda spec: _lists(spec, "backendRefs"),
            part=lambda spec: {"to": items(spec.get("to"))},
            name=_name,
            named=_named,
            mirrors=lambda spec: _lists(spec, "filters"),
            mirrored=_copied_to,
        ).kind
    },
)
