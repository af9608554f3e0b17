"""The real Flagger has run a namespace until now: it is stopped, ours is started, and users notice nothing of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from canary.kube.types import CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, POD, TRAEFIK_SERVICE, VIRTUAL_SERVICE, Json, Resource
from canary.sandbox import addresses, binaries
from canary.sandbox.cluster import Cluster
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.istio import ISTIO
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig, application, weight_of
from canary.sandbox.scenario import NAME, PORT, READY_SECONDS, SUCCESS_RATE, Scenario, canary_of

pytestmark = pytest.mark.long

FLAGGER, OURS = "flagger", "successor"
FLAGGER_PORT = 10091
HEARING_PORT = 10092
TOLD = {
    "SLACK_URL": f"http://127.0.0.1:{HEARING_PORT}/slack",
    "EVENT_WEBHOOK_URL": f"http://127.0.0.1:{HEARING_PORT}/events",
}
"""Who hears of Canaries, as Flagger's chart tells it to both controllers."""
CHANNEL = "-slack-channel=releases"
QUIET_SECONDS = 15.0
"""Longer than an interval: whatever would happen by itself has happened by then."""
SETTINGS = "settings"
STEPWISE = {"interval": "10s", "threshold": 3, "stepWeight": 10, "maxWeight": 50, "metrics": [SUCCESS_RATE]}


@dataclass(frozen=True, slots=True)
class Picture:
    """What must not change by a change of controllers.

    Args:
        pods: of each pod its identity and how often its containers were started again.
        workloads: the generation of each Deployment.
        weight: percent of requests that the canary gets.
        phase: where the Canary stands.
    """

    pods: dict[str, tuple[str, int]]
    workloads: dict[str, int]
    weight: int | None
    phase: str


@dataclass(slots=True)
class Hearing:
    """What came to those addresses, in words, by the last part of the address."""

    slack: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        said: list[str] = getattr(self, request.path.strip("/"))
        said.append(await request.text())
        return web.Response(text="ok")


@pytest_asyncio.fixture
async def hearing() -> AsyncIterator[Hearing]:
    heard = Hearing()
    app = web.Application()
    app.router.add_post("/{whom}", heard.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", HEARING_PORT).start()
    yield heard
    await runner.cleanup()


async def picture(scenario: Scenario) -> Picture:
    client, namespace = scenario.rig.client, scenario.rig.namespace
    pods = (await client.list(POD, namespace))["items"]
    deployments = (await client.list(DEPLOYMENT, namespace))["items"]
    return Picture(
        pods={pod["metadata"]["name"]: (pod["metadata"]["uid"], restarts(pod)) for pod in pods},
        workloads={each["metadata"]["name"]: each["metadata"]["generation"] for each in deployments},
        weight=weight_of(scenario.route.last),
        phase=scenario.status["phase"],
    )


def restarts(pod: Json) -> int:
    return sum(each["restartCount"] for each in pod.get("status", {}).get("containerStatuses", []))


@pytest_asyncio.fixture
async def flagger(site: Rig, cluster: Cluster, hearing: Hearing) -> AsyncIterator[Rig]:
    """Flagger for this namespace alone. Its shortest interval is 10 s."""
    program = binaries.ensure(("flagger",))["flagger"]
    command = [str(program), f"-kubeconfig={cluster.kubeconfig}", f"-namespace={site.namespace}"]
    command += ["-mesh-provider=traefik", f"-metrics-server={addresses.PROMETHEUS_URL}", f"-port={FLAGGER_PORT}"]
    # Without a channel it would tell nobody, and say so in its log alone.
    command += ["-control-loop-interval=1s", "-log-level=info", CHANNEL]
    ready_url = f"http://127.0.0.1:{FLAGGER_PORT}/healthz"
    await cluster.run(FLAGGER, command, environment=TOLD, ready_url=ready_url)
    yield site
    for name in (FLAGGER, OURS):
        if name in cluster.parts:
            await cluster.parts[name].stop()


async def hand_over(scenario: Scenario) -> None:
    """Stop Flagger, start ours, and wait until it has looked at the Canary."""
    await scenario.rig.cluster.parts[FLAGGER].stop()
    before = await picture(scenario)
    own = ("--mesh-provider=traefik", "--enable-leader-election=false", f"--namespace={scenario.rig.namespace}")
    await scenario.rig.start_controller(*own, CHANNEL, "--log-level=debug", name=OURS, environment=TOLD)
    await scenario.canary.until(lambda each: "observedGeneration" in each["status"], within=20, what="look of ours")
    # The finalizer comes after the status, and ends that look.
    await scenario.canary.until(lambda each: bool(each["metadata"].get("finalizers")), within=20, what="finalizer")
    assert await picture(scenario) == before


def configured(namespace: str, version: str, **environment: str) -> Json:
    """The application, with a ConfigMap in its environment."""
    made = application(NAME, namespace, version, environment=environment)
    made["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": SETTINGS}}]
    return made


