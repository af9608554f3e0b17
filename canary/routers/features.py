"""What a GatewayClass says that its gateways can do, beside what all of them must.

Some answer 500 to every request of a route with a filter that they don't know, or ignore what they can't do, and say
`Accepted` all the same. What a class lists is relied upon; one that lists nothing of routes is not held to it.
https://gateway-api.sigs.k8s.io/geps/gep-2162
"""

from collections.abc import Iterator

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import TCP, TLS, ListenerReference, ServicePort
from canary.api.traffic import TOTAL_WEIGHT
from canary.kube.types import GATEWAY, GATEWAY_CLASS, Json, ObjectRef, items, mapping
from canary.routers.base import Observed, spec_path

_ROUTES = frozenset({"HTTPRoute", "GRPCRoute", "TLSRoute"})
_CARRIES = {TCP: ("TCP", "TLS"), TLS: ("TLS",)}
"""The protocols of listeners that take routes of connections."""


def glances(canary: Canary, seen: Observed) -> tuple[ObjectRef, ...]:
    """The gateways of a spec that asks for what not all can do, and the classes of those that were seen."""
    if not any(_asked(canary)) and not any(port.is_of_connections for port in canary.spec.service.all_ports):
        return ()
    gateways = _gateways(canary)
    classes = (mapping(seen.get(each, {}).get("spec")).get("gatewayClassName") for each in gateways)
    return (*gateways, *(ObjectRef(GATEWAY_CLASS, "", str(each)) for each in dict.fromkeys(classes) if each))


def problems(canary: Canary, seen: Observed) -> Iterator[Problem]:
    """What a spec asks for and a class doesn't list, or no listener takes."""
    yield from _listeners(canary, seen)
    for ref, found in seen.items():
        listed = _listed(found) if ref.resource == GATEWAY_CLASS else frozenset()
        if not listed & _ROUTES:
            continue
        for field, feature in _asked(canary):
            if feature not in listed:
                yield Problem(
                    spec_path(canary, field),
                    f"GatewayClass {ref.name} does not list {feature} among what its gateways can do",
                    "take it out, or name a gateway of another class",
                )


def _listeners(canary: Canary, seen: Observed) -> Iterator[Problem]:
    """Gateways without a listener for the route of a port that divides connections.

    Whoever serves them may leave such a route alone, without a word in its status.
    """
    service = canary.spec.service
    paths = ("service", *(f"service.ports[{index}]" for index in range(len(service.ports))))
    for path, port in zip(paths, service.all_ports, strict=True):
        for index, ref in enumerate(port.gateway_refs if port.is_of_connections else ()):
            gateway = seen.get(ObjectRef(GATEWAY, ref.namespace or canary.namespace, ref.name))
            if _is_one(ref) and gateway is not None and (why := _not_taken(port, ref, gateway)):
                field = spec_path(canary, f"{path}.gatewayRefs[{index}]")
                remedy = f"name a listener of protocol {' or '.join(_CARRIES[port.route_kind])}, by its sectionName"
                yield Problem(field, why, remedy)


def _not_taken(port: ServicePort, ref: ListenerReference, gateway: Json) -> str:
    """Why no listener takes a port's route; empty where one does."""
    told = {str(each.get("name")): each for each in items(mapping(gateway.get("status")).get("listeners"))}
    why = []
    for listener in items(mapping(gateway.get("spec")).get("listeners")):
        name, protocol = str(listener.get("name")), str(listener.get("protocol"))
        if ref.section_name not in (None, "", name) or ref.port not in (None, listener.get("port")):
            continue
        kinds = [each.get("kind") for each in items(told.get(name, {}).get("supportedKinds"))]
        if protocol not in _CARRIES[port.route_kind]:
            why.append(f"{name} is of protocol {protocol}")
        elif name in told and "supportedKinds" in told[name] and port.route_kind not in kinds:
            why.append(f"{name} takes {', '.join(map(str, kinds)) or 'no route'}{_words(told[name])}")
        else:
            return ""
    found = ", ".join(why) or "there is none of that name and port"
    return f"no listener of Gateway {ref.name} takes a {port.route_kind}: {found}"


