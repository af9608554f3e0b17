"""Provider gatewayapi:v1 on Envoy Gateway 1.9 and Envoy 1.40: what arrives is what the HTTPRoute says.

Its class lists no features, so that nothing is refused here: what a spec can ask for is tried instead.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import sqrt

import httpx
import pytest
import pytest_asyncio

from canary.kube.types import GATEWAY_CLASS, HTTP_ROUTE, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import DURATION, NAME, PORT, SUCCESS_RATE, Scenario, canary_of, hook
from tests.e2e.test_istio import asked, requests_at, settled, weighed
from tests.tools.chosen import AHEAD, met_at_any_weight
from tests.tools.played import (
    ABRUPT,
    HALF_THEN_ALL,
    RATE,
    bad_is_taken_back,
    busy,
    good_is_promoted,
    none_is_lost_where_pods_end_at_once,
    the_chosen_meet_it_first,
)
from tests.tools.two_versions import versions

pytestmark = pytest.mark.gateways

DEVIATIONS = 5
"""How far a count may be from what was asked for: farther less than once in a million samples."""
GATE = hook("confirm-promotion", "/gate/check")


def canary(scenario: Scenario, gateway: Gateway, analysis: Json, **service: object) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [gateway.parent], **service}
    return canary_of(scenario.rig.namespace, analysis, provider="gatewayapi:v1", service=service)


def near(share: float, count: int) -> tuple[float, float]:
    """What of so many requests may arrive where a share is asked for."""
    allowed = DEVIATIONS * sqrt(count * share * (1 - share))
    return count * share - allowed, count * share + allowed


@pytest_asyncio.fixture
async def scenario(rig: Rig, envoy_gateway: Gateway) -> AsyncIterator[Scenario]:
    async with Scenario.on(rig, HTTP_ROUTE, envoy_gateway.url) as scenario:
        yield scenario


async def begin(scenario: Scenario, made: Json, gateway: Gateway) -> None:
    """Have the first version behind the gateway."""
    await scenario.initialise(made)
    await eventually(lambda: versions(gateway, scenario.host, 5), lambda found: found == {"1.0.0": 5}, within=20)


async def test_a_good_and_a_bad_version(scenario: Scenario, envoy_gateway: Gateway) -> None:
    """No request is lost but those that the bad version fails itself; the built-in metrics are the application's."""
    await begin(scenario, canary(scenario, envoy_gateway, {"metrics": [SUCCESS_RATE, DURATION]}), envoy_gateway)
    await good_is_promoted(scenario)
    await bad_is_taken_back(scenario)


async def test_its_own_metrics_do_not_tell_the_versions_apart(scenario: Scenario, envoy_gateway: Gateway) -> None:
    """It has one cluster for a rule, whatever Services are behind it: without the application's there is no data."""
    made = canary(scenario, envoy_gateway, {"stepWeight": 50, "maxWeight": 50, "metrics": [SUCCESS_RATE]})
    untold = application(NAME, scenario.rig.namespace, "1.0.0")
    untold["spec"]["template"]["metadata"]["annotations"] = {"prometheus.io/scrape": "false"}
    await scenario.initialise(made, untold)
    await eventually(lambda: versions(envoy_gateway, scenario.host, 5), lambda found: found == {"1.0.0": 5}, within=20)
    untold["spec"]["template"]["spec"]["containers"][0]["image"] = "sample/web:1.0.1"
    async with scenario.traffic(RATE):
        await scenario.rig.apply(untold)
        await scenario.weight(50)
        held = await scenario.canary.until(
            lambda each: (each.get("status") or {}).get("reason") == "NoData", within=40, what="no data"
        )
        page = await metrics(envoy_gateway)
    assert (held.value or {})["status"]["message"].endswith(", http_request_duration_seconds_count")
    counted = [line for line in page.splitlines() if line.startswith("envoy_cluster_upstream_rq{")]
    own = [line for line in counted if f"httproute/{scenario.rig.namespace}/{NAME}/" in line]
    assert own
    assert not [line for line in own if "canary" in line or "primary" in line]


async def metrics(gateway: Gateway) -> str:
    """What its Envoy exports."""
    [job] = gateway.scraping
    [target] = job["static_configs"][0]["targets"]
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://{target}{job['metrics_path']}")).text


async def test_of_ten_percent_ten_percent_arrive(scenario: Scenario, envoy_gateway: Gateway) -> None:
    analysis = {"stepWeight": 10, "maxWeight": 10, "webhooks": [GATE]}
    await begin(scenario, canary(scenario, envoy_gateway, analysis), envoy_gateway)
    await scenario.deploy("1.0.1")
    await scenario.phase("WaitingPromotion")
    assert scenario.weights[-1] == 10
    found = await versions(envoy_gateway, scenario.host, 2000)
    low, high = near(0.1, 2000)
    assert low < found["1.0.1"] < high, found
    assert found["1.0.0"] + found["1.0.1"] == 2000


async def test_no_request_is_lost_while_it_is_busy_and_pods_end_at_once(
    scenario: Scenario, envoy_gateway: Gateway
) -> None:
    """Pods go when Envoy has followed, also while another HTTPRoute changes all the time."""
    made = canary(scenario, envoy_gateway, HALF_THEN_ALL)
    del made["spec"]["analysis"]["stepWeight"], made["spec"]["analysis"]["maxWeight"]
    async with changing(scenario, envoy_gateway):
        await scenario.initialise(made, application(NAME, scenario.rig.namespace, "1.0.0", environment=ABRUPT))
        await eventually(lambda: versions(envoy_gateway, scenario.host, 5), lambda found: found == {"1.0.0": 5})
        await none_is_lost_where_pods_end_at_once(scenario)


