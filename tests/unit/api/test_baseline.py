"""What keeps a metric from being compared with a baseline, by the name of the field and with the way out."""

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from canary.api.canary import Canary
from canary.controller.problems import of_spec
from canary.routers.registry import ALL

METRIC = "spec.analysis.metrics[0].compareTo"
BESIDE: dict[str, Any] = {
    "spec.analysis.metrics": [{"name": "request-success-rate", "compareTo": "baseline"}],
    "spec.analysis.iterations": 0,
    "spec.analysis.stepWeight": 10,
    "spec.analysis.maxWeight": 50,
}


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


def found(make: Make, provider: str = "traefik", **changes: object) -> str:
    spec = {f"spec.{name.replace('__', '.')}": value for name, value in changes.items()}
    said = [each for each in of_spec(make({**BESIDE, **spec}), provider) if each.field == METRIC]
    return "; ".join(f"{each.message}: {each.remedy}" for each in said)


@pytest.mark.parametrize("provider", [name for each in ALL for name in each.names])
def test_a_provider_that_gives_no_third_service_a_share_is_refused(make: Make, provider: str) -> None:
    can = {"contour", "gatewayapi:v1", "gatewayapi:v1beta1", "istio", "kuma", "traefik"}
    said = found(make, provider)
    assert ("no third Service gets a share" in said) is (provider not in can)
    assert provider in can or "set provider to one of contour, gatewayapi, istio, kuma, traefik" in said


def test_routes_of_others_are_refused(make: Make) -> None:
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "users"}
    assert "to routes of others no third Service" in found(make, routeRefs=[route])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"targetRef__kind": "DaemonSet"}, "of no DaemonSet: write compareTo: primary"),
        ({"targetRef__kind": "StatefulSet"}, "of no StatefulSet: write compareTo: previous"),
        ({"analysis__iterations": 5, "analysis__stepWeight": 0}, "iterations is set: take spec.analysis.iterations"),
        ({"analysis__mirror": True}, "mirror is set"),
        ({"analysis__alwaysMatch": [{"headers": {"a": {"exact": "b"}}}]}, "alwaysMatch is set"),
        ({"analysis__sessionAffinity": {"cookieName": "c"}}, "sessionAffinity is set"),
        ({"analysis__stepWeight": 0, "analysis__stepWeights": [100]}, "leaves the baseline none"),
        ({"service__name": "w" * 55}, "longer than a name can be"),
    ],
)
def test_what_does_not_go_with_it_is_refused_with_the_way_out(make: Make, changes: dict[str, Any], said: str) -> None:
    assert said in found(make, "gatewayapi:v1", **changes)


def test_of_an_analysis_that_is_skipped_nothing_is_asked(make: Make) -> None:
    assert not found(make, "kubernetes", skipAnalysis=True)
    assert not make({**BESIDE, "spec.skipAnalysis": True}).wants_baseline


def test_in_istio_a_traffic_policy_is_refused(make: Make) -> None:
    policy = {"tls": {"mode": "ISTIO_MUTUAL"}}
    said = {each.field: each for each in of_spec(make({**BESIDE, "spec.service.trafficPolicy": policy}), "istio")}
    assert said["spec.service.trafficPolicy"].remedy == "take it out, or write compareTo: primary"
