"""What was made for a Canary is found again when its spec names it no longer."""

from collections.abc import Iterable

from canary.api.canary import Canary, parse_canary
from canary.controller.observe.former_routes import FormerRoute, Owners, former_routes, handed_back
from canary.controller.observe.routes import not_installed
from canary.kube.store import Change, key_of
from canary.kube.types import (
    HTTP_ROUTE,
    SERVICE,
    TRAEFIK_SERVICE,
    TRAFFIC_SPLITS,
    Json,
    ObjectRef,
    Resource,
    resource_of,
)
from canary.workloads.origin import APPLIED_ANNOTATION

OURS = [{"kind": "Canary", "name": "app", "uid": "0-1"}]


def canary(name: str = "", provider: str = "traefik") -> Canary:
    spec = {"targetRef": {"kind": "Deployment", "name": "app"}, "service": {"port": 80, "name": name}}
    metadata = {"name": "app", "namespace": "shop", "uid": "0-1"}
    return parse_canary({"metadata": metadata, "spec": {"provider": provider, **spec}})


def obj(resource: Resource, name: str, spec: Json, *, owned: bool = True, marked: bool = True) -> Json:
    metadata: Json = {"name": name, "namespace": "shop", "resourceVersion": "7"}
    metadata |= {"ownerReferences": OURS} if owned else {}
    metadata |= {"annotations": {APPLIED_ANNOTATION: "0"}} if marked else {}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def traefik_service(name: str, service: str, **how: bool) -> Json:
    weights = [{"name": f"{service}-primary", "weight": 60}, {"name": f"{service}-canary", "weight": 40}]
    return obj(TRAEFIK_SERVICE, name, {"weighted": {"services": weights}}, **how)


def services(name: str) -> list[Json]:
    return [obj(SERVICE, each, {"selector": {"app": "app"}}) for each in (f"{name}-primary", f"{name}-canary")]


def left(made: Canary, objects: Iterable[Json], *current: tuple[Resource, str]) -> list[FormerRoute]:
    """What is found among these objects, beside those that the spec names now."""
    owners, known = Owners(), {(resource_of(each), key_of(each)): each for each in objects}
    for (resource, key), each in known.items():
        owners.note(resource, Change(key, None, each))
    routes = [ObjectRef(resource, "shop", name) for resource, name in current]
    get = {(resource, *key): each for (resource, key), each in known.items()}
    return [*former_routes(made, owners.of(made), routes, lambda *place: get.get(place))]


def back(made: Canary, objects: Iterable[Json]) -> dict[tuple[str, str], Json]:
    """The patches by which these objects are handed back."""
    owners, known = Owners(), {(resource_of(each), *key_of(each)): each for each in objects}
    for (resource, _, _), each in known.items():
        owners.note(resource, Change(key_of(each), None, each))
    found = handed_back(made, owners.of(made), lambda *place: known.get(place))
    return {(resource.kind, name): patch for resource, name, patch in found}


def names(found: list[FormerRoute]) -> list[tuple[str, str, int]]:
    return [(each.resource.kind, each.name, each.share) for each in found]


def test_a_route_of_another_name_is_found_by_its_owner() -> None:
    found = left(canary("web"), [traefik_service("app", "app"), *services("app")], (TRAEFIK_SERVICE, "web"))
    assert names(found) == [("TraefikService", "app", 40)]
    assert found[0].patch["metadata"] == {"resourceVersion": "7"}


def test_a_route_that_was_there_before_the_canary_is_found_by_where_it_leads() -> None:
    """It has no owner. By the Services of the old name, which the Canary owns, that is found too."""
    before = traefik_service("app", "app", owned=False)
    assert names(left(canary("web"), [before, *services("app")])) == [("TraefikService", "app", 40)]
    assert names(left(canary(provider="gatewayapi:v1"), [before], (HTTP_ROUTE, "app"))) == [
        ("TraefikService", "app", 40)
    ]


def test_what_others_lead_to_the_canary_is_theirs() -> None:
    preview = traefik_service("preview", "app", owned=False, marked=False)
    assert left(canary(), [preview, *services("app")], (TRAEFIK_SERVICE, "app")) == []


