"""From routes to what they give clusters, and back: only weights of backends that stand for members are touched."""

from copy import deepcopy
from typing import Any

import pytest

from canary.api.fleet_traffic import ClusterRoute, ClusterShare, FleetTraffic
from canary.fleet.traffic.routes import patch, seen

Json = dict[str, Any]

HTTP = ClusterRoute(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", name="shop")
VIRTUAL = ClusterRoute(api_version="networking.istio.io/v1", kind="VirtualService", name="shop")
MEMBERS = (ClusterShare(name="eu", share=60), ClusterShare(name="us", backend="shop-us", share=40))


def traffic(route: ClusterRoute) -> FleetTraffic:
    """A fleet of two clusters."""
    return FleetTraffic(routes=(route,), members=MEMBERS)


def http(*rules: list[Json], generation: int = 1, **status: Any) -> Json:
    """An HTTPRoute with these backends, a list for each rule."""
    metadata = {"name": "shop", "namespace": "prod", "resourceVersion": "7", "generation": generation}
    spec = {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": each, "timeouts": {}} for each in rules]}
    return {"metadata": metadata, "spec": spec, **status}


def imports(eu: int, us: int) -> list[Json]:
    """Both clusters as ServiceImports."""
    kind = {"group": "multicluster.x-k8s.io", "kind": "ServiceImport", "port": 80}
    return [{**kind, "name": "eu", "weight": eu}, {**kind, "name": "shop-us", "weight": us}]


def services(eu: int, us: int) -> list[Json]:
    """Both clusters as Services."""
    return [{"name": "eu", "port": 80, "weight": eu}, {"name": "shop-us", "port": 80, "weight": us}]


def to_host(subset: str, weight: int | None = None, host: str = "shop.example.com") -> Json:
    """A destination of Istio's."""
    weighted = {} if weight is None else {"weight": weight}
    return {"destination": {"host": host, **({"subset": subset} if subset else {})}, "headers": {}, **weighted}


def virtual(*routes: list[Json]) -> Json:
    """A VirtualService with these destinations, a list for each rule."""
    spec = {"hosts": ["shop.example.com"], "http": [{"route": each, "timeout": "2s"} for each in routes]}
    return {"metadata": {"name": "shop", "namespace": "prod", "resourceVersion": "7"}, "spec": spec}


@pytest.mark.field("CanaryFleet.spec.traffic.members[].backend")
@pytest.mark.parametrize("backends", [imports, services])
def test_backends_of_an_http_route_are_service_imports_or_services(backends: Any) -> None:
    found = seen(traffic(HTTP), HTTP, http(backends(60, 40)), "prod")
    assert found.weights == ({"eu": 60, "us": 40},)
    assert (found.problem, found.behind) == ("", "")


@pytest.mark.field("CanaryFleet.spec.traffic.routes[].kind")
def test_destinations_of_a_virtual_service_are_told_by_their_subset_or_else_by_their_host() -> None:
    subsets = virtual([to_host("eu", 60), to_host("shop-us", 40)])
    hosts = virtual([to_host("", 60, "eu.example.com"), to_host("", 40, "shop-us")])
    for route in (subsets, hosts):
        assert seen(traffic(VIRTUAL), VIRTUAL, route, "prod").weights == ({"eu": 60, "us": 40},)


@pytest.mark.field("CanaryFleet.spec.traffic.routes[].host")
def test_a_host_has_the_destinations_of_others_left_alone() -> None:
    ours = VIRTUAL.replace(host="shop.example.com")
    cart = [to_host("eu", 50, "cart.example.com"), to_host("shop-us", 50, "cart.example.com")]
    route = virtual([to_host("eu", 60), to_host("shop-us", 40)], cart)
    assert seen(traffic(ours), ours, route, "prod").weights == ({"eu": 60, "us": 40},)
    changed = patch(traffic(ours), ours, route, {"eu": 0, "us": 100})
    assert changed["spec"]["http"][1]["route"] == cart


@pytest.mark.parametrize(
    ("route", "found"),
    [
        (
            HTTP,
            http(imports(60, 40), [{"name": "cart", "port": 80}], [*services(60, 40), {"name": "old", "weight": 3}]),
        ),
        (VIRTUAL, virtual([to_host("eu"), to_host("shop-us")], [to_host("", host="cart")])),
    ],
)
def test_nothing_but_weights_is_changed_and_only_on_what_was_read(route: ClusterRoute, found: Json) -> None:
    before = deepcopy(found)
    changed = patch(traffic(route), route, found, {"eu": 0, "us": 100})
    assert changed["metadata"] == {"resourceVersion": "7"}
    assert found == before
    after = {**found, "spec": {**found["spec"], **changed["spec"]}}
    assert all(each == {"eu": 0, "us": 100} for each in seen(traffic(route), route, after, "prod").weights)
    assert without_ours(after["spec"]) == without_ours(before["spec"])
    assert patch(traffic(route), route, after, {"eu": 0, "us": 100}) == {}


def without_ours(value: Any) -> Any:
    """A spec without the weights of what stands for members."""
    if isinstance(value, list):
        return [without_ours(each) for each in value]
    if not isinstance(value, dict):
        return value
    told = (value.get("name"), value.get("destination", {}).get("subset"))
    ours = {"eu", "shop-us"} & {each for each in told if each}
    return {key: without_ours(inner) for key, inner in value.items() if not (ours and key == "weight")}


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (None, "it does not exist in prod; create it, or correct its name"),
        (http(), "it leads to none of eu, shop-us; name them as its backends"),
        (http([{"name": "eu"}]), "a rule of it leads to eu and not to us; name all members in it"),
        (http(services(1, 1), [{"name": "shop-us"}]), "a rule of it leads to us and not to eu; name all members in it"),
        (http([*services(1, 1), {"name": "eu"}]), "a rule of it leads to eu twice; keep one of the two"),
        (http([{"name": "eu", "kind": "Pod"}, {"name": "shop-us", "group": "x"}]), "it leads to none of eu, shop-us"),
    ],
)
def test_a_route_that_does_not_lead_to_all_members_says_so(found: Json | None, problem: str) -> None:
    assert seen(traffic(HTTP), HTTP, found, "prod").problem.startswith(problem)


def test_a_weight_that_is_not_said_is_written() -> None:
    """What is meant by that is another thing in each kind."""
    found = seen(traffic(VIRTUAL), VIRTUAL, virtual([to_host("eu"), to_host("shop-us")]), "prod")
    assert not found.gives({"eu": 0})
    assert not found.gives({"eu": 60})


def test_a_gateway_that_has_not_taken_the_route_is_named() -> None:
    condition = {"type": "Accepted", "status": "True", "observedGeneration": 1}
    status = {"parents": [{"parentRef": {"name": "edge"}, "conditions": [condition]}]}
    assert seen(traffic(HTTP), HTTP, http(services(60, 40), status=status), "prod").behind == ""
    later = http(services(60, 40), generation=2, status=status)
    assert seen(traffic(HTTP), HTTP, later, "prod").behind == "gateway edge has not yet seen the latest HTTPRoute shop"
