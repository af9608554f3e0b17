"""Contour: an HTTPProxy for each port, which the users' own HTTPProxy, the one with the host name, includes.

Ours is its list of routes, which is one value to the API server. A canary without requests stays on the list with a
weight of 0, as Envoy asks nobody of that weight.
"""

from dataclasses import replace
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import HTTP_PROXY, Json, ObjectRef, condition_of, items, mapping
from canary.routers import httpproxy
from canary.routers.base import (
    BY_WEIGHT,
    Apply,
    Granularity,
    Observed,
    Provider,
    need_conditions,
    refused,
    route_refs,
    routed_ports,
    together,
    written,
)
from canary.routers.route_kind import Lists, lists
from canary.routers.shares import by_weights, weights_of

CONTOUR_FOLLOWS = timedelta(seconds=2)
"""How long requests may go on as before after an HTTPProxy has changed.

Contour gathers the cluster's changes for 0.1 s after each, and for 0.5 s at most; a lone one was served after 8 ms
(1.33). Twice the longest wait, as a change may come while the one before is worked on, and a second for a large
cluster, where making the configuration for all Envoys takes its time.
"""

_LINKERD = "l5d-dst-override"
"""The header by which an Envoy that is meshed by Linkerd says where a request goes, as Flagger sets it."""

_INCLUDED = "host names are those of the HTTPProxy that includes this one"
_REMEDIES = {
    "service.hosts": f"take it out: {_INCLUDED}, its virtualhost.fqdn",
    "service.corsPolicy": "write it as virtualhost.corsPolicy in the HTTPProxy that includes this one",
    "service.backendTimeout": "write service.timeout, or service.retries.perTryTimeout",
    "service.gateways": f"take it out: {_INCLUDED}",
    "service.gatewayRefs": "take it out, or set provider: gatewayapi:v1",
    "service.delegation": "take it out: an HTTPProxy of this provider is always included by another one",
    "analysis.sessionAffinity": "take it out, or set provider: gatewayapi:v1; an HTTPProxy can't add a cookie",
}


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    return route_refs(canary, HTTP_PROXY)


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The HTTPProxies that divide requests so, one for each port.

    Raises:
        ValueError: the split is for matched requests, and the spec has no conditions to match by.
    """
    need_conditions(canary, split)
    return tuple(
        _manifest(canary, name, _routes(canary, port, split), observed, owned=True)
        for name, port in routed_ports(canary)
    )


def _split(canary: Canary, observed: Observed) -> Split | None:
    return together(_split_of(canary, observed.get(ref, {})) for ref in _makes(canary))


def _unsettled(canary: Canary, observed: Observed) -> str:
    """Which HTTPProxy Contour has not taken as it is now, and why."""
    said = (not_taken(ref, observed.get(ref, {})) for ref in _makes(canary))
    return next((each for each in said if each), "")


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return tuple(
        _manifest(
            canary,
            name,
            _everybody(canary, [_service(canary, canary.service_name, port, TOTAL_WEIGHT)]),
            observed,
            owned=False,
        )
        for name, port in routed_ports(canary)
    )


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return (*refused(canary, CONTOUR, _REMEDIES), *httpproxy.problems(canary))


def _split_of(canary: Canary, proxy: Json) -> Split | None:
    """How one HTTPProxy divides requests; None where it doesn't exist or leads elsewhere."""
    routes = items(mapping(proxy.get("spec")).get("routes"))
    splits = [_split_of_route(canary, route) for route in routes]
    found = [each for each in splits if each is not None]
    led = {each for each in found if each != Split(0)} or {Split(0)}
    if not found or len(found) < len(splits) or len(led) > 1:
        return None
    (split,) = led
    matched = len(set(found)) > 1 or routes[0].get("conditions") in httpproxy.analysis_conditions(canary)
    return replace(split, matched=matched)


def _split_of_route(canary: Canary, route: Json) -> Split | None:
    weights: dict[str, int] = {}
    mirror = 0
    for service in items(route.get("services")):
        name, weight = str(service.get("name")), int(service.get("weight") or 0)
        if not service.get("mirror"):
            weights[name] = weights.get(name, 0) + weight
        elif name == canary.service_canary_name:
            mirror = weight or TOTAL_WEIGHT
    if not any(weights.values()):
        # Contour divides evenly where nobody has a weight.
        weights = dict.fromkeys(weights, 1)
    ours = by_weights(canary, weights) if weights.keys() <= weights_of(canary, Split(1, baseline=1)).keys() else None
    return None if ours is None else replace(ours, mirror=mirror)


