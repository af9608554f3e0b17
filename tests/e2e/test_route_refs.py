"""Routes that somebody else owns: their weights move, all else stays, and no request is lost on the way in or out."""

import copy
from functools import partial

from canary.kube.types import CANARY, HTTP_PROXY, HTTP_ROUTE, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, READY_SECONDS, STEPS, SUCCESS_RATE, Scenario, canary_of, hook, service
from tests.tools.two_versions import versions

RATE = 100.0
GATE = hook("confirm-promotion", "/gate/check")
HEADER = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x-theirs", "value": "yes"}]}}


def backend(name: str, **weight: int) -> Json:
    return {"name": name, "port": PORT, **weight}


PRIMARY, IDLE = backend(NAME), backend(f"{NAME}-canary", weight=0)


def http_route(scenario: Scenario, *backends: Json) -> Json:
    """The users' own: a rule with a filter that leads to these, and one that leads to the application past them."""
    rules = [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "filters": [HEADER], "backendRefs": [*backends]},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/stable"}}], "backendRefs": [PRIMARY]},
    ]
    return {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.kind,
        "metadata": {"name": NAME, "namespace": scenario.rig.namespace},
        "spec": {"parentRefs": [TRAEFIK.parent], "hostnames": [scenario.host], "rules": rules},
    }


def http_proxy(scenario: Scenario) -> Json:
    """The users' own, behind another gateway."""
    services = [{**PRIMARY, "weight": 100}, IDLE]
    return {
        "apiVersion": HTTP_PROXY.api_version,
        "kind": HTTP_PROXY.kind,
        "metadata": {"name": "inside", "namespace": scenario.rig.namespace},
        "spec": {"virtualhost": {"fqdn": scenario.host}, "routes": [{"services": services}]},
    }


def canary(scenario: Scenario, *refs: Json, **analysis: object) -> Json:
    named = [
        {"apiVersion": each["apiVersion"], "kind": each["kind"], "name": each["metadata"]["name"]} for each in refs
    ]
    return canary_of(scenario.rig.namespace, analysis, provider="gatewayapi:v1", routeRefs=named)


def without_weights(route: Json) -> Json:
    """What its author has written of a route, and the gateway of defaults, but for weights."""
    spec: Json = copy.deepcopy(route["spec"])
    for rule in spec["rules"]:
        for each in rule["backendRefs"]:
            each.pop("weight", None)
    return spec


async def test_a_running_application_gets_a_canary_behind_its_own_route_and_loses_it_again(rig: Rig) -> None:
    """And users, at a hundred requests a second, notice nothing."""
    async with Scenario.on(rig, HTTP_ROUTE) as scenario:
        await rig.apply(service(rig.namespace))
        await rig.apply(application(NAME, rig.namespace, "1.0.0"))
        await rig.apply(http_route(scenario, PRIMARY))
        await eventually(lambda: versions(TRAEFIK, scenario.host, 5), lambda seen: seen == {"1.0.0": 5}, within=30)
        async with scenario.traffic(RATE) as traffic:
            await rig.apply(canary(scenario, http_route(scenario), metrics=[SUCCESS_RATE]))
            await scenario.phase("Initialized", within=READY_SECONDS)
            await scenario.asleep()
            stalled = await scenario.canary.until(lambda each: bool(words(each)), within=10, what="a remedy")
            assert f"where it leads to {NAME}, name {NAME}-canary beside it, with a weight of 0" in words(
                stalled.value or {}
            )
            await rig.apply(http_route(scenario, PRIMARY, IDLE))
            await scenario.canary.until(lambda each: not words(each), within=10, what="a Canary that works")
            before = scenario.route.last

            assert await scenario.roll_out("1.0.1", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
            assert without_weights(scenario.route.last) == without_weights(before)
        assert {answer.version for answer in traffic.lost} <= {"1.0.1"}, "no request but the canary's own is lost"
        assert [each for each in scenario.unserved if f"{NAME}-canary" in each] == []

        async with scenario.traffic(RATE) as traffic:
            assert await scenario.roll_out("1.0.2") == "Succeeded"
        assert (scenario.serving, scenario.weights[-len(STEPS) :]) == ("sample/web:1.0.2", STEPS)
        assert without_weights(scenario.route.last) == without_weights(before)
        assert [str(each) for each in traffic.lost] == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.2"}

        async with scenario.traffic(RATE) as traffic:
            await rig.client.delete(CANARY, rig.namespace, NAME)
            await scenario.canary.until(lambda each: not each, within=READY_SECONDS, what="end of the Canary")
            await scenario.gone_to_the_last()
        assert [str(each) for each in traffic.lost] == []
        rules = scenario.route.last["spec"]["rules"]
        assert [each["name"] for rule in rules for each in rule["backendRefs"]] == [NAME, NAME]


def words(canary: Json) -> str:
    conditions = (canary.get("status") or {}).get("conditions") or []
    return next((str(each["message"]) for each in conditions if each["type"] == "Stalled"), "")


async def test_two_gateways_move_together(rig: Rig, contour: Gateway) -> None:
    """Traefik by the Gateway API, and Contour by its own."""
    async with Scenario.on(rig, HTTP_ROUTE) as scenario:
        routes = http_route(scenario, PRIMARY, IDLE), http_proxy(scenario)
        made = canary(scenario, *routes, stepWeight=50, webhooks=[GATE])
        await scenario.initialise(made)
        for route in routes:
            await rig.apply(route)
        gateways = (TRAEFIK, contour)
        for gateway in gateways:
            ask = partial(versions, gateway, scenario.host, 5)
            await eventually(ask, lambda seen: seen == {"1.0.0": 5}, within=30)
        await scenario.deploy("1.0.1")
        await scenario.weight(50)
        await scenario.phase("WaitingPromotion")
        for gateway in gateways:
            both = partial(versions, gateway, scenario.host, 20)
            await eventually(both, lambda seen: set(seen) == {"1.0.0", "1.0.1"}, within=20)
            found = await versions(gateway, scenario.host, 100)
            # Envoy draws lots: outside of that less than once in a billion.
            assert 20 <= found["1.0.1"] <= 80
        await scenario.gate("gate/open")
        assert await scenario.ended() == "Succeeded"
        for gateway in gateways:
            assert await versions(gateway, scenario.host, 20) == {"1.0.1": 20}
