"""Requests over three real control planes: a hub shifts them by the weights of a route at a real gateway.

The gateway and its route are in the hub's cluster: Traefik with an HTTPRoute that leads to three Services, one for each
member, or Istio with a VirtualService over three subsets of a ServiceEntry, which has an endpoint in each. There stands
what answers in that member: the version that its Canary has promoted, and while that rolls out half of the requests the
new one. The hub has the rights of `deploy/kustomize/fleet/hub` and of its component `traffic`.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from canary.api.status import Phase
from canary.fleet.simulation.sketch import NEW, OLD
from canary.kube.client import KubeClient
from canary.kube.reach import reach
from canary.kube.types import (
    CANARY_FLEET,
    DESTINATION_RULE,
    HTTP_ROUTE,
    NAMESPACE,
    SECRET,
    SERVICE,
    Json,
    Resource,
    name_of,
)
from canary.kube.types import VIRTUAL_SERVICE as VIRTUAL
from canary.sandbox.bootstrap import install
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.istio import ISTIO
from canary.sandbox.gateways.traefik import TRAEFIK
from tests.cluster.conftest import KUSTOMIZE, SCHEMAS, SYSTEM, until
from tests.cluster.test_hub import KINDS, NAMES, Fleet, made, planes, playing
from tests.tools.control_planes import ControlPlane
from tests.tools.played_members import PlayedMember
from tests.unit.fleet.fleets import fleet_of

pytestmark = pytest.mark.long

__all__ = ["planes"]

SLICE = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
ENTRY = Resource("networking.istio.io", "v1", "serviceentries", "ServiceEntry")
SHARES = dict(zip(NAMES, (50, 30, 20), strict=True))
PORT = 8080
WITHIN = 240.0
RATE = 50
"""Requests a second."""


class Answering:
    """What answers in a member, as its Canary would have it.

    Args:
        name: of the member.
        played: its controller.
        address: where it listens.
    """

    def __init__(self, name: str, played: PlayedMember, address: str) -> None:
        self.name, self.address = name, address
        self._played, self._count = played, 0
        self.is_bad = False
        """Whether the new version answers with errors."""

    def _version(self) -> str:
        canary = self._played.sketch.canary
        self._count += 1
        if canary is not None and canary.status.phase is Phase.PROGRESSING:
            return (OLD, NEW)[self._count % 2]
        return self._played.sketch.promoted or OLD

    async def answer(self, _: web.Request) -> web.Response:
        """One request."""
        version = self._version()
        status = 500 if self.is_bad and version == NEW else 200
        return web.Response(status=status, headers={"x-member": self.name, "x-version": version})

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer."""
        app = web.Application()
        app.router.add_get("/", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.address, PORT).start()
            yield
        finally:
            await runner.cleanup()


@dataclass
class Users:
    """Who calls the application all the time, and what they got.

    Args:
        host: the name that they call.
        gateway: through which they call.
    """

    host: str
    gateway: Gateway
    got: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    @property
    def failed(self) -> dict[tuple[str, str, int], int]:
        """What did not go well."""
        return {what: count for what, count in self.got.items() if what[2] != 200}

    def versions(self) -> Counter[str]:
        """How many requests each version has answered."""
        found: Counter[str] = Counter()
        for (_, version, _), count in self.got.items():
            found[version] += count
        return found

    def by_member(self) -> Counter[str]:
        """How many requests each member has answered."""
        found: Counter[str] = Counter()
        for (member, _, _), count in self.got.items():
            found[member] += count
        return found

    @asynccontextmanager
    async def calling(self) -> AsyncIterator["Users"]:
        """They call."""
        task = asyncio.create_task(self._call())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _call(self) -> None:
        async with httpx.AsyncClient(headers={"Host": self.host}, timeout=30) as client:
            while True:
                self.got[await outcome(client, self.gateway)] += 1
                await asyncio.sleep(1 / RATE)


async def outcome(client: httpx.AsyncClient, gateway: Gateway) -> tuple[str, str, int]:
    """Which member and which version has answered one request, and how."""
    try:
        answer = await client.get(gateway.url)
    except httpx.TransportError as error:
        return type(error).__name__, "", 0
    return answer.headers.get("x-member", ""), answer.headers.get("x-version", ""), answer.status_code


