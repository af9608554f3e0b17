"""A route of before is read and changed by itself: the spec that it was made by is gone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.routers import former
from canary.routers.base import Json
from canary.routers.registry import ROUTERS
from canary.routers.replicas import ReplicaRouter

AFFINITY = {"cookieName": "c", "primaryCookieName": "p"}
COOKIES = {"sessionAffinityCookie": "c=1", "primarySessionAffinityCookie": "p=1"}


def canary(provider: str, status: Json | None = None, **analysis: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop", "uid": "0-1"},
            "spec": {
                "provider": provider,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80, "gatewayRefs": [{"name": "gateway"}], "ports": [{"name": "grpc", "port": 81}]},
                "analysis": {"interval": "1m", "threshold": 1, **analysis},
            },
            "status": {"phase": "Progressing", **(status or {})},
        }
    )


def merged(obj: Json, patch: Json) -> Json:
    """The object after a merge patch."""
    result = {key: value for key, value in obj.items() if key not in patch}
    for key, value in patch.items():
        if isinstance(value, dict):
            result[key] = merged(obj.get(key) or {}, value)
        elif value is not None:
            result[key] = value
    return result


MATCH = [{"headers": {"x": {"exact": "1"}}}]
MADE = {
    "traefik": (canary("traefik", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "gatewayapi": (canary("gatewayapi:v1", stepWeight=10), st.builds(Split, st.integers(0, 100))),
    "mirror": (canary("gatewayapi:v1", iterations=2, mirror=True), st.builds(Split, st.just(0), st.integers(0, 100))),
    "match": (canary("gatewayapi:v1", iterations=2, match=MATCH), st.just(Split(100, matched=True))),
    "cookies": (
        canary("gatewayapi:v1", COOKIES, stepWeight=10, sessionAffinity=AFFINITY),
        st.builds(Split, st.integers(1, 99)),
    ),
}


@pytest.mark.parametrize("name", sorted(MADE))
@given(data=st.data())
def test_whatever_a_route_is_like_it_leads_to_the_primary_alone_afterwards(name: str, data: st.DataObject) -> None:
    made, splits = MADE[name]
    split, router = data.draw(splits), ROUTERS[made.spec.provider]
    for route in router.desired(made, split, {}):
        assert bool(former.canary_share(route)) is bool(split.canary)
        left = merged(route, former.without_canary(route))
        assert former.canary_share(left) == 0
        assert "app-canary" not in {
            (each.get("requestMirror") or {}).get("backendRef", {}).get("name")
            for rule in left["spec"].get("rules", [])
            for each in rule.get("filters", [])
        }
        assert left["metadata"] == route["metadata"]
        back = merged(route, former.past_versions(route))
        backends = [each["name"] for rule in back["spec"].get("rules", []) for each in rule["backendRefs"]]
        backends += [each["name"] for each in back["spec"].get("weighted", {}).get("services", [])]
        assert set(backends) == {"app"}
        assert former.versions_of(back) == set()
    if name in ("traefik", "gatewayapi"):
        key = {"traefik": "TraefikService", "gatewayapi": "HTTPRoute"}[name]
        routes = router.desired(made, split, {})
        objects = {(key, each["metadata"]["name"]): merged(each, former.without_canary(each)) for each in routes}
        assert router.observed_split(made, objects) == ALL_PRIMARY


@pytest.mark.parametrize("split", [Split(100), Split(30)], ids=str)
def test_a_service_that_users_call_leads_to_the_primary_again(split: Split) -> None:
    """Whether it selects the pods of the canary or those of both versions."""
    made, router = canary("kubernetes", replicaRatio=True, stepWeight=10), ReplicaRouter()
    selectors = {"app": {"app": "app-primary"}, "app-primary": {"app": "app-primary"}, "app-canary": {"app": "app"}}
    services: dict[tuple[str, str], Json] = {
        ("Service", name): {"metadata": {"name": name}, "spec": {"selector": selector}}
        for name, selector in selectors.items()
    }
    apex, primary, own = (services["Service", each] for each in selectors)
    assert former.service_share(apex, own) == 0
    led = merged(apex, router.shift(made, split, services))
    assert former.service_share(led, own) == split.canary
    assert merged(led, former.leading_to(led, primary))["spec"] == apex["spec"]
