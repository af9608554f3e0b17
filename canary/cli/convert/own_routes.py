"""Routes that the controller makes in the place of a Rollout's: steps that choose or copy requests need one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from canary.cli.convert.fields import Part
from canary.kube.types import HTTP_ROUTE, VIRTUAL_SERVICE, Json, Resource, items, mapping

ASKING: Final = ("setHeaderRoute", "setMirrorRoute")
"""The steps that such a route is needed for."""

_EVERYTHING: Final[tuple[Json, ...]] = ({}, {"path": {"type": "PathPrefix", "value": "/"}}, {"path": {"value": "/"}})


@dataclass(frozen=True, slots=True)
class Own:
    """A route that the controller is to make.

    Args:
        provider: the traffic provider.
        service: the fields of `spec.service` that say what it attaches to.
        together: whether all conditions of a step hold together; else any of them.
    """

    provider: str
    service: Json
    together: bool


def own_route(canary: Part, beside: Sequence[Json]) -> Own | str:
    """What the controller makes in the place of the one route that a Rollout names.

    Args:
        canary: `spec.strategy.canary`.
        beside: the objects of all files.

    Returns:
        Why it can't, in words, where it can't.
    """
    routing = mapping(canary.value.get("trafficRouting"))
    istio, plugin = mapping(routing.get("istio")), mapping(mapping(routing.get("plugins")).get(_GATEWAY_API))
    services = {str(canary.value.get(each)) for each in ("stableService", "canaryService")}
    if name := str(mapping(istio.get("virtualService")).get("name") or ""):
        return _of_istio(name, beside)
    if name := str(plugin.get("httpRoute") or ""):
        return _of_gateway_api(name, beside, services)
    return "name one VirtualService or HTTPRoute, and give the file that it is in"


_GATEWAY_API: Final = "argoproj-labs/gatewayAPI"


def _of_istio(name: str, beside: Sequence[Json]) -> Own | str:
    spec = _spec(VIRTUAL_SERVICE, name, beside)
    if spec is None:
        return f"give the file of VirtualService {name}, too"
    (rule, *others) = items(spec.get("http")) or [{}]
    if others or spec.keys() - {"hosts", "gateways", "http"} or rule.keys() - {"name", "route"}:
        return f"VirtualService {name} says more than who gets which share; write it into spec.service"
    service = {field: spec[field] for field in ("hosts", "gateways") if spec.get(field)}
    return Own("istio", service, together=False)


def _of_gateway_api(name: str, beside: Sequence[Json], services: set[str]) -> Own | str:
    spec = _spec(HTTP_ROUTE, name, beside)
    if spec is None:
        return f"give the file of HTTPRoute {name}, too"
    (rule, *others) = items(spec.get("rules")) or [{}]
    plain = not rule.keys() - {"name", "matches", "backendRefs"} and all(
        each in _EVERYTHING for each in items(rule.get("matches"))
    )
    if others or not plain or {str(each.get("name")) for each in items(rule.get("backendRefs"))} - services:
        return f"HTTPRoute {name} says more than who gets which share; write it into spec.service"
    service: Json = {"gatewayRefs": items(spec.get("parentRefs"))}
    return Own(
        "gatewayapi:v1", service | ({"hosts": spec["hostnames"]} if spec.get("hostnames") else {}), together=True
    )


def take(routing: Part, name: str) -> None:
    """Take from `trafficRouting` what the controller's own route does, and say what becomes of the other.

    Args:
        routing: `spec.strategy.canary.trafficRouting`.
        name: that of the route which is made.
    """
    told = f"the controller makes a route {name} in its place, as steps choose or copy requests; delete it then"
    routing.take("managedRoutes")
    if "istio" in routing:
        istio = routing.part("istio")
        route = istio.part("virtualService")
        route.take("routes")
        route.differs("name", told)
        istio.differs("destinationRule", "the controller makes DestinationRules of its own; delete it then")
    else:
        gateway = routing.part("plugins").part(_GATEWAY_API)
        gateway.take("namespace")
        gateway.differs("httpRoute", told)


def _spec(resource: Resource, name: str, beside: Sequence[Json]) -> Json | None:
    """The spec of an object of the files; None where there is none."""
    for each in beside:
        group = str(each.get("apiVersion", "")).partition("/")[0]
        if (group, each.get("kind"), mapping(each.get("metadata")).get("name")) == (
            resource.group,
            resource.kind,
            name,
        ):
            return mapping(each.get("spec"))
    return None
