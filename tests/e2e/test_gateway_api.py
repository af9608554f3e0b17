"""A good and a bad version on provider gatewayapi:v1: an HTTPRoute through Traefik, Contour and Istio."""

import pytest

from canary.kube.types import HTTP_ROUTE, Json
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.contour import CONTOUR
from canary.sandbox.gateways.istio import ISTIO
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import DURATION, PORT, SUCCESS_RATE, Scenario, canary_of
from tests.tools.chosen import AHEAD, met_at_any_weight
from tests.tools.played import bad_is_taken_back, good_is_promoted

USERS = 50.0
"""Requests a second."""


def canary(scenario: Scenario, gateway: Gateway, **analysis: object) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [gateway.parent]}
    analysis = analysis or {"metrics": [SUCCESS_RATE, DURATION]}
    return canary_of(scenario.rig.namespace, analysis, provider="gatewayapi:v1", service=service)


@pytest.mark.parametrize("gateway", [TRAEFIK, CONTOUR, ISTIO], ids=lambda gateway: gateway.name)
async def test_a_good_and_a_bad_version_behind_a_gateway(rig: Rig, gateway: Gateway) -> None:
    await rig.cluster.open(gateway)
    async with Scenario.on(rig, HTTP_ROUTE, gateway.url) as scenario:
        await scenario.initialise(canary(scenario, gateway))
        await good_is_promoted(scenario, USERS)
        traffic = await bad_is_taken_back(scenario, USERS)
        assert traffic.versions()["1.0.2"] <= 0.27 * len(traffic.answers)


@pytest.mark.long
async def test_some_meet_a_version_at_any_weight(rig: Rig) -> None:
    """Beside the weights, while it has one; and nobody else's share changes by that."""
    async with Scenario.on(rig, HTTP_ROUTE, TRAEFIK.url) as scenario:
        await met_at_any_weight(scenario, canary(scenario, TRAEFIK, **AHEAD), TRAEFIK)
