"""Weights by the numbers of pods: what the Service that users call selects, and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.routers.base import Granularity, Json
from canary.routers.registry import router_of
from canary.routers.replicas import ReplicaRouter

ROUTER = ReplicaRouter()
SHARED = {"flagger.app/service": "shop"}
PRIMARY, TARGET = {"app": "app-primary"}, {"app": "app"}


def canary(**analysis: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "prod", "uid": "1"},
            "spec": {
                "provider": "kubernetes",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80, "name": "shop"},
                "analysis": {"stepWeight": 10, "replicaRatio": True, **analysis},
            },
        }
    )


def services(selector: dict[str, str], weight: str | None = None) -> dict[tuple[str, str], Json]:
    """The three Services, where the one that users call selects this and carries this mark."""
    found = {"shop": selector, "shop-primary": PRIMARY, "shop-canary": TARGET}
    marks: dict[str, Json] = {"shop": {"flagger.app/canary-weight": weight} if weight else {}}
    return {
        ("Service", name): {
            "metadata": {"name": name, "annotations": marks.get(name, {})},
            "spec": {"selector": selector},
        }
        for name, selector in found.items()
    }


def merged(obj: Json, patch: Json) -> Json:
    """An object after a merge patch (RFC 7386)."""
    done = {**obj}
    for key, value in patch.items():
        if value is None:
            done.pop(key, None)
        else:
            done[key] = merged(done.get(key, {}), value) if isinstance(value, dict) else value
    return done


def shifted(observed: dict[tuple[str, str], Json], split: Split) -> dict[tuple[str, str], Json]:
    patch = ROUTER.shift(canary(), split, observed)
    return {**observed, ("Service", "shop"): merged(observed["Service", "shop"], patch)}


@pytest.mark.field("spec.analysis.replicaRatio", by="kubernetes")
def test_a_spec_that_asks_for_it_gets_it_on_services_alone() -> None:
    assert isinstance(router_of(canary(), ""), ReplicaRouter)
    assert not isinstance(router_of(canary(replicaRatio=False), ""), ReplicaRouter)
    assert ROUTER.capabilities.weights is Granularity.PODS
    assert ROUTER.unsupported(canary()) == ()


@pytest.mark.parametrize(
    ("split", "selector"),
    [(ALL_PRIMARY, PRIMARY), (Split(1), SHARED), (Split(99), SHARED), (Split(100), TARGET)],
)
def test_the_service_selects_the_primary_both_or_the_canary(split: Split, selector: dict[str, str]) -> None:
    assert shifted(services(PRIMARY), split)["Service", "shop"]["spec"]["selector"] == selector


@given(st.lists(st.integers(0, 100).map(Split), min_size=1, max_size=4))
def test_whatever_it_was_what_is_written_is_read_and_written_once(splits: list[Split]) -> None:
    observed = services(PRIMARY)
    for split in splits:
        observed = shifted(observed, split)
        assert ROUTER.observed_split(canary(), observed) == split
        assert ROUTER.shift(canary(), split, observed) == {}


def test_a_weight_whose_mark_is_gone_is_some_traffic_and_written_again() -> None:
    """Only that the canary gets none must never be read where it may get some."""
    for mark in (None, "many", "0", "100", "-5"):
        observed = services(SHARED, mark)
        assert ROUTER.observed_split(canary(), observed) == Split(1)
        assert shifted(observed, Split(25))["Service", "shop"]["metadata"]["annotations"] == {
            "flagger.app/canary-weight": "25"
        }


def test_a_service_that_leads_elsewhere_says_nothing() -> None:
    assert ROUTER.observed_split(canary(), services({"app": "other"})) is None
    assert ROUTER.observed_split(canary(), {}) is None


def test_what_gives_the_canary_traffic_is_kept_when_the_rest_of_the_service_is_applied() -> None:
    assert ROUTER.selected(canary(), services(SHARED, "25")) == SHARED
    assert ROUTER.selected(canary(), services(TARGET)) == TARGET
    assert ROUTER.selected(canary(), services(PRIMARY)) == {}
    assert ROUTER.selected(canary(), services({"app": "other"})) == {}


@pytest.mark.parametrize("split", [Split(0, mirror=50), Split(100, matched=True)])
def test_pods_copy_and_choose_nothing(split: Split) -> None:
    with pytest.raises(ValueError, match="numbers of pods"):
        ROUTER.shift(canary(), split, services(PRIMARY))


def test_what_takes_a_route_is_refused() -> None:
    found = ROUTER.unsupported(canary(stepWeightPromotion=10, mirror=True))
    assert {each.field for each in found} == {"spec.analysis.stepWeightPromotion", "spec.analysis.mirror"}
