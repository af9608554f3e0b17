"""Gloo: a RouteTable for each port, which the users' VirtualService delegates to, and an Upstream for each version.

A RouteTable's routes are one value to the API server, and asked in their order. What of an Upstream is for the users
to say is copied from the one that `upstreamRef` names.
"""

import math
from collections.abc import Iterator
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import ROUTE_TABLE, UPSTREAM, Json, ObjectRef, items, mapping
from canary.routers import gloo_options
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
from canary.routers.route_kind import BESIDE, Lists, share, summed

GLOO_FOLLOWS = timedelta(seconds=5)
"""How long requests may go on as before after a RouteTable has changed.

Gloo translates all of its configuration anew for each change, and nothing tells of which generation its status is. It
was not measured: as long as for the slowest gateway that was.
"""

_COPIED = (
    "sslConfig",
    "circuitBreakers",
    "connectionConfig",
    "loadBalancerConfig",
    "useHttp2",
    "initialStreamWindowSize",
    "initialConnectionWindowSize",
    "httpProxyHostname",
)
"""What an Upstream takes over from the one of `upstreamRef`, as with Flagger."""
_REMEDIES = {
    "service.hosts": "take it out: host names are those of the VirtualService that delegates to this RouteTable",
    "service.gatewayRefs": "take it out, or set provider: gatewayapi:v1",
    "service.gateways": "take it out: gateways choose VirtualServices",
    "service.delegation": "take it out: a RouteTable is always delegated to",
    "service.backendTimeout": "write service.timeout, or service.retries.perTryTimeout",
}
_VERSIONS = ("-primary", "-canary")


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    upstreams = (
        ObjectRef(UPSTREAM, canary.namespace, _upstream(canary.namespace, service, port.port))
        for port in canary.spec.service.all_ports
        for service in _services(canary)
    )
    return (*route_refs(canary, ROUTE_TABLE), *upstreams)


def _reads(canary: Canary) -> tuple[ObjectRef, ...]:
    ref = canary.spec.upstream_ref
    return (ObjectRef(UPSTREAM, ref.namespace or canary.namespace, ref.name),) if ref is not None else ()


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            "spec.upstreamRef", f"there is no Upstream {ref.name} in {ref.namespace}", "create it, or take this out"
        )
        for ref in _reads(canary)
        if ref not in observed
    )


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The RouteTables that divide requests so, one for each port, after the Upstreams that they lead to.

    Raises:
        ValueError: the split is for matched requests, and the spec has no conditions to match by.
    """
    need_conditions(canary, split)
    upstreams = (
        _upstream_manifest(canary, service, port, observed)
        for port in canary.spec.service.all_ports
        for service in _services(canary)
    )
    tables = (
        _manifest(canary, name, _routes(canary, port, split), observed, owned=True)
        for name, port in routed_ports(canary)
    )
    return (*upstreams, *tables)


def _split(canary: Canary, observed: Observed) -> Split | None:
    return together(_split_of(canary, observed.get(ref, {})) for ref in route_refs(canary, ROUTE_TABLE))


def _unsettled(canary: Canary, observed: Observed) -> str:
    """Which RouteTable Gloo has refused; of one that it hasn't seen yet nothing tells."""
    for ref in route_refs(canary, ROUTE_TABLE):
        for status in mapping(mapping(observed.get(ref, {}).get("status")).get("statuses")).values():
            if mapping(status).get("state") in ("Rejected", 2):
                return f"Gloo doesn't accept RouteTable {ref.name}: {status.get('reason') or 'no reason given'}"
    return ""


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return tuple(
        _manifest(
            canary,
            name,
            [_route(canary, None, [_to_service(canary.namespace, canary.service_name, port.port, TOTAL_WEIGHT)])],
            observed,
            owned=False,
        )
        for name, port in routed_ports(canary)
    )


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return (*refused(canary, GLOO, _REMEDIES), *gloo_options.problems(canary), *_reference_problems(canary))


