"""Provider contour on Contour 1.33 and Envoy 1.40: what arrives is what the HTTPProxy says, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import cycle

import httpx
import pytest_asyncio

from canary.kube.types import HTTP_PROXY, Json
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import DURATION, NAME, PORT, STEPS, SUCCESS_RATE, Scenario, canary_of, hook
from tests.tools.two_versions import versions

RATE = 100.0
ABRUPT = {"TERM_SECONDS": "0"}
TURN = 0.3
"""Seconds from one change of another HTTPProxy to the next."""
GATE = hook("confirm-promotion", "/gate/check")
COUNTED = (
    'sum(http_requests_total{{kubernetes_namespace="{namespace}",kubernetes_pod_name=~"{pods}-[0-9a-z]+-[0-9a-z]+"}})'
)


def root(scenario: Scenario, **virtualhost: object) -> Json:
    """The users' own HTTPProxy."""
    return {
        "apiVersion": HTTP_PROXY.api_version,
        "kind": HTTP_PROXY.kind,
        "metadata": {"name": "front", "namespace": scenario.rig.namespace},
        "spec": {"virtualhost": {"fqdn": scenario.host, **virtualhost}, "includes": [{"name": NAME}]},
    }


def canary(scenario: Scenario, analysis: Json, **service: object) -> Json:
    return canary_of(scenario.rig.namespace, analysis, provider="contour", service={"port": PORT, **service})


@pytest_asyncio.fixture
async def scenario(rig: Rig, contour: Gateway) -> AsyncIterator[Scenario]:
    async with Scenario.on(rig, HTTP_PROXY, contour.url) as scenario:
        yield scenario


async def begin(scenario: Scenario, made: Json, contour: Gateway) -> None:
    """Have the first version behind Contour."""
    await scenario.rig.apply(root(scenario))
    await scenario.initialise(made)
    await eventually(lambda: versions(contour, scenario.host, 5), lambda found: found == {"1.0.0": 5}, within=10)


async def test_a_good_and_a_bad_version(scenario: Scenario, contour: Gateway) -> None:
    """No request is lost but those that the bad version fails itself, and the built-in metrics are Envoy's."""
    service: Json = {"timeout": "15s", "retries": {"attempts": 1, "perTryTimeout": "5s", "retryOn": "connect-failure"}}
    await begin(scenario, canary(scenario, {"metrics": [SUCCESS_RATE, DURATION]}, **service), contour)
    async with scenario.traffic(RATE) as traffic:
        assert await scenario.roll_out("1.0.1") == "Succeeded"
        checks = {check["name"]: check for check in scenario.status["checks"]}
    assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", STEPS)
    assert [str(each) for each in traffic.lost] == []
    assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
    assert {check["verdict"] for check in checks.values()} == {"Pass"}
    assert all("envoy_cluster_upstream_rq" in check["query"] for check in checks.values())

    async with scenario.traffic(RATE) as traffic:
        assert await scenario.roll_out("1.0.2", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
    assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (*STEPS, 25, 0))
    assert {answer.version for answer in traffic.lost} == {"1.0.2"}, "no request but the canary's own is lost"
    checks = {check["name"]: check for check in scenario.status["checks"]}
    assert checks["request-success-rate"]["verdict"] == "Fail"
    assert checks["request-success-rate"]["value"] < 99
    assert scenario.unserved == []


async def test_no_request_is_lost_while_contour_is_busy_and_pods_end_at_once(
    scenario: Scenario, contour: Gateway
) -> None:
    """Pods go when Envoy has followed, also while another HTTPProxy changes all the time."""
    analysis = {"interval": "5s", "stepWeights": [50, 100], "webhooks": [hook("rollback", "/rollback/check")]}
    made = canary(scenario, analysis)
    del made["spec"]["analysis"]["stepWeight"], made["spec"]["analysis"]["maxWeight"]
    await scenario.rig.apply(root(scenario))
    async with busy(scenario):
        await scenario.initialise(made, application(NAME, scenario.rig.namespace, "1.0.0", environment=ABRUPT))
        await eventually(lambda: versions(contour, scenario.host, 5), lambda found: found == {"1.0.0": 5}, within=10)
        async with scenario.traffic(RATE) as traffic:
            assert await scenario.roll_out("1.0.1", environment=ABRUPT) == "Succeeded"
            await scenario.gone_to_the_last()
            await asyncio.sleep(1)  # a request to a pod that is gone would come now
        assert scenario.weights == (0, 50, 100, 0)
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert [str(each) for each in traffic.answers if each.status != 200] == [], "in the promotion"

        async with scenario.traffic(RATE) as traffic:
            await scenario.deploy("1.0.2", environment=ABRUPT)
            await scenario.weight(50)
            await asyncio.sleep(3)  # half of the requests are the canary's for a while
            await scenario.gate("rollback/open")
            assert await scenario.ended() == "Failed"
            await scenario.gone_to_the_last()
            await asyncio.sleep(1)  # as above
        await scenario.gate("rollback/close")
        assert [str(each) for each in traffic.answers if each.status != 200] == [], "in the rollback"


