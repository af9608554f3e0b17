"""`spec.routeRefs`: routes of somebody else's, of which the weights of the two versions are set and nothing else."""

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.route_refs import KINDS
from canary.api.rules import problems as spec_problems
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.controller.observe.former_routes import former_routes
from canary.kube.types import Json, ObjectRef, Resource
from canary.routers import route_refs
from canary.routers.base import Observed, Patch
from canary.routers.registry import ROUTERS, router_of, settle_of
from canary.routers.route_refs import ROUTE_REFS
from tests.tools.routes import after, merged

GATEWAY, ISTIO = "gateway.networking.k8s.io/v1", "networking.istio.io/v1"
OTHERS = {"name": "blog", "port": 80, "weight": 7}


def route(api_version: str, kind: str, spec: Json, **annotations: str) -> Json:
    metadata = {
        "name": "web",
        "namespace": "shop",
        "resourceVersion": "41",
        "annotations": {"theirs": "x"} | annotations,
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def rules(primary: str = "app", canary: str = "app-canary") -> list[Json]:
    """Of the Gateway API: one that leads to both versions and somebody else, and one that leads elsewhere."""
    pair = [{"name": primary, "port": 80}, {"name": canary, "port": 80, "weight": 0}]
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "x", "value": "1"}]}}
    return [
        {"matches": [{"path": {"value": "/shop"}}], "filters": [header], "backendRefs": [*pair, OTHERS]},
        {"matches": [{"path": {"value": "/blog"}}], "backendRefs": [OTHERS]},
        {"matches": [{"path": {"value": "/api"}}], "backendRefs": pair},
    ]


def destination(host: str, **more: Any) -> Json:
    return {"destination": {"host": host, "port": {"number": 80}}, **more}


def path(service: str) -> Json:
    return {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


ROUTES: Mapping[str, Json] = {
    "HTTPRoute": route(GATEWAY, "HTTPRoute", {"parentRefs": [{"name": "edge"}], "rules": rules()}),
    "GRPCRoute": route(GATEWAY, "GRPCRoute", {"rules": rules("app-primary")}),
    "TCPRoute": route(GATEWAY, "TCPRoute", {"rules": rules()[2:]}),
    "TLSRoute": route(GATEWAY, "TLSRoute", {"hostnames": ["shop.example"], "rules": rules()[2:]}),
    "VirtualService": route(
        ISTIO,
        "VirtualService",
        {
            "hosts": ["shop.example"],
            "http": [
                {"route": [destination("app-primary.shop.svc.cluster.local"), destination("app-canary", weight=0)]},
                {"route": [destination("app-canary.elsewhere")], "timeout": "5s"},
            ],
            "tcp": [{"route": [destination("app", weight=100), destination("app-canary", weight=0)]}],
        },
    ),
    "HTTPProxy": route(
        "projectcontour.io/v1",
        "HTTPProxy",
        {
            "virtualhost": {"fqdn": "shop.example"},
            "routes": [
                {
                    "services": [
                        {"name": "app", "port": 80},
                        {"name": "app-canary", "port": 80},
                        {"name": "blog", "port": 80, "mirror": True},
                    ]
                }
            ],
        },
    ),
    "TraefikService": route(
        "traefik.io/v1alpha1",
        "TraefikService",
        {"weighted": {"sticky": {"cookie": {}}, "services": [{"name": "app", "port": 80, "weight": 9}]}},
    ),
    "Ingress": route(
        "networking.k8s.io/v1",
        "Ingress",
        {"rules": [{"http": {"paths": [path("app-canary")]}}]},
        **{"nginx.ingress.kubernetes.io/canary": "true", "nginx.ingress.kubernetes.io/canary-weight": "0"},
    ),
    "Route": route(
        "route.openshift.io/v1",
        "Route",
        {
            "to": {"kind": "Service", "name": "app"},
            "alternateBackends": [{"name": "app-canary", "weight": 0}, {"name": "blog", "weight": 3}],
        },
    ),
    "Anything": route("gate.example/v2", "Anything", {"split": {"a/b": [50, 50]}, "more": True}),
}
POINTERS = {"primary": "/spec/split/a~1b/0", "canary": "/spec/split/a~1b/1"}
each = pytest.mark.parametrize("kind", sorted(ROUTES))


def named(kind: str) -> Json:
    """How a spec names that route."""
    found = {"apiVersion": ROUTES[kind]["apiVersion"], "kind": kind, "name": "web"}
    return {**found, "plural": "anythings", "weights": POINTERS} if kind == "Anything" else found


def canary(*kinds: str, phase: Phase = Phase.INITIALIZED, before: tuple[str, ...] = (), **spec: Any) -> Canary:
    whole = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10},
        **({"routeRefs": [named(kind) for kind in kinds]} if kinds else {}),
        **spec,
    }
    status = {"phase": phase, "routeRefs": [named(kind) for kind in before]}
    metadata = {"name": "app", "namespace": "shop", "uid": "uid-1"}
    return parse_canary({"metadata": metadata, "spec": whole, "status": status})


