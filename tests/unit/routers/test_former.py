"""A route of before is read and changed by itself: the spec that it was made by is gone."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import HTTP_PROXY, Json
from canary.routers import former
from canary.routers.kubernetes import REPLICAS
from canary.routers.registry import ROUTERS, ROUTES
from canary.routers.route_kind import BESIDE
from tests.tools.routes import after, by_ref, manifests, merged, ref
from tests.tools.routes import made as objects_of

AFFINITY = {"cookieName": "c", "primaryCookieName": "p"}
COOKIES = {"sessionAffinityCookie": "c=1", "primarySessionAffinityCookie": "p=1"}


def canary(provider: str, status: Json | None = None, service: Json | None = None, **analysis: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop", "uid": "0-1"},
            "spec": {
                "provider": provider,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "routeRef": {"name": "web"},
                "service": {
                    "port": 80,
                    "gatewayRefs": [{"name": "gateway"}],
                    "ports": [{"name": "grpc", "port": 81}],
                    **(service or {}),
                },
                "analysis": {"interval": "1m", "threshold": 1, **analysis},
            },
            "status": {"phase": "Progressing", **(status or {})},
        }
    )


MATCH = [{"headers": {"x": {"exact": "1"}}}]
ROUTE = {
    "kind": "ApisixRoute",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"http": [{"name": "all", "match": {"paths": ["/*"]}, "backends": [{"serviceName": "app"}]}]},
}
THERE = by_ref([ROUTE])
"""What users have made."""

MADE = {
    "apisix": (canary("apisix", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "contour": (canary("contour", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "contour copies": (canary("contour", mirror=True, iterations=2), st.builds(Split, st.just(0), st.integers(0, 100))),
    "contour match": (canary("contour", iterations=2, match=MATCH), st.just(Split(100, matched=True))),
    "traefik": (canary("traefik", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "gatewayapi": (canary("gatewayapi:v1", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "gloo": (canary("gloo", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "gloo copies": (canary("gloo", mirror=True, iterations=2), st.builds(Split, st.just(0), st.integers(0, 100))),
    "gloo match": (canary("gloo", iterations=2, match=MATCH), st.just(Split(100, matched=True))),
    "kuma": (canary("kuma", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "kuma copies": (canary("kuma", mirror=True, iterations=2), st.builds(Split, st.just(0), st.integers(0, 100))),
    "kuma match": (canary("kuma", iterations=2, match=MATCH), st.just(Split(100, matched=True))),
    "linkerd": (canary("linkerd", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "smi": (canary("smi:v1alpha3", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "mirror": (canary("gatewayapi:v1", iterations=2, mirror=True), st.builds(Split, st.just(0), st.integers(0, 100))),
    "match": (canary("gatewayapi:v1", iterations=2, match=MATCH), st.just(Split(100, matched=True))),
    "cookies": (
        canary("gatewayapi:v1", COOKIES, stepWeight=10, sessionAffinity=AFFINITY),
        st.builds(Split, st.integers(1, 99)),
    ),
    "istio": (canary("istio", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "istio, connections": (
        canary("istio", service={"appProtocol": "tcp"}, stepWeight=10),
        st.builds(Split, st.integers(0, 100)),
    ),
    "istio, mirror": (canary("istio", iterations=2, mirror=True), st.builds(Split, st.just(0), st.integers(0, 100))),
    "istio, mirrors": (
        canary("istio", service={"mirror": [{"backendRef": {"name": "lab", "port": 1}}]}, iterations=2, mirror=True),
        st.builds(Split, st.just(0), st.integers(0, 100)),
    ),
    "istio, match": (canary("istio", iterations=2, match=MATCH), st.just(Split(100, matched=True))),
    "istio, cookies": (
        canary("istio", COOKIES, stepWeight=10, sessionAffinity=AFFINITY),
        st.builds(Split, st.integers(1, 99)),
    ),
}


def copied_to(spec: Json) -> Iterator[str]:
    """The Services that get copies of requests."""
    rules = [*spec.get("rules", []), *(rule["default"] for to in spec.get("to", []) for rule in to["rules"])]
    mirrors = (each.get("requestMirror") for rule in rules for each in rule.get("filters", []))
    backends = [each["backendRef"] for each in mirrors if each]
    backends += [each for route in spec.get("routes", []) for each in route.get("services", []) if each.get("mirror")]
    yield from (each.get("name") or each["labels"]["kuma.io/display-name"] for each in backends)
    yield from ("app-canary" for route in spec.get("routes", []) if "shadowing" in route.get("options", {}))
    for rule in spec.get("http", []):
        yield from (rule[field]["host"] for field in ("mirror",) if field in rule)
        yield from (each["destination"]["host"] for each in rule.get("mirrors", []))


@pytest.mark.parametrize("name", sorted(MADE))
@given(data=st.data())
def test_whatever_a_route_is_like_it_leads_to_the_primary_alone_afterwards(name: str, data: st.DataObject) -> None:
    made, splits = MADE[name]
    split, router = data.draw(splits), ROUTERS[made.spec.provider]
    routes = objects_of(router, made, split, THERE)
    for route in routes:
        (kind,) = ROUTES[ref(route).resource]
        if kind is BESIDE:
            continue
        assert bool(kind.share(route)) is bool(split.canary)
        left = merged(route, kind.without_canary(route))
        assert kind.share(left) == 0
        assert set(copied_to(left["spec"])) == set(copied_to(route["spec"])) - {"app-canary"}
        assert left["metadata"] == route["metadata"]
        back = merged(route, kind.past_versions(route))
        assert kind.leads_to(back) == {"app"}
        assert kind.versions(back) == set()
    if made.analysis.step_weight and "cookies" not in name:
        objects = by_ref(merged(each, ROUTES[ref(each).resource][0].without_canary(each)) for each in routes)
        assert router.split(made, objects) == ALL_PRIMARY


@pytest.mark.parametrize("split", [Split(100), Split(30)], ids=str)
def test_a_service_that_users_call_leads_to_the_primary_again(split: Split) -> None:
    """Whether it selects the pods of the canary or those of both versions."""
    made = canary("kubernetes", replicaRatio=True, stepWeight=10)
    selectors = {"app": {"app": "app-primary"}, "app-primary": {"app": "app-primary"}, "app-canary": {"app": "app"}}
    apex, primary, own = (
        {"kind": "Service", "metadata": {"name": name}, "spec": {"selector": selector}}
        for name, selector in selectors.items()
    )
    services = by_ref([apex, primary, own])
    assert former.service_share(apex, own) == 0
    led = after(REPLICAS.plan(made, split, services), services)[ref(apex)]
    assert former.service_share(led, own) == split.canary
    assert merged(led, former.leading_to(led, primary))["spec"] == apex["spec"]


def test_copies_that_others_get_stay() -> None:
    """Of an HTTPProxy, which lists who gets copies among those that answer."""
    proxy = {
        "spec": {
            "routes": [
                {
                    "services": [
                        {"name": "app-primary", "port": 80, "weight": 90},
                        {"name": "app-canary", "port": 80, "weight": 10},
                        {"name": "shadow", "port": 80, "weight": 50, "mirror": True},
                    ]
                }
            ]
        }
    }
    (kind,) = ROUTES[HTTP_PROXY]
    (route,) = kind.without_canary(proxy)["spec"]["routes"]
    assert [(each["name"], each["weight"]) for each in route["services"]] == [
        ("app-primary", 100),
        ("app-canary", 0),
        ("shadow", 50),
    ]
    (route,) = kind.past_versions(proxy)["spec"]["routes"]
    assert [each["name"] for each in route["services"]] == ["app", "shadow"]


def test_a_service_takes_its_header_along() -> None:
    """By which Linkerd is told where a request goes."""
    made, router = canary("contour", stepWeight=10), ROUTERS["contour"]
    proxy, _ = objects_of(router, made, Split(10))
    (kind,) = ROUTES[HTTP_PROXY]
    (back,) = kind.past_versions(proxy)["spec"]["routes"]
    (handed, _) = manifests(router.hand_back(made, {}))
    assert back["services"] == handed["spec"]["routes"][0]["services"]
