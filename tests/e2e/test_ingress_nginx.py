"""Provider nginx on ingress-nginx itself, of July 2024, with Debian's nginx 1.22."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.errors import NotFound
from canary.kube.types import CANARY, INGRESS, Json
from canary.routers.nginx import FOLLOWS, PREFIX
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.ingress_nginx import CLASS
from canary.sandbox.harness import Rig, application, weight_of
from canary.sandbox.scenario import DURATION, NAME, SUCCESS_RATE, Scenario, hook
from canary.sandbox.traffic import Traffic
from tests.tools import ingresses
from tests.tools.ingresses import (
    SIGMAS,
    everything_is_given_back,
    nobody_is_chosen,
    one_is_good_and_one_is_bad,
    users_ingress,
)
from tests.tools.played import ABRUPT, RATE, none_is_lost_where_pods_end_at_once, the_chosen_meet_it_first
from tests.tools.two_versions import CANARY as CANARYS
from tests.tools.two_versions import PORT as SERVICE_PORT
from tests.tools.two_versions import PRIMARY, versions

pytestmark = pytest.mark.gateways

SLOWEST = FOLLOWS.total_seconds()
FIRST, SECOND = "pair", "pair-canary"
"""Called like the users' Ingress and the canary's: of one second, the later in the alphabet comes first."""
GATE = hook("confirm-promotion", "/gate/check")


@asynccontextmanager
async def behind(rig: Rig, gateway: Gateway, analysis: Json, app: Json | None = None) -> AsyncIterator[Scenario]:
    """As behind any; it is forgotten afterwards."""
    async with ingresses.behind(rig, gateway, CLASS, analysis, app) as scenario:
        await eventually(lambda: versions(gateway, scenario.host, 5), lambda found: found == {"1.0.0": 5}, within=20)
        try:
            yield scenario
        finally:
            with suppress(NotFound):
                await rig.client.delete(CANARY, rig.namespace, NAME)
            await rig.client.delete(INGRESS, rig.namespace, NAME)
            await forgotten(gateway, scenario.host)


async def test_a_good_and_a_bad_version(rig: Rig, ingress_nginx: Gateway) -> None:
    """The weights arrive, nobody's request is lost, and the built-in metrics are ingress-nginx's own."""
    analysis = {"interval": "7s", "stepWeights": [10, 50], "metrics": [SUCCESS_RATE, DURATION]}
    async with behind(rig, ingress_nginx, analysis) as scenario:
        before = await rig.client.get(INGRESS, rig.namespace, NAME)
        await one_is_good_and_one_is_bad(scenario)
        assert await series("nginx_ingress_controller_requests", rig.namespace)
        await everything_is_given_back(scenario, before)


async def forgotten(gateway: Gateway, host: str) -> None:
    """Wait until nobody is known by a host name: nginx hangs up on some where Ingresses come or go."""
    await eventually(lambda: versions(gateway, host, 5), lambda found: found == {"404": 5}, within=30)


async def series(name: str, namespace: str) -> list[Mapping[str, str]]:
    """The labels of what Prometheus has of a metric about a namespace's Ingresses."""
    query = f'{name}{{namespace="{namespace}"}}'
    async with httpx.AsyncClient(base_url=addresses.PROMETHEUS_URL) as client:
        found = (await client.get("/api/v1/query", params={"query": query})).json()["data"]["result"]
    return [each["metric"] for each in found]


async def test_of_ten_percent_ten_percent_arrive(rig: Rig, ingress_nginx: Gateway) -> None:
    async with behind(rig, ingress_nginx, {"stepWeight": 10, "maxWeight": 10, "webhooks": [GATE]}) as scenario:
        await scenario.deploy("1.0.1")
        await scenario.phase("WaitingPromotion")
        assert weight_of(scenario.route.last) == 10
        await asyncio.sleep(SLOWEST)
        found = await versions(ingress_nginx, scenario.host, 2000)
        # It draws for each request: 200 are expected, with a deviation of 13.4.
        assert abs(found["1.0.1"] - 200) < SIGMAS * 13.5, found
        assert found["1.0.0"] + found["1.0.1"] == 2000


async def test_no_request_is_lost_where_pods_end_at_once(rig: Rig, ingress_nginx: Gateway) -> None:
    """They go when nginx has followed, which takes it a second and some."""
    analysis = {"interval": "6s", "stepWeights": [50, 100], "webhooks": [hook("rollback", "/rollback/check")]}
    app = application(NAME, rig.namespace, "1.0.0", environment=ABRUPT)
    async with behind(rig, ingress_nginx, analysis, app) as scenario:
        await none_is_lost_where_pods_end_at_once(scenario)


