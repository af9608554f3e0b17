"""Members of a fleet from objects on a real API server, with the real definitions of those who make them.

A hub's caches hold what is listed here; that the members are what the objects say is shown by connecting to them.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from canary.fleet.members import cluster_api, cluster_profile, kubefed, rancher_fleet
from canary.fleet.members.base import Member, Source
from canary.fleet.members.placement import placed
from canary.fleet.members.registry import SOURCES, members, secrets_of
from canary.kube.access import Access
from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, NotFound, Unauthorized
from canary.kube.reach import reach
from canary.kube.types import NAMESPACE, SECRET, Json, Resource, name_of, namespace_of
from canary.sandbox import addresses
from canary.sandbox.bootstrap import install
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from tests.cluster.conftest import SCHEMAS, until
from tests.tools.authority import Authority
from tests.unit.fleet.members.shapes import as_served, told

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
CASES: dict[str, Json] = {
    f"{path.parent.name}/{path.stem}": yaml.safe_load(path.read_text())
    for path in sorted((ROOT / "tests/unit/fleet/members/golden").glob("*/*.yaml"))
    if path.stem != "deleted"  # nobody but the API server sets a deletionTimestamp
}
OLDER = {name: case for name, case in CASES.items() if case["objects"][0]["apiVersion"] == "cluster.x-k8s.io/v1beta1"}
NEWER = {name: case for name, case in CASES.items() if name not in OLDER}
EXAMPLES = ROOT / "docs/examples/fleet"
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
FEDERATED = Resource("types.kubefed.io", "v1beta1", "federateddeployments", "FederatedDeployment")
KINDS = {each.kind + each.group: each for source in SOURCES.values() for each in source.resources} | {
    FEDERATED.kind + FEDERATED.group: FEDERATED
}
WITHIN = 60.0


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Signs certificates of clients."""
    return Authority()


