"""`trafficRouting` of a Rollout, as the traffic provider of a Canary and the fields that it needs."""

from typing import Final

from canary.cli.convert.fields import Part
from canary.kube.types import (
    APISIX_ROUTE,
    GRPC_ROUTE,
    HTTP_ROUTE,
    INGRESS,
    TCP_ROUTE,
    TLS_ROUTE,
    TRAEFIK_SERVICE,
    VIRTUAL_SERVICE,
    Json,
    Resource,
)

_GATEWAY_API: Final = "argoproj-labs/gatewayAPI"
_GATEWAY_ROUTES: Final = {
    "httpRoute": HTTP_ROUTE,
    "grpcRoute": GRPC_ROUTE,
    "tcpRoute": TCP_ROUTE,
    "tlsRoute": TLS_ROUTE,
}
_OWN: Final = "the controller makes that object, and names it after the Service"
_ONE: Final = "an Ingress is one Canary's, and one alone is named; it goes on leading to the promoted version"


def routed(routing: Part, rename: str) -> Json:
    """The fields of the spec by which requests are divided; empty where no counterpart is known.

    Args:
        routing: `spec.strategy.canary.trafficRouting`.
        rename: how the Services are called now, for routes of the users' own.
    """
    weight = routing.number("maxTrafficWeight")
    if weight not in (None, 100):
        routing.lost("maxTrafficWeight", "weights are percents, out of 100")
    routing.lost("managedRoutes", "no further rules are put into a route")
    for name in ("appMesh", "ambassador"):
        routing.lost(name, "there is no such traffic provider; see docs/providers.md for those there are")
    for name, make in (
        ("istio", _istio),
        ("nginx", _nginx),
        ("alb", _alb),
        ("traefik", _traefik),
        ("apisix", _apisix),
        ("smi", _smi),
        ("plugins", _plugins),
    ):
        if name in routing and (found := make(routing.part(name), rename)):
            return found
    return {}


def _ref(resource: Resource, name: str) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "name": name}


def _istio(part: Part, rename: str) -> Json:
    named = [part.part("virtualService")] if "virtualService" in part else []
    refs = []
    for each in [*named, *part.parts("virtualServices")]:
        name = each.text("name")
        namespace, _, bare = name.rpartition("/")
        if namespace:
            each.lost("name", "a Canary's routes stand in its own namespace")
        each.source.note(each.path, f"VirtualService {bare}: {rename}", lost=False)
        for field in ("routes", "tlsRoutes", "tcpRoutes"):
            each.differs(field, "weights are set in every rule that leads to both versions")
        refs.append(_ref(VIRTUAL_SERVICE, bare))
    part.lost("destinationRule", "the versions have Services of their own, and no subsets: name these as hosts")
    return {"provider": "istio", "routeRefs": refs} if refs else {}


def _ingress(part: Part, one: str, more: str) -> str:
    """The one Ingress that a Canary has, with a note on the others; empty where none is named."""
    several = part.take(more)
    names = [str(each) for each in several] if isinstance(several, list) else []
    names = [each for each in [part.text(one), *names] if each]
    if len(names) > 1:
        part.source.note(part.at(more), f"{', '.join(names[1:])}: {_ONE}", lost=True)
    return names[0] if names else ""


def _nginx(part: Part, _rename: str) -> Json:
    ingress = _ingress(part, "stableIngress", "stableIngresses")
    if part.text("annotationPrefix") not in ("", "nginx.ingress.kubernetes.io"):
        part.lost("annotationPrefix", "annotations begin with nginx.ingress.kubernetes.io")
    for field in ("additionalIngressAnnotations", "canaryIngressAnnotations"):
        part.lost(field, "the canary's Ingress has the annotations of yours, and the canary's")
    return {"provider": "nginx", "ingressRef": _ref(INGRESS, ingress)} if ingress else {}


def _alb(part: Part, _rename: str) -> Json:
    ingress = _ingress(part, "ingress", "ingresses")
    part.take("servicePort")
    part.take("rootService")
    part.lost("annotationPrefix", "annotations begin with alb.ingress.kubernetes.io")
    part.differs("stickinessConfig", "write targetGroupStickinessConfig into the Ingress' action; it is kept")
    return {"provider": "alb", "ingressRef": _ref(INGRESS, ingress)} if ingress else {}


def _traefik(part: Part, rename: str) -> Json:
    name = part.text("weightedTraefikServiceName")
    part.differs("weightedTraefikServiceName", f"TraefikService {name}: {rename}, and leave the canary's out")
    return {"provider": "traefik", "routeRefs": [_ref(TRAEFIK_SERVICE, name)]} if name else {}


def _apisix(part: Part, rename: str) -> Json:
    route = part.part("route")
    name = route.text("name")
    route.differs("rules", "every rule that leads to the Service is divided")
    route.differs("name", f"ApisixRoute {name}: {rename}, and leave the canary's out")
    return {"provider": "apisix", "routeRef": _ref(APISIX_ROUTE, name)} if name else {}


def _smi(part: Part, _rename: str) -> Json:
    part.lost("trafficSplitName", _OWN)
    part.take("rootService")
    return {"provider": "linkerd"}


def _plugins(part: Part, rename: str) -> Json:
    for name in part.value:
        if name != _GATEWAY_API:
            part.lost(name, "there are no plugins; see docs/providers.md for the traffic providers there are")
    gateway = part.part(_GATEWAY_API) if _GATEWAY_API in part else None
    if gateway is None:
        return {}
    namespace = gateway.text("namespace")
    if namespace not in ("", gateway.source.namespace):
        gateway.lost("namespace", "a Canary's routes stand in its own namespace")
    refs = []
    for field, resource in _GATEWAY_ROUTES.items():
        names = [gateway.text(field)] if field in gateway else []
        names += [each.text("name") for each in gateway.parts(f"{field}s")]
        refs += [_ref(resource, each) for each in names if each]
    if refs:
        named = ", ".join(f"{each['kind']} {each['name']}" for each in refs)
        gateway.source.note(gateway.path, f"{named}: {rename}", lost=False)
    return {"provider": "gatewayapi:v1", "routeRefs": refs} if refs else {}
