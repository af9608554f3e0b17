"""A baseline's share: written beside the canary's, read back from what is there, and ended with it in former routes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import Json
from canary.routers.base import Provider
from canary.routers.registry import ALL, ROUTERS
from tests.tools.routes import by_ref, made

SERVICES: dict[str, Json] = {
    "contour": {},
    "gatewayapi:v1": {"gatewayRefs": [{"name": "public"}]},
    "istio": {},
    "kuma": {},
    "traefik": {},
}
EACH = pytest.mark.parametrize("name", SERVICES)

splits = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(
    lambda shares: Split(shares[0], baseline=min(shares[1], 100 - shares[0]))
)


def test_every_provider_that_can_is_tried_here() -> None:
    assert {each.names[0] for each in ALL if each.baseline} == SERVICES.keys()


@EACH
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(split=splits)
def test_every_split_can_be_read_back(make_canary: Callable[..., Canary], name: str, split: Split) -> None:
    router, canary = ROUTERS[name], make_canary(SERVICES[name])
    assert router.split(canary, by_ref(made(router, canary, split, {}))) == split


@EACH
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(before=splits, after=splits)
def test_what_was_routed_before_leaves_nothing(
    make_canary: Callable[..., Canary], name: str, before: Split, after: Split
) -> None:
    """A baseline is named by no route while it gets nothing: its Service goes."""
    router, canary = ROUTERS[name], make_canary(SERVICES[name])
    observed = by_ref(made(router, canary, before, {}))
    found = by_ref(made(router, canary, after, observed))
    assert router.split(canary, found) == after
    assert (f"{canary.service_name}-baseline" in str(found)) is bool(after.baseline)


def ports(name: str) -> Json:
    return {**SERVICES[name], "ports": [{"name": "admin", "port": 8081}]}


@EACH
def test_until_all_ports_say_the_same_the_greatest_share_counts(make_canary: Callable[..., Canary], name: str) -> None:
    router, canary = ROUTERS[name], make_canary(ports(name))
    old, new = (by_ref(made(router, canary, each, {})) for each in (Split(10), Split(10, baseline=10)))
    if len(router.makes(canary)) == 1 or name == "istio":
        return
    first, *others = router.makes(canary)
    assert router.split(canary, {first: old[first], **{ref: new[ref] for ref in others}}) == Split(10, baseline=10)
    assert router.split(canary, {first: new[first], **{ref: old[ref] for ref in others}}) == Split(10, baseline=10)


def routed(router: Provider, canary: Canary, split: Split) -> list[tuple[Any, Json]]:
    found = by_ref(made(router, canary, split, {}))
    return [(router.routes[ref.resource], obj) for ref, obj in found.items() if "baseline" in str(obj)]


@EACH
@pytest.mark.parametrize("split", [Split(10, baseline=10), Split(0, baseline=25)], ids=str)
def test_a_route_of_before_gives_both_shares_back(make_canary: Callable[..., Canary], name: str, split: Split) -> None:
    router, canary = ROUTERS[name], make_canary(SERVICES[name])
    for kind, route in routed(router, canary, split):
        assert kind.share(route) == split.canary + split.baseline
        ended = {**route, "spec": {**route["spec"], **kind.without_canary(route)["spec"]}}
        assert kind.share(ended) == 0
        assert "my-app-baseline" not in str(ended)
        past = {**route, "spec": {**route["spec"], **kind.past_versions(route)["spec"]}}
        assert not {"my-app-baseline", "my-app-canary", "my-app-primary"} & kind.leads_to(past)


def test_an_application_that_is_called_baseline_has_none(make_canary: Callable[..., Canary]) -> None:
    router, canary = ROUTERS["traefik"], make_canary({"name": "my-baseline"})
    (route,) = made(router, canary, ALL_PRIMARY, {})
    (kind,) = router.routes.values()
    handed_back = {**route, "spec": {"weighted": {"services": [{"name": "my-baseline", "weight": 100}]}}}
    assert kind.share(route) == kind.share(handed_back) == 0
