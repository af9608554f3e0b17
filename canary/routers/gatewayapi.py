"""Gateway API: an HTTPRoute, GRPCRoute, TCPRoute or TLSRoute for each port, attached to gateways that the spec names.

Ours are the route's parents, host names and rules, each of which is one value to the API server. So rules that others
add to the route are taken off again; labels and annotations of others stay.
"""

from dataclasses import replace

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import GRPC, TCP, TLS, ListenerReference, ServicePort
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import (
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE,
    TCP_ROUTE,
    TLS_ROUTE,
    Json,
    ObjectRef,
    Resource,
    items,
    mapping,
)
from canary.routers import affinity, connections, features, filters, grpc, limits, matches
from canary.routers.base import (
    BY_WEIGHT,
    TRAEFIK_FOLLOWS,
    Apply,
    Granularity,
    Observed,
    Provider,
    always,
    need_conditions,
    refused,
    routed_ports,
    together,
    written,
)
from canary.routers.route_kind import Lists, lists, summed
from canary.routers.shares import by_rules, weights_of

_FIELDS = BY_WEIGHT | {
    "service.timeout",
    "service.backendTimeout",
    "service.gatewayRefs",
    "service.hosts",
    "service.ports",
    "service.ports[].gatewayRefs",
    "service.ports[].routeKind",
    "service.routeKind",
    "service.match",
    "service.rewrite",
    "service.headers",
    "service.mirror",
    "service.corsPolicy",
    "analysis.alwaysMatch",
    "analysis.match",
    "analysis.mirror",
    "analysis.sessionAffinity",
}


_KINDS = {GRPC: GRPC_ROUTE, TCP: TCP_ROUTE, TLS: TLS_ROUTE}
"""The kinds of route that are not HTTPRoutes, by what specs call them."""

_REFUSALS = {"Accepted": "doesn't accept", "ResolvedRefs": "can't find what is named by"}
"""What a gateway says of a route by the conditions that must be true for it to serve."""


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    return tuple(ObjectRef(_kind(port), canary.namespace, name) for name, port in routed_ports(canary))


def _kind(port: ServicePort) -> Resource:
    return _KINDS.get(port.route_kind, HTTP_ROUTE)


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The routes that divide requests so, one for each port.

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


def _unsettled(canary: Canary, observed: Observed) -> str:
    """Which gateway has not taken a route's current state, and what it says about it."""
    ports = zip(_makes(canary), canary.spec.service.all_ports, strict=True)
    said = (not_taken(observed.get(ref, {}), ref, {each.name for each in port.gateway_refs}) for ref, port in ports)
    return next((each for each in said if each), "")


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return tuple(
        _manifest(
            canary,
            name,
            port,
            [_rule(canary, port, [_backend(canary.service_name, port, TOTAL_WEIGHT)])],
            observed,
            owned=False,
        )
        for name, port in routed_ports(canary)
    )


def _problems(canary: Canary) -> tuple[Problem, ...]:
    """The fields of the spec, and the conditions in them, that its routes can't honour."""
    return (
        *refused(canary, GATEWAY_API),
        *matches.problems(canary),
        *filters.problems(canary),
        *limits.problems(canary),
        *grpc.problems(canary),
        *connections.problems(canary),
    )


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    """What the spec asks for and the classes of its gateways don't list."""
    return tuple(features.problems(canary, observed))


def _split_of(canary: Canary, route: Json) -> Split | None:
    """How one route divides requests; None where it doesn't exist or leads elsewhere."""
    found = items(mapping(route.get("spec")).get("rules"))
    rules = affinity.weighted_rule(canary, found)
    said = by_rules(canary, [summed(items(rule.get("backendRefs"))) for rule in rules])
    return None if said is None else replace(said, mirror=_mirrored(rules[0], canary.service_canary_name))


def not_taken(route: Json, ref: ObjectRef, gateways: set[str]) -> str:
    """Which of these gateways has not taken a route as it is now, and what it says about it."""
    name = f"{ref.resource.kind} {ref.name}"
    generation = mapping(route.get("metadata")).get("generation") or 0
    for parent in items(mapping(route.get("status")).get("parents")):
        gateway = mapping(parent.get("parentRef")).get("name")
        for condition in items(parent.get("conditions")):
            refusal = _REFUSALS.get(str(condition.get("type")))
            if gateway not in gateways or refusal is None:
                continue
            if (condition.get("observedGeneration") or 0) < generation:
                return f"gateway {gateway} has not yet seen the latest {name}"
            if condition.get("status") != "True":
                said = condition.get("message") or condition.get("reason") or "no reason given"
                return f"gateway {gateway} {refusal} {name}: {said}"
    return ""


