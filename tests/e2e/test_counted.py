"""Requests that do not come where their route leads them, on a real gateway, counted by a real Prometheus."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from canary.api.canary import parse_canary
from canary.controller.ask.traffic import counts_of, traffic_question
from canary.kube.types import HTTP_ROUTE, INGRESS, TRAEFIK_SERVICE, VIRTUAL_SERVICE, Json, Resource
from canary.rollout.facts import Counts
from canary.rollout.sample_ratio import Arriving, ratio
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.contour import CONTOUR
from canary.sandbox.gateways.istio import ISTIO
from canary.sandbox.gateways.nginx import NGINX
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import INGRESS_ROUTE, Rig
from canary.sandbox.scenario import NAME, PORT, SUCCESS_RATE, Scenario, canary_of
from canary.sandbox.traffic import Traffic
from metrics.connections import QUESTIONS
from metrics.counts import count
from outbound.connections import Connections
from tests.e2e.test_istio import PUBLIC
from tests.tools.ingresses import users_ingress

RATE = 100.0
LEFT_BEHIND = "left-behind"
WHERE = "is there another route of the same host and path, or one that leads to Service app?"


def canary(scenario: Scenario) -> Json:
    """Two steps, so great that a few requests show what becomes of them, and an interval longer than Traefik needs."""
    analysis = {"interval": "11s", "stepWeights": [80, 90], "metrics": [SUCCESS_RATE]}
    made = canary_of(scenario.rig.namespace, analysis)
    del made["spec"]["analysis"]["stepWeight"], made["spec"]["analysis"]["maxWeight"]
    return made


def left_behind(scenario: Scenario) -> Json:
    """The users' own route of the days before the Canary, more to the point than the Canary's."""
    service = {"name": LEFT_BEHIND, "kind": TRAEFIK_SERVICE.kind}
    rule = {"match": f"Host(`{scenario.host}`) && PathPrefix(`/`)", "kind": "Rule", "services": [service]}
    return {
        "apiVersion": INGRESS_ROUTE.api_version,
        "kind": INGRESS_ROUTE.kind,
        "metadata": {"name": LEFT_BEHIND, "namespace": scenario.rig.namespace},
        "spec": {"routes": [rule]},
    }


def dividing(scenario: Scenario, **weights: int) -> Json:
    """What that route leads to: Traefik counts what an IngressRoute leads to by itself under the name of that route."""
    services = [{"name": name.replace("_", "-"), "port": PORT, "weight": weight} for name, weight in weights.items()]
    return {
        "apiVersion": TRAEFIK_SERVICE.api_version,
        "kind": TRAEFIK_SERVICE.kind,
        "metadata": {"name": LEFT_BEHIND, "namespace": scenario.rig.namespace},
        "spec": {"weighted": {"services": services}},
    }


async def stands(scenario: Scenario, reason: str, weight: int) -> Json:
    """Wait until the rollout stands at that weight for that reason: its status."""

    def there(each: Json) -> bool:
        status = each.get("status", {})
        return (status.get("reason"), status.get("canaryWeight")) == (reason, weight)

    moment = await scenario.canary.until(there, within=40, what=f"{reason} at weight {weight}")
    status: Json = (moment.value or {})["status"]
    return status


async def test_another_route_that_takes_the_requests_is_named_and_is_no_fault_of_the_version(rig: Rig) -> None:
    """It takes them all first, then leaves some to the canary, and goes: the rollout waits, and then goes on."""
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary(scenario))
        await rig.apply(dividing(scenario, app=1))
        await rig.apply(left_behind(scenario))
        async with scenario.traffic(RATE) as traffic:
            await scenario.deploy("1.0.1")
            held = await stands(scenario, "TrafficNotArriving", 80)
            assert held["failedChecks"] == 0
            assert [check["verdict"] for check in held["checks"]] == ["NoData"]
            assert held["message"].startswith("none of ")
            assert f"were expected at weight 80: {WHERE}" in held["message"]

            await rig.apply(dividing(scenario, app=9, app_canary=1))
            off = await stands(scenario, "Analysing", 90)
            assert off["offShareWeight"] == 80
            assert re.fullmatch(
                rf"the canary got [\d.]+ % of \d+ requests in \d+s, its weight is 80: {re.escape(WHERE)}",
                off["message"],
            )

            await rig.client.delete(INGRESS_ROUTE, rig.namespace, LEFT_BEHIND)
            assert await scenario.ended() == "Succeeded"
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert [str(each) for each in traffic.lost] == []
        told = [each for each in await rig.events(NAME) if "another route" in each]
        assert told == [
            f"Halt {NAME}.{rig.namespace} advancement {held['message']}",
            f"Traffic of {NAME}.{rig.namespace} is not divided as asked: {off['message']}",
        ]
        assert max(failed_checks(each.value or {}) for each in scenario.canary.moments) == 0


def failed_checks(canary: Json) -> int:
    """How many checks have failed."""
    return int(canary.get("status", {}).get("failedChecks", 0))


WINDOW = timedelta(seconds=8)


def quarter(scenario: Scenario, provider: str, **spec: object) -> Json:
    """A Canary that stays at 25 % for as long as the test looks."""
    analysis = {"interval": "60s", "stepWeight": 25, "maxWeight": 25, "metrics": [SUCCESS_RATE]}
    return canary_of(scenario.rig.namespace, analysis, provider=provider, **spec)


def behind_gateway_api(gateway: Gateway, scenario: Scenario) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [gateway.parent]}
    return quarter(scenario, "gatewayapi:v1", service=service)


def behind_istio(scenario: Scenario) -> Json:
    return quarter(scenario, "istio", service={"port": PORT, "hosts": [scenario.host], "gateways": [PUBLIC]})


def behind_nginx(scenario: Scenario) -> Json:
    reference = {"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "name": NAME}
    return quarter(scenario, "nginx", ingressRef=reference)


PLACES = pytest.mark.parametrize(
    ("gateway", "route", "made"),
    [
        (TRAEFIK, TRAEFIK_SERVICE, partial(quarter, provider="traefik")),
        pytest.param(TRAEFIK, HTTP_ROUTE, partial(behind_gateway_api, TRAEFIK), marks=pytest.mark.long),
        (CONTOUR, HTTP_ROUTE, partial(behind_gateway_api, CONTOUR)),
        (ISTIO, VIRTUAL_SERVICE, behind_istio),
        pytest.param(NGINX, INGRESS, behind_nginx, marks=pytest.mark.long),
    ],
    ids=["traefik", "gatewayapi-traefik", "gatewayapi-contour", "istio", "nginx"],
)


@PLACES
async def test_what_is_counted_of_each_version_is_what_came_to_it(
    rig: Rig, gateway: Gateway, route: Resource, made: Callable[[Scenario], Json]
) -> None:
    await rig.cluster.open(gateway)
    async with Scenario.on(rig, route, gateway.url) as scenario, Connections(QUESTIONS) as clients:
        manifest = made(scenario)
        canary, provider = parse_canary(manifest), manifest["spec"]["provider"]
        if provider == "nginx":
            await rig.apply(users_ingress(scenario))
        await scenario.initialise(manifest)
        async with scenario.traffic(RATE) as traffic:
            await scenario.deploy("1.0.1")
            await eventually(lambda: versions_of(traffic), lambda found: found == {"1.0.0", "1.0.1"}, within=40)
            question = traffic_question(canary, provider, addresses.PROMETHEUS_URL, WINDOW)

            async def ask() -> Counts | None:
                found = await count(provider, question, clients, datetime.now(UTC))
                return counts_of(found, WINDOW) if found is not None else None

            found = await eventually(ask, in_proportion, within=30)
            assert found is not None
            assert isinstance(ratio(found, 25), Arriving)
            assert found.total <= RATE * WINDOW.total_seconds() * 1.2
            assert found.canary.least <= found.canary.most


def in_proportion(found: Counts | None) -> bool:
    """Whether of a whole window of requests about a quarter came to the canary."""
    if found is None or found.total < RATE * WINDOW.total_seconds() / 2:
        return False
    return 0.15 < found.canary.least / (found.canary.least + found.primary.least) < 0.35


async def versions_of(traffic: Traffic) -> set[str]:
    return set(traffic.versions())