def _reference_problems(canary: Canary) -> Iterator[Problem]:
    ref = canary.spec.upstream_ref
    if ref is not None and ref.api_version not in {"", UPSTREAM.api_version}:
        yield Problem("spec.upstreamRef.apiVersion", "is not Gloo's", f"write {UPSTREAM.api_version}")
    if ref is not None and ref.kind not in {"", UPSTREAM.kind}:
        yield Problem("spec.upstreamRef.kind", "is not Gloo's", f"write {UPSTREAM.kind}")


def _services(canary: Canary) -> tuple[str, str]:
    return canary.service_primary_name, canary.service_canary_name


def _upstream(namespace: str, service: str, port: int) -> str:
    """The name of a version's Upstream, as Flagger names it."""
    name, _, version = service.rpartition("-")
    return f"{namespace}-{name}-{version}upstream-{port}"


def _split_of(canary: Canary, table: Json) -> Split | None:
    """How one RouteTable divides requests; None where it doesn't exist or leads elsewhere."""
    routes = items(mapping(table.get("spec")).get("routes"))
    weights = [_weights(route) for route in routes]
    if not routes or not all(found and found.keys() <= set(_services(canary)) for found in weights):
        return None
    first, rest = weights[0], weights[1:]
    if len(rest) > 1 or any(found.get(canary.service_canary_name) for found in rest):
        return None
    percent = share(first.get(canary.service_canary_name, 0), first.get(canary.service_primary_name, 0))
    return None if percent is None else Split(percent, _mirrored(canary, routes[0]), matched=bool(rest))


def _weights(route: Json) -> dict[str, int]:
    return summed(_destinations(route) or [], _name, _weight)


def _mirrored(canary: Canary, route: Json) -> int:
    shadowing = mapping(mapping(route.get("options")).get("shadowing"))
    if _named_by(mapping(shadowing.get("upstream"))) != canary.service_canary_name:
        return 0
    return min(TOTAL_WEIGHT, math.ceil(float(shadowing.get("percentage") or 0)))


def _routes(canary: Canary, port: ServicePort, split: Split) -> list[Json]:
    shares = (split.primary, split.canary)
    weighted = [_destination(canary, each, port, share) for each, share in zip(_services(canary), shares, strict=True)]
    shadow = {}
    if split.mirror:
        upstream = _upstream(canary.namespace, canary.service_canary_name, port.port)
        shadow = {"upstream": {"name": upstream, "namespace": canary.namespace}, "percentage": split.mirror}
    if not split.matched:
        return [_route(canary, None, weighted, shadow)]
    primary = [_destination(canary, canary.service_primary_name, port, TOTAL_WEIGHT)]
    chosen = gloo_options.analysis_matchers(canary)
    return [_route(canary, chosen, weighted, shadow), _route(canary, None, primary)]


def _route(canary: Canary, matchers: list[Json] | None, destinations: list[Json], shadow: Json | None = None) -> Json:
    """A route that takes the path that it is delegated to for, where its matchers say nothing of a path."""
    route: Json = {"inheritablePathMatchers": True}
    if found := matchers or gloo_options.service_matchers(canary):
        route["matchers"] = found
    options = {**gloo_options.options(canary), **({"shadowing": shadow} if shadow else {})}
    if options:
        route["options"] = options
    return {**route, "routeAction": {"multi": {"destinations": destinations}}}


def _destination(canary: Canary, service: str, port: ServicePort, weight: int) -> Json:
    name = _upstream(canary.namespace, service, port.port)
    return {"destination": {"upstream": {"name": name, "namespace": canary.namespace}}, "weight": weight}


def _to_service(namespace: str, service: str, port: int, weight: int) -> Json:
    return {"destination": {"kube": {"ref": {"name": service, "namespace": namespace}, "port": port}}, "weight": weight}


