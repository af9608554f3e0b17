"""The API server refuses a write, a right is taken away, answers are lost: no request is, and each is told once."""

import base64
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import yaml
from aiohttp import web

from canary.kube.types import EVENT, HORIZONTAL_POD_AUTOSCALER, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import CONTROLLER_PORT, Rig, application
from canary.sandbox.options import CONTROLLER
from canary.sandbox.scenario import NAME, STEPS, Scenario, canary_of, hook

QUOTA: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
CLUSTER_ROLE: Final = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
SECRET: Final = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": "1"}}
CPU: Final = {"type": "Utilization", "averageUtilization": 99}
RATE: Final = 100.0
SUCCESSES: Final = "flagger_canary_successes_total"


def stalled(scenario: Scenario) -> Json:
    """What stands in the Canary's way, by its condition Stalled; empty where nothing does."""
    conditions: list[Json] = scenario.status.get("conditions") or []
    found = next((each for each in conditions if each["type"] == "Stalled"), {})
    return {} if found.get("reason") == "RolloutFailed" else found


async def counted(rig: Rig, used: str | None) -> None:
    """Wait until the quota is in force, and has counted what there is: before, it refuses nothing."""

    async def ask() -> Json:
        status: Json = (await rig.client.get(QUOTA, rig.namespace, "one")).get("status") or {}
        return status

    def is_counted(status: Json) -> bool:
        there = status.get("used", {}).get("count/horizontalpodautoscalers.autoscaling")
        return bool(status.get("hard")) and used in (None, there)

    await eventually(ask, is_counted, within=60)


async def until_stalled(scenario: Scenario, reason: str) -> None:
    await scenario.canary.until(
        lambda each: any(
            (condition["type"], condition["reason"]) == ("Stalled", reason)
            for condition in each.get("status", {}).get("conditions") or ()
        ),
        within=30,
        what=f"condition Stalled with reason {reason}",
    )


async def test_a_quota_that_refuses_the_copy_of_the_autoscaler_delays_no_verdict(rig: Rig) -> None:
    """A version is promoted and the next one taken back meanwhile; the copy comes when it may."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "one", "namespace": rig.namespace},
        "spec": {"hard": {"count/horizontalpodautoscalers.autoscaling": "1"}},
    }
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": rig.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 99}},
                }
            ],
        },
    }
    await rig.client.create(QUOTA, quota)
    await counted(rig, None)
    await rig.apply(scaler)
    await counted(rig, "1")
    reference = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": NAME}
    canary = canary_of(
        rig.namespace, {"interval": "6s", "webhooks": [hook("rollback", "/rollback/check")]}, autoscalerRef=reference
    )
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary)
        await until_stalled(scenario, "Refused")
        assert "exceeded quota" in stalled(scenario)["message"]
        async with scenario.traffic(RATE) as traffic:
            assert await scenario.roll_out("1.0.1") == "Succeeded"
            await scenario.deploy("1.0.2")
            await scenario.weight(25)
            await scenario.gate("rollback/open")
            assert await scenario.ended() == "Failed"
            await rig.client.delete(QUOTA, rig.namespace, "one")
            await scenario.canary.until(lambda _: not stalled(scenario), within=70, what="end of the stall")
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []
        assert (await rig.client.get(HORIZONTAL_POD_AUTOSCALER, rig.namespace, f"{NAME}-primary"))["spec"][
            "maxReplicas"
        ] == 4
    assert sum("exceeded quota" in each for each in await rig.events(NAME)) == 1


async def is_told(rig: Rig, words: str) -> bool:
    """Whether an event about the Canary has these words."""
    return any(words in each for each in await rig.events(NAME))


@asynccontextmanager
async def without_right(rig: Rig, kind: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Take the rights to a kind from the controller; what is given gives them back, as does the end."""
    role = await rig.client.get(CLUSTER_ROLE, None, "canary-controller")
    rules = [{**rule, "resources": [each for each in rule["resources"] if each != kind]} for rule in role["rules"]]

    async def grant() -> None:
        await rig.client.merge_patch(CLUSTER_ROLE, None, "canary-controller", {"rules": role["rules"]})

    await rig.client.merge_patch(
        CLUSTER_ROLE, None, "canary-controller", {"rules": [each for each in rules if each["resources"]]}
    )
    try:
        yield grant
    finally:
        await grant()


async def test_the_right_to_routes_is_taken_away_in_mid_rollout(rig: Rig) -> None:
    """The rollback is told at once, and routed as soon as it may be."""
    analysis = {"interval": "6s", "webhooks": [hook("rollback", "/rollback/check")]}
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, analysis))
        async with scenario.traffic(RATE) as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            async with without_right(rig, "traefikservices") as grant:
                await scenario.gate("rollback/open")
                await until_stalled(scenario, "Refused")
                assert scenario.weights[-1] == 25
                for words in ("Rolling back", "can't route traffic: the API server refuses it"):
                    await eventually(partial(is_told, rig, words), bool)
                await grant()
                await scenario.weight(0, within=15)
            assert await scenario.ended() == "Failed"
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []
        assert stalled(scenario) == {}


