"""Flagger's own definition of Canary is still installed, which drops what it does not know: rollouts work as ever."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from canary.api.crds import DEFINITIONS, custom_resource_definition
from canary.api.meta import JsonObject
from canary.kube.types import CANARY
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import AUTHOR, CRD, Rig
from canary.sandbox.scenario import SUCCESS_RATE, Scenario, canary_of

KNOWN = {
    "canaryWeight",
    "conditions",
    "failedChecks",
    "iterations",
    "lastAppliedSpec",
    "lastPromotedSpec",
    "lastTransitionTime",
    "phase",
    "previousSessionAffinityCookie",
    "primarySessionAffinityCookie",
    "sessionAffinityCookie",
    "trackedConfigs",
}
"""The fields of the status that Flagger's definition has."""
NAME = "successor"
FLAGS = ("--mesh-provider=traefik", "--enable-leader-election=false", "--log-level=debug")
ANALYSIS = {"interval": "2s", "threshold": 2, "stepWeight": 20, "maxWeight": 60, "metrics": [SUCCESS_RATE]}
REMEDY = "kubectl apply -k crds"
QUIET_SECONDS = 5.0


def definition(*, known: set[str] | None = None) -> JsonObject:
    """Our definition of Canary, with these fields of the status alone."""
    made = custom_resource_definition(DEFINITIONS[0])
    status = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    status["properties"] = {name: each for name, each in status["properties"].items() if known is None or name in known}
    return made


async def install(rig: Rig, made: JsonObject, *, drops: bool) -> None:
    """Apply a definition, and wait until the API server goes by it."""
    await rig.client.apply(CRD, made, field_manager=AUTHOR)
    probe = canary_of(rig.namespace)
    probe["metadata"]["name"] = "probe"
    await rig.apply(probe)

    async def kept() -> Any:
        patch = {"status": {"reason": "Probe"}}
        answer = await rig.client.merge_patch(CANARY, rig.namespace, "probe", patch, subresource="status")
        return answer.get("status", {}).get("reason")

    await eventually(kept, lambda reason: (reason is None) is drops)
    await rig.client.delete(CANARY, rig.namespace, "probe")


@pytest_asyncio.fixture
async def theirs(site: Rig) -> AsyncIterator[Rig]:
    """A cluster with such a definition, and a controller for one namespace."""
    await install(site, definition(known=KNOWN), drops=True)
    await start(site)
    yield site
    await site.cluster.parts[NAME].stop()
    await install(site, definition(), drops=False)


async def start(rig: Rig) -> None:
    """Start the controller, or another one in its place."""
    await rig.start_controller(*FLAGS, f"--namespace={rig.namespace}", name=NAME)


@pytest.mark.long
async def test_it_rolls_out_takes_back_and_comes_to_rest(theirs: Rig) -> None:
    async with Scenario.on(theirs) as scenario:
        await scenario.initialise(canary_of(theirs.namespace, ANALYSIS))
        async with scenario.traffic() as traffic:
            assert await scenario.roll_out("1.0.1") == "Succeeded"
            await scenario.gone_to_the_last()
        assert [str(each) for each in traffic.lost] == []
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (0, 20, 40, 60, 0))

        async with scenario.traffic():
            assert await scenario.roll_out("1.0.2", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
        assert (scenario.serving, scenario.weights[-1]) == ("sample/web:1.0.1", 0)
        assert scenario.status.keys() <= KNOWN
        assert scenario.unserved == []

        states = len(scenario.canary.moments)
        await asyncio.sleep(QUIET_SECONDS)
        assert len(scenario.canary.moments) == states, "nothing is written over and over"
    told = [each for each in await theirs.events("app") if REMEDY in each]
    assert len(told) == 1
    assert "reason" in told[0]


async def test_one_that_starts_in_mid_rollout_ends_it(theirs: Rig) -> None:
    """What was remembered is gone: it takes the Canary over from where the route and Flagger's fields say it stands."""
    async with Scenario.on(theirs) as scenario:
        await scenario.initialise(canary_of(theirs.namespace, ANALYSIS))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(40)
            await start(theirs)
            assert await scenario.ended() == "Succeeded"
            await scenario.gone_to_the_last()
        assert [str(each) for each in traffic.lost] == []
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (0, 20, 40, 60, 0))

        async with scenario.traffic():
            await scenario.deploy("1.0.2", environment={"FAULT_ERROR_RATE": "1"})
            await scenario.weight(20)
            await start(theirs)
            assert await scenario.ended() == "Failed"
        assert (scenario.serving, scenario.weights[-1]) == ("sample/web:1.0.1", 0)
        await start(theirs)
        await asyncio.sleep(QUIET_SECONDS)
        assert scenario.status["phase"] == "Failed", "what has failed is not tried again by a start"


@pytest.mark.long
async def test_once_ours_is_installed_the_next_status_is_stored_whole(theirs: Rig) -> None:
    async with Scenario.on(theirs) as scenario:
        await scenario.initialise(canary_of(theirs.namespace, {**ANALYSIS, "metrics": []}))
        await install(theirs, definition(), drops=False)
        assert await scenario.roll_out("1.0.1") == "Succeeded"
        await scenario.canary.until(lambda each: "reason" in each["status"], within=5, what="reason")
        assert scenario.status["observedGeneration"] == scenario.canary.last["metadata"]["generation"]