@asynccontextmanager
async def busy(scenario: Scenario) -> AsyncIterator[None]:
    """Another HTTPProxy, which changes all the time."""
    proxy = root(scenario)
    proxy["metadata"]["name"] = "busy"
    proxy["spec"] = {
        "virtualhost": {"fqdn": f"busy.{scenario.host}"},
        "routes": [{"services": [{"name": NAME, "port": PORT}]}],
    }
    await scenario.rig.apply(proxy)

    async def turn() -> None:
        for seconds in cycle(range(1, 100)):
            await asyncio.sleep(TURN)
            proxy["spec"]["routes"][0]["timeoutPolicy"] = {"response": f"{seconds}s"}
            await scenario.rig.client.merge_patch(HTTP_PROXY, scenario.rig.namespace, "busy", {"spec": proxy["spec"]})

    task = asyncio.create_task(turn(), name="busy")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_of_ten_percent_ten_percent_arrive(scenario: Scenario, contour: Gateway) -> None:
    await begin(scenario, canary(scenario, {"stepWeight": 10, "maxWeight": 10, "webhooks": [GATE]}), contour)
    await scenario.deploy("1.0.1")
    await scenario.phase("WaitingPromotion")
    assert scenario.weights[-1] == 10
    found = await versions(contour, scenario.host, 2000)
    # Envoy draws for each request: 200 are expected, with a deviation of 13.4; five of them are left once in a million.
    assert 133 < found["1.0.1"] < 267, found
    assert found["1.0.0"] + found["1.0.1"] == 2000


async def test_the_chosen_meet_a_version_before_everybody_does(scenario: Scenario, contour: Gateway) -> None:
    """By header, cookie or query, each alone; a path that must be exact stays so beside them."""
    match = [
        {"headers": {"x-tester": {"prefix": "yes("}}},
        {"headers": {"cookie": {"regex": "^(.*?;)?(beta=on)(;.*)?$"}}},
        {"queryParams": {"beta": {"exact": "on"}}},
    ]
    analysis = {"iterations": 2, "match": match, "webhooks": [GATE]}
    service = {"match": [{"uri": {"exact": "/"}}, {"uri": {"exact": "/version"}}]}
    await begin(scenario, canary(scenario, analysis, **service), contour)
    everybody, testers = scenario.traffic(), scenario.traffic(20, headers={"X-Tester": "yes(1)"})
    async with everybody, testers:
        await scenario.deploy("1.0.1")
        await scenario.phase("WaitingPromotion")
        chosen: list[Mapping[str, str]] = [{"x-tester": "yes("}, {"cookie": "a=b;beta=on"}]
        for headers in chosen:
            assert await versions(contour, scenario.host, 10, headers) == {"1.0.1": 10}
            assert await version_of(f"{contour.url}versions", scenario.host, headers) == "404 by nobody"
        assert await versions(contour, scenario.host, 10, {"x-tester": "yes", "cookie": "beta=off"}) == {"1.0.0": 10}
        assert set(everybody.versions()) == {"1.0.0"}
        assert set(testers.versions()) == {"1.0.0", "1.0.1"}
    assert [str(each) for traffic in (everybody, testers) for each in traffic.lost] == []
    assert await version_of(f"{contour.url}?beta=on", scenario.host, {}) == "200 by 1.0.1"


async def test_copies_arrive_by_percent(scenario: Scenario, contour: Gateway) -> None:
    """Counted by the pods themselves; nobody gets an answer of the new version's."""
    analysis = {"iterations": 2, "mirror": True, "mirrorWeight": 30, "webhooks": [GATE]}
    await begin(scenario, canary(scenario, analysis), contour)
    await scenario.deploy("1.0.1")
    await scenario.phase("WaitingPromotion")
    before = await counted(scenario, NAME)
    assert await versions(contour, scenario.host, 1000) == {"1.0.0": 1000}

    async def copies() -> float:
        return await counted(scenario, NAME) - before

    # 300 are expected, with a deviation of 14.5; five of them are left once in a million.
    found = await eventually(copies, lambda found: found > 227, within=15)
    assert found < 373


async def test_an_http_proxy_that_nobody_includes_is_told(scenario: Scenario, contour: Gateway) -> None:
    """The rollout is held with the remedy, and goes on once somebody has followed it."""
    await scenario.initialise(canary(scenario, {"stepWeight": 50, "maxWeight": 50}))
    await scenario.deploy("1.0.1")
    told = f"includes: [{{name: {NAME}, namespace: {scenario.rig.namespace}}}]"
    await scenario.canary.until(
        lambda each: told in str((each.get("status") or {}).get("message")), within=40, what="the remedy"
    )
    await scenario.rig.apply(root(scenario))
    assert await scenario.ended() == "Succeeded"


async def version_of(url: str, host: str, headers: Mapping[str, str]) -> str:
    async with httpx.AsyncClient(headers={"Host": host, **headers}) as client:
        answer = await client.get(url)
    return f"{answer.status_code} by {answer.headers.get('x-version', 'nobody')}"


async def counted(scenario: Scenario, pods: str) -> float:
    """How many requests pods of a Deployment have counted."""
    query = COUNTED.format(namespace=scenario.rig.namespace, pods=pods)
    async with httpx.AsyncClient(base_url=addresses.PROMETHEUS_URL) as client:
        results = (await client.get("/api/v1/query", params={"query": query})).json()["data"]["result"]
    return float(results[0]["value"][1]) if results else 0.0
