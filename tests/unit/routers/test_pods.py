"""Pods that are rolled out in place have no route, whatever provider the controller has."""

from collections.abc import Callable
from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import Split
from canary.routers.pods import PODS
from canary.routers.registry import provider_of, router_of


def canary(**analysis: Any) -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}
    spec = {"targetRef": target, "analysis": {"interval": "1m", **analysis}}
    return parse_canary({"metadata": {"name": "db", "namespace": "shop"}, "spec": spec})


def test_no_object_divides_their_requests() -> None:
    router = router_of(canary(), "traefik")
    assert router is PODS
    assert router.refs(canary()) == ()
    assert router.plan(canary(), Split(50), {}) == ()
    assert router.hand_back(canary(), {}) == ()
    assert router.split(canary(), {}) is None


def test_the_controllers_provider_is_not_theirs(make_canary: Callable[..., Canary]) -> None:
    """Metrics are asked of the application itself."""
    assert provider_of(canary(), "traefik") == "kubernetes"
    assert provider_of(make_canary(), "traefik") == "traefik"


@pytest.mark.parametrize(
    ("analysis", "field"),
    [
        ({"mirror": True}, "spec.analysis.mirror"),
        ({"match": [{"headers": {"x": {"exact": "y"}}}]}, "spec.analysis.match"),
        ({"sessionAffinity": {"cookieName": "c"}}, "spec.analysis.sessionAffinity"),
        ({"stepWeightPromotion": 10}, "spec.analysis.stepWeightPromotion"),
        ({"stepWeightRollback": 10}, "spec.analysis.stepWeightRollback"),
    ],
)
def test_what_only_a_route_can_do_is_refused_by_name(analysis: dict[str, Any], field: str) -> None:
    (problem,) = PODS.problems(canary(**analysis))
    assert (problem.field, problem.remedy) == (field, "take it out")


def test_a_share_of_the_pods_can_be_had() -> None:
    assert PODS.problems(canary(stepWeight=20, maxWeight=60)) == ()
