"""TCPRoutes and TLSRoutes divide connections; what can only be done to requests is refused by name."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.controller.observe.routes import glanced
from canary.kube.types import TCP_ROUTE, TLS_ROUTE, Json, ObjectRef, Resource
from canary.routers.registry import ROUTERS
from tests.tools.routes import by_ref, made, manifests

ROUTER = ROUTERS["gatewayapi:v1"]
GATEWAYS: Json = {"gatewayRefs": [{"name": "public"}]}
TCP: Json = {"routeKind": "TCPRoute", **GATEWAYS}
TLS: Json = {"routeKind": "TLSRoute", "hosts": ["a.test"], **GATEWAYS}
Make = Callable[..., Canary]


def canary(service: Json) -> Canary:
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80, **service},
        "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10},
    }
    return parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "1"}, "spec": spec})


@given(st.sampled_from([(TCP, TCP_ROUTE), (TLS, TLS_ROUTE)]), st.integers(0, 100))
def test_every_split_can_be_read_back_and_made_again_changes_nothing(
    chosen: tuple[Json, Resource], percent: int
) -> None:
    service, resource = chosen
    app, split = canary(service), Split(percent)
    objects = made(ROUTER, app, split)
    assert by_ref(objects).keys() == set(ROUTER.makes(app)) == {ObjectRef(resource, "shop", "app")}
    assert ROUTER.split(app, by_ref(objects)) == split
    assert made(ROUTER, app, split, by_ref(objects)) == objects


@pytest.mark.parametrize("kinds", [TCP, TLS, {**GATEWAYS, "ports": [{"name": "db", "port": 5432, **TCP}]}])
@pytest.mark.parametrize(
    ("service", "analysis", "field"),
    [
        ({"timeout": "5s"}, {}, "spec.service.timeout"),
        ({"backendTimeout": "5s"}, {}, "spec.service.backendTimeout"),
        ({"match": [{"uri": {"prefix": "/a"}}]}, {}, "spec.service.match"),
        ({"rewrite": {"authority": "a.test"}}, {}, "spec.service.rewrite"),
        ({"headers": {"request": {"remove": ["a"]}}}, {}, "spec.service.headers"),
        ({"mirror": [{"backendRef": {"name": "shadow", "port": 80}}]}, {}, "spec.service.mirror"),
        ({"corsPolicy": {"allowOrigin": ["*"]}}, {}, "spec.service.corsPolicy"),
        ({"retries": {"attempts": 3}}, {}, "spec.service.retries"),
        ({}, {"mirror": True}, "spec.analysis.mirror"),
        ({}, {"sessionAffinity": {"cookieName": "c"}}, "spec.analysis.sessionAffinity"),
        ({}, {"alwaysMatch": [{"headers": {"a": {"exact": "b"}}}]}, "spec.analysis.alwaysMatch"),
        ({}, {"iterations": 2, "match": [{"headers": {"a": {"exact": "b"}}}]}, "spec.analysis.match"),
    ],
)
def test_what_can_only_be_done_to_requests_is_refused_by_name(
    make_canary: Make, kinds: Json, service: Json, analysis: Json, field: str
) -> None:
    """Where any port has such a route; a Canary that is refused is handed back all the same, by what its kind knows."""
    app = make_canary({**kinds, **service}, {"stepWeight": 10, **analysis})
    (problem,) = ROUTER.problems(app)
    assert problem.field == field
    assert problem.remedy
    for objects in (made(ROUTER, app, ALL_PRIMARY), manifests(ROUTER.hand_back(app, {}))):
        rules = [each["spec"]["rules"] for each in objects if each["kind"] in ("TCPRoute", "TLSRoute")]
        assert rules
        assert all([rule.keys() for rule in each] == [{"backendRefs"}] for each in rules)


@pytest.mark.parametrize(
    ("service", "field", "remedy"),
    [
        ({**TLS, "hosts": []}, "spec.service.hosts", "TCPRoute"),
        ({**TCP, "hosts": ["a.test"]}, "spec.service.hosts", "TLSRoute"),
        ({**TLS, "hosts": ["10.0.0.1"]}, "spec.service.hosts[0]", "host name"),
    ],
)
def test_a_tls_route_needs_names_and_a_tcp_route_has_none(
    make_canary: Make, service: Json, field: str, remedy: str
) -> None:
    (problem,) = ROUTER.problems(make_canary(service, {"stepWeight": 10}))
    assert problem.field == field
    assert remedy in problem.remedy


def test_host_names_beside_a_tcp_route_are_those_of_the_other_ports(make_canary: Make) -> None:
    ports = [{"name": "db", "port": 5432, "routeKind": "TCPRoute", "gatewayRefs": [{"name": "db"}]}]
    app = make_canary({**GATEWAYS, "hosts": ["a.test"], "ports": ports}, {"stepWeight": 10})
    assert ROUTER.problems(app) == ()
    http, tcp = made(ROUTER, app, ALL_PRIMARY)
    assert http["spec"]["hostnames"] == ["a.test"]
    assert "hostnames" not in tcp["spec"]


def listener(protocol: str, port: int = 80) -> Json:
    return {"name": "one", "port": port, "protocol": protocol}


def status(*kinds: str, message: str = "") -> Json:
    refused = [{"type": "Accepted", "status": "False", "message": message}] if message else []
    return {"name": "one", "supportedKinds": [{"kind": each} for each in kinds], "conditions": refused}


@pytest.mark.parametrize(
    ("service", "of", "told", "why"),
    [
        (TCP, listener("TCP"), None, ""),
        (TCP, listener("TLS"), None, ""),
        (TCP, listener("HTTP"), None, "one is of protocol HTTP"),
        (TLS, listener("TLS"), None, ""),
        (TLS, listener("TCP"), None, "one is of protocol TCP"),
        (TCP, listener("TCP"), status("TCPRoute"), ""),
        (TCP, listener("TCP"), status(message="not in this channel"), "one takes no route (not in this channel)"),
        (TLS, listener("TLS"), status("TCPRoute"), "one takes TCPRoute"),
        ({**TCP, "gatewayRefs": [{"name": "public", "sectionName": "two"}]}, listener("TCP"), None, "there is none"),
        ({**TCP, "gatewayRefs": [{"name": "public", "port": 81}]}, listener("TCP"), None, "there is none"),
    ],
)
def test_a_gateway_needs_a_listener_that_takes_the_kind(
    make_canary: Make, service: Json, of: Json, told: Json | None, why: str
) -> None:
    """Traefik 3.7.15 without its experimental channel leaves TCPRoutes alone, and says nothing in their status."""
    gateway: Json = {"spec": {"gatewayClassName": "traefik", "listeners": [of]}}
    gateway["status"] = {"listeners": [told]} if told else {}
    app = make_canary(service, {"stepWeight": 10})
    found = ROUTER.unfit(app, glanced(ROUTER, app, lambda kind, *_: gateway if kind.kind == "Gateway" else None))
    assert [each.field for each in found] == (["spec.service.gatewayRefs[0]"] if why else [])
    assert all(why in each.message and each.remedy for each in found)


def test_a_tcp_route_need_not_be_listed_by_the_class(make_canary: Make) -> None:
    """Traefik 3.7.15 serves TCPRoutes and lists TLSRoutes only: the other feature's name is newer than that."""
    gateway = {"spec": {"gatewayClassName": "traefik", "listeners": [listener("TLS")]}}
    seen = {"Gateway": gateway, "GatewayClass": {"status": {"supportedFeatures": [{"name": "HTTPRoute"}]}}}
    for service, fields in ((TCP, []), (TLS, ["spec.service.routeKind"])):
        app = make_canary(service, {"stepWeight": 10})
        found = ROUTER.unfit(app, glanced(ROUTER, app, lambda kind, *_: seen[kind.kind]))
        assert [each.field for each in found] == fields