@dataclass
class Shop:
    """A fleet, what answers in its members, and who calls it."""

    fleet: Fleet
    answering: dict[str, Answering]
    users: Users
    kind: Resource

    async def apply(self, release: str) -> None:
        """Apply the fleet: three waves of one member each, by cluster."""
        fleet, steps = self.fleet, {"strategy": "cluster", "stepWeights": [50], "stepInterval": "2s"}
        waves = [{"name": each, "selector": {"matchLabels": {"wave": each}}, **steps} for each in NAMES[:2]]
        route = {"apiVersion": self.kind.api_version, "kind": self.kind.kind, "name": "shop"}
        own = [{"name": fleet.called(each), "backend": each, "share": SHARES[each]} for each in NAMES]
        made = fleet_of(
            [*waves, {"name": "c", **steps}],
            release=release,
            members={"selector": {"matchLabels": {"test": fleet.namespace}}},
            traffic={"routes": [route], "members": own},
        ).to_json()
        metadata = {"name": "shop", "namespace": fleet.namespace}
        await fleet.client.apply(CANARY_FLEET, {"metadata": metadata, "spec": made["spec"]}, field_manager="kubectl")

    async def weights(self) -> dict[str, int]:
        """What the route says."""
        spec = (await self.fleet.client.get(self.kind, self.fleet.namespace, "shop"))["spec"]
        if self.kind == HTTP_ROUTE:
            return {each["name"]: each["weight"] for each in spec["rules"][0]["backendRefs"]}
        return {each["destination"]["subset"]: each["weight"] for each in spec["http"][0]["route"]}

    async def shares(self) -> tuple[tuple[str, int], ...]:
        """Where the shares of the members stand."""
        traffic = (await self.fleet.status()).get("traffic", ())
        return tuple((each["state"], each["step"]) for each in traffic)

    async def becomes(self, phase: str) -> Json:
        """Wait until the release under way is so; the status then."""
        return await eventually(self.fleet.status, lambda now: now.get("phase") == phase, within=WITHIN)


def is_of(definition: Json, resource: Resource) -> bool:
    """Whether a definition is that of a resource."""
    return name_of(definition) == resource.full_name


async def put(client: KubeClient, resource: Resource, namespace: str, obj: Json) -> None:
    """Apply an object in a namespace."""
    await client.apply(resource, {**obj, "metadata": {**obj["metadata"], "namespace": namespace}})


async def lead_by_subsets(client: KubeClient, namespace: str, host: str, addresses: dict[str, str]) -> None:
    """The objects of `docs/examples/fleet/routes.yaml` for Istio, with these names and addresses put in."""
    there = [
        {"address": address, "ports": {"http": PORT}, "labels": {"cluster": name}}
        for name, address in addresses.items()
    ]
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    entry = {"hosts": [host], "location": "MESH_EXTERNAL", "ports": [port], "resolution": "STATIC", "endpoints": there}
    subsets = [{"name": name, "labels": {"cluster": name}} for name in addresses]
    led = [{"destination": {"host": host, "subset": name}, "weight": share} for name, share in SHARES.items()]
    route = {"hosts": [host], "gateways": ["istio-system/public"], "http": [{"route": led}]}
    for resource, spec in ((ENTRY, entry), (DESTINATION_RULE, {"host": host, "subsets": subsets}), (VIRTUAL, route)):
        await put(client, resource, namespace, {"metadata": {"name": "shop"}, "spec": spec})


async def lead(client: KubeClient, namespace: str, host: str, addresses: dict[str, str]) -> None:
    """A Service for each member, and the route to them all."""
    for name, address in addresses.items():
        await put(client, SERVICE, namespace, {"metadata": {"name": name}, "spec": {"ports": [{"port": PORT}]}})
        metadata = {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}
        behind = {"addressType": "IPv4", "endpoints": [{"addresses": [address], "conditions": {"ready": True}}]}
        await put(client, SLICE, namespace, {"metadata": metadata, **behind, "ports": [{"name": "", "port": PORT}]})
    backends = [{"name": name, "port": PORT, "weight": share} for name, share in SHARES.items()]
    rules = [{"backendRefs": backends}]
    spec = {"parentRefs": [TRAEFIK.parent], "hostnames": [host], "rules": rules}
    await put(client, HTTP_ROUTE, namespace, {"metadata": {"name": "shop"}, "spec": spec})


async def grant(client: KubeClient) -> None:
    """The rights of the component `traffic`, beside those of the hub."""
    (patch,) = yaml.safe_load((KUSTOMIZE / "fleet/components/traffic/kustomization.yaml").read_text())["patches"]
    kind = KINDS["ClusterRole"]
    role = await client.get(kind, None, patch["target"]["name"])
    rules = [*role["rules"], *(each["value"] for each in yaml.safe_load(patch["patch"]))]
    await client.merge_patch(kind, None, patch["target"]["name"], {"rules": rules})


BEHIND_BOTH = pytest.mark.parametrize("gateway", [TRAEFIK, ISTIO], ids=["Traefik", "Istio"])


@pytest.fixture
def gateway() -> Gateway:
    """Through which users call, where a test says nothing else."""
    return TRAEFIK


