"""What a GatewayClass does not list is refused by the name of the field; one that lists nothing is not held to it."""

from collections.abc import Callable

import pytest

from canary.api.canary import Canary
from canary.controller.observe.routes import glanced
from canary.kube.types import GATEWAY, GATEWAY_CLASS, Json, ObjectRef, Resource
from canary.routers.registry import ROUTERS

ROUTER = ROUTERS["gatewayapi:v1"]
TRAEFIK = (
    "GRPCRoute",
    "HTTPRoute",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRoutePathRewrite",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteResponseHeaderModification",
)
"""What Traefik 3.7.15 lists, of what is asked for: filters for mirroring and CORS answer 500, timeouts are ignored."""
HTTP = {"gatewayRefs": [{"name": "public", "namespace": "gateways"}]}
GRPC: Json = {**HTTP, "routeKind": "GRPCRoute"}
Make = Callable[..., Canary]


def gateway(name: str = "public", of: str = "traefik") -> Json:
    return {"kind": "Gateway", "metadata": {"name": name, "namespace": "gateways"}, "spec": {"gatewayClassName": of}}


def gateway_class(*features: object, name: str = "traefik") -> Json:
    return {"kind": "GatewayClass", "metadata": {"name": name}, "status": {"supportedFeatures": [*features]}}


def told(canary: Canary, *objects: Json) -> list[tuple[str, str]]:
    """The fields that are refused, and why."""
    there = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in objects}

    def find(resource: Resource, namespace: str, name: str) -> Json | None:
        return there.get((resource.kind, namespace, name))

    problems = ROUTER.unfit(canary, glanced(ROUTER, canary, find))
    assert all(problem.remedy for problem in problems)
    return [(problem.field, problem.message) for problem in problems]


MIRROR = {"backendRef": {"name": "shadow", "port": 80}}


@pytest.mark.parametrize(
    ("service", "analysis", "field", "feature"),
    [
        ({"timeout": "5s"}, {}, "spec.service.timeout", "HTTPRouteRequestTimeout"),
        ({"backendTimeout": "5s"}, {}, "spec.service.backendTimeout", "HTTPRouteBackendTimeout"),
        ({"corsPolicy": {"allowOrigin": ["*"]}}, {}, "spec.service.corsPolicy", "HTTPRouteCORS"),
        ({"mirror": [MIRROR]}, {}, "spec.service.mirror", "HTTPRouteRequestMirror"),
        ({}, {"iterations": 2, "mirror": True}, "spec.analysis.mirror", "HTTPRouteRequestMirror"),
    ],
)
def test_what_traefik_does_not_do_is_what_it_does_not_list(
    make_canary: Make, service: Json, analysis: Json, field: str, feature: str
) -> None:
    canary = make_canary({**HTTP, **service}, {**analysis} or {"stepWeight": 10})
    assert ROUTER.problems(canary) == ()
    traefik = gateway_class(*({"name": each} for each in TRAEFIK))
    message = f"GatewayClass traefik does not list {feature} among what its gateways can do"
    assert told(canary, gateway(), traefik) == [(field, message)]
    assert told(canary, gateway(), gateway_class(*TRAEFIK, feature)) == []


@pytest.mark.parametrize(
    ("service", "analysis", "feature"),
    [
        ({"rewrite": {"authority": "a.test"}}, {}, "HTTPRouteHostRewrite"),
        ({"rewrite": {"uri": "/"}}, {}, "HTTPRoutePathRewrite"),
        ({"headers": {"response": {"remove": ["a"]}}}, {}, "HTTPRouteResponseHeaderModification"),
        ({"match": [{"method": {"exact": "GET"}}]}, {}, "HTTPRouteMethodMatching"),
        ({"match": [{"queryParams": {"a": {"exact": "b"}}}]}, {}, "HTTPRouteQueryParamMatching"),
        ({"mirror": [MIRROR, MIRROR]}, {}, "HTTPRouteRequestMultipleMirrors"),
        ({}, {"mirror": True, "mirrorWeight": 50}, "HTTPRouteRequestPercentageMirror"),
        ({}, {"match": [{"queryParams": {"a": {"exact": "b"}}}]}, "HTTPRouteQueryParamMatching"),
        ({}, {"sessionAffinity": {"cookieName": "c"}}, "HTTPRouteResponseHeaderModification"),
        ({"routeKind": "GRPCRoute"}, {}, "GRPCRoute"),
        ({"ports": [{"name": "grpc", "port": 81, **GRPC}]}, {}, "GRPCRoute"),
    ],
)
def test_each_feature_is_needed_for_what_it_says(
    make_canary: Make, service: Json, analysis: Json, feature: str
) -> None:
    canary = make_canary({**HTTP, **service}, {"stepWeight": 10, **analysis})
    mirror = "HTTPRouteRequestMirror"
    (found,) = told(canary, gateway(), gateway_class("HTTPRoute", mirror))
    assert feature in found[1]
    assert told(canary, gateway(), gateway_class("HTTPRoute", mirror, feature)) == []


@pytest.mark.parametrize(
    "objects",
    [
        [],
        [gateway()],
        [gateway(), gateway_class()],
        [gateway(), {**gateway_class(), "status": {}}],
        [gateway(), gateway_class({"name": "Mesh"})],
        [gateway(), gateway_class("HTTPRoute", name="other")],
        [gateway("other"), gateway_class("HTTPRoute")],
    ],
)
def test_what_nobody_can_know_is_not_held_against_a_spec(make_canary: Make, objects: list[Json]) -> None:
    """Where the gateway or its class can't be seen, or the class says nothing of routes."""
    assert told(make_canary({**HTTP, "timeout": "5s"}, {"stepWeight": 10}), *objects) == []


def test_one_gateway_that_cannot_is_enough(make_canary: Make) -> None:
    refs = [{"name": "public", "namespace": "gateways"}, {"name": "internal", "namespace": "gateways"}]
    canary = make_canary({"gatewayRefs": refs, "timeout": "5s"}, {"stepWeight": 10})
    able, unable = gateway_class("HTTPRoute", "HTTPRouteRequestTimeout", name="able"), gateway_class("HTTPRoute")
    (found,) = told(canary, gateway(of="able"), gateway("internal"), able, unable)
    assert "GatewayClass traefik" in found[1]


def test_a_spec_that_all_gateways_can_honour_has_nobody_look_at_any(make_canary: Make) -> None:
    """So that it needs no right to them."""
    assert ROUTER.glances(make_canary({**HTTP, "hosts": ["a.test"]}, {"stepWeight": 10}), {}) == ()
    mesh = make_canary({"gatewayRefs": [{"group": "", "kind": "Service", "name": "app"}], "timeout": "5s"})
    assert ROUTER.glances(mesh, {}) == ()


def test_a_gateway_is_of_the_canarys_namespace_where_none_is_named(make_canary: Make) -> None:
    canary = make_canary({"gatewayRefs": [{"name": "a"}], "timeout": "5s"})
    here = ObjectRef(GATEWAY, "shop", "a")
    assert ROUTER.glances(canary, {}) == (here,)
    seen = {here: gateway("a")}
    assert ROUTER.glances(canary, seen) == (here, ObjectRef(GATEWAY_CLASS, "", "traefik"))


def test_an_analysis_that_is_skipped_asks_for_nothing(make_canary: Make) -> None:
    canary = make_canary(HTTP, {"mirror": True, "sessionAffinity": {"cookieName": "c"}}, skipAnalysis=True)
    assert ROUTER.glances(canary, {}) == ()
