"""A version is compared with the primary by what the real Traefik counts of both and Prometheus has of it."""

import asyncio
import re

import pytest

from canary.kube.types import HTTP_ROUTE, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of
from tests.e2e import test_targets_statefulset as in_place

RATE = 100.0
STEP_SECONDS = 60
LONGEST = 5.0 * STEP_SECONDS
"""Seconds of a rollout by the clock, three steps of it, on a machine that has much else to do."""
USUAL = {"FAULT_ERROR_RATE": "0.01"}
WORSE = {"FAULT_ERROR_RATE": "0.30"}
"""So that a step of a minute suffices also where failures of the promoted version came in a cluster just before."""
SLOW = {"FAULT_LATENCY": "0.15"}
SLOWER = {"FAULT_LATENCY": "0.6"}
BOTH = pytest.mark.parametrize(
    ("provider", "route"),
    [
        pytest.param("traefik", TRAEFIK_SERVICE, id="traefik"),
        pytest.param("gatewayapi:v1", HTTP_ROUTE, id="gatewayapi", marks=pytest.mark.long),
    ],
)


def canary(scenario: Scenario, provider: str, **analysis: object) -> Json:
    compared = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 3}
    service: Json = {"port": PORT}
    if provider != "traefik":
        service |= {"hosts": [scenario.host], "gatewayRefs": [TRAEFIK.parent]}
    analysis = {"interval": f"{STEP_SECONDS}s", "stepWeight": 25, "maxWeight": 50, "metrics": [compared], **analysis}
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
            assert await scenario.roll_out("1.0.1", within=LONGEST, environment=USUAL) == "Succeeded"
            assert loop.time() - begun < 3 * STEP_SECONDS, "by the clock it takes three minutes"
            (check,) = scenario.status["checks"]
            assert check["verdict"] == "Pass"
            assert check["samples"] >= 100
            assert "no worse" in check["message"]

            assert await scenario.roll_out("1.0.2", within=LONGEST, environment=WORSE) == "Failed"
        (check,) = scenario.status["checks"]
        assert check["verdict"] == "Fail"
        assert "is worse by more than 3 %" in check["message"]
        assert [str(each) for each in traffic.lost if not each.version] == [], "failures that no version has answered"
        assert scenario.weights[-2:] == (25, 0), f"not past its first step: {scenario.weights}, {scenario.status}"
        answers = [each for each in traffic.answers if each.version == "1.0.2"]
        assert len(answers) < STEP_SECONDS * RATE * 0.25, "not even one step of a minute"


@pytest.mark.long
async def test_a_version_that_is_slower_goes_within_a_step_and_one_that_is_as_slow_stays(rig: Rig) -> None:
    """Nobody has said what is slow: the promoted version's requests take 150 ms, beside other work up to 300.

    Those of the next one take 600.
    """
    timed = {"name": "request-duration", "compareTo": "primary", "tolerance": 5}
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(
            canary(scenario, "traefik", advance="onEvidence", metrics=[timed]),
            application(NAME, rig.namespace, "1.0.0", environment=SLOW),
        )
        async with scenario.traffic(RATE) as traffic:
            await asyncio.sleep(15)
            assert await scenario.roll_out("1.0.1", within=LONGEST, environment=SLOW) == "Succeeded"
            (check,) = scenario.status["checks"]
            assert "no worse" in check["message"]

            assert await scenario.roll_out("1.0.2", within=LONGEST, environment=SLOWER) == "Failed"
        (check,) = scenario.status["checks"]
        assert check["verdict"] == "Fail"
        assert re.match(r"request-duration above [2345]\d\d ms ", check["message"])
        assert "is worse by more than 5 %" in check["message"]
        assert scenario.weights[-2:] == (25, 0), f"not past its first step: {scenario.weights}, {scenario.status}"
        answers = [each for each in traffic.answers if each.version == "1.0.2"]
        assert len(answers) < STEP_SECONDS * RATE * 0.25, "not even one step of a minute"


async def test_pods_that_are_replaced_in_place_are_compared_with_the_time_before(rig: Rig) -> None:
    """By what the application itself counts, pod by pod; no primary stands beside."""
    compared = {"name": "request-success-rate", "compareTo": "previous", "tolerance": 3, "minSamples": 50}
    made = in_place.canary(rig.namespace, {"interval": "15s", "threshold": 5, "metrics": [compared]})
    first = in_place.stateful_set(rig.namespace, "1.0.0", **USUAL)
    async with in_place.Stage.on(rig, made, first) as stage, stage.traffic():
        await asyncio.sleep(45)
        assert await stage.rolled_out("1.0.1", **USUAL) == "Succeeded"
        (check,) = stage.canary.last["status"]["checks"]
        assert check["samples"] >= 50
        assert re.match(r"previous (9|100 )", check["threshold"]), "usually a failure in a hundred, by chance none"

        assert await stage.rolled_out("1.0.2", FAULT_ERROR_RATE="0.20") == "Failed"
        (check,) = stage.canary.last["status"]["checks"]
        assert check["verdict"] == "Fail"
        assert "is worse by more than 3 %" in check["message"]
        assert "1.0.2 1.0.2 1.0.2" not in stage.versions, "it never came to the last pod"
