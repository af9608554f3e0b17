"""Canaries are deleted under load, with and without `revertOnDeletion`: every request is answered, nothing hangs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from canary.kube.errors import NotFound
from canary.kube.types import CANARY, CONFIG_MAP, DEPLOYMENT, NAMESPACE, SERVICE, Json, Resource
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application, weight_of
from canary.sandbox.scenario import NAME, READY_SECONDS, Scenario, canary_of
from canary.sandbox.traffic import Traffic
from tests.tools.killable import CONTROLLER

PRIMARY = f"{NAME}-primary"
WAYS = pytest.mark.parametrize("revert", [False, True], ids=["plain", "revertOnDeletion"])
EITHER_WAY = pytest.mark.parametrize(
    "revert", [False, pytest.param(True, marks=pytest.mark.long)], ids=["plain", "revertOnDeletion"]
)
"""Where it makes no difference: what shows that it makes none takes its time."""
SETTINGS = "settings"
TOGETHER = 10.0
"""Seconds within which a target that is deleted too is deleted by the same act."""


async def exists(rig: Rig, resource: Resource, name: str) -> bool:
    try:
        await rig.client.get(resource, rig.namespace, name)
    except NotFound:
        return False
    return True


async def delete(scenario: Scenario, *, within: float = READY_SECONDS, propagation: str = "Background") -> float:
    """Delete the Canary and wait until it is gone; how many seconds that took."""
    now = asyncio.get_running_loop().time
    began = now()
    await scenario.rig.client.delete(CANARY, scenario.rig.namespace, NAME, propagation=propagation)
    await scenario.canary.until(lambda each: not each, within=within, what="end of the Canary")
    return now() - began


@asynccontextmanager
async def served(scenario: Scenario, *, by: set[str]) -> AsyncIterator[Traffic]:
    """Ask all the time, through the gateway and past it: every request is answered, by these versions."""
    async with scenario.traffic() as gateway, scenario.direct_traffic() as direct:
        yield gateway
        await scenario.gone_to_the_last()
        await asyncio.sleep(2)
    assert [str(each) for each in (*gateway.lost, *direct.lost)] == []
    assert min(len(gateway.answers), len(direct.answers)) > 50
    assert set(gateway.versions()) | set(direct.versions()) == by


async def answered(gateway: Traffic, version: str) -> None:
    """Wait until a version has answered: a gateway follows its route only after a while."""

    async def versions() -> Counter[str]:
        return gateway.versions()

    await eventually(versions, lambda each: version in each, within=15)


async def owners(scenario: Scenario, resource: Resource, name: str) -> list[Json]:
    found = await scenario.rig.client.get(resource, scenario.rig.namespace, name)
    return found["metadata"].get("ownerReferences") or []


def configured(namespace: str, version: str) -> Json:
    made = application(NAME, namespace, version)
    made["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": SETTINGS}}]
    return made


@WAYS
async def test_at_rest_the_target_serves_as_if_there_had_been_no_canary(rig: Rig, revert: bool) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, revertOnDeletion=revert))
        async with served(scenario, by={"1.0.0"}):
            await delete(scenario)
            await scenario.gone()
        assert scenario.target.last["status"]["readyReplicas"] == 2
        assert not await exists(rig, SERVICE, PRIMARY)
        await scenario.deploy("1.0.1")
        updated = "target that rolls out by itself"
        await scenario.target.until(lambda each: each["status"].get("updatedReplicas") == 2, within=30, what=updated)


async def test_in_mid_rollout_the_promoted_version_goes_on_serving(rig: Rig) -> None:
    """Nobody has promoted the other one. What the primary's pods need stays with them."""
    async with Scenario.on(rig) as scenario:
        data = {"metadata": {"name": SETTINGS, "namespace": rig.namespace}, "data": {"COLOUR": "blue"}}
        await rig.apply({"apiVersion": "v1", "kind": "ConfigMap", **data})
        await scenario.initialise(canary_of(rig.namespace, {"interval": "20s"}), configured(rig.namespace, "1.0.0"))
        async with served(scenario, by={"1.0.0", "1.0.1"}) as gateway:
            await rig.apply(configured(rig.namespace, "1.0.1"))
            await scenario.weight(25)
            await answered(gateway, "1.0.1")
            assert TOGETHER <= await delete(scenario) < TOGETHER + 5
            assert weight_of(scenario.route.last) == 0
        for resource, name in [
            (DEPLOYMENT, PRIMARY),
            (SERVICE, PRIMARY),
            (SERVICE, NAME),
            (CONFIG_MAP, f"{SETTINGS}-primary"),
        ]:
            assert await owners(scenario, resource, name) == []
        assert scenario.serving == "sample/web:1.0.0"
        await scenario.initialise(canary_of(rig.namespace), configured(rig.namespace, "1.0.1"))
        assert scenario.serving == "sample/web:1.0.0", "a Canary made anew finds the primary that serves"
        assert await scenario.ended() == "Succeeded"
        assert len(await owners(scenario, DEPLOYMENT, PRIMARY)) == 1


