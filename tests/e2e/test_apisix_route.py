"""A rollout by ApisixRoutes on a real API server, without an APISIX: the users' route, and ours beside it."""

import json
from pathlib import Path

import pytest

from canary.kube.types import APISIX_ROUTE, CANARY, Json
from canary.sandbox.bootstrap import DEFINITION
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, without_repeats
from canary.sandbox.scenario import NAME, PORT, STEPS, Scenario, canary_of

pytestmark = pytest.mark.gateways

SCHEMA = Path(__file__).parents[1] / "cluster/schemas/apisix.json"
THEIRS, OURS = "web", f"web-{NAME}-canary"


def users_route(namespace: str, *rules: Json) -> Json:
    return {
        "apiVersion": APISIX_ROUTE.api_version,
        "kind": APISIX_ROUTE.kind,
        "metadata": {"name": THEIRS, "namespace": namespace},
        "spec": {"http": list(rules)},
    }


def rule(name: str, path: str) -> Json:
    backends = [{"serviceName": NAME, "servicePort": PORT}]
    return {"name": name, "match": {"hosts": ["app.test"], "paths": [path]}, "backends": backends}


def canary(namespace: str) -> Json:
    route = {"apiVersion": APISIX_ROUTE.api_version, "kind": APISIX_ROUTE.kind, "name": THEIRS}
    return canary_of(namespace, provider="apisix", routeRef=route, revertOnDeletion=True)


def weight(route: Json) -> int | None:
    """The canary's weight by the first rule of a route; None where there is no rule."""
    rules = (route.get("spec") or {}).get("http") or []
    weights = {each["serviceName"]: each["weight"] for each in rules[0]["backends"]} if rules else {}
    return weights.get(f"{NAME}-canary")


def names(route: Json) -> list[str]:
    return [str(rule["name"]) for rule in route["spec"]["http"]]


def services(route: Json) -> list[str]:
    return [str(each["serviceName"]) for each in route["spec"]["http"][0]["backends"]]


async def test_the_users_route_stays_as_it_is_and_ours_follows_it(rig: Rig) -> None:
    for definition in json.loads(SCHEMA.read_text()):
        await rig.client.apply(DEFINITION, definition)

    async def served() -> bool:
        found = await rig.client.page("/apis/apisix.apache.org")
        return bool(found)

    await eventually(served, bool, within=30)
    async with Scenario.on(rig) as scenario:
        await rig.apply(canary(rig.namespace))
        missing = "there is no ApisixRoute web"
        await scenario.canary.until(lambda each: missing in str(each.get("status")), within=60, what=missing)
        theirs = await rig.apply(users_route(rig.namespace, rule("all", "/*")))
        await scenario.initialise(canary(rig.namespace))
        async with rig.recording(APISIX_ROUTE, OURS) as ours:
            await scenario.deploy("1.0.1")
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Succeeded"
            weights = [weight(moment.value or {}) for moment in ours.moments]
            assert tuple(without_repeats(weights)) == STEPS
            assert await rig.client.get(APISIX_ROUTE, rig.namespace, THEIRS) == theirs

            await rig.apply(users_route(rig.namespace, rule("some", "/some")))
            await ours.until(lambda each: names(each) == ["some"], within=30, what="the new rule alone")
            seen = len(ours.moments)
            assert await scenario.roll_out("1.0.2") == "Succeeded"
            weights = [weight(moment.value or {}) for moment in ours.moments[seen:]]
            assert tuple(weights[weights.index(STEPS[1]) :]) == STEPS[1:], "each is written once"

            theirs = await rig.client.get(APISIX_ROUTE, rig.namespace, THEIRS)
            await rig.client.delete(CANARY, rig.namespace, NAME)
            await scenario.gone()
            await ours.until(lambda each: not each, within=30, what="its end with the Canary's")
            led = [services(moment.value) for moment in ours.moments if moment.value]
            assert led[-1] == [NAME], "nobody is led to a version that goes"
            assert await rig.client.get(APISIX_ROUTE, rig.namespace, THEIRS) == theirs