def there(*kinds: str) -> Observed:
    places = {place.resource.kind: place for place in route_refs.refs(canary(*kinds))}
    return {places[kind]: ROUTES[kind] for kind in kinds}


def led(observed: Observed, made: Canary, split: Split) -> Observed:
    """The routes once requests are divided so."""
    return after(ROUTE_REFS.plan(made, split, observed), observed)


def without_weights(value: Any) -> Any:
    """A route with nothing in it that says how many requests anybody gets; its canary's place included."""
    if isinstance(value, list):
        kept = [one for one in value if not (isinstance(one, dict) and one.get("name") == "app-canary")]
        return [without_weights(one) for one in kept]
    if isinstance(value, dict):
        return {key: without_weights(one) for key, one in value.items() if "weight" not in key and key != "a/b"}
    return value


@each
@given(percent=st.integers(0, 100))
def test_every_split_can_be_read_back_and_the_next_pass_writes_nothing(kind: str, percent: int) -> None:
    made, split = canary(kind), Split(percent)
    done = led(there(kind), made, split)
    assert ROUTE_REFS.split(made, done) == split
    assert ROUTE_REFS.plan(made, split, done) == ()


@each
@given(percent=st.integers(0, 100))
def test_all_that_is_no_weight_stays_as_it_is(kind: str, percent: int) -> None:
    before = there(kind)
    ((_, route_after),) = led(before, canary(kind), Split(percent)).items()
    assert without_weights(route_after) == without_weights(ROUTES[kind])


@each
def test_it_is_written_only_where_nobody_has_written_since(kind: str) -> None:
    (patch,) = ROUTE_REFS.plan(canary(kind), Split(30), there(kind))
    assert isinstance(patch, Patch)
    assert patch.guarded["metadata"]["resourceVersion"] == "41"
    assert "resourceVersion" not in json.dumps(patch.patch), "what is written again is known as the same"


def test_both_weights_are_out_of_a_hundred_and_those_of_others_stay() -> None:
    (done,) = led(there("HTTPRoute"), canary("HTTPRoute"), Split(30)).values()
    weights = [[one.get("weight") for one in rule["backendRefs"]] for rule in done["spec"]["rules"]]
    assert weights == [[70, 30, 7], [7], [70, 30]]


def test_a_destination_in_another_namespace_is_another_application() -> None:
    (done,) = led(there("VirtualService"), canary("VirtualService"), Split(30)).values()
    assert done["spec"]["http"][1] == ROUTES["VirtualService"]["spec"]["http"][1]


def test_in_a_traefik_service_the_canary_stands_only_while_it_gets_requests() -> None:
    """One of its Services without endpoints takes the whole of it with it."""
    (done,) = led(there("TraefikService"), canary("TraefikService"), Split(30)).values()
    assert done["spec"]["weighted"]["services"] == [
        {"name": "app", "port": 80, "weight": 70},
        {"name": "app-canary", "port": 80, "weight": 30},
    ]
    ((place, _),) = there("TraefikService").items()
    (rest,) = led({place: done}, canary("TraefikService"), ALL_PRIMARY).values()
    assert rest["spec"]["weighted"]["services"] == [{"name": "app", "port": 80, "weight": 100}]


def test_several_routes_move_together() -> None:
    kinds = ("HTTPRoute", "VirtualService", "Ingress")
    made = canary(*kinds)
    done = led(there(*kinds), made, Split(40))
    assert {ROUTE_REFS.split(canary(kind), done) for kind in kinds} == {Split(40)}
    assert ROUTE_REFS.split(made, {**done, **there("HTTPRoute")}) == Split(40), "the greatest share counts"


@pytest.mark.parametrize("split", [Split(0, mirror=10), Split(100, matched=True)])
def test_weights_neither_mirror_nor_match(split: Split) -> None:
    with pytest.raises(ValueError, match="neither mirror"):
        ROUTE_REFS.plan(canary("HTTPRoute"), split, there("HTTPRoute"))