@asynccontextmanager
async def changing(scenario: Scenario, gateway: Gateway) -> AsyncIterator[None]:
    """Another HTTPRoute, which changes all the time."""
    rule: Json = {"backendRefs": [{"name": NAME, "port": PORT}]}
    spec = {"parentRefs": [gateway.parent], "hostnames": [f"busy.{scenario.host}"], "rules": [rule]}
    about = {"name": "busy", "namespace": scenario.rig.namespace}
    await scenario.rig.apply(
        {"apiVersion": HTTP_ROUTE.api_version, "kind": HTTP_ROUTE.kind, "metadata": about, "spec": spec}
    )

    async def turn(number: int) -> None:
        rule["timeouts"] = {"request": f"{number % 99 + 1}s"}
        await scenario.rig.client.merge_patch(HTTP_ROUTE, scenario.rig.namespace, "busy", {"spec": spec})

    async with busy(turn):
        yield


async def test_the_chosen_meet_a_version_before_everybody_does(scenario: Scenario, envoy_gateway: Gateway) -> None:
    match = [
        {"headers": {"x-tester": {"exact": "yes"}}},
        {"headers": {"cookie": {"regex": "^(.*?;)?(beta=on)(;.*)?$"}}},
    ]
    await begin(scenario, canary(scenario, envoy_gateway, {"iterations": 2, "match": match}), envoy_gateway)
    testers = scenario.traffic(20, headers={"X-Tester": "yes"})
    await the_chosen_meet_it_first(scenario, [testers, scenario.traffic(20, headers={"Cookie": "a=b;beta=on"})])


async def test_some_meet_a_version_at_any_weight(scenario: Scenario, envoy_gateway: Gateway) -> None:
    """Beside the weights, while it has one; and nobody else's share changes by that."""
    await met_at_any_weight(scenario, canary(scenario, envoy_gateway, AHEAD), envoy_gateway)


async def test_copies_arrive_by_percent(scenario: Scenario, envoy_gateway: Gateway) -> None:
    """Counted by the pods themselves; nobody gets an answer of the new version's."""
    analysis = {"iterations": 2, "mirror": True, "mirrorWeight": 30, "webhooks": [GATE]}
    await begin(scenario, canary(scenario, envoy_gateway, analysis), envoy_gateway)
    await scenario.deploy("1.0.1")
    await scenario.phase("WaitingPromotion")
    before = await requests_at(scenario.rig, "1.0.1")
    assert await versions(envoy_gateway, scenario.host, 1000) == {"1.0.0": 1000}

    async def copies() -> int:
        return await requests_at(scenario.rig, "1.0.1") - before

    low, high = near(0.3, 1000)
    assert low < await settled(copies) < high


async def test_whoever_has_seen_the_canary_goes_on_seeing_it_until_it_is_over(
    scenario: Scenario, envoy_gateway: Gateway
) -> None:
    affinity = {"cookieName": "track", "path": "/"}
    analysis = {"interval": "6s", "stepWeight": 50, "maxWeight": 50, "sessionAffinity": affinity}
    await begin(scenario, canary(scenario, envoy_gateway, analysis), envoy_gateway)
    await scenario.deploy("1.0.1")
    await scenario.canary.until(lambda each: weighed(each) == 50, within=60, what="weight of 50")
    async with httpx.AsyncClient(base_url=envoy_gateway.url, headers={"Host": scenario.host}) as users:
        first = await eventually(lambda: asked(users), lambda answer: "set-cookie" in answer.headers, within=5)
        cookie = first.headers["set-cookie"].partition(";")[0]
        assert (cookie.partition("=")[0], first.headers["x-version"]) == ("track", "1.0.1")
        answers = [await asked(users, cookie) for _ in range(20)]
        assert {answer.headers["x-version"] for answer in answers} == {"1.0.1"}
        await scenario.phase("Succeeded")
        farewell = await asked(users, cookie)
        assert farewell.headers["x-version"] == "1.0.1", "now from the primary"
        assert farewell.headers["set-cookie"].startswith(f"{cookie}; Max-Age=-1")


async def test_what_a_spec_can_ask_for_is_done_though_the_class_does_not_list_it(
    scenario: Scenario, envoy_gateway: Gateway
) -> None:
    listed = await scenario.rig.client.get(GATEWAY_CLASS, "", envoy_gateway.name)
    assert "supportedFeatures" not in listed["status"], "then what is not listed is refused"
    service: Json = {
        "timeout": "1s",
        "match": [{"uri": {"prefix": "/shop/"}}],
        "rewrite": {"type": "ReplacePrefixMatch", "uri": "/", "authority": "inside.example.com"},
        "headers": {"request": {"add": {"x-asked": "yes"}}, "response": {"add": {"x-told": "yes"}}},
        "corsPolicy": {"allowOrigin": ["https://shop.example.com"], "allowMethods": ["GET"]},
    }
    await scenario.initialise(canary(scenario, envoy_gateway, {}, **service))
    origin = {"Origin": "https://shop.example.com"}
    async with httpx.AsyncClient(base_url=envoy_gateway.url, headers={"Host": scenario.host, **origin}) as users:
        found = await eventually(lambda: users.get("/shop/headers"), lambda answer: answer.is_success, within=20)
        seen = {name.lower(): value for name, value in found.json().items()}
        assert (seen["host"], seen["x-asked"]) == ("inside.example.com", "yes")
        assert found.headers["x-told"] == "yes"
        assert found.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert (await users.get("/headers")).status_code == 404
        assert (await users.get("/shop/delay/3")).status_code == 504
