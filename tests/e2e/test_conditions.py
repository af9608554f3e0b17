"""When a check counts, by what the real Traefik counts and the real Prometheus has of it."""

from typing import Any

import pytest

from canary.kube.types import Json
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of

pytestmark = pytest.mark.long

BAD = {"FAULT_ERROR_RATE": "0.5"}
RATE: Json = {"name": "request-success-rate", "interval": "6s"}


def canary(rig: Rig, metrics: list[Json], conditions: list[Json] | None = None, **analysis: Any) -> Json:
    fields = {
        "interval": "3s",
        "threshold": 2,
        "stepWeight": 10,
        "metrics": metrics,
        "conditions": conditions or [],
        **analysis,
    }
    return canary_of(rig.namespace, fields, service={"port": PORT})


async def test_errors_count_once_there_is_traffic_enough(rig: Rig) -> None:
    """By an expression over two numbers that Prometheus gives, of which neither alone decides anything."""
    busy = [
        {**RATE, "thresholdRange": {"min": 99}, "dryRun": True},
        {"name": "request-rate", "interval": "6s", "threshold": 0, "dryRun": True},
    ]
    few = {
        "name": "errors-or-few",
        "expression": 'metrics["request-success-rate"].value >= 99 || metrics["request-rate"].value < 4',
    }
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary(rig, busy, [few]), application(NAME, rig.namespace, "1.0.0"))
        async with scenario.traffic(6):
            assert await scenario.roll_out("1.0.1", environment=BAD) == "Succeeded"
        async with scenario.traffic(80):
            assert await scenario.roll_out("1.0.2", environment=BAD) == "Failed"
        check = next(each for each in scenario.status["checks"] if each["name"] == "errors-or-few")
    assert (check["verdict"], check["query"]) == ("Fail", few["expression"])
    assert "errors-or-few is false: request-success-rate is " in check["message"]


async def test_a_number_of_few_requests_is_not_judged(rig: Rig) -> None:
    few = [{**RATE, "thresholdRange": {"min": 99}, "minSamples": 40, "noData": "Pass"}]
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary(rig, few), application(NAME, rig.namespace, "1.0.0"))
        async with scenario.traffic(6):
            assert await scenario.roll_out("1.0.1", environment=BAD) == "Succeeded"
        (check,) = scenario.status["checks"]
        assert check["verdict"] == "NoData"
        assert check["samples"] < 40
        async with scenario.traffic(80):
            assert await scenario.roll_out("1.0.2", environment=BAD) == "Failed"
        (check,) = scenario.status["checks"]
    assert check["verdict"] == "Fail"
    assert check["samples"] >= 40


async def test_failures_in_a_row_stand_in_the_status_and_count_after_the_last(rig: Rig) -> None:
    row = [{**RATE, "thresholdRange": {"min": 99}, "consecutive": 3}]
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary(rig, row, threshold=1), application(NAME, rig.namespace, "1.0.0"))
        async with scenario.traffic(80):
            await scenario.deploy("1.0.1", environment=BAD)
            await scenario.canary.until(
                lambda each: counted(each) == 2, within=60, what="the second failing look in a row"
            )
            assert scenario.status["failedChecks"] == 0
            assert scenario.status["reason"] == "CheckTolerated"
            assert await scenario.ended() == "Failed"
        assert scenario.weights == (0, 10, 0)


def counted(canary: Json) -> int:
    counts = (canary.get("status") or {}).get("failureCounts") or [{}]
    return int(counts[0].get("inARow", 0))