@each
def test_a_route_that_is_missing_is_named(kind: str) -> None:
    (problem,) = ROUTE_REFS.unfit(canary(kind), {})
    assert (problem.field, problem.message) == ("spec.routeRefs[0].name", f"{kind} web does not exist in shop")
    assert ROUTE_REFS.split(canary(kind), {}) is None


@each
def test_one_that_does_not_lead_to_both_versions_is_named_with_the_remedy(kind: str) -> None:
    ((place, _),) = there(kind).items()
    elsewhere = copy.deepcopy(ROUTES[kind])
    elsewhere["spec"] = json.loads(json.dumps(elsewhere["spec"]).replace('"app', '"blog').replace("a/b", "c"))
    (problem,) = ROUTE_REFS.unfit(canary(kind), {place: elsewhere})
    assert problem.message == f"{kind} web doesn't lead to both app and app-canary"
    assert problem.remedy.startswith("where it leads to app, ")
    assert ROUTE_REFS.plan(canary(kind), Split(10), {place: elsewhere}) == ()


def test_the_remedy_followed_is_accepted() -> None:
    ((place, _),) = there("HTTPRoute").items()
    spec = {"rules": [{"backendRefs": [{"name": "app", "port": 80}]}]}
    (problem,) = ROUTE_REFS.unfit(canary("HTTPRoute"), {place: route(GATEWAY, "HTTPRoute", spec)})
    assert problem.remedy == "where it leads to app, name app-canary beside it, with a weight of 0"
    spec["rules"][0]["backendRefs"].append({"name": "app-canary", "port": 80, "weight": 0})
    assert ROUTE_REFS.unfit(canary("HTTPRoute"), {place: route(GATEWAY, "HTTPRoute", spec)}) == ()


def test_a_rule_for_the_canary_alone_is_refused() -> None:
    ((place, _),) = there("HTTPRoute").items()
    alone = [*rules(), {"backendRefs": [{"name": "app-canary", "port": 80}]}]
    (problem,) = ROUTE_REFS.unfit(canary("HTTPRoute"), {place: route(GATEWAY, "HTTPRoute", {"rules": alone})})
    assert problem.message == "a part of HTTPRoute web leads to app-canary alone, which has no pods between rollouts"


@pytest.mark.parametrize("phase", [Phase.EMPTY, Phase.INITIALIZING])
def test_before_there_are_services_nothing_is_asked_of_routes(phase: Phase) -> None:
    """Whoever wants to name the canary's Service needs one first."""
    assert ROUTE_REFS.unfit(canary("HTTPRoute", phase=phase), {}) == ()


@each
def test_at_the_end_all_lead_to_the_service_that_users_call(kind: str) -> None:
    made = canary(kind)
    done = after(ROUTE_REFS.hand_back(made, (tried := led(there(kind), made, Split(30)))), tried)
    text = json.dumps([each["spec"] for each in done.values()])
    assert "app-primary" not in text
    if kind not in ("Ingress", "Anything"):  # which name nobody but the canary, or nobody
        assert 'app-canary"' not in text.replace("app-canary.elsewhere", "")
    assert ROUTE_REFS.split(made, done) in (None, ALL_PRIMARY)
    assert ROUTE_REFS.hand_back(made, done) == ()


@each
def test_one_that_the_spec_names_no_more_is_led_back(kind: str) -> None:
    ((place, _),) = there(kind).items()
    made = canary("HTTPRoute" if kind != "HTTPRoute" else "GRPCRoute", before=(kind,))
    tried = led(there(kind), canary(kind), Split(30))
    (left,) = former_routes(made, (), route_refs.refs(made), lambda *at: tried.get(ObjectRef(*at)))
    assert (left.resource, left.name, left.share) == (place.resource, "web", 30)
    assert left.patch["metadata"]["resourceVersion"] == "41"
    assert ROUTE_REFS.split(canary(kind), {place: merged(tried[place], left.patch)}) == ALL_PRIMARY


def test_one_that_leads_to_the_canary_by_a_name_of_before_is_led_back() -> None:
    made = canary("HTTPRoute", service={"port": 80, "name": "web"})
    ((place, tried),) = led(there("HTTPRoute"), canary("HTTPRoute"), Split(30)).items()
    ((left, percent, patch),) = route_refs.left(made, ("app",), {place: tried})
    assert (left, percent) == (place, 30)
    assert ROUTE_REFS.split(canary("HTTPRoute"), {place: merged(tried, patch)}) == ALL_PRIMARY


