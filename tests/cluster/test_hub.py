"""A hub over three real control planes: waves in order, a member away, the hub killed, credentials rotated.

The hub is a process of its own with the rights of `deploy/kustomize/fleet/hub`, and in members with those of
`deploy/kustomize/fleet/member`. Each member is an API server; its Canary is moved by a sketch of a controller.
"""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml

from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists
from canary.kube.reach import reach
from canary.kube.types import CANARY, CANARY_FLEET, EVENT, NAMESPACE, SECRET, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.bootstrap import install
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.credentials import User, write_kubeconfig
from canary.sandbox.process import Part
from metrics.judge.evidence import BETS
from tests.cluster.conftest import KUSTOMIZE, SYSTEM, until
from tests.cluster.test_command_line import Shell
from tests.tools.control_planes import ControlPlane, control_plane
from tests.tools.kustomized import kubectl
from tests.tools.played_members import PlayedMember
from tests.unit.fleet.fleets import fleet_of

pytestmark = pytest.mark.long

NAMES = ("a", "b", "c")
RBAC = "rbac.authorization.k8s.io"
KINDS = {
    "ServiceAccount": Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    "ClusterRole": Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    "ClusterRoleBinding": Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    "Role": Resource(RBAC, "v1", "roles", "Role"),
    "RoleBinding": Resource(RBAC, "v1", "rolebindings", "RoleBinding"),
    **{
        each: Resource("admissionregistration.k8s.io", "v1", plural, each, namespaced=False)
        for each, plural in (
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
        )
    },
}
WITHIN = 60.0
ROOT = KUSTOMIZE.parents[1]
DEFINITIONS = [yaml.safe_load((ROOT / f"crds/{each}.yaml").read_text()) for each in ("canaries", "canaryfleets")]
PORT = 10090


async def made(client: KubeClient, folder: str) -> None:
    """What a folder of the kustomizations has of accounts and rights, in a cluster with our definitions."""
    await install(client, DEFINITIONS, until)
    with suppress(AlreadyExists):
        await client.create(NAMESPACE, {"metadata": {"name": SYSTEM}})
    for file in ("service-account", "rights"):
        for obj in yaml.safe_load_all((KUSTOMIZE / f"fleet/{folder}/{file}.yaml").read_text()):
            await client.apply(KINDS[obj["kind"]], obj)
    if folder == "member":  # where a vote is held against who writes it, the hub's are its own
        for obj in yaml.safe_load_all((KUSTOMIZE / "components/vote-policy/vote-policy.yaml").read_text()):
            await client.apply(KINDS[obj["kind"]], obj)