def _words(listener: Json) -> str:
    """What is said of a listener that is not accepted."""
    conditions = items(listener.get("conditions"))
    said = (str(each.get("message")) for each in conditions if (each.get("type"), each.get("status")) == _NOT_ACCEPTED)
    return next((f" ({each})" for each in said if each), "")


_NOT_ACCEPTED = ("Accepted", "False")


def _gateways(canary: Canary) -> tuple[ObjectRef, ...]:
    refs = (ref for port in canary.spec.service.all_ports for ref in port.gateway_refs)
    return tuple(
        dict.fromkeys(ObjectRef(GATEWAY, ref.namespace or canary.namespace, ref.name) for ref in refs if _is_one(ref))
    )


def _is_one(ref: ListenerReference) -> bool:
    return (ref.group, ref.kind) == (GATEWAY.group, GATEWAY.kind)


def _listed(gateway_class: Json) -> frozenset[str]:
    """The features, which were words alone before Gateway API 1.3."""
    found = mapping(gateway_class.get("status")).get("supportedFeatures")
    entries = found if isinstance(found, list) else []
    return frozenset(str(mapping(each).get("name", "")) if isinstance(each, dict) else str(each) for each in entries)


def _asked(canary: Canary) -> Iterator[tuple[str, str]]:
    """Fields that a spec sets, each with the feature that it needs."""
    service, analysis = canary.spec.service, canary.analysis
    mirrors = bool(analysis.mirror) and not canary.skip_analysis
    sticky = analysis.session_affinity is not None and not canary.skip_analysis
    partly = mirrors and analysis.mirror_weight not in (0, TOTAL_WEIGHT)
    chosen = any(match.query_params for match in analysis.match) and not canary.skip_analysis
    ahead = any(match.query_params for match in analysis.always_match) and not canary.skip_analysis
    answers = service.headers is not None and service.headers.response is not None
    needs = (
        ("service.routeKind", "GRPCRoute", service.first_port.is_grpc),
        ("service.ports[].routeKind", "GRPCRoute", any(port.is_grpc for port in service.ports)),
        # Of TCPRoutes the listener tells: that they are a feature to be listed is as new as Gateway API 1.6.
        ("service.routeKind", TLS, service.route_kind == TLS),
        ("service.ports[].routeKind", TLS, any(port.route_kind == TLS for port in service.ports)),
        ("service.timeout", "HTTPRouteRequestTimeout", bool(service.timeout)),
        ("service.backendTimeout", "HTTPRouteBackendTimeout", bool(service.backend_timeout)),
        ("service.corsPolicy", "HTTPRouteCORS", service.cors_policy is not None),
        ("service.rewrite.authority", "HTTPRouteHostRewrite", bool(service.rewrite and service.rewrite.authority)),
        ("service.rewrite.uri", "HTTPRoutePathRewrite", bool(service.rewrite and service.rewrite.uri)),
        ("service.headers.response", "HTTPRouteResponseHeaderModification", answers),
        ("service.match", "HTTPRouteMethodMatching", any(match.method for match in service.match)),
        ("service.match", "HTTPRouteQueryParamMatching", any(match.query_params for match in service.match)),
        ("service.mirror", "HTTPRouteRequestMirror", bool(service.mirror)),
        ("service.mirror", "HTTPRouteRequestMultipleMirrors", len(service.mirror) + mirrors > 1),
        ("analysis.mirror", "HTTPRouteRequestMirror", mirrors),
        ("analysis.mirrorWeight", "HTTPRouteRequestPercentageMirror", partly),
        ("analysis.match", "HTTPRouteQueryParamMatching", chosen),
        ("analysis.alwaysMatch", "HTTPRouteQueryParamMatching", ahead),
        ("analysis.sessionAffinity", "HTTPRouteResponseHeaderModification", sticky),
    )
    return ((field, feature) for field, feature, is_asked in needs if is_asked)
