"""Blue/green on Services alone: an application in use is taken over, and users see a version whole or not at all."""

from canary.kube.types import SERVICE
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import NAME, Scenario, canary_of, hook, service


async def test_blue_and_green_on_the_services_cluster_address(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.deploy("1.0.0")
        await rig.apply(service(rig.namespace))
        await scenario.settled()
        analysis = {"iterations": 2, "webhooks": [hook("rollback", "/rollback/check")]}
        async with scenario.direct_traffic() as traffic:
            await rig.apply(canary_of(rig.namespace, analysis, provider="kubernetes"))
            await scenario.phase("Initialized")
            await scenario.gone_to_the_last()
            assert set(traffic.versions()) == {"1.0.0"}
            selector = (await rig.client.get(SERVICE, rig.namespace, NAME))["spec"]["selector"]
            assert selector == {"app": f"{NAME}-primary"}

            assert await scenario.roll_out("1.0.1") == "Succeeded"
            await scenario.gone_to_the_last()
            before = len(traffic.answers)
            assert set(traffic.versions()) == {"1.0.0", "1.0.1"}

            await scenario.deploy("1.0.2")
            await scenario.canary.until(lambda each: each["status"]["iterations"] == 1, within=30, what="iteration")
            await scenario.gate("rollback/open")
            assert await scenario.ended() == "Failed"
            await scenario.gone_to_the_last()
            assert {answer.version for answer in traffic.answers[before + 50 :]} == {"1.0.1"}
        assert [str(each) for each in traffic.lost] == []
        assert scenario.serving == "sample/web:1.0.1"