async def test_revert_in_mid_rollout_gives_everybody_what_the_target_runs(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, {"interval": "20s"}, revertOnDeletion=True))
        async with served(scenario, by={"1.0.0", "1.0.1"}) as gateway:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await answered(gateway, "1.0.1")
            await delete(scenario)
            await scenario.gone()


@EITHER_WAY
async def test_without_a_target_the_primary_goes_on_serving(rig: Rig, revert: bool) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, revertOnDeletion=revert))
        async with served(scenario, by={"1.0.0"}):
            await rig.client.delete(DEPLOYMENT, rig.namespace, NAME)
            await scenario.canary.until(stalled, within=10, what="Canary that misses its target")
            await asyncio.sleep(TOGETHER)
            assert await delete(scenario) < 5
            await asyncio.sleep(3)
        assert await owners(scenario, DEPLOYMENT, PRIMARY) == []


def stalled(canary: Json) -> bool:
    return any(each["type"] == "Stalled" for each in canary["status"].get("conditions", []))


@EITHER_WAY
async def test_an_application_that_is_deleted_as_a_whole_leaves_nothing(rig: Rig, revert: bool) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, revertOnDeletion=revert))
        await rig.client.delete(DEPLOYMENT, rig.namespace, NAME)
        assert await delete(scenario) < 5
        await scenario.gone()
        await eventually(lambda: exists(rig, SERVICE, NAME), lambda there: not there)


async def test_a_target_that_never_gets_ready_holds_it_until_the_deadline(rig: Rig) -> None:
    """Then the primary goes on serving, for good."""
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, progressDeadlineSeconds=4, revertOnDeletion=True))
        async with served(scenario, by={"1.0.0"}):
            await scenario.deploy("1.0.1", environment={"READY_DELAY": "never"})
            assert await delete(scenario) < 20
            await asyncio.sleep(3)
        assert await owners(scenario, DEPLOYMENT, PRIMARY) == []


@EITHER_WAY
async def test_a_spec_that_names_a_provider_that_is_not_installed_does_not_hold_it(rig: Rig, revert: bool) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, revertOnDeletion=revert))
        async with served(scenario, by={"1.0.0"}):
            await rig.apply(canary_of(rig.namespace, provider="smi:v1alpha3", revertOnDeletion=revert))
            await scenario.canary.until(stalled, within=10, what="Canary that can't work")
            assert await delete(scenario) < 5
            await asyncio.sleep(3)


@EITHER_WAY
async def test_a_namespace_that_is_deleted_goes(rig: Rig, revert: bool) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, {"interval": "20s"}, revertOnDeletion=revert))
        await scenario.deploy("1.0.1")
        await scenario.weight(25)
        await rig.client.delete(NAMESPACE, None, rig.namespace)
        await scenario.canary.until(lambda each: not each, within=30, what="end of the Canary")

        async def there() -> bool:
            return await exists(rig, NAMESPACE, rig.namespace)

        await eventually(there, lambda found: not found, within=60)
        # The fixture deletes it once more.
        await rig.client.create(NAMESPACE, {"metadata": {"name": rig.namespace}})


@EITHER_WAY
async def test_deletion_in_the_foreground_goes_too(rig: Rig, revert: bool) -> None:
    """Kubernetes deletes what the Canary owns first then, at once, as is asked for."""
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, revertOnDeletion=revert))
        await delete(scenario, propagation="Foreground")
        await scenario.gone()


async def test_a_canary_that_is_deleted_while_no_controller_runs_waits_for_one(killable: Rig) -> None:
    rig = killable
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace))
        controller = rig.cluster.parts[CONTROLLER]
        await controller.stop()
        async with served(scenario, by={"1.0.0"}):
            await rig.client.delete(CANARY, rig.namespace, NAME)
            await asyncio.sleep(3)
            assert scenario.canary.last["metadata"]["finalizers"] == ["finalizer.flagger.app"]
            await controller.start()
            await scenario.gone()


async def test_finalizers_that_are_taken_off_by_the_pages_command_leave_users_served(killable: Rig) -> None:
    """And Canaries can be deleted without a controller from then on; their primaries go at once, as the page says."""
    rig = killable
    page = (Path(__file__).parents[2] / "docs/install.md").read_text()
    command = page.partition("<!-- finalizers -->\n```sh\n")[2].partition("```")[0]
    assert command
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace))
        await rig.cluster.parts[CONTROLLER].stop()
        async with served(scenario, by={"1.0.0"}):
            kubectl = await asyncio.create_subprocess_exec("sh", "-c", command, env=rig.cluster.environment)
            assert await kubectl.wait() == 0
            await scenario.canary.until(
                lambda each: "finalizers" not in each["metadata"], within=10, what="no finalizer"
            )
            await asyncio.sleep(2)
        assert await delete(scenario) < 5
        await scenario.gone()
