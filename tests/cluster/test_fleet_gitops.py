"""Examples of `docs/examples/fleet` on a real API server with the real definitions, and gates of waves that look there.

The hub looks with the rights of `deploy/kustomize/fleet/hub` and of the components of its gates, and no others.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from canary.api.fleet import CanaryFleet
from canary.fleet.members.registry import members
from canary.gates.rancher_fleet import BUNDLE_DEPLOYMENT, GIT_REPO
from canary.hub.looks import look
from canary.hub.members import chosen
from canary.hub.objects import Objects
from canary.hub.options import HubOptions
from canary.kube.access import Access
from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, Forbidden
from canary.kube.reach import reach
from canary.kube.types import APPLICATION, CANARY, CANARY_FLEET, KUSTOMIZATION, NAMESPACE, Json, Resource
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from tests.cluster.conftest import KUSTOMIZE, SCHEMAS, SYSTEM, _installed, _of
from tests.cluster.test_fleet_members import Way, of_kubeconfig
from tests.tools.authority import Authority
from tests.unit.fleet.fleets import fleet_of
from tests.unit.fleet.members.shapes import as_served
from tests.unit.gates.test_rancher_fleet import deployment, repo
from tests.unit.gates.test_waves import application, gated

pytestmark = pytest.mark.long

FOLDER = KUSTOMIZE.parents[1] / "docs/examples/fleet"
EXAMPLES = {each.name: [*yaml.safe_load_all(each.read_text())] for each in sorted(FOLDER.glob("*.yaml"))}
FILES = [*EXAMPLES]
GATES = sorted(KUSTOMIZE.glob("fleet/gates/*"))
PROJECTS = ("argocd", "cluster-api", "fleet", "flux", "istio", "kubefed", "submariner")
ACCOUNT = "canary-fleet-hub"


@pytest.fixture(scope="module", autouse=True)
def definitions(running_cluster: Cluster) -> Iterator[None]:
    """The definitions of others are there until the last test of the file."""
    written = yaml.safe_load_all((SCHEMAS / "fleet-members.yaml").read_text())
    yield from _installed(running_cluster, [*_of(*PROJECTS), *written])


@pytest_asyncio.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    """The administrator's."""
    async with KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest_asyncio.fixture