def test_the_route_of_the_spec_is_none_of_before() -> None:
    assert left(canary(), [traefik_service("app", "app")], (TRAEFIK_SERVICE, "app")) == []


def test_the_route_of_the_spec_in_another_version_is_none_of_before() -> None:
    """The API server keeps one object: what took the canary's requests in one view would take them in the other."""
    backends = [{"service": f"app-{version}", "weight": 50} for version in ("primary", "canary")]
    before, now = TRAFFIC_SPLITS["v1alpha2"], TRAFFIC_SPLITS["v1alpha3"]
    split = obj(before, "app", {"service": "app", "backends": backends})
    assert left(canary(provider="smi:v1alpha3"), [split], (now, "app")) == []
    assert names(left(canary("web", provider="smi:v1alpha3"), [split], (now, "web"))) == [("TrafficSplit", "app", 50)]


def test_a_port_that_was_taken_out_is_found() -> None:
    found = left(
        canary(), [traefik_service("app", "app"), traefik_service("app-grpc", "app")], (TRAEFIK_SERVICE, "app")
    )
    assert names(found) == [("TraefikService", "app-grpc", 40)]


def test_an_http_route_is_found_as_well() -> None:
    backends = [{"name": "app-primary", "weight": 0}, {"name": "app-canary", "weight": 100}]
    route = obj(HTTP_ROUTE, "app", {"rules": [{"backendRefs": backends}]})
    assert names(left(canary(), [route], (TRAEFIK_SERVICE, "app"))) == [("HTTPRoute", "app", 100)]


def test_the_service_of_another_name_leads_to_the_primary_again() -> None:
    """Users call it until they know of the new one."""
    apex = obj(SERVICE, "app", {"selector": {"app": "app"}})
    (found,) = left(canary("web", "kubernetes"), [apex, *services("app")])
    assert (found.resource, found.name, found.share) == (SERVICE, "app", 100)


def test_what_the_spec_named_before_outlives_the_canary_as_well() -> None:
    """Its Service leads to the target, and its route there; the versions' Services go."""
    primary, own = (obj(SERVICE, f"app-{each}", {"selector": {"app": each}}) for each in ("primary", "canary"))
    apex = obj(SERVICE, "app", {"selector": {"app": "primary"}})
    patches = back(canary("web"), [apex, primary, own, traefik_service("app", "app")])
    assert set(patches) == {("Service", "app"), ("TraefikService", "app")}
    assert patches["Service", "app"]["spec"] == {"selector": {"app": "canary"}}
    assert patches["TraefikService", "app"]["spec"] == {"weighted": {"services": [{"name": "app", "weight": 100}]}}
    assert all(patch["metadata"]["ownerReferences"] == [] for patch in patches.values())
    assert all(patch["metadata"]["resourceVersion"] == "7" for patch in patches.values())


def test_what_is_handed_back_is_so_once() -> None:
    own = obj(SERVICE, "app-canary", {"selector": {"app": "canary"}})
    apex = obj(SERVICE, "app", {"selector": {"app": "canary"}}, owned=False)
    route = obj(TRAEFIK_SERVICE, "app", {"weighted": {"services": [{"name": "app", "weight": 100}]}}, owned=False)
    assert back(canary("web"), [apex, own, route]) == {}


def test_what_is_gone_is_forgotten() -> None:
    owners, route = Owners(), traefik_service("app", "app")
    owners.note(TRAEFIK_SERVICE, Change(key_of(route), None, route))
    owners.note(TRAEFIK_SERVICE, Change(key_of(route), route, None))
    assert set(owners.of(canary())) == set()


def test_a_kind_that_is_not_installed_is_told_with_the_remedy() -> None:
    problem = not_installed(canary(provider="gatewayapi:v1"), HTTP_ROUTE)
    assert str(problem) == (
        "spec.provider: HTTPRoute of gateway.networking.k8s.io/v1 is not installed in this cluster; install the "
        "CustomResourceDefinition httproutes.gateway.networking.k8s.io with the version v1, or set another provider"
    )