def settings(namespace: str, **data: str) -> Json:
    metadata = {"name": SETTINGS, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_at_rest_nothing_happens_until_there_is_something_to_roll_out(flagger: Rig, hearing: Hearing) -> None:
    namespace = flagger.namespace
    async with Scenario.on(flagger) as scenario:
        await flagger.apply(settings(namespace, GREETING="hello", COLOUR="blue"))
        quickly = {"interval": "10s", "stepWeight": 50, "maxWeight": 50}
        await scenario.initialise(canary_of(namespace, quickly), configured(namespace, "1.0.0", MODE="old", TEAM="web"))
        await flagger.apply(configured(namespace, "1.0.1", MODE="old", TEAM="web"))
        await scenario.phase("Progressing")
        assert await scenario.ended() == "Succeeded"
        await scenario.gone_to_the_last()

        async with scenario.traffic() as traffic:
            await hand_over(scenario)
            before = await picture(scenario)
            said = (len(hearing.slack), len(hearing.events))
            assert min(said) > 0, "Flagger told of its rollout"
            states = len(scenario.canary.moments)
            await asyncio.sleep(QUIET_SECONDS)
            assert await picture(scenario) == before
            assert len(scenario.canary.moments) == states, "one look is enough"
            status = scenario.status
            assert status["lastAppliedSpec"] == status["lastPromotedSpec"]
            assert [each["reason"] for each in status["conditions"]] == ["Succeeded", "Succeeded"]
            assert before.phase == "Succeeded"
            assert (len(hearing.slack), len(hearing.events)) == said, "nothing happens, so nobody is told"

            await flagger.apply(configured(namespace, "1.0.2", TEAM="web"))
            await flagger.apply(settings(namespace, COLOUR="green"))
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Succeeded"
            await scenario.gone_to_the_last()
        assert [str(each) for each in traffic.lost] == []
        assert scenario.serving == "sample/web:1.0.2"
        variables = {each["name"] for each in scenario.primary.last["spec"]["template"]["spec"]["containers"][0]["env"]}
        assert variables == {"TEAM", "TERM_SECONDS"}, "what Flagger wrote goes with what it was copied from"
        copied = await flagger.client.get(CONFIG_MAP, namespace, f"{SETTINGS}-primary")
        assert copied["data"] == {"COLOUR": "green"}
        assert scenario.primary.last["spec"]["replicas"] == 2, "replicas are nobody's to take away"
        assert any("promotion finished" in each for each in hearing.slack[said[0] :]), "the same people hear of ours"
        assert any("Promotion completed" in each for each in hearing.events[said[1] :])


def traefik(scenario: Scenario, analysis: Json) -> Json:
    return canary_of(scenario.rig.namespace, analysis)


def gateway_api(scenario: Scenario, analysis: Json) -> Json:
    gateway = {"name": "traefik", "namespace": "gateway"}
    service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [gateway]}
    return canary_of(scenario.rig.namespace, analysis, provider="gatewayapi:v1", service=service)


def istio(scenario: Scenario, analysis: Json) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gateways": ["istio-system/public"], "portDiscovery": True}
    return canary_of(scenario.rig.namespace, analysis, provider="istio", service=service)


ROUTES: dict[str, tuple[Resource, Any, Gateway]] = {
    "traefik": (TRAEFIK_SERVICE, traefik, TRAEFIK),
    "gatewayapi:v1": (HTTP_ROUTE, gateway_api, TRAEFIK),
    "istio": (VIRTUAL_SERVICE, istio, ISTIO),
}


@pytest.mark.parametrize(
    "provider", [pytest.param(each, marks=[pytest.mark.gateways] if each == "istio" else []) for each in ROUTES]
)
async def test_in_mid_rollout_it_goes_on_from_its_weight_and_promotes(flagger: Rig, provider: str) -> None:
    resource, make, gateway = ROUTES[provider]
    await flagger.cluster.open(gateway)
    async with Scenario.on(flagger, resource, gateway.url) as scenario:
        await scenario.initialise(make(scenario, {**STEPWISE, "metrics": []}))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(20)
            await scenario.canary.until(lambda each: each["status"]["canaryWeight"] == 20, within=10, what="status")
            await hand_over(scenario)
            assert scenario.status["canaryWeight"] == 20
            assert await scenario.ended() == "Succeeded"
            await scenario.gone_to_the_last()
        assert [str(each) for each in traffic.lost] == []
        assert scenario.weights == (0, 10, 20, 30, 40, 50, 0)
        assert scenario.serving == "sample/web:1.0.1"
        assert scenario.unserved == []
    told = await flagger.events(NAME)
    assert sum("New revision detected" in each for each in told) == 1, "the rollout is the one that Flagger began"


async def test_in_mid_rollout_a_bad_version_is_taken_back(flagger: Rig) -> None:
    """Its failed checks count on from where Flagger stood."""
    async with Scenario.on(flagger) as scenario:
        await scenario.initialise(canary_of(flagger.namespace, STEPWISE))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1", environment={"FAULT_ERROR_RATE": "1"})
            await scenario.canary.until(
                lambda each: each["status"]["failedChecks"] == 1, within=READY_SECONDS, what="failed check of Flagger's"
            )
            await hand_over(scenario)
            assert await scenario.ended() == "Failed"
            await scenario.gone_to_the_last()
        assert {answer.version for answer in traffic.lost} == {"1.0.1"}, "nothing but the bad version loses a request"
        assert scenario.weights == (0, 10, 0)
        assert scenario.status["failedChecks"] == 3
        assert scenario.serving == "sample/web:1.0.0"
        assert scenario.unserved == []
