"""What a rollout hangs on is away for a while: that says nothing about the new version, and takes nothing back."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from canary.kube.types import Resource
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import DURATION, NAME, STEPS, SUCCESS_RATE, Scenario, canary_of

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
OUTAGE_SECONDS = 20.0
ANALYSIS = {"interval": "2s", "metrics": [SUCCESS_RATE, DURATION]}


async def is_away(rig: Rig, part: str) -> None:
    """Have a part of the cluster stopped for a while."""
    await rig.cluster.parts[part].stop()
    await asyncio.sleep(OUTAGE_SECONDS)
    await rig.cluster.parts[part].start()


@pytest_asyncio.fixture
async def other(rig: Rig) -> AsyncIterator[Rig]:
    """Another namespace."""
    name = f"{rig.namespace}-other"
    await rig.client.create(NAMESPACE, {"metadata": {"name": name}})
    yield Rig(rig.cluster, rig.client, name)
    await rig.client.delete(NAMESPACE, None, name)


async def test_the_api_server_is_away_for_twenty_seconds(rig: Rig, other: Rig) -> None:
    """One rollout has traffic already; the pods of another get ready meanwhile, and its deadline passes."""
    async with Scenario.on(rig) as scenario, Scenario.on(other) as unseen:
        # A step lasts for longer than a server that has just come back tells those who watch to wait.
        await scenario.initialise(canary_of(rig.namespace, {**ANALYSIS, "interval": "4s"}))
        await unseen.initialise(canary_of(other.namespace, progressDeadlineSeconds=20))
        async with scenario.traffic() as traffic:
            await unseen.deploy("1.0.1", environment={"READY_DELAY": "8"})
            await unseen.phase("Progressing")
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await is_away(rig, "apiserver")
            # One that takes part in an election ends with the outage; left alone, it waits for most of a minute.
            await rig.cluster.parts["kcm"].stop()
            await rig.cluster.parts["kcm"].start()
            assert await scenario.ended() == "Succeeded"
            assert await unseen.ended() == "Succeeded"
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
    causes = [each for each in await rig.events(NAME) if "request-success-rate is unavailable" in each]
    # A server that starts again answers with 503 for a while, where nothing answered before.
    assert causes, "said"
    assert len(causes) == len(set(causes)), "each cause once, not each look"
