"""Rollouts on provider nginx, by the annotations of ingress-nginx; it is Traefik 3.7 that reads them here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import sqrt

from canary.kube.types import CANARY, INGRESS, Json
from canary.sandbox.gateway import Gateway
from canary.sandbox.harness import Rig, weight_of
from canary.sandbox.scenario import DURATION, NAME, PORT, SUCCESS_RATE, Scenario, canary_of
from canary.sandbox.traffic import Traffic

THROTTLE_SECONDS = 2.5
"""After which Traefik has taken a route, and some: one more configuration may come before it."""
SIGMAS = 5
"""How far a share of requests may be from what was asked for: farther less than once in a million samples."""
FOUND = ("spec", "status")


@asynccontextmanager
async def behind(rig: Rig, gateway: Gateway, analysis: Json) -> AsyncIterator[Scenario]:
    """An application that the users' own Ingress leads to, and a Canary with that analysis which has taken it over."""
    async with (
        Scenario.on(rig, INGRESS, gateway.url) as scenario,
        rig.recording(INGRESS, f"{NAME}-canary") as beside,
    ):
        scenario.route = beside
        await rig.apply(users_ingress(scenario))
        reference = {"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "name": NAME}
        await scenario.initialise(canary_of(rig.namespace, analysis, provider="nginx", ingressRef=reference))
        yield scenario


def users_ingress(scenario: Scenario) -> Json:
    backend = {"service": {"name": NAME, "port": {"number": PORT}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": {"name": NAME, "namespace": scenario.rig.namespace},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": scenario.host, "http": {"paths": [path]}}]},
    }


async def share_at(scenario: Scenario, traffic: Traffic, percent: int) -> tuple[int, int]:
    """How many requests it answered, and how many there were, while it had a weight and the gateway knew of it."""
    loop = asyncio.get_running_loop()
    await scenario.weight(percent)
    await asyncio.sleep(THROTTLE_SECONDS)  # what comes before may still go by the weight before
    begin = loop.time()
    await scenario.route.until(lambda each: weight_of(each) != percent, within=30, what="next weight")
    end = loop.time()
    answers = [each.version for each in traffic.answers if begin <= each.at < end]
    return sum(version != "1.0.0" for version in answers), len(answers)


async def test_a_good_and_a_bad_version_behind_an_ingress(rig: Rig, nginx: Gateway) -> None:
    analysis = {"interval": "6s", "stepWeight": 0, "stepWeights": [10, 50], "metrics": [SUCCESS_RATE, DURATION]}
    async with behind(rig, nginx, {**analysis, "maxWeight": 0}) as scenario:
        before = await rig.client.get(INGRESS, rig.namespace, NAME)
        assert weight_of(scenario.route.last) == 0
        async with scenario.traffic(100) as traffic:
            await scenario.deploy("1.0.1")
            seen = [await share_at(scenario, traffic, percent) for percent in (10, 50)]
            assert await scenario.ended() == "Succeeded"
            checks = {check["name"]: check for check in scenario.status["checks"]}
        for (canary, count), share in zip(seen, (0.1, 0.5), strict=True):
            assert abs(canary - share * count) <= SIGMAS * sqrt(count * share * (1 - share)), (canary, count)
        assert [str(each) for each in traffic.lost] == []
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (0, 10, 50, 0))
        assert {check["verdict"] for check in checks.values()} == {"Pass"}
        assert checks["request-success-rate"]["value"] == 100
        assert 0 < checks["request-duration"]["value"] < 500

        async with scenario.traffic(100) as traffic:
            assert await scenario.roll_out("1.0.2", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
        assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (0, 10, 50, 0, 10, 0))
        assert {answer.version for answer in traffic.lost} == {"1.0.2"}, "no request but the canary's own is lost"
        checks = {check["name"]: check for check in scenario.status["checks"]}
        assert checks["request-success-rate"]["verdict"] == "Fail"
        assert scenario.unserved == []

        # What is promoted is the target's again, so that it can be led back to.
        await scenario.deploy("1.0.1")
        await scenario.phase("Succeeded", "Initialized")
        # Pods of the bad version that are ending are the target's, too, and Traefik asks them as long as they serve.
        await scenario.gone_to_the_last()
        async with scenario.traffic(100) as traffic:
            await rig.client.delete(CANARY, rig.namespace, NAME)
            await scenario.gone()
            await scenario.route.until(lambda each: not each, within=30, what="end of the canary's Ingress")
            await scenario.gone_to_the_last()
        assert [str(each) for each in traffic.lost] == []
        after = await rig.client.get(INGRESS, rig.namespace, NAME)
        assert [after.get(part) for part in FOUND] == [before.get(part) for part in FOUND]
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "nobody has written it"


async def test_the_chosen_meet_a_version_before_everybody_does(rig: Rig, nginx: Gateway) -> None:
    match = [{"headers": {"x-tester": {"exact": "yes"}}}, {"headers": {"cookie": {"exact": "beta"}}}]
    analysis = {"stepWeight": 0, "iterations": 3, "interval": "2s", "match": match, "metrics": [SUCCESS_RATE]}
    async with behind(rig, nginx, analysis) as scenario:
        everybody, outsiders = scenario.traffic(), scenario.traffic(20, headers={"x-tester": "no"})
        testers, beta = (
            scenario.traffic(20, headers=each) for each in ({"x-tester": "yes"}, {"cookie": "beta=always"})
        )
        async with everybody, outsiders, testers, beta:
            await scenario.deploy("1.0.1")
            await scenario.phase("Progressing")
            await scenario.phase("Promoting")
            assert set(everybody.versions()) == set(outsiders.versions()) == {"1.0.0"}
            assert set(testers.versions()) == set(beta.versions()) == {"1.0.0", "1.0.1"}
            assert await scenario.ended() == "Succeeded"
        assert [str(each) for traffic in (everybody, outsiders, testers, beta) for each in traffic.lost] == []
        assert scenario.serving == "sample/web:1.0.1"
        said = scenario.route.last["metadata"]["annotations"]
        assert not [key for key in said if "canary-by" in key], "nobody is chosen at rest"
        assert scenario.unserved == []
