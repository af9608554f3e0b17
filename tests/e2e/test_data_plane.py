"""Pods go when the gateway has followed, which takes it seconds: other routes and pods keep it busy all the time.

The pods end at once when they are told to, as those of an application without a preStop hook do.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from canary.kube.types import CANARY, ENDPOINT_SLICE, HTTP_ROUTE, SERVICE, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox.harness import Rig, application, backends_of
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of
from tests.tools.played import ABRUPT, HALF_THEN_ALL, RATE, busy, none_is_lost_where_pods_end_at_once, unanswered

GATEWAY = {"name": "traefik", "namespace": "gateway"}
BUSY = "busy"
ADDRESSES = ("10.244.250.2", "10.244.250.1")

PROVIDERS = pytest.mark.parametrize(
    ("provider", "route"), [("traefik", TRAEFIK_SERVICE), ("gatewayapi:v1", HTTP_ROUTE)], ids=["traefik", "gatewayapi"]
)


def canary(scenario: Scenario, provider: str) -> Json:
    """Half, then all: so that no request is led to pods of the primary while these are replaced."""
    service: Json = {"port": PORT}
    if provider == "gatewayapi:v1":
        service |= {"hosts": [scenario.host], "gatewayRefs": [GATEWAY]}
    made = canary_of(scenario.rig.namespace, HALF_THEN_ALL, provider=provider, service=service)
    del made["spec"]["analysis"]["stepWeight"], made["spec"]["analysis"]["maxWeight"]
    return made


@asynccontextmanager
async def another(rig: Rig, host: str) -> AsyncIterator[None]:
    """Another application, routed by both providers, whose pods come and go all the time."""
    metadata = {"name": BUSY, "namespace": rig.namespace}
    port = {"name": "http", "port": PORT}
    slice_: Json = {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": BUSY}},
        "addressType": "IPv4",
        "ports": [port],
        "endpoints": [{"addresses": [ADDRESSES[1]], "conditions": {"ready": True}}],
    }
    http_route: Json = {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.kind,
        "metadata": metadata,
        "spec": {
            "parentRefs": [GATEWAY],
            "hostnames": [f"gateway-{host}"],
            "rules": [{"backendRefs": [{"name": BUSY, "port": PORT}]}],
        },
    }
    rule = {"match": f"Host(`traefik-{host}`)", "kind": "Rule", "services": [{"name": BUSY, "port": PORT}]}
    ingress: Json = {
        "apiVersion": TRAEFIK_SERVICE.api_version,
        "kind": "IngressRoute",
        "metadata": metadata,
        "spec": {"routes": [rule]},
    }
    service: Json = {"apiVersion": "v1", "kind": SERVICE.kind, "metadata": metadata, "spec": {"ports": [port]}}
    for each in (service, slice_, http_route, ingress):
        await rig.apply(each)

    async def turn(number: int) -> None:
        patch = {"endpoints": [{"addresses": [ADDRESSES[number % 2]], "conditions": {"ready": True}}]}
        await rig.client.merge_patch(ENDPOINT_SLICE, rig.namespace, BUSY, patch)

    async with busy(turn):
        yield


@PROVIDERS
async def test_no_request_is_lost_in_a_promotion_and_a_rollback(rig: Rig, provider: str, route: Resource) -> None:
    async with Scenario.on(rig, route) as scenario, another(rig, scenario.host):
        app = application(NAME, rig.namespace, "1.0.0", environment=ABRUPT)
        await scenario.initialise(canary(scenario, provider), app)
        await none_is_lost_where_pods_end_at_once(scenario)


def edited(scenario: Scenario, made: Json, edit: str) -> Json:
    """The Canary with another name of its Services, or with another provider."""
    gateway = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [GATEWAY]}
    other: Json = {"service": {"port": PORT, "name": "web"}}
    if edit == "provider":
        other = {"provider": "gatewayapi:v1", "service": gateway}
    return {**made, "spec": {**made["spec"], **other}}


@pytest.mark.parametrize("edit", ["name", "provider"])
async def test_no_request_is_lost_when_the_spec_names_another_route_in_mid_rollout(rig: Rig, edit: str) -> None:
    """People go on by the route of before: it leads to the primary alone before the canary's pods go.

    Its pods serve on for a while, as they are replaced under traffic.
    """
    patient = {"TERM_SECONDS": "6"}
    async with Scenario.on(rig) as scenario, another(rig, scenario.host):
        made = canary(scenario, "traefik")
        await scenario.initialise(made, application(NAME, rig.namespace, "1.0.0", environment=patient))
        async with scenario.traffic(RATE) as traffic:
            await scenario.deploy("1.0.1", environment=patient)
            await scenario.weight(50)
            await asyncio.sleep(3)
            await rig.apply(edited(scenario, made, edit))
            await scenario.weight(0, within=3)
            assert await scenario.ended() == "Succeeded"
            await scenario.gone_to_the_last()
            await asyncio.sleep(1)
            assert backends_of(scenario.route.last) == {"app-primary": 100}
            await rig.client.delete(CANARY, rig.namespace, NAME)
            await scenario.gone()
            await scenario.gone_to_the_last()
            await asyncio.sleep(1)
        assert unanswered(scenario, traffic) == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert backends_of(scenario.route.last) == {"app": 100}