async def test_the_right_to_secrets_is_taken_away_in_mid_rollout(rig: Rig) -> None:
    """What can't be copied is not promoted; the canary keeps its share until it can."""
    await rig.apply({**SECRET, "metadata": {"name": "key", "namespace": rig.namespace}})
    first = with_secret(application(NAME, rig.namespace, "1.0.0"))
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace), first)
        async with scenario.traffic(RATE) as traffic, without_right(rig, "secrets") as grant:
            await rig.apply(with_secret(application(NAME, rig.namespace, "1.0.1")))
            await until_stalled(scenario, "Refused")
            assert scenario.weights[-1] in STEPS
            await grant()
            await scenario.phase("Progressing", "Promoting", "Finalising", "Succeeded")
            assert await scenario.ended() == "Succeeded"
        assert [str(each) for each in traffic.lost] == []
        assert scenario.unserved == []


def with_secret(deployment: Json) -> Json:
    """The Deployment, whose pods read the Secret `key`."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    reference = {"name": "SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "key"}}}
    container["env"] = [*container["env"], reference]
    return deployment


class Cutting:
    """A way to the API server that loses answers: a write of a status is passed on, and its answer is thrown away.

    Args:
        session: speaks to the API server.
        server: its address.
        most: how many answers are lost; about every second one until then.
    """

    def __init__(self, session: aiohttp.ClientSession, server: str, most: int) -> None:
        self.cut = 0
        self._session = session
        self._server = server
        self.most = most
        self._random = random.Random(1)  # noqa: S311 - which answers are lost is no secret

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass on a request and its answer, as it comes."""
        headers = {name: request.headers[name] for name in ("Accept", "Content-Type") if name in request.headers}
        url = f"{self._server}{request.path_qs}"
        async with self._session.request(request.method, url, headers=headers, data=await request.read()) as answer:
            is_status = request.method == "PATCH" and request.path.endswith("/status")
            if is_status and self.cut < self.most and self._random.random() < 0.5:
                await answer.read()
                self.cut += 1
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            with suppress(ConnectionResetError):  # whoever asked has gone
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            return response


@asynccontextmanager
async def cutting(document: Json, most: int) -> AsyncIterator[tuple[Cutting, str]]:
    """Lose answers on a way of one's own, on loopback; with its address.

    Args:
        document: a kubeconfig, of who is let in.
        most: how many answers are lost.
    """
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    trust = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority), limit=0)
    authorization = {"Authorization": f"Bearer {user['token']}"}
    no_end = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=trust, headers=authorization, timeout=no_end) as session:
        way = Cutting(session, cluster["server"], most)
        application = web.Application(client_max_size=1 << 25)
        application.router.add_route("*", "/{tail:.*}", way.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield way, f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("most", [12, pytest.param(50, marks=pytest.mark.long)])
async def test_answers_to_writes_of_the_status_are_lost(site: Rig, tmp_path: Path, most: int) -> None:
    """Every rollout ends as it would have, no request is lost, and each end is told once."""
    document = read(site.cluster.kubeconfig_for(CONTROLLER))
    async with cutting(document, most) as (way, address), Scenario.on(site) as scenario:
        kubeconfig = written(tmp_path / "cut.yaml", document, address)
        await site.start_controller(
            "--mesh-provider=traefik",
            "--enable-leader-election=false",
            f"--namespace={site.namespace}",
            name="unheard controller",
            kubeconfig=kubeconfig,
        )
        try:
            rollouts = await play(scenario, way)
            counted = await eventually(successes, lambda count: count == rollouts)
        finally:
            await site.cluster.parts["unheard controller"].stop()
    assert way.cut == most
    assert counted == rollouts
    assert await times(site, "Initialization done!") == 1


async def times(rig: Rig, words: str) -> int:
    """How often an event with these words was told."""
    listed = await rig.client.list(EVENT, rig.namespace)
    return sum(int(each.get("count") or 1) for each in listed["items"] if words in each["message"])


async def successes() -> int:
    """How many rollouts the controller has counted as promoted."""
    url = f"http://{addresses.TOOLS}:{CONTROLLER_PORT}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{SUCCESSES}{{")]
    return round(sum(map(float, values)))


def read(kubeconfig: Path) -> Json:
    """What a kubeconfig file says."""
    document: Json = yaml.safe_load(kubeconfig.read_text())
    return document


def written(path: Path, document: Json, address: str) -> Path:
    """A kubeconfig file that leads to another address, where nobody asks who one is."""
    clusters = [{**document["clusters"][0], "cluster": {"server": address}}]
    users = [{**document["users"][0], "user": {}}]
    path.write_text(yaml.safe_dump({**document, "clusters": clusters, "users": users}))
    return path


async def play(scenario: Scenario, way: Cutting) -> int:
    """Roll out good versions under load until enough answers were lost; how many it were."""
    await scenario.initialise(canary_of(scenario.rig.namespace, {"maxWeight": 60, "stepWeight": 10}))
    rollouts = 0
    async with scenario.traffic(RATE) as traffic:
        while way.cut < way.most:
            rollouts += 1
            assert await scenario.roll_out(f"1.0.{rollouts}") == "Succeeded"
            assert scenario.serving == f"sample/web:1.0.{rollouts}"
    assert [str(each) for each in traffic.lost] == []
    assert scenario.unserved == []
    return rollouts