async def hub(cluster: Cluster, client: KubeClient, namespace: str, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """A client by the account of the hub, with the rights of its gates."""
    await cluster.apply(kustomization(tmp_path))
    way = Way(client, SYSTEM, Authority(), cluster.certificate.read_text())
    (secret,) = of_kubeconfig(way, await way.token(ACCOUNT, f"token-for-{namespace}"))
    (member,) = members([as_served(secret)]).values()
    assert isinstance(member.connection, Access)
    async with reach(member.connection) as hub:
        yield hub


def kustomization(folder: Path) -> Path:
    """A hub without pods, with all gates and placements, beside the controller's definitions and its namespace."""
    none = [{"op": "replace", "path": "/spec/replicas", "value": 0}]
    document = {
        "resources": [os.path.relpath(KUSTOMIZE / each, folder) for each in ("kubernetes", "fleet/hub")],
        "components": [os.path.relpath(each, folder) for each in (*GATES, KUSTOMIZE / "fleet/components/placements")],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(none)}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("file", FILES)
async def test_the_api_server_takes_an_example_as_it_stands(
    cluster: Cluster, client: KubeClient, installation: Path, file: str
) -> None:
    """By kubectl, which has unknown fields refused; what they leave goes with their definitions."""
    await cluster.apply(installation)
    for obj in EXAMPLES[file]:
        with suppress(AlreadyExists):
            await client.create(NAMESPACE, {"metadata": {"name": obj["metadata"].get("namespace", "default")}})
    await cluster.apply(FOLDER / file)
    for obj in (each for each in EXAMPLES[file] if each["kind"] == CANARY_FLEET.kind):
        await client.delete(CANARY_FLEET, obj["metadata"]["namespace"], obj["metadata"]["name"])


async def stored(client: KubeClient, resource: Resource, namespace: str, name: str, obj: Json) -> None:
    """An object with its status, as its controller writes it."""
    metadata = {**obj.get("metadata", {}), "namespace": namespace, "name": name}
    given = {key: value for key, value in obj.items() if key != "metadata"}
    await client.apply(resource, {"metadata": metadata, **given}, field_manager="test")
    if "status" in obj:
        at = (await client.get(resource, namespace, name))["metadata"].get("generation", 1)
        status = {**obj["status"], **({"observedGeneration": at} if resource != APPLICATION else {})}
        with suppress(Exception):  # of kinds without that subresource the status is stored above
            await client.merge_patch(resource, namespace, name, {"status": status}, subresource="status")


async def asked(hub: KubeClient, **gate: Any) -> tuple[bool, str]:
    fleet: CanaryFleet = gated(**gate)
    answer = await look(hub, fleet, "all", fleet.spec.waves[0].gates[0])
    return answer.opens, answer.message


SOURCE: Json = {
    "project": "default",
    "destination": {"server": "https://kubernetes.default.svc", "namespace": "x"},
    "source": {"repoURL": "https://github.com/myorg/gitops-repo", "path": "x"},
}


async def test_a_gate_looks_at_an_application(hub: KubeClient, client: KubeClient, namespace: str) -> None:
    gate = {"argocd": {"application": "shop", "namespace": namespace, "revision": "{{ release }}"}}
    where = f"Application {namespace}/shop"
    assert await asked(hub, **gate) == (False, f"{where} does not exist")
    await stored(client, APPLICATION, namespace, "shop", {"spec": SOURCE, **complete(application("v1.4.1"))})
    assert await asked(hub, **gate) == (False, f"{where}: it is Synced at v1.4.1, and to be at v1.4.2")
    await stored(client, APPLICATION, namespace, "shop", {"spec": SOURCE, **complete(application())})
    assert await asked(hub, **gate) == (True, f"{where}: it is Healthy and Synced at v1.4.2")


def complete(status: Json) -> Json:
    """A status with what its definition wants besides."""
    sync = {
        **status["status"]["sync"],
        "comparedTo": {"source": SOURCE["source"], "destination": SOURCE["destination"]},
    }
    return {"status": {**status["status"], "sync": sync}}


async def test_a_gate_looks_at_a_kustomization(hub: KubeClient, client: KubeClient, namespace: str) -> None:
    spec = {"interval": "1m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "shop"}}
    at = {"lastTransitionTime": "2026-08-01T10:00:00Z", "reason": "ReconciliationSucceeded"}
    ready = {"type": "Ready", "status": "True", "message": "Applied revision", **at}
    await stored(client, KUSTOMIZATION, namespace, "shop", {"spec": spec, "status": {"conditions": [ready]}})
    opens, words = await asked(hub, flux={"kustomization": "shop", "namespace": namespace})
    assert (opens, words) == (True, f"Kustomization {namespace}/shop: it is Ready with nothing applied")


async def test_a_gate_looks_at_a_git_repo_and_its_deployments(
    hub: KubeClient, client: KubeClient, namespace: str
) -> None:
    gate = {"rancherFleet": {"gitRepo": "shop", "namespace": namespace}}
    spec = {"repo": "https://github.com/myorg/gitops-repo"}
    await stored(client, GIT_REPO, namespace, "shop", {"spec": spec, "status": repo()["status"]})
    assert (await asked(hub, **gate))[1].endswith("and deployed in no cluster")
    labels = {"fleet.cattle.io/repo-name": "shop", "fleet.cattle.io/bundle-namespace": namespace}
    for ready in (False, True):
        made = deployment("eu", ready=ready)
        made["metadata"]["labels"] |= labels
        await stored(client, BUNDLE_DEPLOYMENT, namespace, "shop", made)
        opens, words = await asked(hub, **gate)
        assert opens is ready, words
    assert words.endswith("in all its clusters")


async def test_a_hub_sees_where_the_articles_deployment_is_placed(
    cluster: Cluster, client: KubeClient, hub: KubeClient
) -> None:
    """And takes these clusters for the members of a fleet that names it."""
    (federated,) = EXAMPLES["federated-deployment.yaml"]
    place, name = federated["metadata"]["namespace"], federated["metadata"]["name"]
    with suppress(AlreadyExists):
        await client.create(NAMESPACE, {"metadata": {"name": place}})
    options = HubOptions(placements=True, member_namespaces=(SYSTEM,))
    objects = Objects(hub, options, lambda: None, lambda _: None)
    watching = asyncio.create_task(objects.run())
    try:
        await cluster.apply(FOLDER / "federated-deployment.yaml")

        async def seen() -> bool:
            return (place, name) in (objects.placements() or {})

        await eventually(seen, bool, within=60)
        fleet = fleet_of(members={"placement": {"federatedDeployment": name, "namespace": place}})
        found = {each.name for each in chosen(fleet, {}, objects.placements())}
        assert found == {"cluster1", "cluster2", "cluster3"}
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_the_hub_sees_these_and_changes_none(hub: KubeClient, namespace: str) -> None:
    for resource in (APPLICATION, GIT_REPO):
        with pytest.raises(Forbidden):
            await hub.merge_patch(resource, namespace, "shop", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Forbidden):
        await hub.list(CANARY, namespace)
