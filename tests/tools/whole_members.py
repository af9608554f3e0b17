"""A fleet over whole clusters: those of `canary sandbox up --clusters 3`, beside the cluster of a test's session.

That is the hub's own: there are the hub, with the rights that the sandbox gives it, the fleet, and a route at Traefik
over Services that lead to the gateway of each member. Each member has its own etcd, API server, controllers, nodes,
Traefik, Prometheus and our controller. Which member and which version answered is said by the version of the image.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, KubeError
from canary.kube.types import (
    CANARY,
    CANARY_FLEET,
    EVENT,
    HTTP_ROUTE,
    NAMESPACE,
    SECRET,
    SERVICE,
    Json,
    Resource,
)
from canary.sandbox import addresses
from canary.sandbox.bootstrap import MANAGER
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.credentials import User, Way, write_kubeconfig
from canary.sandbox.demo.fleet import HOST, NAME, in_hub, in_member
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Recording, Rig, application
from canary.sandbox.members import APPLICATIONS, HUB_PORT, SYSTEM, known_as, leading, with_members
from canary.sandbox.options import Options
from canary.sandbox.scenario import LOADTESTER
from canary.sandbox.traffic import Answer, Traffic

ROOT = Path(__file__).parents[2]
RIGHTS = ROOT / "canary/sandbox/manifests/hub.yaml"
DEFINITIONS = ("canaries", "canaryfleets", "metrictemplates", "alertproviders")
ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")
SHARES = {"cluster1": 50, "cluster2": 30, "cluster3": 20}
FIRST = "first"
"""The release by which the fleet sets its members up, and the Secret that the hub's first tokens are bound to."""
WITHIN = 900.0
"""Seconds for a release over the members: it takes some sixty on two idle cores."""
THREE_WAVES: Sequence[Json] = ({"name": "wave1", "count": 1}, {"name": "wave2", "count": 1}, {"name": "wave3"})
RATE = 20.0
"""Requests a second."""
LIMIT = 30.0
"""Seconds that an answer may take before it counts as none."""
OK = 200


