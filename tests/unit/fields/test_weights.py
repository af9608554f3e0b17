"""Fields that divide requests, from the rollout to the object that the data plane reads, on each provider that can."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.kube.types import Json
from canary.rollout.simulation import Deploy, Reading, SafeWorld, Scenario, Scheduled, Version
from canary.routers.registry import ROUTERS
from tests.tools.routes import after, by_ref

ROUTE = {
    "kind": "ApisixRoute",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"http": [{"name": "all", "match": {"paths": ["/*"]}, "backends": [{"serviceName": "app"}]}]},
}
OF_KNATIVE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service"}
KNATIVE = {
    **OF_KNATIVE,
    "metadata": {"name": "app", "namespace": "shop", "annotations": {"flagger.app/primary-revision": "app-00001"}},
    "spec": {},
    "status": {"latestCreatedRevisionName": "app-00002", "latestReadyRevisionName": "app-00002"},
}
THERE: dict[str, list[Json]] = {"apisix": [ROUTE], "knative": [KNATIVE]}
"""What users have made."""

PROVIDERS: dict[str, tuple[str, dict[str, object]]] = {
    "apisix": ("apisix", {"spec.routeRef.name": "web"}),
    "contour": ("contour", {}),
    "gatewayapi": ("gatewayapi:v1", {"spec.service.gatewayRefs[].name": "gateway"}),
    "gloo": ("gloo", {}),
    "knative": ("knative", {"spec.service": {}, "spec.targetRef": {**OF_KNATIVE, "name": "app"}}),
    "kuma": ("kuma", {}),
    "linkerd": ("linkerd", {}),
    "smi": ("smi:v1alpha3", {}),
    "istio": ("istio", {}),
    "traefik": ("traefik", {}),
}
STEPS: dict[str, object] = {"spec.analysis.stepWeight": 25, "spec.analysis.maxWeight": 50}


RATE: dict[str, object] = {
    "spec.analysis.metrics": [{"name": "request-success-rate", "threshold": 99}],
    "spec.analysis.threshold": 1,
}
LATE = Version(readings=(Reading(1.0, weight=50),))
"""A version that fails where metrics are asked, at half of the requests."""


def routed(canary: Canary) -> list[Split]:
    """How the route's objects divide requests in a rollout, one division after the other."""
    router, there = ROUTERS[canary.spec.provider], by_ref(THERE.get(canary.spec.provider, []))
    assert router.problems(canary) == ()
    scheduled = (Scheduled(timedelta(minutes=1), Deploy("v2")),)
    versions = {"v1": Version(), "v2": LATE}
    line = SafeWorld(Scenario(canary=canary, versions=versions, changes=scheduled)).run()
    found: list[Split] = []
    for entry in line.entries:
        if entry.split is None:
            continue
        seen = router.split(canary, after(router.plan(canary, entry.split, there), there))
        assert seen is not None
        found += [seen] if found[-1:] != [seen] else []
    return found


CASES: list[tuple[str, object, list[Split], Mapping[str, object], tuple[str, ...]]] = [
    (
        "spec.analysis.stepWeight",
        50,
        [Split(0), Split(50), Split(100), Split(0)],
        {},
        tuple(PROVIDERS),
    ),
    (
        "spec.analysis.stepWeightPromotion",
        20,
        [Split(0), Split(25), Split(50), Split(30), Split(10), Split(0)],
        STEPS,
        tuple(each for each in PROVIDERS if each != "knative"),
    ),
    (
        "spec.analysis.stepWeightRollback",
        20,
        [Split(0), Split(25), Split(50), Split(30), Split(10), Split(0)],
        {**STEPS, **RATE},
        tuple(PROVIDERS),
    ),
    (
        "spec.analysis.mirror",
        True,
        [Split(0), Split(0, mirror=100), Split(25), Split(50), Split(0)],
        STEPS,
        ("contour", "gatewayapi", "gloo", "istio", "kuma"),
    ),
]


@pytest.mark.parametrize(
    ("by", "field", "value", "expected", "beside"),
    [(by, *case) for *case, providers in CASES for by in providers],
)
def test_the_route_divides_requests_as_the_analysis_says(
    shows: Callable[..., None],
    by: str,
    field: str,
    value: object,
    expected: list[Split],
    beside: Mapping[str, object],
) -> None:
    provider, needed = PROVIDERS[by]
    shows(field, value, routed, expected, {"spec.provider": provider, **needed, **beside})


def shares_of_pods(canary: Canary) -> list[int]:
    """The percent of pods that run the new version, a step after the other."""
    changes = (Scheduled(timedelta(minutes=1), Deploy("v2")),)
    story = Scenario(canary=canary, versions={"v1": Version()}, changes=changes, replicas=4, in_place=True)
    events = SafeWorld(story).run().events
    return [int(event.rpartition(" ")[2]) for event in events if " canary weight " in event]


@pytest.mark.parametrize(("by", "field"), [("in place", "spec.analysis.stepWeight")])
def test_pods_are_replaced_by_shares(shows: Callable[..., None], by: str, field: str) -> None:
    spec = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "analysis": {}}
    shows(field, 50, shares_of_pods, [50, 75], {}, base={"metadata": {"name": "app", "generation": 1}, "spec": spec})
