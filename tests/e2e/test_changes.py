"""What people do to a rollout: change the version again, change its configuration, hold it, take it back, end it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from canary.kube.types import CANARY, CONFIG_MAP, SERVICE, Json
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, STEPS, Scenario, canary_of, hook


async def test_a_new_revision_in_mid_rollout_starts_again(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await scenario.deploy("1.0.2")
            await scenario.weight(0)
            await scenario.weight(25)
            assert await scenario.ended() == "Succeeded"
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.2", (0, 25, *STEPS))
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []


async def test_a_version_taken_back_in_mid_rollout_leaves_nothing(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await scenario.deploy("1.0.0")
            await scenario.weight(0)
            assert await scenario.ended() == "Succeeded"
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.0", (0, 25, 0))
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []


async def test_a_changed_configuration_is_rolled_out(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await rig.apply(settings(rig, "blue"))
        reading = {"envFrom": [{"configMapRef": {"name": "settings"}}]}
        app = application(NAME, rig.namespace, "1.0.0")
        app["spec"]["template"]["spec"]["containers"][0] |= reading
        await scenario.initialise(canary_of(rig.namespace), app)
        assert await colour(rig, "settings-primary") == "blue"
        async with scenario.traffic() as traffic:
            await rig.apply(settings(rig, "green"))
            await scenario.weight(25)
            assert await colour(rig, "settings-primary") == "blue", "the primary keeps what it was promoted with"
            assert await scenario.ended() == "Succeeded"
        assert await colour(rig, "settings-primary") == "green"
        assert scenario.weights == STEPS
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []


def settings(rig: Rig, colour: str) -> Json:
    """The ConfigMap that the application reads."""
    metadata = {"name": "settings", "namespace": rig.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"COLOUR": colour}}


async def colour(rig: Rig, name: str) -> str:
    """What a ConfigMap says."""
    return str((await rig.client.get(CONFIG_MAP, rig.namespace, name))["data"]["COLOUR"])


async def test_gates_hold_a_rollout_until_they_are_opened(rig: Rig) -> None:
    """Before traffic grows, and before promotion; a closed gate holds for as long as people like."""
    gates = [
        hook("confirm-traffic-increase", "/gate/check"),
        hook("confirm-promotion", "/rollback/check", name="promotion gate"),
    ]
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, {"webhooks": gates}))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await waits_for(scenario, "confirm-traffic-increase")
            before_the_first = scenario.weights
            await scenario.gate("gate/open")
            await waits_for(scenario, "promotion gate")
            before_promotion = scenario.weights
            assert scenario.status["phase"] == "WaitingPromotion"
            await scenario.gate("rollback/open")
            assert await scenario.ended() == "Succeeded"
        assert (before_the_first, before_promotion, scenario.weights) == (STEPS[:1], STEPS[:3], STEPS)
        assert [str(each) for each in traffic.lost] == []


async def waits_for(scenario: Scenario, gate: str) -> None:
    await scenario.canary.until(
        lambda each: each["status"]["reason"] == "WaitingForApproval" and gate in each["status"]["message"],
        within=30,
        what=f"wait for {gate}",
    )


@dataclass(slots=True)
class Receiver:
    """Hooks that take down what they are told."""

    calls: list[Json] = field(default_factory=list)

    def of(self, kind: str) -> list[Json]:
        return [call for call in self.calls if call["type"] == kind]

    async def _take(self, request: web.Request) -> web.Response:
        self.calls.append(await request.json())
        return web.Response()

    @classmethod
    @asynccontextmanager
    async def at(cls, port: int) -> AsyncIterator["Receiver"]:
        receiver = cls()
        app = web.Application()
        app.router.add_post("/", receiver._take)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, addresses.TOOLS, port).start()
            yield receiver
        finally:
            await runner.cleanup()


async def test_a_rollback_by_hook_and_who_is_told_of_it(rig: Rig) -> None:
    url = f"http://{addresses.TOOLS}:10099/"
    hooks = [
        hook("rollback", "/rollback/check"),
        {"name": "after", "type": "post-rollout", "url": url, "metadata": {"team": "shop"}},
        {"name": "news", "type": "event", "url": url},
    ]
    async with Receiver.at(10099) as receiver, Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, {"webhooks": hooks}))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await scenario.gate("rollback/open")
            assert await scenario.ended() == "Failed"
            await scenario.gate("rollback/close")
            assert await scenario.roll_out("1.0.2") == "Succeeded"
        assert scenario.weights == (0, 25, *STEPS)
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []

        async def told() -> list[str]:
            return [call["metadata"]["eventMessage"] for call in receiver.of("event")]

        news = await eventually(told, lambda news: any("Promotion completed!" in each for each in news), within=10)
        assert f"Rolling back {NAME}.{rig.namespace} manual webhook invoked" in news
        after = receiver.of("post-rollout")
        assert [call["phase"] for call in after] == ["Failed", "Succeeded"]
        assert after[0]["metadata"] == {"team": "shop"}
        assert (after[0]["name"], after[0]["namespace"]) == (NAME, rig.namespace)


async def test_a_deleted_canary_gives_the_application_back(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, revertOnDeletion=True))
        async with scenario.traffic() as gateway, scenario.direct_traffic() as direct:
            await rig.client.delete(CANARY, rig.namespace, NAME)
            await scenario.gone()
            await scenario.gone_to_the_last()
        assert [str(each) for each in (*gateway.lost, *direct.lost)] == []
    service = await rig.client.get(SERVICE, rig.namespace, NAME)
    assert service["spec"]["selector"] == {"app": NAME}
    assert (await rig.deployment(NAME))["status"]["readyReplicas"] == 2
