"""Rollouts played behind an Ingress of the users' own, by the annotations of ingress-nginx."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import sqrt

from canary.kube.types import CANARY, INGRESS, Json
from canary.sandbox.gateway import Gateway
from canary.sandbox.harness import Rig, phase_of, weight_of
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of
from canary.sandbox.traffic import Traffic
from tests.tools.played import RATE, are_good, bad_is_taken_back, checks_of

THROTTLE_SECONDS = 2.5
"""After which Traefik has taken a route, and some: one more configuration may come before it."""
SIGMAS = 5
"""How far a share of requests may be from what was asked for: farther less than once in a million samples."""
FOUND = ("spec", "status")


def users_ingress(scenario: Scenario, of_class: str = "nginx") -> Json:
    """The users' own."""
    backend = {"service": {"name": NAME, "port": {"number": PORT}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": {"name": NAME, "namespace": scenario.rig.namespace},
        "spec": {"ingressClassName": of_class, "rules": [{"host": scenario.host, "http": {"paths": [path]}}]},
    }


@asynccontextmanager
async def behind(
    rig: Rig, gateway: Gateway, of_class: str, analysis: Json, app: Json | None = None
) -> AsyncIterator[Scenario]:
    """An application that the users' own Ingress leads to, and a Canary with that analysis which has taken it over."""
    async with (
        Scenario.on(rig, INGRESS, gateway.url) as scenario,
        rig.recording(INGRESS, f"{NAME}-canary") as beside,
    ):
        scenario.route = beside
        await rig.apply(users_ingress(scenario, of_class))
        reference = {"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "name": NAME}
        analysis = {"stepWeight": 0, "maxWeight": 0, **analysis}
        await scenario.initialise(canary_of(rig.namespace, analysis, provider="nginx", ingressRef=reference), app)
        yield scenario


async def share_at(scenario: Scenario, traffic: Traffic, percent: int) -> tuple[int, int]:
    """How many requests it answered, and how many there were, while it had a weight and the gateway knew of it.

    Not those after the analysis: in a promotion it keeps its weight, and the primary comes to be of its version.
    """
    loop = asyncio.get_running_loop()
    await scenario.weight(percent)
    await asyncio.sleep(THROTTLE_SECONDS)  # what comes before may still go by the weight before
    begin = loop.time()

    def over(canary: Json) -> bool:
        return weight_of(scenario.route.last) != percent or phase_of(canary) != "Progressing"

    await scenario.canary.until(over, within=30, what="next weight")
    end = loop.time()
    answers = [each.version for each in traffic.answers if begin <= each.at < end]
    return sum(version != "1.0.0" for version in answers), len(answers)


async def one_is_good_and_one_is_bad(scenario: Scenario) -> None:
    """In steps of 10 and 50 percent: the weights arrive, and nobody's request is lost but by the bad version itself."""
    assert weight_of(scenario.route.last) == 0
    async with scenario.traffic(RATE) as traffic:
        await scenario.deploy("1.0.1")
        seen = [await share_at(scenario, traffic, percent) for percent in (10, 50)]
        assert await scenario.ended() == "Succeeded"
        checks = checks_of(scenario)
    for (canary, count), share in zip(seen, (0.1, 0.5), strict=True):
        assert abs(canary - share * count) <= SIGMAS * sqrt(count * share * (1 - share)), (canary, count)
    assert [str(each) for each in traffic.lost] == []
    assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (0, 10, 50, 0))
    are_good(checks)
    await bad_is_taken_back(scenario)


async def everything_is_given_back(scenario: Scenario, before: Json) -> None:
    """What is promoted is the target's again; then the Canary is deleted, and the users' Ingress serves as it was."""
    rig = scenario.rig
    await scenario.deploy("1.0.1")
    await scenario.phase("Succeeded", "Initialized")
    # Pods of the bad version that are ending are the target's, too, and Traefik asks them as long as they serve.
    await scenario.gone_to_the_last()
    async with scenario.traffic(RATE) as traffic:
        await rig.client.delete(CANARY, rig.namespace, NAME)
        await scenario.gone()
        await scenario.route.until(lambda each: not each, within=30, what="end of the canary's Ingress")
        await scenario.gone_to_the_last()
    assert [str(each) for each in traffic.lost] == []
    after = await rig.client.get(INGRESS, rig.namespace, NAME)
    assert [after.get(part) for part in FOUND] == [before.get(part) for part in FOUND]
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "nobody has written it"


def nobody_is_chosen(scenario: Scenario) -> bool:
    """Whether the canary's Ingress chooses nobody, as at rest."""
    return not [key for key in scenario.route.last["metadata"]["annotations"] if "canary-by" in key]