async def token_of(client: KubeClient, account: str, bound_to: str) -> str:
    """A token of an account, which is good for as long as the Secret that it is bound to is there."""
    with suppress(AlreadyExists):
        await client.create(SECRET, {"metadata": {"name": bound_to, "namespace": SYSTEM}})
    kind = Resource("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
    spec = {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": bound_to}}
    metadata = {"name": account, "namespace": SYSTEM}
    request = {"apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec}
    return str((await client.create(kind, request))["status"]["token"])


@pytest.fixture(scope="module")
def planes(running_cluster: Cluster) -> Iterator[dict[str, ControlPlane]]:
    """The members' control planes, until the last test of the file."""
    found = {name: control_plane(running_cluster, name, number) for number, name in enumerate(NAMES)}

    async def start() -> None:
        for each in found.values():  # one after the other: each takes a core for some seconds
            await each.part.start()
            async with reach(each.admin, deadline=60) as client:
                await made(client, "member")

    try:
        asyncio.run(start())
        yield found
    finally:
        for each in found.values():
            each.part.kill()


@dataclass
class Fleet:
    """A fleet over the members, and the hub that carries it out."""

    cluster: Cluster
    client: KubeClient
    namespace: str
    planes: dict[str, ControlPlane]
    folder: Path
    admins: dict[str, KubeClient] = field(default_factory=dict)
    played: dict[str, PlayedMember] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    hub: Part | None = None

    async def register(self, name: str, bound_to: str) -> None:
        """Write the Secret that makes a member known, with a token of the hub's account there."""
        plane = self.planes[name]
        token = await token_of(self.admins[name], "canary-hub", bound_to)
        self.secrets.add(token)
        authority = base64.b64encode(plane.admin.authority.encode()).decode()
        kubeconfig = {
            "clusters": [{"name": "c", "cluster": {"server": plane.server, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        labels = {"fleet.canary.dev/member": "kubeconfig", "test": self.namespace, "wave": name}
        metadata = {"name": f"{self.namespace}-{name}", "namespace": SYSTEM, "labels": labels}
        data = {"kubeconfig": base64.b64encode(yaml.safe_dump(kubeconfig).encode()).decode()}
        await self.client.apply(SECRET, {"metadata": metadata, "data": data}, field_manager="kubectl")

    def called(self, name: str) -> str:
        """The name of a member, which no other test's has."""
        return f"{self.namespace}-{name}"

    async def start(self) -> None:
        """Start the hub by its own account, and wait until it knows its cluster."""
        token = await token_of(self.client, "canary-fleet-hub", f"hub-{self.namespace}")
        file, address = self.folder / "hub.kubeconfig", addresses.TOOLS
        user = User("canary-fleet-hub", token)
        write_kubeconfig(file, user=user, server=addresses.API_URL, certificate=self.cluster.certificate)
        command = [sys.executable, "-m", "canary", "hub", f"--kubeconfig={file}", f"--namespace={self.namespace}"]
        command += [f"--member-namespaces={SYSTEM}", f"--lease-namespace={SYSTEM}", f"--address={address}"]
        ready = f"http://{address}:{PORT}/readyz"
        self.hub = await self.cluster.run("hub", [*command, f"--port={PORT}"], ready_url=ready)

    async def kill(self) -> None:
        """Kill the hub; its Lease is given up, as none would wait for it to run out."""
        assert self.hub is not None
        self.hub.kill()
        kind = Resource("coordination.k8s.io", "v1", "leases", "Lease")
        await self.client.delete(kind, SYSTEM, "canary-hub")

    async def apply(self, release: str, *, joint: bool = False) -> None:
        """Apply the fleet; its members compare, and are judged together, where that is asked for."""
        waves = [{"name": each, "selector": {"matchLabels": {"wave": each}}} for each in NAMES[:2]]
        members = {"selector": {"matchLabels": {"test": self.namespace}}}
        fleet = fleet_of([*waves, {"name": "c"}], release=release, members=members).to_json()
        if joint:
            fleet["spec"]["jointVerdict"] = {"falseRollback": 1}
            compared = {"name": "request-success-rate", "compareTo": "primary"}
            fleet["spec"]["template"]["spec"]["analysis"]["metrics"] = [compared]
        metadata = {"name": "shop", "namespace": self.namespace}
        await self.client.apply(CANARY_FLEET, {"metadata": metadata, "spec": fleet["spec"]}, field_manager="kubectl")

    async def status(self) -> Json:
        """The status of the fleet."""
        found: Json = (await self.client.get(CANARY_FLEET, self.namespace, "shop")).get("status") or {}
        return found

    async def states(self) -> str:
        """Where the members stand, in their order."""
        return " ".join(each["state"] for each in (await self.status()).get("members", ()))

    async def becomes(self, states: str, phase: str = "") -> Json:
        """Wait until the members stand so; the status then."""

        def accept(status: Json) -> bool:
            there = " ".join(each["state"] for each in status.get("members", ()))
            return there == states and (not phase or status["phase"] == phase)

        return await eventually(self.status, accept, within=WITHIN)

    async def phase_in(self, name: str) -> str:
        """The phase of the Canary in a member."""
        found = await self.admins[name].get(CANARY, self.namespace, "shop")
        return str((found.get("status") or {}).get("phase", ""))

    async def told(self) -> list[str]:
        """The events of the fleet."""
        return [each["message"] for each in (await self.client.list(EVENT, self.namespace))["items"]]


@asynccontextmanager
async def playing(players: dict[str, PlayedMember]) -> AsyncIterator[None]:
    """The members' controllers work."""
    tasks = [asyncio.create_task(each.run()) for each in players.values()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest_asyncio.fixture
async def fleet(
    cluster: Cluster, namespace: str, planes: dict[str, ControlPlane], tmp_path: Path
) -> AsyncIterator[Fleet]:
    """Three members that the first release has set up, with the next version deployed in each, and the hub at work."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubeClient.connect(cluster.kubeconfig, deadline=60))
        await made(client, "hub")
        fleet = Fleet(cluster, client, namespace, planes, tmp_path)
        for name, plane in planes.items():
            admin = fleet.admins[name] = await stack.enter_async_context(reach(plane.admin, deadline=60))
            await admin.create(NAMESPACE, {"metadata": {"name": namespace}})
            place, now = (namespace, "shop"), lambda: datetime.now(UTC)
            fleet.played[name] = PlayedMember(fleet.called(name), admin, place, now)
            await fleet.register(name, f"first-{namespace}")
        await stack.enter_async_context(playing(fleet.played))
        await fleet.start()
        await fleet.apply("r1")
        await fleet.becomes("Passed Passed Passed", "Succeeded")
        for player in fleet.played.values():
            player.deploy()
        yield fleet
        await cluster.parts["hub"].stop()
        for name in NAMES:
            await client.delete(SECRET, SYSTEM, fleet.called(name))
        await client.delete(CANARY_FLEET, namespace, "shop")


async def held(fleet: Fleet, name: str, *, pause: bool) -> None:
    """Somebody has a member stand still, or go on."""
    value = "a test" if pause else None
    patch: Json = {"metadata": {"annotations": {"flagger.app/pause": value}}}
    await fleet.admins[name].merge_patch(CANARY, fleet.namespace, "shop", patch)


async def test_members_get_a_release_wave_by_wave(fleet: Fleet) -> None:
    await held(fleet, "a", pause=True)
    await fleet.apply("r2")
    await eventually(lambda: fleet.phase_in("c"), lambda phase: phase == "Waiting", within=WITHIN)
    await asyncio.sleep(3)  # nothing is to happen, which only time can show
    assert await fleet.states() == "Open Pending Pending"
    assert [await fleet.phase_in(name) for name in NAMES[1:]] == ["Waiting", "Waiting"]

    await held(fleet, "a", pause=False)
    status = await fleet.becomes("Passed Passed Passed", "Succeeded")
    opened = [each["opened"] for each in status["members"]]
    assert opened == sorted(opened)
    assert len({*opened}) == 3
    assert await eventually(fleet.told, lambda told: "Release r2 is done: released" in told, within=WITHIN)


async def test_a_member_whose_api_server_is_away_is_named_and_waited_for(fleet: Fleet) -> None:
    fleet.planes["b"].part.kill()
    await fleet.apply("r2")
    name = fleet.called("b")
    status = await eventually(fleet.status, lambda now: f"waits for {name} (unreach" in now["message"], within=WITHIN)
    a, b, c = status["members"]
    assert (a["state"], b["state"], c["state"]) == ("Passed", "Open", "Pending")
    assert b["unreachableSince"]
    assert b["message"].startswith(f"unreachable since {b['unreachableSince'][:16]}")
    assert status["message"].startswith(f"waits for {name} (unreachable since ")

    await fleet.planes["b"].part.start()
    await fleet.becomes("Passed Passed Passed", "Succeeded")
    told = await eventually(fleet.told, lambda told: any("Release r2 is done" in each for each in told), within=WITHIN)
    assert sum(f"Member {name} is unreachable" in each for each in told) == 1
    assert f"Member {name} can be reached again" in told


async def test_a_hub_that_is_killed_between_waves_is_followed_by_one_that_goes_on(fleet: Fleet) -> None:
    fate = fleet.played["b"].sketch.fate
    fleet.played["b"].sketch.fate = replace(fate, takes=timedelta(seconds=8))
    await fleet.apply("r2")
    await fleet.becomes("Passed Progressing Pending")
    await fleet.kill()
    await eventually(lambda: fleet.phase_in("b"), lambda phase: phase == "Succeeded", within=WITHIN)
    assert await fleet.phase_in("c") == "Waiting"

    await fleet.start()
    await fleet.becomes("Passed Passed Passed", "Succeeded")
    await asyncio.sleep(2)  # so is nothing to be told any more
    told = await fleet.told()
    assert [each for each in told if "unreachable" in each or "is gone" in each] == []
    assert sum("Wave b of release r2 begins" in each for each in told) == 1


async def test_credentials_that_are_rotated_in_mid_wave_are_used_and_never_shown(fleet: Fleet) -> None:
    await held(fleet, "b", pause=True)
    await fleet.apply("r2")
    await fleet.becomes("Passed Open Pending")
    for name in NAMES:
        await fleet.register(name, f"second-{fleet.namespace}")
    for name in NAMES:
        await fleet.admins[name].delete(SECRET, SYSTEM, f"first-{fleet.namespace}")
    await held(fleet, "b", pause=False)
    status = await fleet.becomes("Passed Passed Passed", "Succeeded")

    hub = fleet.hub
    assert hub is not None
    shown = f"{status} {await fleet.told()} {hub.log.read_text()}"
    assert "knows its own cluster" in shown
    assert [each for each in fleet.secrets if each in shown] == []
    assert len(fleet.secrets) == 6


async def test_people_order_a_release_about_and_are_named(fleet: Fleet) -> None:
    """By the command line, with the rights of whoever types it; Prometheus is shown the same."""
    canary, here = Shell(fleet.cluster, fleet.namespace), f"-n={fleet.namespace}"
    assert (await canary("pause", "fleet/shop", here, "--reason", "lunch"))[0] == 0
    await fleet.apply("r2")
    paused = await eventually(fleet.status, lambda now: now.get("reason") == "Paused", within=WITHIN)
    assert paused["message"].startswith("paused by ")
    assert paused["message"].endswith(": lunch")
    _, said = await canary("explain", "fleet/shop", here)
    assert f"It must be resumed: canary resume fleet/shop -n {fleet.namespace}." in said

    assert (await canary("resume", "fleet/shop", here, "--reason", "over"))[0] == 0
    assert (await canary("wait", "fleet/shop", here, "--revision=r2", "--timeout=60s"))[0] == 0
    code, said = await canary("promote", "fleet/shop", here)
    assert (code, said) == (1, f"canary promote: {fleet.namespace}/shop: the release is Succeeded\n")
    told = await eventually(fleet.told, lambda told: any("resume ordered" in each for each in told), within=WITHIN)
    (resumed,) = (each for each in told if "resume ordered" in each)
    assert resumed.startswith("Release r2: resume ordered by ")
    assert resumed.endswith(": over")
    (shop,) = (await canary.data("get", "fleets"))["items"]
    assert shop["status"]["release"] == "r2"
    async with httpx.AsyncClient() as client:
        shown = (await client.get(f"http://{addresses.TOOLS}:{PORT}/metrics")).text
    assert f'canary_hub_fleet_status{{name="shop",namespace="{fleet.namespace}"}} 1.0' in shown
    assert "canary_hub_leader 1.0" in shown


async def test_what_a_member_has_compared_reaches_the_hub_with_its_numbers_and_fails_the_release(fleet: Fleet) -> None:
    fate = fleet.played["a"].sketch.fate
    fleet.played["a"].sketch.fate = replace(fate, takes=timedelta(minutes=10))
    await fleet.apply("r2", joint=True)
    await fleet.becomes("Progressing Pending Pending")
    counts = {"canary": {"requests": 900, "bad": 45}, "promoted": {"requests": 8100, "bad": 81}}
    evidence = {"bets": [6.125] * BETS, **counts}
    check = {"name": "request-success-rate", "verdict": "Pass", "evidence": evidence}
    patch: Json = {"status": {"checks": [check], "analysisStartTime": "2026-01-01T00:00:00Z"}}
    await fleet.admins["a"].merge_patch(CANARY, fleet.namespace, "shop", patch, subresource="status")

    status = await fleet.becomes("Progressing Pending Pending", "Failed")
    assert status["reason"] == "Held"
    assert status["cause"] == (
        "wave a fails by the numbers of all together: request-success-rate 5 % (45 of 900) against 1 % (81 of 8100) "
        f"in 1 member together is worse by more than 0.1 % (p 0.0065, where 0.01 is enough): {fleet.called('a')}"
    )
    (joint,) = status["joint"]
    assert (joint["verdict"], joint["value"], joint["samples"], joint["members"]) == ("Fail", 5, 900, 1)
    assert status["members"][0]["evidence"]["metrics"] == [{"name": "request-success-rate", "lost": [], **evidence}]
    _, said = await Shell(fleet.cluster, fleet.namespace)("explain", "fleet/shop", f"-n={fleet.namespace}")
    assert "Together" in said


async def test_its_kustomization_is_taken_as_it_stands(cluster: Cluster, installation: Path) -> None:
    await cluster.apply(installation)
    folder = str(KUSTOMIZE / "fleet/hub")
    await kubectl(
        cluster, "apply", "-k", folder, "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"
    )