async def test_the_chosen_meet_a_version_before_everybody_does(rig: Rig, ingress_nginx: Gateway) -> None:
    match = [{"headers": {"x-tester": {"exact": "yes"}}}, {"headers": {"cookie": {"exact": "beta"}}}]
    analysis = {"iterations": 3, "interval": "3s", "match": match, "metrics": [SUCCESS_RATE]}
    async with behind(rig, ingress_nginx, analysis) as scenario:
        chosen = [scenario.traffic(20, headers=each) for each in ({"x-tester": "yes"}, {"cookie": "beta=always"})]
        await the_chosen_meet_it_first(scenario, chosen, [scenario.traffic(20, headers={"x-tester": "no"})])
        assert nobody_is_chosen(scenario)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two Ingresses of one rule: of version 1, and of version 2."""

    api: KubeClient
    namespace: str
    gateway: Gateway

    @property
    def host(self) -> str:
        """By which both are known."""
        return f"pair.{self.namespace}"

    async def create(self) -> bool:
        """Make both, the second as a canary's at rest; whether they are of different seconds."""
        made = [
            await self._create(FIRST, PRIMARY, {}),
            await self._create(SECOND, CANARYS, {"canary": "true", "canary-weight": "0"}),
        ]
        return len({each["metadata"]["creationTimestamp"] for each in made}) > 1

    async def _create(self, name: str, service: str, words: Mapping[str, str]) -> Json:
        backend = {"service": {"name": service, "port": {"number": SERVICE_PORT}}}
        paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
        metadata = {"name": name, "namespace": self.namespace, "annotations": _annotations(words)}
        spec = {"ingressClassName": CLASS, "rules": [{"host": self.host, "http": {"paths": paths}}]}
        return await self.api.create(INGRESS, {"metadata": metadata, "spec": spec})

    async def delete(self) -> None:
        """Remove both."""
        for name in (FIRST, SECOND):
            await self.api.delete(INGRESS, self.namespace, name)

    async def say(self, words: Mapping[str, str]) -> None:
        """Change words of the second."""
        said = {"metadata": {"annotations": _annotations(words)}}
        await self.api.merge_patch(INGRESS, self.namespace, SECOND, said)

    async def versions(self, count: int) -> Mapping[str, int]:
        """Who answers so many requests."""
        return await versions(self.gateway, self.host, count)


def _annotations(words: Mapping[str, str]) -> dict[str, str]:
    return {f"{PREFIX}{word}": text for word, text in words.items()}


async def test_whoever_is_kept_on_a_version_stays_on_the_canary_until_it_is_over(
    rig: Rig, ingress_nginx: Gateway
) -> None:
    """By the users' own cookie."""
    async with behind(rig, ingress_nginx, {"interval": "8s", "stepWeights": [50]}) as scenario:
        kept = users_ingress(scenario, CLASS)
        kept["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/affinity": "cookie"}
        await rig.apply(kept)
        await scenario.deploy("1.0.1")
        await scenario.weight(50)
        await asyncio.sleep(SLOWEST)
        async with httpx.AsyncClient(base_url=ingress_nginx.url, headers={"Host": scenario.host}) as users:
            cookie = await eventually(lambda: cookie_of(users, "1.0.1"), bool, within=5)
            answers = [await answered(users, cookie) for _ in range(20)]
            assert set(answers) == {"1.0.1"}
            await scenario.phase("Succeeded")
            await asyncio.sleep(SLOWEST)
            assert await answered(users, cookie) == "1.0.1", "now from the primary"


async def cookie_of(users: httpx.AsyncClient, version: str) -> str:
    """What keeps a new user on the version, where that one answered."""
    users.cookies.clear()
    answer = await users.get("/")
    return answer.headers["set-cookie"].partition(";")[0] if answer.headers["x-version"] == version else ""


async def answered(users: httpx.AsyncClient, cookie: str) -> str:
    """Which version answered somebody who brings that cookie alone."""
    users.cookies.clear()
    return str((await users.get("/", headers={"Cookie": cookie})).headers["x-version"])


@pytest_asyncio.fixture
async def pair(api: KubeClient, namespace: str, ingress_nginx: Gateway) -> AsyncIterator[Pair]:
    """Two versions, and no Ingress yet."""
    pair = Pair(api, namespace, ingress_nginx)
    yield pair
    await pair.delete()
    await forgotten(ingress_nginx, pair.host)


async def test_a_twin_that_is_no_canary_takes_every_request(pair: Pair) -> None:
    """Why the canary's Ingress stays one at rest: of two of one rule and one second, ingress-nginx serves one alone."""
    while await pair.create():  # until both are of one second
        await pair.delete()
    await eventually(lambda: pair.versions(20), lambda found: found == {"1": 20}, within=20)
    assert await pair.versions(200) == {"1": 200}
    await pair.say({"canary": "false"})
    await eventually(lambda: pair.versions(20), lambda found: found == {"2": 20}, within=20)


async def test_how_soon_it_follows(pair: Pair) -> None:
    """It takes a change some seconds after one before: the last request goes the old way within the settle time."""
    await pair.create()
    await eventually(lambda: pair.versions(20), lambda found: found == {"1": 20}, within=20)
    loop, late = asyncio.get_running_loop(), []
    async with Traffic(pair.gateway.url, pair.host, rate=RATE) as traffic:
        for weight, old in ((100, "1"), (0, "2")) * 4:
            await pair.say({"canary-weight": "50"})
            await asyncio.sleep(0.3)
            await pair.say({"canary-weight": str(weight)})
            written = loop.time()
            await asyncio.sleep(FOLLOWS.total_seconds() + 1)
            late.append(max((each.at for each in traffic.answers if each.version == old), default=written) - written)
    assert max(late) < FOLLOWS.total_seconds(), late
    assert [str(each) for each in traffic.lost] == []