def _rules(canary: Canary, port: ServicePort, split: Split) -> list[Json]:
    if port.is_of_connections:
        # Whatever is chosen by its requests can't be told from the rest.
        return [_rule(canary, port, _weighted_backends(canary, port, Split(0) if split.matched else split))]
    weighted = _rule(canary, port, _weighted_backends(canary, port, split), mirror=split.mirror)
    if not split.matched:
        return [*_ahead(canary, port, split), *affinity.sticky_rules(canary, split, weighted)]
    weighted["matches"] = matches.analysis_matches(canary)
    return [weighted, _rule(canary, port, [_backend(canary.service_primary_name, port, TOTAL_WEIGHT)])]


def _ahead(canary: Canary, port: ServicePort, split: Split) -> list[Json]:
    """The rule for requests that reach the canary whatever its weight."""
    conditions = always(canary, split)
    if not conditions:
        return []
    rule = _rule(canary, port, [_backend(canary.service_canary_name, port, TOTAL_WEIGHT)])
    return [{**rule, "matches": matches.analysis_matches(canary, conditions)}]


def _manifest(
    canary: Canary, name: str, port: ServicePort, rules: list[Json], observed: Observed, *, owned: bool
) -> Apply:
    spec: Json = {
        "parentRefs": [_parent(ref) for ref in port.gateway_refs],
        "rules": _worded(port, rules),
    }
    if canary.spec.service.hosts and port.route_kind != TCP:
        spec["hostnames"] = list(canary.spec.service.hosts)
    return written(canary, ObjectRef(_kind(port), canary.namespace, name), spec, observed, owned=owned)


def _worded(port: ServicePort, rules: list[Json]) -> list[Json]:
    """Rules of an HTTPRoute in the words of the port's own kind."""
    if port.is_of_connections:
        return [connections.rule(rule) for rule in rules]
    return [grpc.rule(rule) for rule in rules] if port.is_grpc else rules


def _parent(ref: ListenerReference) -> Json:
    parent: Json = {"group": ref.group, "kind": ref.kind, "name": ref.name}
    optional = {"namespace": ref.namespace, "sectionName": ref.section_name, "port": ref.port}
    return {**parent, **{field: value for field, value in optional.items() if value is not None}}


def _rule(canary: Canary, port: ServicePort, backends: list[Json], *, mirror: int = 0) -> Json:
    """A rule for all requests of the route. It spells out what the API server would fill in, to stay comparable."""
    rule: Json = {"matches": matches.service_matches(canary), "backendRefs": backends}
    found = filters.filters(canary)
    if mirror:
        found.append(filters.mirror_to(canary.service_canary_name, port.port, mirror))
    if found:
        rule["filters"] = found
    if limits := filters.timeouts(canary):
        rule["timeouts"] = limits
    return rule


def _weighted_backends(canary: Canary, port: ServicePort, split: Split) -> list[Json]:
    return [_backend(name, port, weight) for name, weight in weights_of(canary, split).items()]


def _backend(name: str, port: ServicePort, weight: int) -> Json:
    return {"group": "", "kind": "Service", "name": name, "port": port.port, "weight": weight}


def _mirrored(rule: Json, service: str) -> int:
    for entry in items(rule.get("filters")):
        mirror = mapping(entry.get("requestMirror"))
        if mapping(mirror.get("backendRef")).get("name") != service:
            continue
        if "percent" in mirror:
            return int(mirror["percent"])
        fraction = mapping(mirror.get("fraction"))
        if fraction:
            return int(TOTAL_WEIGHT * fraction["numerator"] / fraction.get("denominator", TOTAL_WEIGHT))
        return TOTAL_WEIGHT
    return 0


def _copied_to(entry: Json) -> str:
    return str(mapping(mapping(entry.get("requestMirror")).get("backendRef")).get("name", ""))


ROUTE = Lists(
    backends=lambda spec: lists(items(spec.get("rules")), "backendRefs"),
    part=lambda spec: {"rules": items(spec.get("rules"))},
    mirrors=lambda spec: lists(items(spec.get("rules")), "filters"),
    mirrored=_copied_to,
)
"""Where a route has its backends."""

GATEWAY_API = Provider(
    # Every release of the Gateway API that is still maintained serves both names for the same objects.
    names=("gatewayapi:v1", "gatewayapi:v1beta1"),
    makes=_makes,
    glances=features.glances,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    # Nothing tells which implementation serves a route; of those that were measured Traefik is the slowest.
    settle=TRAEFIK_FOLLOWS,
    weights=Granularity.PERCENT,
    fields=_FIELDS,
    problems=_problems,
    routes=dict.fromkeys((HTTP_ROUTE, GRPC_ROUTE, TCP_ROUTE, TLS_ROUTE), ROUTE.kind),
    sources=(GATEWAY, GATEWAY_CLASS),
    baseline=True,
)