@pytest_asyncio.fixture
async def shop(
    cluster: Cluster, namespace: str, planes: dict[str, ControlPlane], tmp_path: Path, gateway: Gateway
) -> AsyncIterator[Shop]:
    """Three members that the first release has set up, with the next version deployed in each, and users who call."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubeClient.connect(cluster.kubeconfig, deadline=60))
        await made(client, "hub")
        await grant(client)
        fleet = Fleet(cluster, client, namespace, planes, tmp_path)
        answering = {}
        for number, (name, plane) in enumerate(planes.items(), 1):
            admin = fleet.admins[name] = await stack.enter_async_context(reach(plane.admin, deadline=60))
            await admin.create(NAMESPACE, {"metadata": {"name": namespace}})
            played = PlayedMember(fleet.called(name), admin, (namespace, "shop"), lambda: datetime.now(UTC))
            fleet.played[name] = played
            answering[name] = Answering(name, played, f"10.0.7.{number}")
            await stack.enter_async_context(answering[name].listening())
            await fleet.register(name, f"first-{namespace}")
        host = f"{namespace}.example.com"
        if gateway is not TRAEFIK:
            definitions = [each for each in json.loads((SCHEMAS / "istio.json").read_text()) if is_of(each, ENTRY)]
            await install(client, definitions, until)  # which the sandbox does without
            await cluster.open(gateway)
        leads, kind = (lead, HTTP_ROUTE) if gateway is TRAEFIK else (lead_by_subsets, VIRTUAL)
        await leads(client, namespace, host, {name: each.address for name, each in answering.items()})
        shop = Shop(fleet, answering, Users(host, gateway), kind)
        await stack.enter_async_context(playing(fleet.played))
        await fleet.start()
        await shop.apply("r1")
        await shop.becomes("Succeeded")
        async with httpx.AsyncClient(headers={"Host": host}) as users:
            await eventually(lambda: outcome(users, gateway), lambda found: found[2] == 200, within=WITHIN)
        for played in fleet.played.values():
            played.deploy()
        yield shop
        await cluster.parts["hub"].stop()
        for name in NAMES:
            await client.delete(SECRET, SYSTEM, fleet.called(name))
        await client.delete(CANARY_FLEET, namespace, "shop")


async def begun(shop: Shop, release: str) -> None:
    """Wait until a release is under way."""
    await eventually(shop.fleet.status, lambda status: status.get("release") == release, within=WITHIN)


@BEHIND_BOTH
async def test_a_good_release_passes_three_waves_and_no_request_fails(shop: Shop) -> None:
    """And none reaches a version before it has passed in its member."""
    for each in shop.answering.values():
        each.is_bad = True  # as it rolls out: that no request gets there is what is to be shown
    seen: set[tuple[int, ...]] = set()

    async def watched() -> None:
        while True:
            seen.add(tuple((await shop.weights()).values()))
            for name, played in shop.fleet.played.items():
                shop.answering[name].is_bad = played.sketch.promoted != NEW
            await asyncio.sleep(0.05)

    async with shop.users.calling() as users:
        await shop.apply("r2")
        await begun(shop, "r2")
        watching = asyncio.create_task(watched())
        await shop.becomes("Succeeded")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert users.failed == {}
    assert seen >= {(0, 60, 40), (50, 30, 20), (71, 0, 29), (63, 37, 0)}, seen
    assert await shop.weights() == SHARES
    assert set(users.by_member()) == set(NAMES)
    assert users.versions()[NEW] > 0


@BEHIND_BOTH
async def test_a_bad_release_stops_in_the_first_wave_and_no_request_reaches_it(shop: Shop) -> None:
    for name, each in shop.answering.items():
        each.is_bad = True
        played = shop.fleet.played[name]
        played.sketch.fate = replace(played.sketch.fate, fails=9)
    async with shop.users.calling() as users:
        await shop.apply("r2")
        await begun(shop, "r2")
        status = await shop.becomes("Failed")
        await eventually(shop.weights, lambda found: found == SHARES, within=WITHIN)
        await asyncio.sleep(2)  # that its share is back is served, too
    assert [each["state"] for each in status["members"]] == ["Failed", "Pending", "Pending"]
    assert users.failed == {}
    assert set(users.versions()) == {OLD}


async def test_a_hub_that_is_killed_at_every_step_ends_where_it_would_have_ended(shop: Shop) -> None:
    async with shop.users.calling() as users:
        await shop.apply("r2")
        await begun(shop, "r2")
        before, killed = await shop.shares(), 0
        while (await shop.fleet.status())["phase"] != "Succeeded":
            if (now := await shop.shares()) != before:
                before, killed = now, killed + 1
                await shop.fleet.kill()
                held = await shop.weights()
                await asyncio.sleep(1)
                assert await shop.weights() == held, "a hub that is away leaves what routes say"
                await shop.fleet.start()
            await asyncio.sleep(0.05)
            assert killed < 60, now
    assert killed >= 9
    assert users.failed == {}
    assert await shop.weights() == SHARES
