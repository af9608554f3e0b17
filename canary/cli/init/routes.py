"""What leads to a Service, and how a Canary takes part in it: the traffic provider, and the fields that it needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from canary.cli.init.surroundings import INGRESS_CLASS, INGRESS_ROUTE, Surroundings
from canary.kube.types import (
    APISIX_ROUTE,
    GRPC_ROUTE,
    HTTP_PROXY,
    HTTP_ROUTE,
    INGRESS,
    ROUTE,
    TRAEFIK_SERVICE,
    VIRTUAL_SERVICE,
    Json,
    Resource,
    items,
    mapping,
    name_of,
)
from canary.routers import ingress
from canary.routers.registry import ROUTES
from canary.routers.route_refs import WEIGHTS

_OWN: Final = {
    HTTP_ROUTE: "gatewayapi:v1",
    GRPC_ROUTE: "gatewayapi:v1",
    VIRTUAL_SERVICE: "istio",
    HTTP_PROXY: "contour",
    TRAEFIK_SERVICE: "traefik",
}
"""Kinds of route in which weights can be set as they stand, each with the provider whose metrics are asked."""

_CONTROLLERS: Final = {"k8s.io/ingress-nginx": "nginx", "ingress.k8s.aws/alb": "alb"}
"""Which provider an IngressClass is, by its controller."""

_CLASSES: Final = ("nginx", "alb", "skipper")
"""The names of classes that providers go by, where no IngressClass tells more."""

_ALB_ACTION: Final = "alb.ingress.kubernetes.io/actions."
_MESH: Final = "istio-injection"
_MESH_REVISION: Final = "istio.io/rev"


@dataclass(frozen=True, slots=True)
class Way:
    """How requests reach a Service.

    Args:
        provider: the traffic provider.
        spec: fields of the spec beside it.
        found: what was found, in words.
        todo: what is left to do once the Canary is initialized, in words.
    """

    provider: str
    spec: Json
    found: tuple[str, ...]
    todo: tuple[str, ...] = ()


def ways(seen: Surroundings, service: str) -> Iterator[Way]:
    """All ways to a Service of this name, the one that a Canary goes first; none where nothing leads there."""
    for find in _FINDERS:
        yield from find(seen, service)


def _own_routes(seen: Surroundings, service: str) -> Iterator[Way]:
    """Routes in whose weights the Canary takes part, all together."""
    leading = [
        (kind, each) for kind in _OWN for each in sorted(seen.of(kind), key=name_of) if _leads(kind, each, service)
    ]
    if not leading:
        return
    refs = [{"apiVersion": kind.api_version, "kind": kind.kind, "name": name_of(each)} for kind, each in leading]
    way = "where it leads to {service}, {way}"
    todo = []
    for kind, each in leading:
        told = WEIGHTS[kind].way.format(canary=f"{service}-canary", service=service)
        if kind is not TRAEFIK_SERVICE and f"{service}-canary" not in _leads_to(kind, each):
            todo.append(f"{kind.kind} {name_of(each)}: {way.format(service=service, way=told)}")
    found = tuple(f"{kind.kind} {name_of(each)} leads to Service {service}" for kind, each in leading)
    yield Way(_OWN[leading[0][0]], {"routeRefs": refs}, found, tuple(todo))


def _ingress_routes(seen: Surroundings, service: str) -> Iterator[Way]:
    for each in sorted(seen.of(INGRESS_ROUTE), key=name_of):
        routes = items(mapping(each.get("spec")).get("routes"))
        named = [backend for route in routes for backend in items(route.get("services"))]
        kinds = {backend.get("kind", "Service") for backend in named if backend.get("name") == service}
        if not kinds:
            continue
        found = (f"IngressRoute {name_of(each)} leads to {' and '.join(sorted(kinds))} {service}",)
        todo = f"IngressRoute {name_of(each)}: where it leads to {service}, write kind: TraefikService, without a port"
        yield Way("traefik", {}, found, () if kinds == {"TraefikService"} else (todo,))


def _ingresses(seen: Surroundings, service: str) -> Iterator[Way]:
    for each in sorted(seen.of(INGRESS), key=name_of):
        if service not in ingress.services(each):
            continue
        provider = _provider_of(seen, each)
        if provider:
            ref = {"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "name": name_of(each)}
            found = (f"Ingress {name_of(each)} of {provider} leads to Service {service}",)
            lacks = provider == "alb" and f"{_ALB_ACTION}{service}" not in ingress.annotations(each)
            todo = f"Ingress {name_of(each)}: name the port use-annotation where it leads to {service}"
            yield Way(provider, {"ingressRef": ref}, found, (todo,) if lacks else ())


def _provider_of(seen: Surroundings, each: Json) -> str:
    """Which provider an Ingress is of; empty for one that can't divide requests."""
    default = "ingressclass.kubernetes.io/is-default-class"
    spec = mapping(each.get("spec"))
    name = str(spec.get("ingressClassName") or ingress.annotations(each).get(ingress.CLASS_ANNOTATION) or "")
    for known in seen.of(INGRESS_CLASS):
        if name == name_of(known) or (not name and ingress.annotations(known).get(default) == "true"):
            name = name or name_of(known)
            controller = str(mapping(known.get("spec")).get("controller", ""))
            return _CONTROLLERS.get(controller, name if name in _CLASSES[2:] else "")
    return name if name in _CLASSES else ""


def _openshift(seen: Surroundings, service: str) -> Iterator[Way]:
    for each in sorted(seen.of(ROUTE), key=name_of):
        if _leads(ROUTE, each, service):
            ref = {"apiVersion": ROUTE.api_version, "kind": ROUTE.kind, "name": name_of(each)}
            yield Way("openshift", {"routeRef": ref}, (f"Route {name_of(each)} leads to Service {service}",))


def _apisix(seen: Surroundings, service: str) -> Iterator[Way]:
    for each in sorted(seen.of(APISIX_ROUTE), key=name_of):
        if _leads(APISIX_ROUTE, each, service):
            ref = {"apiVersion": APISIX_ROUTE.api_version, "kind": APISIX_ROUTE.kind, "name": name_of(each)}
            yield Way("apisix", {"routeRef": ref}, (f"ApisixRoute {name_of(each)} leads to Service {service}",))


def _mesh(seen: Surroundings, service: str) -> Iterator[Way]:
    labels = seen.labels or {}
    if labels.get(_MESH) == "enabled" or labels.get(_MESH_REVISION):
        found = (
            f"the namespace's pods are members of Istio's mesh; a VirtualService {service} will divide their requests"
        )
        yield Way("istio", {}, (found,))


_FINDERS: Final[tuple[Callable[[Surroundings, str], Iterator[Way]], ...]] = (
    _own_routes,
    _ingress_routes,
    _ingresses,
    _openshift,
    _apisix,
    _mesh,
)


def _leads(kind: Resource, route: Json, service: str) -> bool:
    return service in _leads_to(kind, route)


def _leads_to(kind: Resource, route: Json) -> frozenset[str]:
    """The Services of its own namespace that a route leads to, by their short names."""
    names = {name for each in ROUTES[kind] for name in each.leads_to(route)}
    if kind is not VIRTUAL_SERVICE:
        return frozenset(names)
    namespace = str(mapping(route.get("metadata")).get("namespace") or "")
    ours = (name.partition(".") for name in names)
    return frozenset(name for name, _, where in ours if where.partition(".")[0] in ("", namespace))
