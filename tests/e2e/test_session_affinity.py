"""Users stay on the version that the weights sent them to, by cookies, through Traefik's Gateway."""

import asyncio
from collections import Counter

import httpx

from canary.kube.types import HTTP_ROUTE
from canary.sandbox.conditions import eventually
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import PORT, Scenario, canary_of
from tests.tools.two_versions import versions

AFFINITY = {"cookieName": "track", "path": "/"}
NEW, OLD = "1.0.1", "1.0.0"


async def test_whoever_has_seen_the_canary_goes_on_seeing_it_until_it_is_over(rig: Rig) -> None:
    async with Scenario.on(rig, HTTP_ROUTE) as scenario:
        service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [TRAEFIK.parent]}
        analysis = {"interval": "6s", "stepWeight": 50, "maxWeight": 50, "sessionAffinity": AFFINITY}
        await scenario.initialise(canary_of(rig.namespace, analysis, provider="gatewayapi:v1", service=service))
        # Traefik takes one configuration in two seconds, and tells of a route before it serves it.
        await eventually(lambda: versions(TRAEFIK, scenario.host, 5), lambda found: found == {OLD: 5})
        await scenario.deploy(NEW)
        await scenario.canary.until(
            lambda each: each.get("status", {}).get("canaryWeight") == 50, within=30, what="weight of 50"
        )

        async with httpx.AsyncClient(base_url=TRAEFIK.url, headers={"Host": scenario.host}) as strangers:
            first = await _seen_by_a_stranger(strangers, NEW)
            cookie = first.headers["set-cookie"].partition(";")[0]
            strangers.cookies.clear()
            assert cookie.startswith("track=")
            seen = set()
            for _ in range(20):
                answer = await strangers.get("/", headers={"Cookie": cookie})
                seen.add(answer.headers["x-version"])
                strangers.cookies.clear()
            assert seen == {NEW}

            await scenario.canary.until(
                lambda each: each.get("status", {}).get("phase") == "Succeeded", within=40, what="promotion"
            )
            farewell = await strangers.get("/", headers={"Cookie": cookie})
            assert farewell.headers["x-version"] == NEW, "now from the primary"
            assert farewell.headers["set-cookie"].startswith(f"{cookie}; Max-Age=-1")


async def _seen_by_a_stranger(client: httpx.AsyncClient, version: str) -> httpx.Response:
    """The first answer of a version to somebody without a cookie."""
    seen: Counter[tuple[int, str]] = Counter()
    while seen.total() < 100:
        client.cookies.clear()
        answer = await client.get("/")
        if answer.headers.get("x-version") == version and "set-cookie" in answer.headers:
            return answer
        seen[answer.status_code, answer.headers.get("x-version", "")] += 1
        await asyncio.sleep(0.02)
    raise AssertionError(f"{version} set no cookie: {seen}")