def test_other_applications_of_the_same_route_are_left_alone() -> None:
    other = canary("HTTPRoute", service={"port": 80, "name": "blog"})
    (tried,) = led(there("HTTPRoute"), canary("HTTPRoute"), Split(30)).values()
    ((place, _),) = there("HTTPRoute").items()
    assert list(route_refs.left(other, (), {place: tried})) == []
    assert ROUTE_REFS.plan(other, Split(10), {place: tried}) == ()


@pytest.mark.parametrize("provider", sorted({*ROUTERS} - {"knative"}))
def test_the_provider_that_is_named_beside_them_needs_nothing_more(provider: str) -> None:
    """It says whose metrics are asked; Knative's are of its own targets."""
    made = canary("HTTPRoute", provider=provider)
    assert router_of(made, "kubernetes") is ROUTE_REFS
    assert list(spec_problems(made, provider)) == []
    assert ROUTE_REFS.problems(made) == ()


def test_what_is_the_routes_own_to_say_is_refused_by_name() -> None:
    made = canary(
        "HTTPRoute", service={"port": 80, "hosts": ["shop.example"]}, ingressRef={"kind": "Ingress", "name": "x"}
    )
    assert [(each.field, each.remedy) for each in ROUTE_REFS.problems(made)] == [
        ("spec.service.hosts", "write it in these routes, and take it out here"),
        ("spec.ingressRef", "write it in these routes, and take it out here"),
    ]


def test_the_slowest_gateway_is_waited_for() -> None:
    slow, quick = (settle_of(canary(kind), "kubernetes", {}) for kind in ("VirtualService", "HTTPProxy"))
    assert quick < slow == settle_of(canary("HTTPProxy", "VirtualService"), "kubernetes", {})


BAD: list[tuple[Json, str, str]] = [
    ({"apiVersion": "x/v1", "kind": "Thing", "name": "web"}, "kind", "nobody knows where a Thing has its weights"),
    ({"apiVersion": "x/v1", "kind": "Ingress", "name": "web"}, "apiVersion", "x/v1 is none of networking.k8s.io"),
    ({"apiVersion": GATEWAY, "kind": "HTTPRoute", "name": ""}, "name", "is empty"),
    ({**named("Anything"), "apiVersion": "apps/v1"}, "apiVersion", "apps/v1 Anything is no route of a gateway's own"),
    ({**named("Anything"), "apiVersion": "v1"}, "apiVersion", "v1 Anything is no route"),
    (
        {**named("Anything"), "weights": {"primary": "/metadata/generation", "canary": "/spec/a"}},
        "weights.primary",
        "'/metadata/generation' is no place in the route's spec",
    ),
    (
        {**named("Anything"), "weights": {"primary": "/spec/a", "canary": "/spec/a"}},
        "weights.canary",
        "is the primary's place too",
    ),
]


@pytest.mark.parametrize(("ref", "field", "message"), BAD)
def test_a_reference_that_leads_nowhere_is_refused_by_its_field(ref: Json, field: str, message: str) -> None:
    (problem,) = spec_problems(canary(routeRefs=[ref]), "traefik")
    assert problem.field == f"spec.routeRefs[0].{field}"
    assert problem.message.startswith(message)
    assert problem.remedy


def test_a_route_named_twice_is_refused() -> None:
    (problem,) = spec_problems(canary("HTTPRoute", "HTTPRoute"), "traefik")
    assert str(problem) == "spec.routeRefs[1]: HTTPRoute web is named before; take it out"


def test_a_number_that_is_not_there_leads_nowhere() -> None:
    ((place, _),) = there("Anything").items()
    assert place.resource == Resource("gate.example", "v2", "anythings", "Anything")
    for spec in ({}, {"split": {"a/b": [50]}}, {"split": {"a/b": {"0": 1}}}, {"split": {"a/b": ["50", "50"]}}):
        gone = {**ROUTES["Anything"], "spec": spec}
        assert ROUTE_REFS.plan(canary("Anything"), Split(10), {place: gone}) == ()
        assert len(ROUTE_REFS.unfit(canary("Anything"), {place: gone})) == 1


def test_the_rules_know_the_kinds_whose_weights_are_known() -> None:
    assert {each.kind: each.group for each in route_refs.WEIGHTS} == KINDS