async def token_of(client: KubeClient, account: str, bound_to: str) -> str:
    """A token of an account, which is good for as long as the Secret that it is bound to is there."""
    for kind, name in ((ACCOUNT, account), (SECRET, bound_to)):
        with suppress(AlreadyExists):
            await client.create(kind, {"metadata": {"name": name, "namespace": SYSTEM}})
    kind = Resource("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
    spec = {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": bound_to}}
    metadata = {"name": account, "namespace": SYSTEM}
    request = {"apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec}
    return str((await client.create(kind, request))["status"]["token"])


class Users(Traffic):
    """Who calls the application through the hub's gateway, and what they got."""

    def failed(self, *but: str) -> list[Answer]:
        """What did not go well, but for what these versions have answered themselves."""
        return [each for each in self.answers if each.status != OK and each.version not in but]

    def met(self, since: float = 0.0, until: float = float("inf")) -> Counter[tuple[str, str]]:
        """How many requests of a time each version in each member has answered: by version and member."""
        found = Counter(each.version for each in self.answers if since <= each.at <= until and each.status)
        return Counter({parts(version): count for version, count in found.items()})


def parts(version: str) -> tuple[str, str]:
    """Version and member."""
    at, _, member = version.partition("-")
    return at, member


def canary() -> Json:
    """What each member has: two steps, each judged by requests that its analysis sends to the member's own gateway.

    One template is for all of them: it sends some to each.
    """
    spec: Json = in_hub(len(SHARES))[1]["spec"]["template"]["spec"]
    gateways = [each.gateways[0].url for each in with_members(Options(), len(SHARES), ROOT).members.values()]
    hooks = [{**spec["analysis"]["webhooks"][0], "name": f"load-{at}"} for at, _ in enumerate(gateways)]
    for hook, url in zip(hooks, gateways, strict=True):
        hook["url"] = f"{LOADTESTER}/"
        hook["metadata"] = {"type": "cmd", "cmd": f"hey -z 10s -q 5 -c 2 -host {HOST} {url}"}
    return {**spec, "analysis": {**spec["analysis"], "interval": "2s", "maxWeight": 40, "webhooks": hooks}}


@dataclass
class Shop:
    """A fleet over the members, the hub that carries it out, and who calls the application.

    Args:
        own: the hub's cluster.
        members: the members' clusters.
        rigs: the same, with their administrators.
        folder: for files.
    """

    own: Rig
    members: dict[str, Cluster]
    rigs: dict[str, Rig]
    folder: Path
    tokens: set[str] = field(default_factory=set)

    async def register(self, name: str, bound_to: str) -> None:
        """Write the Secret that makes a member known, with a token of the hub's account there."""
        member = self.members[name]
        token = await token_of(self.rigs[name].client, "canary-hub", bound_to)
        self.tokens.add(token)
        way = Way(User("canary-hub", token), member.options.site.api_url, member.certificate)
        await self.own.client.apply(SECRET, known_as(name, {name: way}), field_manager=MANAGER)

    async def revoke(self, name: str, bound_to: str) -> None:
        """Have a member refuse the tokens that are bound to a Secret."""
        await self.rigs[name].client.delete(SECRET, SYSTEM, bound_to)

    async def forget(self, name: str) -> None:
        """Take the Secret away that makes a member known."""
        await self.own.client.delete(SECRET, SYSTEM, name)

    async def start_hub(self) -> None:
        """Start the hub by its own account, and wait until it knows its cluster."""
        file = self.folder / "hub.kubeconfig"
        user = User("canary-fleet-hub", await token_of(self.own.client, "canary-fleet-hub", "hub"))
        write_kubeconfig(file, user=user, server=addresses.API_URL, certificate=self.own.cluster.certificate)
        command = [sys.executable, "-m", "canary", "hub", f"--kubeconfig={file}", f"--namespace={APPLICATIONS}"]
        command += [f"--member-namespaces={SYSTEM}", f"--lease-namespace={SYSTEM}"]
        command += [f"--address={addresses.TOOLS}", f"--port={HUB_PORT}"]
        await self.own.cluster.run("hub", command, ready_url=f"http://{addresses.TOOLS}:{HUB_PORT}/readyz")

    async def kill_hub(self) -> None:
        """Kill the hub; its Lease is given up, as none would wait for it to run out."""
        self.own.cluster.parts["hub"].kill()
        await self.own.client.delete(LEASE, SYSTEM, "canary-hub")

    async def deploy(self, version: str, bad: Mapping[str, str] | None = None, members: tuple[str, ...] = ()) -> None:
        """Bring a version to members, to all where none is named.

        Args:
            version: which.
            bad: variables by which it goes wrong.
            members: which of them.
        """
        for name in members or tuple(self.members):
            obj = application(NAME, APPLICATIONS, f"{version}-{name}", environment=dict(bad or {}))
            await self.rigs[name].apply(obj)

    async def release(self, name: str, waves: Sequence[Json] = THREE_WAVES) -> None:
        """Apply the fleet, in whose waves a member's share goes to the others."""
        _, fleet = in_hub(len(SHARES))
        steps: Json = {"strategy": "cluster", "stepWeights": [50], "stepInterval": "3s"}
        route = {"apiVersion": HTTP_ROUTE.api_version, "kind": HTTP_ROUTE.kind, "name": NAME}
        shares = [{"name": name, "share": share} for name, share in SHARES.items()]
        fleet["spec"] |= {"release": name, "waves": [{**each, **steps} for each in waves]}
        fleet["spec"] |= {"traffic": {"routes": [route], "members": shares}}
        fleet["spec"]["template"]["spec"] = canary()
        await self.own.client.apply(CANARY_FLEET, fleet, field_manager="kubectl")

    async def fleet(self) -> Json:
        """The fleet."""
        return await self.own.client.get(CANARY_FLEET, APPLICATIONS, NAME)

    async def status(self) -> Json:
        """The status of the fleet."""
        found: Json = (await self.fleet()).get("status") or {}
        return found

    async def weights(self) -> dict[str, int]:
        """What the route says."""
        spec = (await self.own.client.get(HTTP_ROUTE, APPLICATIONS, NAME))["spec"]
        return {each["name"]: each["weight"] for each in spec["rules"][0]["backendRefs"]}

    async def told(self) -> list[str]:
        """What the events of the fleet say."""
        listed = (await self.own.client.list(EVENT, APPLICATIONS))["items"]
        return [each["message"] for each in listed if each["involvedObject"]["kind"] == CANARY_FLEET.kind]

    async def ended(self, release: str, phase: str) -> Json:
        """Wait until a release has come to such an end: the status then."""

        def over(status: Json) -> bool:
            return status.get("release") == release and status["phase"] in ("Succeeded", "Failed")

        status = await eventually(self.status, over, within=WITHIN)
        assert status["phase"] == phase, status
        return status

    async def stands(self, states: str) -> Json:
        """Wait until the members stand so, in their order: the status then."""

        def accept(status: Json) -> bool:
            return states_of(status) == states

        return await eventually(self.status, accept, within=WITHIN)

    async def canary_in(self, name: str) -> Json:
        """The Canary of a member."""
        return await self.rigs[name].client.get(CANARY, APPLICATIONS, NAME)

    @asynccontextmanager
    async def users(self) -> AsyncIterator[Users]:
        """They call all the time."""
        async with Users(TRAEFIK.url, HOST, rate=RATE, limit=LIMIT) as users:
            yield users

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[dict[str, Recording]]:
        """Write down every state of each member's Canary."""
        async with AsyncExitStack() as stack:
            yield {
                name: await stack.enter_async_context(rig.recording(CANARY, NAME)) for name, rig in self.rigs.items()
            }

    @asynccontextmanager
    async def frozen(self, name: str) -> AsyncIterator[None]:
        """A member's API server takes connections, and answers nothing."""
        pid = self.members[name].parts["apiserver"].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @asynccontextmanager
    async def dead(self, name: str) -> AsyncIterator[None]:
        """A member's API server does not run."""
        parts = self.members[name].parts
        parts["apiserver"].kill()
        try:
            yield
        finally:
            await parts["apiserver"].start()
            await parts["kcm"].stop()  # left alone, Kubernetes' controllers wait for most of a minute
            await parts["kcm"].start()


def states_of(status: Json) -> str:
    """Where the members stand, in their order."""
    return " ".join(each["state"] for each in status.get("members", ()))


@asynccontextmanager
async def shop_over(own: Cluster, members: dict[str, Cluster], folder: Path) -> AsyncIterator[Shop]:
    """The fleet over the members, which is there already, or is to be.

    Args:
        own: the hub's cluster.
        members: the members' clusters.
        folder: for files.
    """
    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(Rig.on(each, APPLICATIONS)) for each in (own, *members.values())]
        own_rig, *others = rigs
        yield Shop(own_rig, members, dict(zip(members, others, strict=True)), folder)


def opened(own: Cluster, folder: Path) -> Iterator[dict[str, Cluster]]:
    """The members, each with all its parts, the application in them, and the first release of the fleet, which is done.

    When the generator is closed nothing of it is left, in the hub's cluster either.

    Args:
        own: the hub's cluster.
        folder: for files.
    """
    definitions = folder / "definitions.yaml"
    definitions.write_text("---\n".join((ROOT / f"crds/{each}.yaml").read_text() for each in DEFINITIONS))
    options = with_members(Options(), len(SHARES), definitions).members
    found = {name: Cluster(each) for name, each in options.items()}

    async def start() -> None:
        for each in found.values():  # one after the other: each takes a core for some seconds
            await each.start()
        async with shop_over(own, found, folder) as shop:
            await _open(shop)

    async def stop() -> None:
        async with shop_over(own, found, folder) as shop:
            await _clear(shop)
        await asyncio.gather(*(each.stop() for each in found.values()))

    try:
        asyncio.run(start())
        yield found
    finally:
        asyncio.run(stop())


async def _open(shop: Shop) -> None:
    rig = shop.own
    await rig.install(*(ROOT / f"crds/{each}.yaml" for each in ("canaries", "canaryfleets")))
    if "loadtester" not in rig.cluster.parts or not rig.cluster.parts["loadtester"].running:
        await rig.start_loadtester()
    with suppress(AlreadyExists):
        await rig.client.create(NAMESPACE, {"metadata": {"name": SYSTEM}})
    await rig.cluster.apply(RIGHTS)
    for name, member in shop.members.items():
        gateway = member.options.gateways[0]
        for kind, obj in leading(name, gateway.host, gateway.port):
            await rig.client.apply(kind, obj, field_manager=MANAGER)
        for obj in in_member():
            await shop.rigs[name].apply(obj)
        await shop.register(name, FIRST)
    await rig.client.apply(HTTP_ROUTE, _route(), field_manager="kubectl")
    await shop.start_hub()
    await shop.release(FIRST)
    await shop.ended(FIRST, "Succeeded")
    await eventually(_answered, lambda found: found == OK, within=WITHIN)


async def _answered() -> int:
    """How one request is answered; 0 where it is not."""
    async with httpx.AsyncClient(headers={"Host": HOST}, timeout=LIMIT) as client:
        try:
            return (await client.get(TRAEFIK.url)).status_code
        except httpx.TransportError:
            return 0


def _route() -> Json:
    route, _ = in_hub(len(SHARES))
    for each in route["spec"]["rules"][0]["backendRefs"]:
        each["weight"] = SHARES[each["name"]]
    return route


async def _clear(shop: Shop) -> None:
    """Take everything out of the hub's cluster, which other tests go on with."""
    if "hub" in shop.own.cluster.parts:
        await shop.own.cluster.parts["hub"].stop()
    there = [(CANARY_FLEET, APPLICATIONS, NAME), (HTTP_ROUTE, APPLICATIONS, NAME)]
    there += [(SERVICE, APPLICATIONS, name) for name in shop.members] + [
        (SECRET, SYSTEM, name) for name in shop.members
    ]
    for place in there:
        with suppress(KubeError):  # what a start that went wrong has not made
            await shop.own.client.delete(*place)
