"""`analysis.alwaysMatch`: chosen requests reach the canary whatever its weight, while it has one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.rules import problems
from canary.api.status import CanaryStatus
from canary.api.traffic import Split
from canary.kube.types import Json
from canary.routers.registry import ROUTERS, ROUTES
from canary.routers.route_kind import BESIDE
from tests.tools.routes import after, by_ref, merged

PROVIDERS = ("gatewayapi:v1", "istio")
INSIDER = {"headers": {"x-insider": {"exact": "yes"}}}
each = pytest.mark.parametrize("provider", PROVIDERS)


def canary(provider: str, **analysis: Any) -> Canary:
    spec = {
        "provider": provider,
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80, **({"gatewayRefs": [{"name": "edge"}]} if provider != "istio" else {})},
        "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "alwaysMatch": [INSIDER], **analysis},
    }
    return parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "uid-1"}, "spec": spec})


def led(made: Canary, split: Split) -> Json:
    """The route that divides requests so."""
    router = ROUTERS[made.spec.provider]
    done = after(router.plan(made, split, {}), {})
    return next(route for ref, route in done.items() if any(kind is not BESIDE for kind in ROUTES[ref.resource]))


def backends(route: Json) -> list[dict[str, int]]:
    """The weights of each rule."""
    spec = route["spec"]
    rules = spec.get("rules") or spec["http"]
    lists = [rule.get("backendRefs") or rule["route"] for rule in rules]
    return [{one.get("name") or one["destination"]["host"]: one["weight"] for one in found} for found in lists]


@each
def test_a_rule_before_the_weights_leads_chosen_requests_to_the_canary(provider: str) -> None:
    assert backends(led(canary(provider), Split(10))) == [{"app-canary": 100}, {"app-primary": 90, "app-canary": 10}]


@each
def test_a_canary_without_weight_gets_nothing(provider: str) -> None:
    """It has no pods between rollouts."""
    assert backends(led(canary(provider), Split(0))) == [{"app-primary": 100, "app-canary": 0}]


@each
@given(percent=st.integers(0, 100))
@pytest.mark.parametrize("cookies", [{}, {"sessionAffinity": {"cookieName": "track"}}], ids=["", "with cookies"])
def test_the_weights_are_read_back(provider: str, cookies: Json, percent: int) -> None:
    status = CanaryStatus(session_affinity_cookie="track=1")
    made = canary(provider, **cookies).replace(status=status)
    router = ROUTERS[provider]
    there = after(router.plan(made, Split(percent), {}), {})
    assert router.split(made, there) == Split(percent)
    assert after(router.plan(made, Split(percent), there), there) == there


@each
def test_copies_of_requests_go_on_beside(provider: str) -> None:
    made = canary(provider, mirror=True)
    router = ROUTERS[provider]
    there = after(router.plan(made, Split(10, mirror=100), {}), {})
    assert router.split(made, there) == Split(10, mirror=100)


@each
def test_a_route_of_before_leads_chosen_requests_back_too(provider: str) -> None:
    route = led(canary(provider), Split(10))
    (ref,) = by_ref([route])
    (kind,) = ROUTES[ref.resource]
    assert kind.share(route) == 100
    done = merged(route, kind.without_canary(route))
    assert all(found.get("app-canary", 0) == 0 and found["app-primary"] == 100 for found in backends(done))


@pytest.mark.parametrize("provider", sorted(set(ROUTERS) - {*PROVIDERS, "gatewayapi:v1beta1"}))
def test_others_refuse_it_by_its_name(provider: str) -> None:
    found = {problem.field for problem in ROUTERS[provider].problems(canary(provider))}
    assert "spec.analysis.alwaysMatch" in found


@each
def test_without_weights_it_has_no_effect_and_is_refused(provider: str) -> None:
    (problem,) = problems(canary(provider, stepWeight=0, iterations=3), provider)
    assert str(problem) == (
        "spec.analysis.alwaysMatch: goes beside weights; with iterations there are none; "
        "take it out, or set stepWeight in place of iterations"
    )
