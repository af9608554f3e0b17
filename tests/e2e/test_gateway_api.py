"""A good and a bad version on provider gatewayapi:v1: an HTTPRoute through Traefik, Contour and Istio."""

import pytest

from canary.kube.types import HTTP_ROUTE, Json
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.contour import CONTOUR
from canary.sandbox.gateways.istio import ISTIO
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import DURATION, PORT, STEPS, SUCCESS_RATE, Scenario, canary_of
from tests.tools.chosen import AHEAD, met_at_any_weight


def canary(scenario: Scenario, gateway: Gateway, **analysis: object) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [gateway.parent]}
    analysis = analysis or {"metrics": [SUCCESS_RATE, DURATION]}
    return canary_of(scenario.rig.namespace, analysis, provider="gatewayapi:v1", service=service)


@pytest.mark.parametrize("gateway", [TRAEFIK, CONTOUR, ISTIO], ids=lambda gateway: gateway.name)
async def test_a_good_and_a_bad_version_behind_a_gateway(rig: Rig, gateway: Gateway) -> None:
    await rig.cluster.open(gateway)
    async with Scenario.on(rig, HTTP_ROUTE, gateway.url) as scenario:
        await scenario.initialise(canary(scenario, gateway))
        async with scenario.traffic() as traffic:
            assert await scenario.roll_out("1.0.1") == "Succeeded"
            checks = {check["name"]: check for check in scenario.status["checks"]}
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", STEPS)
        assert [str(each) for each in traffic.lost] == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert {check["verdict"] for check in checks.values()} == {"Pass"}
        assert checks["request-success-rate"]["value"] == 100
        assert 0 < checks["request-duration"]["value"] < 500

        async with scenario.traffic() as traffic:
            assert await scenario.roll_out("1.0.2", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (*STEPS, 25, 0))
        assert {answer.version for answer in traffic.lost} == {"1.0.2"}, "no request but the canary's own is lost"
        assert traffic.versions()["1.0.2"] <= 0.27 * len(traffic.answers)
        checks = {check["name"]: check for check in scenario.status["checks"]}
        assert checks["request-success-rate"]["verdict"] == "Fail"
        assert checks["request-success-rate"]["value"] < 99
        assert scenario.unserved == []


async def test_some_meet_a_version_at_any_weight(rig: Rig) -> None:
    """Beside the weights, while it has one; and nobody else's share changes by that."""
    async with Scenario.on(rig, HTTP_ROUTE, TRAEFIK.url) as scenario:
        await met_at_any_weight(scenario, canary(scenario, TRAEFIK, **AHEAD), TRAEFIK)