@pytest.fixture(scope="module", autouse=True)
def hub(running_cluster: Cluster, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The definitions are there, and the API server knows clients by certificates, until the last test of the file."""
    file = tmp_path_factory.mktemp("authority") / "authority.crt"
    file.write_text(authority.certificate)
    server = running_cluster.parts["apiserver"]
    command = server.command

    async def restart(made: Callable[[], Sequence[str]]) -> None:
        server.kill()  # it would wait for its watches
        server.command = made
        await server.start()

    async def prepare() -> None:
        await restart(lambda: [*command(), f"--client-ca-file={file}"])
        written = [*yaml.safe_load_all((SCHEMAS / "fleet-members.yaml").read_text())]
        theirs = [json.loads((SCHEMAS / f"{each}.json").read_text()) for each in ("cluster-api", "fleet", "kubefed")]
        async with KubeClient.connect(running_cluster.kubeconfig) as client:
            await install(client, [*written, *(each for project in theirs for each in project)], until)

    asyncio.run(prepare())
    yield
    asyncio.run(restart(command))


@pytest_asyncio.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    """The hub's own API server."""
    async with KubeClient.connect(cluster.kubeconfig) as client:
        yield client


def resource_of(obj: Json) -> Resource:
    group, _, version = obj["apiVersion"].rpartition("/")
    known = KINDS[obj["kind"] + group]
    return Resource(known.group, version, known.plural, known.kind)


async def put(client: KubeClient, obj: Json) -> None:
    """Create an object strictly, with its status as its controller writes it, in a namespace that is made for it."""
    resource, namespace = resource_of(obj), namespace_of(obj)
    with suppress(AlreadyExists):
        await client.create(NAMESPACE, {"metadata": {"name": namespace}})
    stored = await client.create(resource, as_served(obj))
    dropped = {key: value for key, value in as_served(obj).items() if key in ("spec", "data") and stored[key] != value}
    assert not dropped, "the API server has left out or changed what the object says"
    if status := obj.get("status"):
        patched = await client.merge_patch(resource, namespace, name_of(obj), {"status": status}, subresource="status")
        assert patched["status"] == status


@asynccontextmanager
async def standing(client: KubeClient, objects: Sequence[Json]) -> AsyncIterator[None]:
    """These objects are there until the end of a test, in the namespaces that they name."""
    try:
        for obj in objects:
            await put(client, obj)
        yield
    finally:
        for obj in objects:
            with suppress(NotFound):
                await client.delete(resource_of(obj), namespace_of(obj), name_of(obj))


async def seen(client: KubeClient, namespaces: set[str], version: str = "") -> dict[str, Member]:
    """The members that come of what there is in these namespaces: what a hub lists, and the Secrets that it reads then.

    Args:
        client: the hub's API server.
        namespaces: those that count.
        version: the version in which kinds are asked for that are served in it; the latest where empty.
    """
    kinds = {(source.resources[0], _selector(source)) for source in SOURCES.values()}
    listed = [obj for kind, selector in kinds for obj in await _listed(client, kind, selector, version)]
    there = [each for each in listed if namespace_of(each) in namespaces]
    needed = [await client.find(SECRET, each.namespace, each.name) for each in secrets_of(there)]
    return members([*(each for each in there if each["kind"] != SECRET.kind), *filter(None, needed)])


def _selector(source: Source) -> str:
    return ",".join(f"{key}={value}" for key, value in source.selector.items())


async def _listed(client: KubeClient, known: Resource, selector: str, version: str) -> list[Json]:
    asked = version if version in known.versions else known.version
    resource = Resource(known.group, asked, known.plural, known.kind)
    listed = (await client.list(resource, label_selector=selector or None))["items"]
    return [{**each, "apiVersion": resource.api_version, "kind": resource.kind} for each in listed]


@pytest_asyncio.fixture
async def before_v1beta2(client: KubeClient) -> AsyncIterator[None]:
    """Cluster API as it was before v1beta2: no webhook that converts keeps here what only v1beta1 has."""
    (definition,) = json.loads((SCHEMAS / "cluster-api.json").read_text())
    newer, older = sorted(definition["spec"]["versions"], key=lambda each: str(each["name"]), reverse=True)
    only_older = [{**newer, "served": False, "storage": False}, {**older, "storage": True}]
    await install(client, [{**definition, "spec": {**definition["spec"], "versions": only_older}}], until)
    await eventually(
        lambda: client.page("/apis/cluster.x-k8s.io"), lambda group: len(group["versions"]) == 1, within=WITHIN
    )
    yield
    await install(client, [definition], until)


async def taken(client: KubeClient, case: Json, version: str = "") -> None:
    async with standing(client, case["objects"]):
        found = await seen(client, {each["metadata"]["namespace"] for each in case["objects"]}, version)
        assert {name: told(each) for name, each in found.items()} == case["expected"], case["rule"]


@pytest.mark.parametrize("case", NEWER.values(), ids=NEWER)
async def test_objects_as_their_documents_show_them_are_the_members_that_are_written(
    client: KubeClient, case: Json
) -> None:
    await taken(client, case)


@pytest.mark.parametrize("case", OLDER.values(), ids=OLDER)
async def test_so_are_those_of_older_versions(client: KubeClient, before_v1beta2: None, case: Json) -> None:
    await taken(client, case, "v1beta1")


@dataclass
class Way:
    """The way to the real API server, as each system writes it down; a user is what a kubeconfig has by that name."""

    client: KubeClient
    namespace: str
    authority: Authority
    verified_by: str

    async def token(self, account: str, bound_to: str) -> Json:
        """A token of a ServiceAccount, which is good for as long as the Secret that it is bound to is there."""
        for resource, name in ((SERVICE_ACCOUNT, account), (SECRET, bound_to)):
            if await self.client.find(resource, self.namespace, name) is None:
                await self.client.create(resource, {"metadata": {"name": name, "namespace": self.namespace}})
        kind = Resource("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
        spec = {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": bound_to}}
        metadata = {"name": account, "namespace": self.namespace}
        request = {"apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec}
        return {"token": (await self.client.create(kind, request))["status"]["token"]}

    def certificate(self, name: str) -> Json:
        """A certificate of a client of that name."""
        pair = self.authority.client(name)
        return {"client-certificate-data": encoded(pair.certificate), "client-key-data": encoded(pair.key)}

    @property
    def cluster(self) -> Json:
        """What a kubeconfig has under that name."""
        return {"server": addresses.API_URL, "certificate-authority-data": encoded(self.verified_by)}

    def kubeconfig(self, user: Json) -> str:
        """A kubeconfig."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "eu", "cluster": self.cluster}],
            "users": [{"name": "hub", "user": user}],
            "contexts": [{"name": "hub@eu", "context": {"cluster": "eu", "user": "hub"}}],
            "current-context": "hub@eu",
        }
        return yaml.safe_dump(document)

    def secret(self, called: str, labels: Mapping[str, str] | None = None, **texts: str) -> Json:
        """A Secret with these texts."""
        return {**self.whole(SECRET, called, labels), "stringData": texts}

    def whole(self, resource: Resource, name: str, labels: Mapping[str, str] | None = None, **parts: Json) -> Json:
        """An object with these parts."""
        metadata = {"name": name, "namespace": self.namespace, "labels": dict(labels or {})}
        return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **parts}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def way(cluster: Cluster, client: KubeClient, namespace: str, authority: Authority) -> Way:
    return Way(client, namespace, authority, cluster.certificate.read_text())


def of_kubeconfig(way: Way, user: Json) -> list[Json]:
    return [way.secret("eu", {"fleet.canary.dev/member": "kubeconfig"}, kubeconfig=way.kubeconfig(user))]


def of_argocd(way: Way, user: Json) -> list[Json]:
    tls = {
        "caData": encoded(way.verified_by),
        "certData": user.get("client-certificate-data"),
        "keyData": user.get("client-key-data"),
    }
    config = {"bearerToken": user.get("token"), "tlsClientConfig": tls}
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    return [way.secret("eu-secret", labels, name="eu", server=addresses.API_URL, config=json.dumps(config))]


def of_cluster_api(way: Way, user: Json) -> list[Json]:
    up = {"type": "ControlPlaneInitialized", "status": "True", "lastTransitionTime": "2026-08-01T10:00:00Z"}
    spec = {"controlPlaneEndpoint": {"host": addresses.API_SERVER, "port": addresses.API_PORT}}
    status = {"conditions": [{**up, "reason": "Initialized", "message": ""}]}
    made = way.whole(cluster_api.CLUSTER, "eu", spec=spec, status=status)
    return [made, way.secret("eu-kubeconfig", value=way.kubeconfig(user))]


def of_rancher_fleet(way: Way, user: Json) -> list[Json]:
    made = way.whole(rancher_fleet.CLUSTER, "eu", spec={"kubeConfigSecret": "eu-kubeconfig"})
    return [made, way.secret("eu-kubeconfig", value=way.kubeconfig(user))]


def of_kubefed(way: Way, user: Json, name: str = "eu") -> list[Json]:
    spec = {
        "apiEndpoint": f"{addresses.API_SERVER}:{addresses.API_PORT}",
        "caBundle": encoded(way.verified_by),
        "secretRef": {"name": f"{name}-0123"},
    }
    return [way.whole(kubefed.CLUSTER, name, spec=spec), way.secret(f"{name}-0123", token=user["token"])]


def of_cluster_profile(way: Way, user: Json) -> list[Json]:
    token = "token" in user
    provider, told = (
        ("secretreader", {"clusterName": "eu-0123"})
        if token
        else ("kubeconfig-secretreader", {"name": "eu-0123", "key": "value"})
    )
    extensions = [{"name": "client.authentication.k8s.io/exec", "extension": told}]
    status = {"accessProviders": [{"name": provider, "cluster": {**way.cluster, "extensions": extensions}}]}
    made = way.whole(cluster_profile.PROFILE, "eu", spec={"clusterManager": {"name": "ocm"}}, status=status)
    data = {"token": user["token"]} if token else {"value": way.kubeconfig(user)}
    return [made, way.secret("eu-0123", **data)]


WRITTEN: dict[str, Callable[[Way, Json], list[Json]]] = {
    "argocd": of_argocd,
    "cluster-api": of_cluster_api,
    "cluster-profile": of_cluster_profile,
    "kubeconfig": of_kubeconfig,
    "kubefed": of_kubefed,
    "rancher-fleet": of_rancher_fleet,
}


async def who(member: Member) -> str:
    """Whom the API server of a member takes us for, once it has told its version."""
    assert isinstance(member.connection, Access), str(member.connection)
    async with reach(member.connection) as client:
        assert (await client.page("/version"))["major"] == "1"
        return await client.user()


async def only(client: KubeClient, way: Way) -> Member:
    """The one member that there is in the test's namespace."""
    (member,) = (await seen(client, {way.namespace})).values()
    return member


async def rotate(client: KubeClient, before: list[Json], after: list[Json]) -> None:
    """Write what has changed into the Secrets that are there."""
    for old, new in zip(before, after, strict=True):
        if old != new:
            data = as_served(new)["data"]
            await client.merge_patch(SECRET, namespace_of(new), name_of(new), {"data": data})


def test_every_source_is_connected_to() -> None:
    assert WRITTEN.keys() == SOURCES.keys()


@pytest.mark.parametrize("source", WRITTEN)
async def test_a_token_connects_and_after_its_rotation_the_new_one_does(
    client: KubeClient, way: Way, source: str
) -> None:
    first, second = [WRITTEN[source](way, await way.token("hub", bound)) for bound in ("one", "two")]
    async with standing(client, first):
        before = await only(client, way)
        assert await who(before) == f"system:serviceaccount:{way.namespace}:hub"

        await rotate(client, first, second)
        await client.delete(SECRET, way.namespace, "one")
        after = await only(client, way)

        assert (before.name, before.labels) == (after.name, after.labels)
        assert before != after
        assert isinstance(before.connection, Access)
        assert isinstance(after.connection, Access)
        assert before.connection.fingerprint != after.connection.fingerprint
        assert await who(after) == f"system:serviceaccount:{way.namespace}:hub"
        await eventually(lambda: refused(before), bool, within=WITHIN)


async def refused(member: Member) -> bool:
    """Whether the API server knows the credentials no more; it takes some ten seconds to forget a token."""
    try:
        await who(member)
    except Unauthorized:
        return True
    return False


@pytest.mark.parametrize("source", [each for each in WRITTEN if each != "kubefed"])
async def test_a_client_certificate_connects_and_after_its_rotation_the_new_one_does(
    client: KubeClient, way: Way, source: str
) -> None:
    first, second = (WRITTEN[source](way, way.certificate(name)) for name in ("hub-1", "hub-2"))
    async with standing(client, first):
        before = await only(client, way)
        await rotate(client, first, second)
        after = await only(client, way)

        assert (await who(before), await who(after)) == ("hub-1", "hub-2")


async def test_a_cluster_is_added_and_removed(client: KubeClient, way: Way) -> None:
    async with standing(client, of_kubeconfig(way, way.certificate("hub"))):
        assert {*await seen(client, {way.namespace})} == {"eu"}
    assert {*await seen(client, {way.namespace})} == set()


async def test_two_systems_that_know_one_cluster_by_one_name_are_told_apart(client: KubeClient, way: Way) -> None:
    """Rancher makes a Cluster of Fleet for each of Cluster API, and both name the same Secret."""
    user = way.certificate("hub")
    both = [*of_cluster_api(way, user), of_rancher_fleet(way, user)[0]]
    async with standing(client, both):
        member = await only(client, way)
        assert f"is the name of Cluster {way.namespace}/eu (rancher-fleet), too" in str(member.connection)


async def test_the_articles_cluster_is_a_member_once_its_control_plane_is_up(
    client: KubeClient, way: Way, before_v1beta2: None
) -> None:
    """As it stands; what its controllers add is its status and the Secret."""
    (cluster,) = yaml.safe_load_all((EXAMPLES / "cluster-api.yaml").read_text())
    kubeconfig = way.kubeconfig(way.certificate("hub"))
    secret = replace(way, namespace="default").secret("production-cluster-kubeconfig", value=kubeconfig)
    async with standing(client, [cluster]):
        (waiting,) = (await seen(client, {"default"}, "v1beta1")).values()
        up = {"type": "ControlPlaneInitialized", "status": "True", "lastTransitionTime": "2026-08-01T10:00:00Z"}
        status = {"status": {"conditions": [up]}}
        await client.merge_patch(resource_of(cluster), "default", "production-cluster", status, subresource="status")
        async with standing(client, [secret]):
            (member,) = (await seen(client, {"default"}, "v1beta1")).values()
            assert "the control plane is not up yet" in str(waiting.connection)
            assert await who(member) == "hub"


async def test_the_articles_deployment_is_placed_on_members(client: KubeClient, way: Way) -> None:
    """As it stands, on three clusters that KubeFed knows and one that it is not placed on."""
    (federated,) = yaml.safe_load_all((EXAMPLES / "federated-deployment.yaml").read_text())
    token = await way.token("hub", "one")
    clusters = [each for number in range(1, 5) for each in of_kubefed(way, token, f"cluster{number}")]
    async with standing(client, [federated, *clusters]):
        stored = await client.get(FEDERATED, "my-namespace", "my-app")
        found = placed(stored, await seen(client, {way.namespace}))
        assert isinstance(found, dict)
        assert {name: await who(each) for name, each in found.items()} == dict.fromkeys(
            ("cluster1", "cluster2", "cluster3"), f"system:serviceaccount:{way.namespace}:hub"
        )
