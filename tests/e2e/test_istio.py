"""Rollouts on provider istio, through the ingress gateway of the real istiod: what arrives is what was asked for."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from itertools import chain

import httpx
import pytest

from canary.kube.types import DEPLOYMENT, POD, VIRTUAL_SERVICE, Json, Resource
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.istio import GATEWAY, NAMESPACE, SIDECAR
from canary.sandbox.harness import AUTHOR, Rig, application
from canary.sandbox.scenario import DURATION, NAME, PORT, STEPS, SUCCESS_RATE, Scenario, canary_of
from canary.sandbox.traffic import Traffic
from tests.tools import mesh
from tests.tools.chosen import AHEAD, met_at_any_weight
from tests.tools.played import bad_is_taken_back, good_is_promoted, the_chosen_meet_it_first

TESTER, BETA = {"X-Tester": "yes"}, "?beta=on"
MATCH = [{"headers": {"x-tester": {"exact": "yes"}}}, {"queryParams": {"beta": {"exact": "on"}}}]
PUBLIC = f"{NAMESPACE}/{GATEWAY}"
DEVIATIONS = 6
"""Standard deviations by which a count of this size misses what is expected less than once in a million runs."""
FOLLOWED = 1.0
"""Seconds after a change from which requests count as divided by it."""


TCP_PORT = 31400
ISTIO_GATEWAY = Resource("networking.istio.io", "v1", "gateways", "Gateway")


def typed(resource: Resource) -> Json:
    """How an object of a resource begins."""
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def canary(scenario: Scenario, **analysis: object) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gateways": [PUBLIC]}
    return canary_of(scenario.rig.namespace, analysis, provider="istio", service=service)


async def test_a_good_and_a_bad_version_at_the_gateway(rig: Rig, istio: Gateway) -> None:
    """Of a workload outside of the mesh the gateway tells how its requests went."""
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        await scenario.initialise(canary(scenario, metrics=[SUCCESS_RATE, DURATION]))
        await good_is_promoted(scenario)
        await bad_is_taken_back(scenario)


async def test_a_member_of_the_mesh_is_rolled_out_for_those_within_and_without(rig: Rig, istio: Gateway) -> None:
    """It tells by itself how its requests went; those of the mesh come to the port that they ask for."""
    client, own = mesh.client(rig.namespace, PORT)
    for resource, obj in ((SIDECAR, mesh.members(rig.namespace)), (SIDECAR, own), (DEPLOYMENT, client)):
        await rig.client.apply(resource, obj, field_manager=AUTHOR)
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        made = canary(scenario, metrics=[SUCCESS_RATE, DURATION])
        made["spec"]["service"] |= {"gateways": [PUBLIC, "mesh"], "portDiscovery": True}
        await scenario.initialise(made, mesh.joined(application(NAME, rig.namespace, "1.0.0")))
        url, host = f"http://{mesh.client_address(rig.namespace)}:{PORT}/", f"{NAME}.{rig.namespace}.svc.cluster.local"
        await eventually(lambda: is_served(url, host), bool, within=30)
        async with scenario.traffic() as without, Traffic(url, host) as within:
            await rig.apply(mesh.joined(application(NAME, rig.namespace, "1.0.1")))
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Succeeded"
        for traffic in (without, within):
            assert [str(each) for each in traffic.lost] == []
            assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert scenario.weights == STEPS
        assert scenario.unserved == []


async def test_ten_percent_asked_is_ten_percent_arrived(rig: Rig, istio: Gateway) -> None:
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        await scenario.initialise(canary(scenario, interval="10s", stepWeights=[10], stepWeight=0, maxWeight=0))
        async with scenario.traffic(100) as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(10)
            begun = asyncio.get_running_loop().time() + FOLLOWED
            await asyncio.sleep(8)  # of the ten that the step lasts: requests to count
            found = traffic.versions(begun)
            assert await scenario.ended() == "Succeeded"
        assert [str(each) for each in traffic.lost] == []
        total = found.total()
        assert total > 400
        assert abs(found["1.0.1"] - 0.1 * total) < DEVIATIONS * math.sqrt(0.1 * 0.9 * total)


@pytest.mark.long
async def test_connections_are_divided_where_the_protocol_is_tcp(rig: Rig, istio: Gateway) -> None:
    """By their own port of the gateway: nobody knows hosts there."""
    server = {"port": {"number": TCP_PORT, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    metadata = {"name": "connections", "namespace": rig.namespace}
    await rig.client.apply(
        ISTIO_GATEWAY, {**typed(ISTIO_GATEWAY), "metadata": metadata, "spec": spec}, field_manager=AUTHOR
    )
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        made = canary(scenario)
        made["spec"]["service"] |= {"appProtocol": "tcp", "gateways": ["connections"], "match": [{"port": TCP_PORT}]}
        await scenario.initialise(made)
        async with Traffic(f"http://{istio.host}:{TCP_PORT}/", rate=100, fresh=True) as traffic:
            await scenario.deploy("1.0.1")
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Succeeded"
        assert [str(each) for each in traffic.lost] == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert scenario.weights == STEPS


@pytest.mark.long
async def test_the_chosen_meet_a_version_before_everybody_does(rig: Rig, istio: Gateway) -> None:
    """By a rule of somebody else's VirtualService, which delegates to the one that is ours."""
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        spec = {"hosts": [scenario.host], "gateways": [PUBLIC], "http": [{"delegate": {"name": NAME}}]}
        root = {**typed(VIRTUAL_SERVICE), "metadata": {"name": "root", "namespace": rig.namespace}, "spec": spec}
        await rig.client.apply(VIRTUAL_SERVICE, root, field_manager=AUTHOR)
        made = canary(scenario, stepWeight=0, iterations=2, match=MATCH, metrics=[SUCCESS_RATE])
        made["spec"]["service"] = {"port": PORT, "delegation": True}
        await scenario.initialise(made)
        chosen = [scenario.traffic(20, headers=TESTER), scenario.traffic(20, BETA)]
        await the_chosen_meet_it_first(scenario, chosen)


