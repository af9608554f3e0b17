"""A version is compared with the primary by what the real Traefik counts of both and Prometheus has of it."""

import asyncio

import pytest

from canary.kube.types import HTTP_ROUTE, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of

RATE = 100.0
USUAL = {"FAULT_ERROR_RATE": "0.01"}
WORSE = {"FAULT_ERROR_RATE": "0.10"}
BOTH = pytest.mark.parametrize(
    ("provider", "route"), [("traefik", TRAEFIK_SERVICE), ("gatewayapi:v1", HTTP_ROUTE)], ids=["traefik", "gatewayapi"]
)


def canary(scenario: Scenario, provider: str, **analysis: object) -> Json:
    compared = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 3}
    service: Json = {"port": PORT}
    if provider != "traefik":
        service |= {"hosts": [scenario.host], "gatewayRefs": [TRAEFIK.parent]}
    analysis = {"interval": "60s", "stepWeight": 25, "maxWeight": 50, "metrics": [compared], **analysis}
    return canary_of(scenario.rig.namespace, analysis, provider=provider, service=service)


@BOTH
async def test_a_version_that_fails_more_often_goes_within_a_step_and_one_that_does_not_stays(
    rig: Rig, provider: str, route: Resource
) -> None:
    """At one percent of failures in both, no threshold of 99 would be of use."""
    async with Scenario.on(rig, route) as scenario:
        await scenario.initialise(
            canary(scenario, provider, advance="onEvidence"),
            application(NAME, rig.namespace, "1.0.0", environment=USUAL),
        )
        async with scenario.traffic(RATE) as traffic:
            await asyncio.sleep(5)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            assert await scenario.roll_out("1.0.1", environment=USUAL) == "Succeeded"
            assert loop.time() - begun < 120, "by the clock it takes three minutes"
            (check,) = scenario.status["checks"]
            assert check["verdict"] == "Pass"
            assert check["samples"] >= 100
            assert "no worse" in check["message"]

            assert await scenario.roll_out("1.0.2", environment=WORSE) == "Failed"
        (check,) = scenario.status["checks"]
        assert check["verdict"] == "Fail"
        assert "is worse by more than 3 %" in check["message"]
        assert scenario.weights[-2:] == (25, 0), "it never came to the next step"
        answers = [each for each in traffic.answers if each.version == "1.0.2"]
        assert len(answers) < 40 * RATE * 0.25, "not even one step of a minute"
