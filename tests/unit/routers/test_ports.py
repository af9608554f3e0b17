"""Several ports: their requests are divided together, and while they are written nobody thinks too little of it."""

from collections.abc import Callable

import pytest

from canary.api.canary import Canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import HTTP_ROUTE, ObjectRef
from canary.routers.base import Provider, route_names
from canary.routers.registry import ROUTERS
from canary.routers.route_kind import BESIDE
from tests.tools.routes import by_ref, made, manifests, ref

GATEWAY = {"name": "public", "sectionName": "web"}
PORTS = [
    {"name": "admin", "port": 8081, "gatewayRefs": [{"name": "public", "sectionName": "admin"}]},
    {"name": "grpc", "port": 9090, "gatewayRefs": [{"name": "public", "sectionName": "grpc"}]},
]

Make = Callable[..., Canary]


@pytest.fixture(params=["contour", "gatewayapi:v1", "gloo", "kuma", "traefik"])
def router(request: pytest.FixtureRequest) -> Provider:
    return ROUTERS[request.param]


@pytest.fixture
def canary(make_canary: Make) -> Canary:
    return make_canary({"gatewayRefs": [GATEWAY], "ports": PORTS}, {"stepWeight": 10})


def test_every_port_has_a_route_with_the_same_share(router: Provider, canary: Canary) -> None:
    objects = [each for each in made(router, canary, Split(20), {}) if router.routes[ref(each).resource] is not BESIDE]
    assert [obj["metadata"]["name"] for obj in objects] == ["my-app", "my-app-admin", "my-app-grpc"]
    assert tuple(obj["metadata"]["name"] for obj in objects) == route_names(canary)
    assert router.split(canary, by_ref(objects)) == Split(20)


def test_while_one_is_behind_the_greatest_share_counts(router: Provider, canary: Canary) -> None:
    """A canary that still has requests to one port must keep its pods."""
    before, after = (by_ref(made(router, canary, split, {})) for split in (Split(20), ALL_PRIMARY))
    for name in route_names(canary):
        mixed = {key: before[key] if key.name == name else after[key] for key in after}
        assert router.split(canary, mixed) == Split(20)


def test_a_port_that_was_just_added_makes_no_difference_yet(router: Provider, canary: Canary) -> None:
    routes = [each for each in made(router, canary, Split(20), {}) if router.routes[ref(each).resource] is not BESIDE]
    there = by_ref(routes[:1])
    assert router.split(canary, there) == Split(20)
    assert made(router, canary, Split(20), there) == made(router, canary, Split(20), {})


def test_without_the_first_nothing_is_said(router: Provider, canary: Canary) -> None:
    objects = by_ref(made(router, canary, Split(20), {}))
    assert router.split(canary, {key: obj for key, obj in objects.items() if key.name != "my-app"}) is None


def test_each_is_handed_back(router: Provider, canary: Canary) -> None:
    handed = manifests(router.hand_back(canary, {}))
    assert [obj["metadata"]["name"] for obj in handed] == list(route_names(canary))
    assert not any("ownerReferences" in obj["metadata"] for obj in handed)


def test_a_gateway_that_has_not_seen_one_of_them_has_not_followed(canary: Canary) -> None:
    router = ROUTERS["gatewayapi:v1"]
    objects = by_ref(made(router, canary, Split(20), {}))
    for obj in objects.values():
        obj["metadata"]["generation"] = 2
    accepted = {"type": "Accepted", "status": "True", "observedGeneration": 1}
    behind = objects[ObjectRef(HTTP_ROUTE, "shop", "my-app-grpc")]
    behind["status"] = {"parents": [{"parentRef": {"name": "public"}, "conditions": [accepted]}]}
    assert router.unsettled(canary, objects) == "gateway public has not yet seen the latest HTTPRoute my-app-grpc"


@pytest.mark.parametrize("provider", ["contour", "gloo", "kubernetes", "kuma", "linkerd", "traefik"])
def test_listeners_are_for_gateways_to_honour(provider: str, canary: Canary) -> None:
    fields = {problem.field for problem in ROUTERS[provider].problems(canary)}
    assert "spec.service.ports[].gatewayRefs" in fields
    assert "spec.service.ports" not in fields
