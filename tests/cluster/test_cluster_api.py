"""Members of a fleet from a Cluster that Cluster API itself, v1.14.2, looks after: its conditions as it writes them.

Of its providers, that of the control plane is played, by all that Cluster API asks of one: an object which says that
the control plane is up, and the Secret with its kubeconfig. The cluster is an API server of its own.
"""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
import yaml

from canary.fleet.members import cluster_api
from canary.fleet.members.base import Member
from canary.fleet.members.registry import members, secrets_of
from canary.kube.access import Access
from canary.kube.client import KubeClient
from canary.kube.errors import NotFound, Unreachable
from canary.kube.reach import reach
from canary.kube.types import SECRET, Json, Resource
from canary.sandbox import binaries, credentials
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from tests.cluster.conftest import _installed
from tests.tools.authority import Authority
from tests.tools.control_planes import ControlPlane, control_plane

pytestmark = pytest.mark.long

PROVIDER: Final = Resource("controlplane.example.org", "v1", "playedcontrolplanes", "PlayedControlPlane")
PORT: Final = 9440
GRACE: Final = 30
"""Seconds from the last answer of a cluster until Cluster API says that it can't be reached; it asks every 10 s."""
WITHIN: Final = 180.0


def _definition() -> Json:
    """What Cluster API has to know of a provider's kind: it follows the contract of v1beta2."""
    names = {"plural": PROVIDER.plural, "kind": PROVIDER.kind, "singular": "playedcontrolplane"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": PROVIDER.full_name,
            "labels": {"cluster.x-k8s.io/v1beta2": "v1"},
        },
        "spec": {
            "group": PROVIDER.group,
            "names": names,
            "scope": "Namespaced",
            "versions": [{**version, "subresources": {"status": {}}}],
        },
    }


@pytest.fixture(scope="module")
def program() -> Path:
    """Cluster API's controller."""
    return binaries.ensure(("cluster-api",))["cluster-api"]


@pytest.fixture(scope="module")
def kinds(running_cluster: Cluster, program: Path) -> Iterator[None]:
    """The definitions that belong to it, and a provider's."""
    theirs = [yaml.safe_load(path.read_text()) for path in sorted((program.parent / "files").glob("*.yaml"))]
    yield from _installed(running_cluster, [*theirs, _definition()])


@pytest_asyncio.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    """The hub's own API server, where the Cluster is."""
    async with KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest_asyncio.fixture
async def eu(cluster: Cluster) -> AsyncIterator[ControlPlane]:
    """The cluster that becomes a member."""
    made = control_plane(cluster, "eu", 5)
    await made.part.start()
    yield made
    await made.part.stop()


@pytest_asyncio.fixture
async def manager(
    cluster: Cluster, client: KubeClient, namespace: str, kinds: None, program: Path, tmp_path: Path
) -> AsyncIterator[None]:
    """Cluster API runs, for one namespace, until it has let go of the Cluster there."""
    pair = Authority().server()
    (tmp_path / "tls.crt").write_text(pair.certificate)
    (tmp_path / "tls.key").write_text(pair.key)
    command = [str(program), f"--kubeconfig={cluster.kubeconfig}", f"--namespace={namespace}"]
    command += [f"--webhook-cert-dir={tmp_path}", f"--health-addr=127.0.0.1:{PORT}", "--webhook-port=9444"]
    command += ["--diagnostics-address=127.0.0.1:9445", f"--remote-connection-grace-period={GRACE}s"]
    await cluster.run("cluster-api", command, ready_url=f"http://127.0.0.1:{PORT}/readyz")
    yield
    with suppress(NotFound):
        await client.delete(cluster_api.CLUSTER, namespace, "eu")
    await eventually(lambda: client.find(cluster_api.CLUSTER, namespace, "eu"), lambda found: found is None, within=60)
    await cluster.parts["cluster-api"].stop()


async def test_a_cluster_is_a_member_once_its_control_plane_is_up_and_whether_it_is_reached_is_found_out(
    client: KubeClient, cluster: Cluster, namespace: str, eu: ControlPlane, manager: None
) -> None:
    """It is of use again as soon as it is back, when Cluster API v1.14.2 still says that it can't be reached."""
    metadata = {"name": "eu", "namespace": namespace}
    user = credentials.User("admin", cluster.token())
    text = credentials.kubeconfig({"eu": credentials.Way(user, eu.server, cluster.certificate)})
    labels = {"cluster.x-k8s.io/cluster-name": "eu"}
    secret = {
        "metadata": {**metadata, "name": "eu-kubeconfig", "labels": labels},
        "type": "cluster.x-k8s.io/secret",
        "data": {"value": base64.b64encode(text.encode()).decode()},
    }
    host, _, port = eu.server.removeprefix("https://").partition(":")
    named = {"apiGroup": PROVIDER.group, "kind": PROVIDER.kind, "name": "eu"}
    spec = {"controlPlaneEndpoint": {"host": host, "port": int(port)}, "controlPlaneRef": named}
    await client.create(SECRET, secret)
    await client.create(PROVIDER, {"metadata": metadata, "spec": {}})
    await client.create(cluster_api.CLUSTER, {"metadata": metadata, "spec": spec})

    async def told() -> str:
        """Who the member takes us for; why it is none where it is none."""
        (member,) = (await _members(client, namespace)).values()
        return str(member.connection) if not isinstance(member.connection, Access) else await _user(member.connection)

    async def probed() -> str:
        """What Cluster API says of its own connection."""
        found = (await client.get(cluster_api.CLUSTER, namespace, "eu"))["status"]["conditions"]
        return next(str(each["status"]) for each in found if each["type"] == "RemoteConnectionProbe")

    await eventually(told, lambda said: "ControlPlaneInitialized is False" in said, within=WITHIN)

    up = {"status": {"initialization": {"controlPlaneInitialized": True}}}
    await client.merge_patch(PROVIDER, namespace, "eu", up, subresource="status")
    await eventually(told, lambda said: said == "admin", within=WITHIN)

    eu.part.kill()
    await eventually(probed, lambda said: said == "False", within=WITHIN)
    with pytest.raises(Unreachable):
        await told()

    await eu.part.start()
    assert await told() == "admin"


async def _members(client: KubeClient, namespace: str) -> dict[str, Member]:
    kind = cluster_api.CLUSTER
    listed = (await client.list(kind, namespace))["items"]
    found = [{**each, "apiVersion": kind.api_version, "kind": kind.kind} for each in listed]
    needed = [await client.find(SECRET, each.namespace, each.name) for each in secrets_of(found)]
    return members([*found, *filter(None, needed)])


async def _user(access: Access) -> str:
    async with reach(access) as client:
        return await client.user()