def not_taken(ref: ObjectRef, proxy: Json) -> str:
    """Why Contour has not taken an HTTPProxy as it is now; empty where it has, or tells nothing."""
    status, generation = mapping(proxy.get("status")), mapping(proxy.get("metadata")).get("generation") or 0
    valid = condition_of(proxy, "Valid")
    if not valid:
        unknown = f"no Contour has taken HTTPProxy {ref.name}: one that runs takes those of its ingress class"
        return unknown if status.get("currentStatus") == "NotReconciled" else ""
    if (valid.get("observedGeneration") or 0) < generation:
        return f"Contour has not yet seen the latest HTTPProxy {ref.name}"
    if status.get("currentStatus") == "orphaned":
        including = f"includes: [{{name: {ref.name}, namespace: {ref.namespace}}}]"
        return f"no HTTPProxy with a virtualhost includes HTTPProxy {ref.name}: write {including} into one"
    if valid.get("status") != "True":
        said = "; ".join(str(each.get("message")) for each in items(valid.get("errors"))) or valid.get("message")
        return f"Contour doesn't accept HTTPProxy {ref.name}: {said or 'no reason given'}"
    return ""


def _routes(canary: Canary, port: ServicePort, split: Split) -> list[Json]:
    weighted = [_service(canary, name, port, weight) for name, weight in weights_of(canary, split).items()]
    if split.mirror:
        # A weight of 0 would be all of them.
        weighted.append({"name": canary.service_canary_name, "port": port.port, "mirror": True, "weight": split.mirror})
    if not split.matched:
        return _everybody(canary, weighted)
    chosen = [_route(canary, conditions, weighted) for conditions in httpproxy.analysis_conditions(canary)]
    return [*chosen, *_everybody(canary, [_service(canary, canary.service_primary_name, port, TOTAL_WEIGHT)])]


def _everybody(canary: Canary, services: list[Json]) -> list[Json]:
    return [_route(canary, conditions, services) for conditions in httpproxy.service_conditions(canary)]


def _route(canary: Canary, conditions: list[Json], services: list[Json]) -> Json:
    shadows = [
        {"name": each.backend_ref.name, "port": each.backend_ref.port, "mirror": True, "weight": TOTAL_WEIGHT}
        for each in canary.spec.service.mirror
    ]
    return {"conditions": conditions, **httpproxy.policies(canary), "services": [*services, *shadows]}


def _service(canary: Canary, name: str, port: ServicePort, weight: int) -> Json:
    address = f"{name}.{canary.namespace}.svc.cluster.local:{port.port}"
    override = {"set": [{"name": _LINKERD, "value": address}]}
    return {"name": name, "port": port.port, "weight": weight, "requestHeadersPolicy": override}


def _manifest(canary: Canary, name: str, routes: list[Json], observed: Observed, *, owned: bool) -> Apply:
    return written(canary, ObjectRef(HTTP_PROXY, canary.namespace, name), {"routes": routes}, observed, owned=owned)


def _copied(service: Json) -> bool:
    return bool(service.get("mirror"))


def _named(service: Json, name: str) -> Json:
    """The service with another name, and the header that says so to Linkerd."""
    renamed: Json = {**service, "name": name}
    policy = mapping(service.get("requestHeadersPolicy"))
    if policy:
        headers = [
            {**each, "value": f"{name}.{str(each.get('value')).partition('.')[2]}"}
            if each.get("name") == _LINKERD
            else each
            for each in items(policy.get("set"))
        ]
        renamed["requestHeadersPolicy"] = {**policy, "set": headers}
    return renamed


PROXY = Lists(
    backends=lambda spec: lists(items(spec.get("routes")), "services"),
    part=lambda spec: {"routes": items(spec.get("routes"))},
    named=_named,
    copied=_copied,
    weight=lambda service: int(service.get("weight") or 0),
)
"""Where an HTTPProxy has its backends."""

CONTOUR = Provider(
    names=("contour",),
    makes=_makes,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    settle=CONTOUR_FOLLOWS,
    baseline=True,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT
    | {
        "service.timeout",
        "service.ports",
        "service.match",
        "service.rewrite",
        "service.retries",
        "service.headers",
        "service.mirror",
        "analysis.match",
        "analysis.mirror",
    },
    problems=_problems,
    routes={HTTP_PROXY: PROXY.kind},
)
