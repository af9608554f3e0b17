"""One cluster for all tests of this folder: gateway, Prometheus, load tester, and a controller with its own rights."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from canary.kube.types import Json
from canary.routers.base import Provider
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import CONTROLLER_PORT, Rig
from canary.sandbox.options import CONTROLLER, Options
from canary.sandbox.prometheus import Scraping
from deploy.rights import families, rules_of
from tests.tools.clusters import cluster, namespace, pytest_pyfunc_call, running_cluster
from tests.tools.gateways import contour, envoy_gateway, ingress_nginx, istio, nginx
from tests.tools.killable import killable
from tests.tools.longest_first import pytest_collection_modifyitems, pytest_terminal_summary
from tests.tools.two_versions import api

__all__ = [
    "api",
    "cluster",
    "cluster_options",
    "contour",
    "envoy_gateway",
    "ingress_nginx",
    "istio",
    "killable",
    "namespace",
    "nginx",
    "pytest_collection_modifyitems",
    "pytest_pyfunc_call",
    "pytest_terminal_summary",
    "rig",
    "running_cluster",
    "site",
]

ROOT = Path(__file__).parents[2]
SYSTEM = "canary-system"
SECOND = "second-controller"
"""A user with the same rights, so that the audit log tells two controllers apart."""
CONTROLLER_FLAGS = (
    "--mesh-provider=traefik",
    f"--leader-election-namespace={SYSTEM}",
    "--log-level=debug",
    # The sandbox's istiod waits for 200 ms at most before it tells its proxies.
    "--traffic-settle-time=istio=3s",
)


@pytest.fixture(scope="session")
def cluster_options() -> Options:
    """The names resolve as the specs expect; Prometheus scrapes the controller too."""
    return Options(
        namespaces=("test", "canary"),
        users={CONTROLLER: (), SECOND: ()},
        audited=(CONTROLLER, SECOND),
        names={"my-app.canary": addresses.GATEWAY, "flagger-loadtester.test": addresses.TOOLS},
        scraping=Scraping(interval="1s", targets={"controller": [f"{addresses.TOOLS}:{CONTROLLER_PORT}"]}),
    )


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str) -> AsyncIterator[Rig]:
    """A namespace of the test's own, with the load tester and without a controller."""
    async with _prepared(cluster, namespace) as rig:
        if _runs(cluster, "controller"):
            await cluster.parts["controller"].stop()
        yield rig


@pytest_asyncio.fixture
async def rig(cluster: Cluster, namespace: str) -> AsyncIterator[Rig]:
    """A namespace of the test's own, with a controller and the load tester running; both are started where needed."""
    async with _prepared(cluster, namespace) as rig:
        if not _runs(cluster, "controller"):
            await rig.start_controller(*CONTROLLER_FLAGS)
        yield rig


@asynccontextmanager
async def _prepared(cluster: Cluster, namespace: str) -> AsyncIterator[Rig]:
    async with Rig.on(cluster, namespace) as rig:
        await rig.install(*sorted((ROOT / "crds").glob("[!k]*.yaml")))
        await _grant(rig)
        if not _runs(cluster, "loadtester"):
            await rig.start_loadtester()
        yield rig


def _runs(cluster: Cluster, name: str) -> bool:
    part = cluster.parts.get(name)
    return part is not None and part.running


def _rules(providers: Iterable[Provider]) -> list[Json]:
    return [
        {"apiGroups": [group], "resources": [*plurals], "verbs": verbs.split(", ")}
        for group, plurals, verbs in rules_of(*providers)
    ]


async def _grant(rig: Rig) -> None:
    """Give the controller the rights that `deploy/` gives it, and no more."""
    folder = ROOT / "deploy/kustomize/controller"
    for name in ("namespace", "cluster-role", "lease-role"):
        for obj in yaml.safe_load_all((folder / f"{name}.yaml").read_text()):
            if obj["kind"] in {"Role", "RoleBinding"}:
                obj["metadata"]["namespace"] = SYSTEM
            if obj["kind"] == "ClusterRole":
                obj["rules"] += [rule for each in families().values() for rule in _rules(each)]
            if obj["kind"].endswith("Binding"):
                obj["subjects"].append({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": SECOND})
            await rig.apply(obj)
