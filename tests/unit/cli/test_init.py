"""`canary init`: the spec that is drafted from what runs, and what is said about it."""

import itertools
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from canary.api import strict
from canary.api.canary import parse_canary
from canary.cli.init.draft import Draft, draft
from canary.cli.init.surroundings import INGRESS_CLASS, INGRESS_ROUTE, Surroundings
from canary.kube.types import DEPLOYMENT, RESOURCES, Json, Resource
from tests.unit.cli.canaries_server import CanariesServer, Run
from tests.unit.cli.running import deployment, http_route, ingress, made, service

KINDS = {(each.api_version, each.kind): each for each in (*RESOURCES, INGRESS_CLASS, INGRESS_ROUTE)}


def around(target: Json, *objects: Json, labels: dict[str, str] | None = None, **settings: Any) -> Surroundings:
    found: dict[Resource, tuple[Json, ...]] = {}
    for each in objects:
        resource = KINDS[each["apiVersion"], each["kind"]]
        found[resource] = (*found.get(resource, ()), each)
    return Surroundings(DEPLOYMENT, target, found, labels=labels, **settings)


def drafted(*objects: Json, target: Json | None = None, **settings: Any) -> Draft:
    return draft(around(target or deployment(), *objects, **settings))


def spec_of(*objects: Json, **settings: Any) -> Json:
    """The spec that is drafted, which nobody refuses."""
    found = drafted(*objects, **settings)
    assert found.problems == ()
    assert list(strict.problems(found.canary)) == []
    spec: Json = found.canary["spec"]
    return spec


def test_what_nothing_leads_to_by_weights_is_blue_green() -> None:
    found = drafted(service())
    assert found.canary["spec"] == {
        "provider": "kubernetes",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80, "targetPort": "http"},
        "analysis": {"interval": "1m", "threshold": 5, "iterations": 5},
    }
    assert "Service shop leads to its pods" in found.found
    assert any(each.startswith("nothing is measured yet") for each in found.guessed)


def test_ports_without_a_service_are_those_of_the_containers() -> None:
    assert spec_of()["service"] == {"port": 8080}


def test_all_ports_of_the_service_are_taken_over() -> None:
    ports = [
        {"name": "web", "port": 80, "targetPort": 8080},
        {"name": "grpc", "port": 9000, "targetPort": 9000, "appProtocol": "kubernetes.io/h2c"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    target = deployment()
    target["spec"]["template"]["spec"]["containers"][0]["ports"].append({"containerPort": 9000})
    found = drafted(service("front", ports=ports, clusterIP="None"), target=target)
    assert found.canary["spec"]["service"] == {
        "name": "front",
        "port": 80,
        "portName": "web",
        "targetPort": 8080,
        "ports": [{"name": "grpc", "port": 9000, "appProtocol": "kubernetes.io/h2c"}],
        "headless": True,
    }
    assert any("not TCP: 53" in each for each in found.todo)


@pytest.mark.parametrize(
    ("kind", "api_version", "name"),
    [("HorizontalPodAutoscaler", "autoscaling/v2", "shop"), ("ScaledObject", "keda.sh/v1alpha1", "queue")],
)
def test_what_scales_it_is_named(kind: str, api_version: str, name: str) -> None:
    scaler = made(api_version, kind, name, {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}, "triggers": []})
    assert spec_of(service(), scaler)["autoscalerRef"] == {"apiVersion": api_version, "kind": kind, "name": name}


def test_what_keda_makes_of_its_object_is_not_named() -> None:
    ref = {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}}
    objects = (
        made("autoscaling/v2", "HorizontalPodAutoscaler", "keda-hpa-queue", ref),
        made("keda.sh/v1alpha1", "ScaledObject", "queue", {**ref, "triggers": []}),
    )
    assert spec_of(service(), *objects)["autoscalerRef"]["name"] == "queue"


def test_in_routes_that_are_there_the_weights_are_set() -> None:
    found = drafted(service(), http_route("edge"), http_route("other", "till"))
    spec = found.canary["spec"]
    assert spec["provider"] == "gatewayapi:v1"
    assert [each["name"] for each in spec["routeRefs"]] == ["edge"]
    assert spec["analysis"]["stepWeight"] == 10
    assert (
        "then, in HTTPRoute edge: where it leads to shop, name shop-canary beside it, with a weight of 0" in found.todo
    )
    assert found.problems == ()


def test_a_route_that_names_both_versions_needs_nothing_done() -> None:
    assert not any("HTTPRoute" in each for each in drafted(service(), http_route("edge", "shop", "shop-canary")).todo)


INGRESS_ROUTED = {"routes": [{"match": "PathPrefix(`/`)", "services": [{"name": "shop", "port": 80}]}]}
VIRTUAL_SERVICE = {
    "hosts": ["shop.example.com"],
    "http": [{"route": [{"destination": {"host": "shop.prod.svc.cluster.local"}}]}],
}


WEIGHTED = {"weighted": {"services": [{"name": "shop"}]}}
PROXIED = {"routes": [{"services": [{"name": "shop", "port": 80}]}]}


