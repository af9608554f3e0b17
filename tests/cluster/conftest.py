"""One cluster for all tests of this folder; see `tests.tools.clusters`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import Json, name_of
from canary.sandbox.bootstrap import DEFINITION, definitions, install
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from tests.tools.clusters import cluster, cluster_options, namespace, pytest_pyfunc_call, running_cluster
from tests.tools.gateways import contour, istio, nginx
from tests.tools.kustomized import objects_of, put
from tests.tools.longest_first import pytest_collection_modifyitems, pytest_terminal_summary
from tests.tools.two_versions import api

__all__ = [
    "api",
    "cluster",
    "cluster_options",
    "contour",
    "installation",
    "istio",
    "namespace",
    "nginx",
    "pipelines",
    "pytest_collection_modifyitems",
    "pytest_pyfunc_call",
    "pytest_terminal_summary",
    "rig",
    "running_cluster",
    "upstream",
]

KUSTOMIZE = Path(__file__).parents[2] / "deploy/kustomize"
SYSTEM = "canary-system"
SCHEMAS = Path(__file__).with_name("schemas")
PROJECTS = ("apisix", "contour", "gloo", "istio", "knative", "kuma", "openshift", "smi")
"""Those whose definitions the sandbox doesn't have already."""


def kustomization(folder: Path) -> Path:
    """All that is installed, with the rights to all routes, and without the controller's pods."""
    none = [{"op": "replace", "path": "/spec/replicas", "value": 0}]
    document = {
        "resources": [os.path.relpath(KUSTOMIZE / "kubernetes", folder)],
        "components": [os.path.relpath(each, folder) for each in sorted(KUSTOMIZE.glob("components/providers/*"))],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(none)}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(document))
    return folder


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A kustomization of all that is installed, to which a test may add."""
    return kustomization(tmp_path)


@pytest.fixture(scope="session")
def installed(running_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """The objects of all that is installed."""
    return asyncio.run(objects_of(running_cluster, kustomization(tmp_path_factory.mktemp("installation"))))


@pytest_asyncio.fixture
async def rig(cluster: Cluster, namespace: str, installed: list[Json]) -> AsyncIterator[Rig]:
    """A namespace of the test's own, which a controller works in: beside the cluster, with the rights of `deploy/`."""
    async with Rig.on(cluster, namespace) as rig:
        await put(rig, installed)
        await rig.start_controller(
            "--mesh-provider=kubernetes",
            f"--leader-election-namespace={SYSTEM}",
            f"--namespace={namespace}",
            "--traffic-settle-time=1s",  # no gateway has to follow here
        )
        yield rig
    await cluster.parts["controller"].stop()


@pytest.fixture(scope="module")
def upstream(running_cluster: Cluster) -> Iterator[None]:
    """The definitions that are not there yet, until the last test of a file: to other tests there are no such kinds."""
    # The sandbox has that of TCPRoutes with Istio only.
    yield from _installed(running_cluster, [*_of(*PROJECTS), *definitions("tcp-route-crds.json")])


@pytest.fixture(scope="module")
def pipelines(running_cluster: Cluster) -> Iterator[None]:
    """The definitions of what gates go by, until the last test of a file."""
    yield from _installed(running_cluster, _of("tekton", "trivy-operator", "argocd", "flux"))


@pytest.fixture(scope="module")
def certificates(running_cluster: Cluster) -> Iterator[None]:
    """The definitions of cert-manager, until the last test of a file."""
    yield from _installed(running_cluster, _of("cert-manager"))


def _of(*projects: str) -> list[Json]:
    return [each for project in projects for each in json.loads((SCHEMAS / f"{project}.json").read_text())]


def _installed(running_cluster: Cluster, known: list[Json]) -> Iterator[None]:
    async def put() -> list[str]:
        async with KubeClient.connect(running_cluster.kubeconfig) as client:
            there = await present(client)
            await install(client, [each for each in known if name_of(each) not in there], until)
            return [name_of(each) for each in known if name_of(each) not in there]

    async def remove(names: list[str]) -> None:
        async with KubeClient.connect(running_cluster.kubeconfig) as client:
            for name in names:
                await client.delete(DEFINITION, None, name)
            await eventually(lambda: present(client), lambda there: not there & {*names}, within=60)

    async def present(client: KubeClient) -> set[str]:
        return {name_of(each) for each in (await client.list(DEFINITION, None))["items"]}

    made = asyncio.run(put())
    yield
    asyncio.run(remove(made))


async def until(condition: Callable[[], Awaitable[bool]], _problem: str) -> None:
    await eventually(condition, bool, within=60)
