"""One cluster for all tests of this folder; see `tests.tools.clusters`."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Rig
from tests.tools.clusters import cluster, cluster_options, namespace, pytest_pyfunc_call, running_cluster
from tests.tools.gateways import contour, istio, nginx
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
    "pytest_pyfunc_call",
    "rig",
    "running_cluster",
]

KUSTOMIZE = Path(__file__).parents[2] / "deploy/kustomize"
SYSTEM = "canary-system"


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A kustomization of all that is installed, with the rights to all routes, and without the controller's pods."""
    none = [{"op": "replace", "path": "/spec/replicas", "value": 0}]
    document = {
        "resources": [os.path.relpath(KUSTOMIZE / "kubernetes", tmp_path)],
        "components": [os.path.relpath(each, tmp_path) for each in sorted(KUSTOMIZE.glob("components/providers/*"))],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(none)}],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(document))
    return tmp_path


@pytest_asyncio.fixture
async def rig(cluster: Cluster, namespace: str, installation: Path) -> AsyncIterator[Rig]:
    """A namespace of the test's own, which a controller works in: beside the cluster, with the rights of `deploy/`."""
    await cluster.apply(installation)
    async with Rig.on(cluster, namespace) as rig:
        await rig.start_controller(
            "--mesh-provider=kubernetes", f"--leader-election-namespace={SYSTEM}", f"--namespace={namespace}"
        )
        yield rig
    await cluster.parts["controller"].stop()