@pytest.mark.parametrize(
    ("route", "provider", "field", "left"),
    [
        (made("networking.istio.io/v1", "VirtualService", "web", VIRTUAL_SERVICE), "istio", "routeRefs", True),
        (made("traefik.io/v1alpha1", "TraefikService", "web", WEIGHTED), "traefik", "routeRefs", False),
        (made("traefik.io/v1alpha1", "IngressRoute", "web", INGRESS_ROUTED), "traefik", "", True),
        (made("projectcontour.io/v1", "HTTPProxy", "web", PROXIED), "contour", "routeRefs", True),
        (ingress("web"), "nginx", "ingressRef", False),
        (ingress("web", class_name="alb"), "alb", "ingressRef", True),
        (ingress("web", class_name="skipper"), "skipper", "ingressRef", False),
        (made("route.openshift.io/v1", "Route", "web", {"to": {"name": "shop"}}), "openshift", "routeRef", False),
    ],
)
def test_each_kind_of_route_has_its_provider(route: Json, provider: str, field: str, left: bool) -> None:
    found = drafted(service(), route)
    spec = found.canary["spec"]
    assert spec["provider"] == provider
    named = {"routeRefs", "routeRef", "ingressRef"} & spec.keys()
    assert named == ({field} if field else set())
    assert any(each.startswith("then, in ") for each in found.todo) is left
    # What is left to do is what the rules would say, where they know of it already.
    assert found.problems == () or provider == "alb"


def test_an_ingress_of_a_controller_without_weights_divides_nothing() -> None:
    assert spec_of(service(), ingress("web", class_name="haproxy"))["provider"] == "kubernetes"


def test_the_class_tells_whose_an_ingress_is() -> None:
    known = made("networking.k8s.io/v1", "IngressClass", "public", {"controller": "k8s.io/ingress-nginx"})
    assert spec_of(service(), known, ingress("web", class_name="public"))["provider"] == "nginx"


def test_members_of_a_mesh_need_no_gateway() -> None:
    assert spec_of(service(), labels={"istio-injection": "enabled"})["provider"] == "istio"


def test_the_service_that_a_route_leads_to_counts_and_others_are_told_of() -> None:
    """The others would lead to pods that are not there between rollouts."""
    found = drafted(service("admin"), service("front"), http_route("edge", "front"))
    assert found.canary["spec"]["service"]["name"] == "front"
    assert any(each.startswith("Service admin would lead to the new version alone") for each in found.todo)


def test_what_may_not_be_read_is_said() -> None:
    (told,) = [each for each in drafted(service(), unread=(INGRESS_ROUTE,)).guessed if "may not be read" in each]
    assert "ingressroutes" in told


def test_what_the_controller_would_refuse_is_said() -> None:
    target = deployment()
    target["spec"]["selector"]["matchLabels"] = {"tier": "web"}
    target["spec"]["template"]["metadata"]["labels"] = {"tier": "web"}
    assert drafted(target=target).problems != ()


ROUTES = (http_route(), ingress(), made("traefik.io/v1alpha1", "IngressRoute", "web", INGRESS_ROUTED))
OTHERS = (service(), service("admin"), *ROUTES)


@given(st.sets(st.integers(0, len(OTHERS) - 1)))
def test_whatever_there_is_the_draft_can_be_applied(chosen: set[int]) -> None:
    spec_of(*(OTHERS[each] for each in sorted(chosen)))


def test_the_order_in_which_objects_are_listed_makes_no_difference() -> None:
    texts = {json.dumps(drafted(*each).canary) for each in itertools.permutations(OTHERS, len(OTHERS))}
    assert len(texts) == 1


def serve(server: CanariesServer) -> None:
    server.beside = {"deployments": [deployment()], "services": [service()], "httproutes": [http_route()]}


def test_the_draft_is_a_file_with_comments(run: Run, server: CanariesServer) -> None:
    serve(server)
    code, lines = run("init", "shop")
    assert code == 0
    assert lines[0] == "# found:"
    canary = yaml.safe_load("\n".join(lines))
    assert parse_canary(canary).spec.provider == "gatewayapi:v1"
    assert server.objects == {}


def test_for_programs_it_is_data(run: Run, server: CanariesServer) -> None:
    serve(server)
    code, lines = run("init", "deployment/shop", "-o", "json")
    assert code == 0
    assert set(json.loads("\n".join(lines))) == {"objects", "found", "guessed", "todo", "problems"}


def test_it_is_created_only_where_that_is_asked_for(run: Run, server: CanariesServer) -> None:
    serve(server)
    code, lines = run("init", "shop", "--apply")
    assert (code, lines[-1]) == (0, "canary init: prod/shop is created")
    assert ("prod", "shop") in server.objects
    assert run("init", "shop") == (
        1,
        ["canary init: prod/shop: Canary shop rolls it out already; see canary explain shop"],
    )


def test_what_is_in_the_way_is_one_line_with_its_code(run: Run, server: CanariesServer) -> None:
    server.beside = {"deployments": []}
    assert run("init", "none") == (1, ['canary init: deployments "none" not found'])
    assert run("init", "job/none")[0] == 2
    server.refuses = (403, "Forbidden", "User mia cannot get it")
    assert run("init", "shop") == (2, ["canary init: not allowed: User mia cannot get it"])