def _upstream_manifest(canary: Canary, service: str, port: ServicePort, observed: Observed) -> Apply:
    ref = ObjectRef(UPSTREAM, canary.namespace, _upstream(canary.namespace, service, port.port))
    # What was copied stays while the one to copy from is missing.
    models = [observed.get(each, observed.get(ref, {})) for each in _reads(canary)]
    copied = {field: value for each in models for field, value in mapping(each.get("spec")).items() if field in _COPIED}
    kube = {"serviceName": service, "serviceNamespace": canary.namespace, "servicePort": port.port}
    return written(canary, ref, {**copied, "kube": kube}, observed)


def _manifest(canary: Canary, name: str, routes: list[Json], observed: Observed, *, owned: bool) -> Apply:
    return written(canary, ObjectRef(ROUTE_TABLE, canary.namespace, name), {"routes": routes}, observed, owned=owned)


def _destinations(route: Json) -> list[Json] | None:
    found = mapping(mapping(route.get("routeAction")).get("multi")).get("destinations")
    return found if isinstance(found, list) else None


def _name(destination: Json) -> str:
    """The Service that a destination leads to."""
    where = mapping(destination.get("destination"))
    kube = mapping(mapping(where.get("kube")).get("ref"))
    return str(kube["name"]) if "name" in kube else _named_by(mapping(where.get("upstream")))


def _named_by(upstream: Json) -> str:
    """The Service that an Upstream of this name is for; empty where it is none of a version's."""
    name = str(upstream.get("name", "")).removeprefix(f"{upstream.get('namespace')}-")
    for version in _VERSIONS:
        service, found, _ = name.rpartition(f"{version}upstream-")
        if found:
            return service + version
    return ""


def _named(destination: Json, name: str) -> Json:
    """The destination with another Service: a version's by its Upstream, any other by itself."""
    where = mapping(destination.get("destination"))
    kube, upstream = mapping(where.get("kube")), mapping(where.get("upstream"))
    namespace = str(mapping(kube.get("ref")).get("namespace") or upstream.get("namespace"))
    port = int(kube.get("port") or str(upstream.get("name")).rpartition("-")[2])
    if name.endswith(_VERSIONS):
        made = {"upstream": {"name": _upstream(namespace, name, port), "namespace": namespace}}
        return {**destination, "destination": made}
    return {**destination, **_to_service(namespace, name, port, _weight(destination))}


def _weight(destination: Json) -> int:
    return int(destination.get("weight") or 0)


def _backends(spec: Json) -> list[list[Json]]:
    found: Iterator[list[Json] | None] = (_destinations(route) for route in items(spec.get("routes")))
    return [each for each in found if each is not None]


def _shadows(spec: Json) -> tuple[str, ...]:
    """The versions' Services that get copies of requests."""
    found = (mapping(mapping(route.get("options")).get("shadowing")) for route in items(spec.get("routes")))
    return tuple(filter(None, (_named_by(mapping(each.get("upstream"))) for each in found)))


def _without_shadows(spec: Json) -> Json:
    """The routes, with no copies for the versions' Services."""
    routes = items(spec.get("routes"))
    for route in routes:
        if _shadows({"routes": [route]}):
            route["options"] = {key: value for key, value in route["options"].items() if key != "shadowing"}
    return {"routes": routes}


GLOO = Provider(
    names=("gloo",),
    makes=_makes,
    reads=_reads,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    settle=GLOO_FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT
    | {
        "service.timeout",
        "service.ports",
        "service.match",
        "service.rewrite",
        "service.retries",
        "service.headers",
        "service.corsPolicy",
        "analysis.match",
        "analysis.mirror",
        "upstreamRef",
    },
    problems=_problems,
    routes={
        ROUTE_TABLE: Lists(
            backends=_backends,
            part=_without_shadows,
            name=_name,
            named=_named,
            weight=_weight,
            further=_shadows,
        ).kind,
        UPSTREAM: BESIDE,
    },
)
