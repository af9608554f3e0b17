"""Fields of `spec.service.ports`: in the Services, and in the route of each port."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.kube.types import Json
from canary.routers.registry import ROUTERS
from canary.workloads import services
from canary.workloads.base import SelectorLabel
from tests.tools.routes import by_ref
from tests.tools.routes import made as objects_of

LABEL = SelectorLabel("app", "app")
PORT: Json = {"name": "admin", "port": 8081}
PATH = "spec.service.ports[]"
VALUES: dict[str, object] = {"name": "other", "port": 8082, "targetPort": "web", "appProtocol": "grpc"}
OF_OTHERS = ("alb", "apisix", "nginx", "openshift", "skipper")
"""These start from a route of the users', which says what a port is for."""
PROVIDERS = [name for name in ROUTERS if name not in ("gatewayapi:v1beta1", *OF_OTHERS)]


def made(canary: Canary, provider: str) -> list[Json]:
    """All that is made for a Canary, in mid-rollout where the provider has weights."""
    split = Split(0 if provider == "kubernetes" else 10)
    routes = [each for each in objects_of(ROUTERS[provider], canary, split) if each["kind"] != "Upstream"]
    return [*services.versions(canary, LABEL, {}, {}), *routes]


def port_of(service: Json, number: int) -> Json:
    return next(each for each in service["spec"]["ports"] if each["port"] == number)


@pytest.mark.parametrize(
    ("by", "field"),
    [
        pytest.param(provider.partition(":")[0], f"{PATH}.{name}", id=f"{name}-{provider}")
        for provider in PROVIDERS
        for name in VALUES
    ],
)
def test_both_versions_have_the_port_and_its_requests_go_there(
    make: Callable[..., Canary], by: str, field: str
) -> None:
    provider = next(name for name in PROVIDERS if name.startswith(by))
    name = field.removeprefix(f"{PATH}.")
    port = {**PORT, name: VALUES[name]}
    primary, follower, *routes = made(make({"spec.service.ports": [port]}), provider)
    expected = {"name": port["name"], "port": port["port"], "protocol": "TCP", "targetPort": port["port"], **port}
    assert port_of(primary, port["port"]) == port_of(follower, port["port"]) == expected
    if by == "istio":  # One VirtualService has the rules for all ports.
        (further, _), number = routes[-1]["spec"]["http"], port["port"]
        assert further["match"] == [{"port": number}]
        assert [each["destination"]["port"]["number"] for each in further["route"]] == [number, number]
        return
    assert [route["metadata"]["name"] for route in routes] == ["app", f"app-{port['name']}"][: len(routes)]
    for route in routes[1:]:
        assert len(re.findall(rf"('port': |upstream-){port['port']}\b", str(route["spec"]))) == 2, "of both versions"


@pytest.mark.parametrize("by", ["gatewayapi"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        (f"{PATH}.gatewayRefs[].{name}", value)
        for name, value in {
            "group": "example.com",
            "kind": "Service",
            "namespace": "gateways",
            "name": "public",
            "sectionName": "admin",
            "port": 8081,
        }.items()
    ],
)
def test_the_route_of_a_port_is_attached_to_its_own_listeners(
    make: Callable[..., Canary], by: str, field: str, value: Any
) -> None:
    name = field.rpartition(".")[2]
    port = {**PORT, "gatewayRefs": [{"name": "gateway", name: value}]}
    *_, first, route = made(make({"spec.service.ports": [port]}), "gatewayapi:v1")
    assert route["spec"]["parentRefs"][0][name] == value
    assert first["spec"]["parentRefs"] == []


@pytest.mark.parametrize(
    ("by", "field", "names"),
    [
        ("gatewayapi", "spec.service.routeKind", ["GRPCRoute", "HTTPRoute"]),
        ("gatewayapi", f"{PATH}.routeKind", ["HTTPRoute", "GRPCRoute"]),
    ],
)
def test_the_route_of_a_port_is_of_the_kind_that_it_names(
    shows: Callable[..., None], by: str, field: str, names: list[str]
) -> None:
    beside = {"spec.service.ports": [PORT], "spec.service.gatewayRefs[].name": "gateway"}
    router = ROUTERS[next(name for name in PROVIDERS if name.startswith(by))]

    def kinds(canary: Canary) -> list[str]:
        return [route["kind"] for route in objects_of(router, canary, Split(10))]

    shows(field, "GRPCRoute", kinds, names, beside)


@pytest.mark.parametrize(("by", "field"), [("apisix", f"{PATH}.{name}") for name in VALUES])
def test_both_versions_have_the_port_and_the_users_rule_for_it_is_divided(
    make: Callable[..., Canary], by: str, field: str
) -> None:
    name = field.removeprefix(f"{PATH}.")
    port = {**PORT, name: VALUES[name]}
    canary = make({"spec.service.ports": [port], "spec.routeRef.name": "web"})
    backends = [{"serviceName": "app", "servicePort": port["name"]}]
    http = [{"name": "admin", "match": {"paths": ["/*"]}, "backends": backends}]
    theirs = {"kind": "ApisixRoute", "metadata": {"name": "web"}, "spec": {"http": http}}
    expected = {"name": port["name"], "port": port["port"], "protocol": "TCP", "targetPort": port["port"], **port}
    for service in services.versions(canary, LABEL, {}, {}):
        assert port_of(service, port["port"]) == expected
    (route,) = objects_of(ROUTERS[by], canary, Split(10), by_ref([theirs]))
    assert route["spec"]["http"][0]["backends"] == [
        {"serviceName": f"app-{version}", "servicePort": port["name"], "weight": weight}
        for version, weight in {"primary": 90, "canary": 10}.items()
    ]
