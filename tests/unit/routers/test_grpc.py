"""GRPCRoutes: calls are told by service, method and metadata, and what a GRPCRoute can't do is refused by name."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import GRPC_ROUTE, HTTP_ROUTE, Json
from canary.routers.registry import ROUTERS
from tests.tools.routes import by_ref, made, manifests

ROUTER = ROUTERS["gatewayapi:v1"]
GRPC: Json = {"routeKind": "GRPCRoute", "gatewayRefs": [{"name": "public"}]}
Make = Callable[..., Canary]


def sticky(**status: str) -> Canary:
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80, **GRPC},
        "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10, "sessionAffinity": {"cookieName": "c"}},
    }
    return parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "1"}, "spec": spec, "status": status})


@given(st.builds(Split, st.integers(0, 100), st.integers(0, 100)))
def test_every_split_can_be_read_back(split: Split) -> None:
    canary = sticky(sessionAffinityCookie="c=1")
    objects = made(ROUTER, canary, split)
    assert by_ref(objects).keys() == set(ROUTER.makes(canary))
    assert ROUTER.split(canary, by_ref(objects)) == split


@pytest.mark.parametrize(
    ("uri", "method"),
    [
        ({"exact": "/shop.v1.Pay/Charge"}, {"type": "Exact", "service": "shop.v1.Pay", "method": "Charge"}),
        ({"exact": "/Pay/Charge"}, {"type": "Exact", "service": "Pay", "method": "Charge"}),
        ({"prefix": "/shop.v1.Pay/"}, {"type": "Exact", "service": "shop.v1.Pay"}),
    ],
)
def test_the_path_of_a_call_is_its_service_and_method(make_canary: Make, uri: Json, method: Json) -> None:
    canary = make_canary({**GRPC, "match": [{"uri": uri}]}, {"stepWeight": 10})
    assert ROUTER.problems(canary) == ()
    (route,) = made(ROUTER, canary, ALL_PRIMARY)
    assert route["spec"]["rules"][0]["matches"] == [{"method": method}]


@pytest.mark.parametrize(
    ("service", "analysis", "field"),
    [
        ({"match": [{"uri": {"prefix": "/api"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"uri": {"exact": "/shop.v1.Pay/"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"uri": {"prefix": "/shop.v1.Pay/Charge"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"uri": {"exact": "/shop.v1.Pay/Charge/x"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"uri": {"regex": "/shop.v1.Pay/.*"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"method": {"exact": "POST"}}]}, {}, "spec.service.match[0].method"),
        ({"match": [{"queryParams": {"a": {"exact": "b"}}}]}, {}, "spec.service.match[0].queryParams"),
        ({"timeout": "5s"}, {}, "spec.service.timeout"),
        ({"backendTimeout": "5s"}, {}, "spec.service.backendTimeout"),
        ({"rewrite": {"authority": "a.test"}}, {}, "spec.service.rewrite"),
        ({"corsPolicy": {"allowOrigin": ["*"]}}, {}, "spec.service.corsPolicy"),
        (
            {},
            {"iterations": 2, "match": [{"queryParams": {"a": {"exact": "b"}}}]},
            "spec.analysis.match[0].queryParams",
        ),
    ],
)
def test_what_a_grpc_route_cannot_do_is_refused_by_name(
    make_canary: Make, service: Json, analysis: Json, field: str
) -> None:
    """Where any port has one: conditions and filters are those of all ports."""
    beside = {"ports": [{"name": "grpc", "port": 81, **GRPC}], "gatewayRefs": [{"name": "other"}]}
    for kinds in (GRPC, beside):
        canary = make_canary({**kinds, **service}, {"stepWeight": 10, **analysis})
        (problem,) = ROUTER.problems(canary)
        assert problem.field == field
        assert "GRPCRoute" in problem.message
        assert problem.remedy
        for objects in (made(ROUTER, canary, ALL_PRIMARY), manifests(ROUTER.hand_back(canary, {}))):
            assert not UNKNOWN & fields_of(objects)


UNKNOWN = {"path", "queryParams", "timeouts", "URLRewrite", "CORS"}
"""What the API server refuses of a GRPCRoute: a Canary that is refused is handed back all the same."""


def fields_of(objects: list[Json]) -> set[str]:
    rules = [rule for each in objects if each["kind"] == GRPC_ROUTE.kind for rule in each["spec"]["rules"]]
    matches = [match for rule in rules for match in rule.get("matches", [])]
    filters = {each["type"] for rule in rules for each in rule.get("filters", [])}
    return {key for each in (*rules, *matches) for key in each} | filters


def test_a_gateway_that_has_not_taken_it_is_told_by_its_kind(make_canary: Make) -> None:
    canary = make_canary(GRPC, {"stepWeight": 10})
    (route,) = made(ROUTER, canary, ALL_PRIMARY)
    route["metadata"]["generation"] = 2
    accepted = {"type": "Accepted", "status": "True", "observedGeneration": 1}
    route["status"] = {"parents": [{"parentRef": {"name": "public"}, "conditions": [accepted]}]}
    assert ROUTER.unsettled(canary, by_ref([route])) == "gateway public has not yet seen the latest GRPCRoute my-app"


def test_only_the_kinds_of_route_that_a_spec_asks_for_are_made(make_canary: Make) -> None:
    """A cluster whose Gateway API has no GRPCRoute serves those who want none."""
    assert {ref.resource for ref in ROUTER.refs(make_canary({"gatewayRefs": [{"name": "a"}]}))} == {HTTP_ROUTE}
    assert {ref.resource for ref in ROUTER.refs(make_canary(GRPC))} == {GRPC_ROUTE}
