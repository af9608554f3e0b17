"""Weights by the numbers of pods: what the Service that users call selects, and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import SERVICE, Json, ObjectRef
from canary.routers.base import Granularity
from canary.routers.kubernetes import KUBERNETES
from canary.routers.kubernetes import REPLICAS as ROUTER
from canary.routers.registry import router_of
from tests.tools.routes import after, by_ref

SHOP = ObjectRef(SERVICE, "prod", "shop")
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


def services(selector: dict[str, str], weight: str | None = None) -> dict[ObjectRef, Json]:
    """The three Services, where the one that users call selects this and carries this mark."""
    found = {"shop": selector, "shop-primary": PRIMARY, "shop-canary": TARGET}
    marks: dict[str, Json] = {"shop": {"flagger.app/canary-weight": weight} if weight else {}}
    return by_ref(
        {
            "kind": "Service",
            "metadata": {"name": name, "namespace": "prod", "annotations": marks.get(name, {})},
            "spec": {"selector": selector},
        }
        for name, selector in found.items()
    )


def shifted(observed: dict[ObjectRef, Json], split: Split) -> dict[ObjectRef, Json]:
    return after(ROUTER.plan(canary(), split, observed), observed)


@pytest.mark.field("spec.analysis.replicaRatio", by="kubernetes")
def test_a_spec_that_asks_for_it_gets_it_on_services_alone() -> None:
    assert router_of(canary(), "") is ROUTER
    assert router_of(canary(replicaRatio=False), "") is KUBERNETES
    assert ROUTER.weights is Granularity.PODS
    assert ROUTER.problems(canary()) == ()


@pytest.mark.parametrize(
    ("split", "selector"),
    [(ALL_PRIMARY, PRIMARY), (Split(1), SHARED), (Split(99), SHARED), (Split(100), TARGET)],
)
def test_the_service_selects_the_primary_both_or_the_canary(split: Split, selector: dict[str, str]) -> None:
    assert shifted(services(PRIMARY), split)[SHOP]["spec"]["selector"] == selector


@given(st.lists(st.integers(0, 100).map(Split), min_size=1, max_size=4))
def test_whatever_it_was_what_is_written_is_read_and_written_once(splits: list[Split]) -> None:
    observed = services(PRIMARY)
    for split in splits:
        observed = shifted(observed, split)
        assert ROUTER.split(canary(), observed) == split
        assert ROUTER.plan(canary(), split, observed) == ()


def test_a_weight_whose_mark_is_gone_is_some_traffic_and_written_again() -> None:
    """Only that the canary gets none must never be read where it may get some."""
    for mark in (None, "many", "0", "100", "-5"):
        observed = services(SHARED, mark)
        assert ROUTER.split(canary(), observed) == Split(1)
        assert shifted(observed, Split(25))[SHOP]["metadata"]["annotations"] == {"flagger.app/canary-weight": "25"}


def test_a_service_that_leads_elsewhere_says_nothing() -> None:
    assert ROUTER.split(canary(), services({"app": "other"})) is None
    assert ROUTER.split(canary(), {}) is None


@pytest.mark.parametrize("split", [Split(0, mirror=50), Split(100, matched=True)])
def test_pods_copy_and_choose_nothing(split: Split) -> None:
    with pytest.raises(ValueError, match="numbers of pods"):
        ROUTER.plan(canary(), split, services(PRIMARY))


def test_what_takes_a_route_is_refused() -> None:
    found = ROUTER.problems(canary(stepWeightPromotion=10, mirror=True))
    assert {each.field for each in found} == {"spec.analysis.stepWeightPromotion", "spec.analysis.mirror"}