@pytest.mark.long
async def test_some_meet_a_version_at_any_weight(rig: Rig, istio: Gateway) -> None:
    """Beside the weights, while it has one; and nobody else's share changes by that."""
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        await met_at_any_weight(scenario, canary(scenario, **AHEAD), istio)


async def test_copies_arrive_and_answer_nobody(rig: Rig, istio: Gateway) -> None:
    """Each request is copied once, while the primary answers it."""
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        await scenario.initialise(canary(scenario, interval="10s", stepWeight=0, iterations=1, mirror=True))
        await scenario.deploy("1.0.1")
        await scenario.route.until(is_copying, within=60, what="copies of requests")

        async def arrived() -> int:
            return await requests_at(rig, "1.0.1")

        async with httpx.AsyncClient(base_url=istio.url, headers={"Host": scenario.host}) as users:
            await eventually(lambda: asked_once(users, arrived), bool, within=10)
            before = await settled(arrived)
            answers = [await users.get("/") for _ in range(50)]
        assert {answer.headers["x-version"] for answer in answers} == {"1.0.0"}
        await eventually(arrived, lambda found: found == before + 50, within=5)
        assert await scenario.ended() == "Succeeded"


async def test_whoever_has_seen_the_canary_goes_on_seeing_it_until_it_is_over(rig: Rig, istio: Gateway) -> None:
    async with Scenario.on(rig, VIRTUAL_SERVICE, istio.url) as scenario:
        affinity = {"cookieName": "track", "path": "/"}
        made = canary(scenario, interval="6s", stepWeight=50, maxWeight=50, sessionAffinity=affinity)
        await scenario.initialise(made)
        await scenario.deploy("1.0.1")
        await scenario.canary.until(lambda each: weighed(each) == 50, within=60, what="weight of 50")

        async with httpx.AsyncClient(base_url=istio.url, headers={"Host": scenario.host}) as users:
            first = await eventually(lambda: asked(users), lambda answer: "set-cookie" in answer.headers, within=5)
            cookie = first.headers["set-cookie"].partition(";")[0]
            assert cookie.startswith("track=")
            answers = [await asked(users, cookie) for _ in range(20)]
            assert {answer.headers["x-version"] for answer in answers} == {"1.0.1"}

            assert await scenario.phase("Succeeded") == "Succeeded"
            farewell = await asked(users, cookie)
            assert farewell.headers["x-version"] == "1.0.1", "now from the primary"
            assert farewell.headers["set-cookie"].startswith(f"{cookie}; Max-Age=-1")


def weighed(canary: Json) -> int:
    """The percent of requests that a Canary says its new version gets."""
    return int(canary.get("status", {}).get("canaryWeight", 0))


async def asked(users: httpx.AsyncClient, cookie: str = "") -> httpx.Response:
    """The answer to somebody who brings this cookie alone."""
    users.cookies.clear()
    return await users.get("/", headers={"Cookie": cookie} if cookie else {})


async def is_served(url: str, host: str) -> bool:
    """Whether a request is answered."""
    async with httpx.AsyncClient(headers={"Host": host}) as client:
        try:
            return (await client.get(url)).is_success
        except httpx.TransportError:
            return False


def is_copying(route: Json) -> bool:
    """Whether a VirtualService copies requests."""
    return any("mirror" in rule for rule in (route.get("spec") or {}).get("http", []))


async def asked_once(users: httpx.AsyncClient, arrived: Callable[[], Awaitable[int]]) -> bool:
    """Whether a request was copied: the gateway has followed its route."""
    before = await arrived()
    await users.get("/")
    await asyncio.sleep(0.2)
    return await arrived() > before


async def requests_at(rig: Rig, version: str) -> int:
    """How many requests the pods of a version have had, by their own count."""
    pods = (await rig.client.list(POD, rig.namespace))["items"]
    ips = [pod["status"]["podIP"] for pod in pods if f":{version}" in str(pod["spec"]["containers"][0]["image"])]
    async with httpx.AsyncClient() as client:
        pages = [(await client.get(f"http://{ip}:{PORT}/metrics")).text for ip in ips]
    lines = chain.from_iterable(page.splitlines() for page in pages)
    return sum(int(line.split()[-1]) for line in lines if line.startswith("http_request_duration_seconds_count"))


async def settled(ask: Callable[[], Awaitable[int]]) -> int:
    """A number once it is the same twice in a row."""
    found, last = -1, await ask()
    while found != last:
        await asyncio.sleep(0.3)
        found, last = last, await ask()
    return last
