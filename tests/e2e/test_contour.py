"""Provider contour on Contour 1.33 and Envoy 1.40: what arrives is what the HTTPProxy says, and nothing is lost."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio

from canary.kube.types import HTTP_PROXY, Json
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import DURATION, NAME, PORT, SUCCESS_RATE, Scenario, canary_of, hook
from tests.tools.played import (
    ABRUPT,
    HALF_THEN_ALL,
    bad_is_taken_back,
    busy,
    good_is_promoted,
    none_is_lost_where_pods_end_at_once,
)
from tests.tools.two_versions import versions

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
    checks = await good_is_promoted(scenario)
    assert all("envoy_cluster_upstream_rq" in check["query"] for check in checks.values())
    await bad_is_taken_back(scenario)


async def test_no_request_is_lost_while_contour_is_busy_and_pods_end_at_once(
    scenario: Scenario, contour: Gateway
) -> None:
    """Pods go when Envoy has followed, also while another HTTPProxy changes all the time."""
    made = canary(scenario, HALF_THEN_ALL)
    del made["spec"]["analysis"]["stepWeight"], made["spec"]["analysis"]["maxWeight"]
    await scenario.rig.apply(root(scenario))
    async with changing(scenario):
        await scenario.initialise(made, application(NAME, scenario.rig.namespace, "1.0.0", environment=ABRUPT))
        await eventually(lambda: versions(contour, scenario.host, 5), lambda found: found == {"1.0.0": 5}, within=10)
        await none_is_lost_where_pods_end_at_once(scenario)


@asynccontextmanager
async def changing(scenario: Scenario) -> AsyncIterator[None]:
    """Another HTTPProxy, which changes all the time."""
    proxy = root(scenario)
    proxy["metadata"]["name"] = "busy"
    proxy["spec"] = {
        "virtualhost": {"fqdn": f"busy.{scenario.host}"},
        "routes": [{"services": [{"name": NAME, "port": PORT}]}],
    }
    await scenario.rig.apply(proxy)

    async def turn(number: int) -> None:
        proxy["spec"]["routes"][0]["timeoutPolicy"] = {"response": f"{number % 99 + 1}s"}
        await scenario.rig.client.merge_patch(HTTP_PROXY, scenario.rig.namespace, "busy", {"spec": proxy["spec"]})

    async with busy(turn):
        yield


async def test_of_ten_percent_ten_percent_arrive(scenario: Scenario, contour: Gateway) -> None:
    await begin(scenario, canary(scenario, {"stepWeight": 10, "maxWeight": 10, "webhooks": [GATE]}), contour)
    await scenario.deploy("1.0.1")
    await scenario.phase("WaitingPromotion")
    assert scenario.weights[-1] == 10
    found = await versions(contour, scenario.host, 2000)
    # Envoy draws for each request: 200 are expected, with a deviation of 13.4; five of them are left once in a million.
    assert 133 < found["1.0.1"] < 267, found
    assert found["1.0.0"] + found["1.0.1"] == 2000


@pytest.mark.long
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


@pytest.mark.long
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
