"""Blue/green on Services alone: an application in use is taken over, and users see a version whole or not at all."""

from canary.kube.types import POD, SERVICE
from canary.sandbox.rig import Rig
from canary.sandbox.scenario import NAME, Scenario, canary_of, hook, service
from canary.sandbox.testing import eventually


async def test_blue_and_green_on_the_services_cluster_address(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.deploy("1.0.0")
        await rig.apply(service(rig.namespace))
        await scenario.settled()
        analysis = {"iterations": 2, "webhooks": [hook("rollback", "/rollback/check")]}
        async with scenario.direct_traffic() as traffic:
            await rig.apply(canary_of(rig.namespace, analysis, provider="kubernetes"))
            await scenario.phase("Initialized")
            await pods_gone(rig)
            assert set(traffic.versions()) == {"1.0.0"}
            selector = (await rig.client.get(SERVICE, rig.namespace, NAME))["spec"]["selector"]
            assert selector == {"app": f"{NAME}-primary"}

            assert await scenario.roll_out("1.0.1") == "Succeeded"
            await pods_gone(rig)
            before = len(traffic.answers)
            assert set(traffic.versions()) == {"1.0.0", "1.0.1"}

            await scenario.deploy("1.0.2")
            await scenario.canary.until(lambda each: each["status"]["iterations"] == 1, within=30, what="iteration")
            await scenario.gate("rollback/open")
            assert await scenario.ended() == "Failed"
            await pods_gone(rig)
            assert {answer.version for answer in traffic.answers[before + 50 :]} == {"1.0.1"}
        assert [str(each) for each in traffic.lost] == []
        assert scenario.serving == "sample/web:1.0.1"


async def pods_gone(rig: Rig) -> None:
    """Wait until the pods that nobody needs any more have ended: only then it shows whether users still met them."""

    async def ending() -> list[str]:
        pods = await rig.client.list(POD, rig.namespace)
        return [pod["metadata"]["name"] for pod in pods["items"] if "deletionTimestamp" in pod["metadata"]]

    await eventually(ending, lambda names: not names, within=20)
