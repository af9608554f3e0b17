"""What a rollout hangs on is away for a while: that says nothing about the new version, and takes nothing back."""

import asyncio

from canary.sandbox.rig import Rig
from canary.sandbox.scenario import DURATION, NAME, STEPS, SUCCESS_RATE, Scenario, canary_of

OUTAGE_SECONDS = 20.0
ANALYSIS = {"interval": "2s", "metrics": [SUCCESS_RATE, DURATION]}


async def is_away(rig: Rig, part: str) -> None:
    """Have a part of the cluster stopped for a while."""
    await rig.cluster.parts[part].stop()
    await asyncio.sleep(OUTAGE_SECONDS)
    await rig.cluster.parts[part].start()


async def test_the_api_server_is_away_for_twenty_seconds(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, ANALYSIS))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await is_away(rig, "apiserver")
            # One that takes part in an election ends with the outage; left alone, it waits for most of a minute.
            await rig.cluster.parts["kcm"].stop()
            await rig.cluster.parts["kcm"].start()
            assert await scenario.ended() == "Succeeded"
        assert scenario.weights == STEPS
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []


async def test_prometheus_is_away_for_twenty_seconds(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, ANALYSIS))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await is_away(rig, "prometheus")
            meanwhile = {(each.value or {}).get("status", {}).get("reason") for each in scenario.canary.moments}
            assert await scenario.ended() == "Succeeded"
        assert "MetricsUnavailable" in meanwhile
        assert scenario.weights == STEPS
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []
    told = await rig.events(NAME)
    assert len([each for each in told if "request-success-rate is unavailable" in each]) == 1, (
        "said once, not each look"
    )
