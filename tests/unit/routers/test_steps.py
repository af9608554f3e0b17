"""Written steps on traffic providers: what they read for a step, see of it, and refuse of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import Split
from canary.controller.problems import of_spec
from canary.kube.types import Json
from canary.routers import steps
from canary.routers.registry import ALL, ROUTERS
from tests.tools.routes import after

TESTERS: Json = {"header": {"match": [{"headers": {"x-tester": {"exact": "yes"}}}]}}
BETA: Json = {"header": {"match": [{"queryParams": {"beta": {"exact": "on"}}}]}}
PROVIDERS = ("gatewayapi:v1", "istio")
each = pytest.mark.parametrize("provider", PROVIDERS)


def canary(provider: str, *written: Json, at: int = 0, **spec: Any) -> Canary:
    service = {"port": 80, **({"gatewayRefs": [{"name": "edge"}]} if provider.startswith("gatewayapi") else {})}
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop", "uid": "uid-1"},
            "spec": {
                "provider": provider,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": service,
                "analysis": {"interval": "1m", "threshold": 5, "steps": list(written)},
                **spec,
            },
            "status": {"iterations": at},
        }
    )


def seen(made: Canary, split: Split) -> Split | None:
    """What is seen of the route that divides requests so."""
    router = ROUTERS[made.spec.provider]
    return steps.seen(router, made, after(router.plan(steps.led(made, split), split, {}), {}))


@each
@given(weight=st.integers(1, 99), header=st.sampled_from([0, 2]))
def test_what_is_seen_of_a_weight_is_what_was_routed(provider: str, weight: int, header: int) -> None:
    made = canary(provider, {"weight": 1}, TESTERS, {"weight": 2}, at=3)
    assert seen(made, Split(weight, header=header)) == Split(weight, header=header)


@each
@pytest.mark.parametrize("split", [Split(0), Split(100, matched=True, header=1), Split(0, mirror=100)])
def test_what_is_seen_before_the_first_weight_is_what_was_routed(provider: str, split: Split) -> None:
    assert seen(canary(provider, TESTERS, {"weight": 2}, at=1), split) == split


@each
@pytest.mark.parametrize("split", [Split(10, header=1), Split(100, matched=True, header=1), Split(10)])
def test_a_controller_that_died_before_it_stored_the_step_sees_it_all_the_same(provider: str, split: Split) -> None:
    """The status is of before the step, or of one behind it."""
    for at in (0, 3):
        assert seen(canary(provider, TESTERS, {"weight": 2}, {"header": {}}, at=at), split) == split


def test_each_step_leads_those_whom_it_chooses() -> None:
    made = canary("istio", TESTERS, {"weight": 10}, BETA, {"weight": 20})
    plan = ROUTERS["istio"].plan
    chosen = [
        after(plan(steps.led(made, split), split, {}), {}) for split in (Split(10, header=1), Split(20, header=3))
    ]
    (first,), (second,) = ([obj for obj in each.values() if obj["kind"] == "VirtualService"] for each in chosen)
    assert first["spec"]["http"][0]["match"] == [{"headers": {"x-tester": {"exact": "yes"}}}]
    assert second["spec"]["http"][0]["match"] == [{"queryParams": {"beta": {"exact": "on"}}}]


def refused(provider: str, *written: Json, **spec: Any) -> dict[str, str]:
    return {each.field: each.remedy for each in of_spec(canary(provider, *written, **spec), provider)}


@pytest.mark.parametrize("provider", [name for each in ALL for name in each.names])
def test_a_provider_is_refused_what_it_can_not_do_and_nothing_else(provider: str) -> None:
    """As its own fields say; what it needs besides, such as an ingressRef, is told in either case."""
    router = ROUTERS[provider]
    ways: dict[str, tuple[str, tuple[Json, ...]]] = {
        "analysis.stepWeight": ("weight", ({"weight": 10},)),
        "analysis.alwaysMatch": ("header", ({"weight": 10}, TESTERS)),
        "analysis.match": ("header", (TESTERS, {"pause": {}}, {"header": {}}, {"weight": 10})),
        "analysis.mirror": ("mirror", ({"mirror": {}}, {"weight": 10})),
    }
    for field, (kind, written) in ways.items():
        found = refused(provider, *written)
        assert any(f"].{kind}" in name for name in found) is (field not in router.fields), (field, found)


def test_where_requests_are_chosen_instead_of_weights_they_are_until_the_first_weight() -> None:
    found = refused("contour", TESTERS, {"pause": {}}, {"weight": 10})
    assert "write {header: {}} before the first weight" in found["spec.analysis.steps[0].header"]


def test_conditions_of_a_step_are_refused_with_their_own_path() -> None:
    suffix: Json = {"header": {"match": [{"headers": {"x-tester": {"suffix": "yes"}}}]}}
    assert refused("gatewayapi:v1", {"weight": 10}, suffix) == {
        "spec.analysis.steps[1].header.match[0].headers.x-tester": "write exact or regex"
    }


def test_routes_of_others_take_weights_alone() -> None:
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "users"}
    service = {"port": 80}
    assert refused("gatewayapi:v1", {"weight": 10}, {"pause": {}}, routeRefs=[route], service=service) == {}
    assert list(refused("gatewayapi:v1", TESTERS, {"weight": 10}, routeRefs=[route], service=service)) == [
        "spec.analysis.steps[0].header"
    ]


def test_what_is_routed_without_steps_is_as_it_was() -> None:
    made = parse_canary(
        {"metadata": {"name": "app"}, "spec": {"targetRef": {"name": "app"}, "analysis": {"match": []}}}
    )
    assert steps.led(made, Split(10)) is made
