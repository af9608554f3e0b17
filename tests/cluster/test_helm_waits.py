"""`helm --wait` on a Canary in a chart, and our own chart's life: by Helm 4 itself, on a real API server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import CANARY, DEPLOYMENT, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from tests.cluster.test_command_line import made_in
from tests.cluster.test_deploy_chart import CHART
from tests.cluster.test_helm_releases import helm
from tests.cluster.test_waiting_for_health import statuses

TENANT = "tenant"

LONG = "--timeout=2m"


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str, installation: Path) -> AsyncIterator[Rig]:
    """A namespace of the test's own with the definitions, and without a controller."""
    await cluster.apply(installation)
    async with Rig.on(cluster, namespace) as rig:
        yield rig


def chart(folder: Path, namespace: str, threshold: int) -> Path:
    """A chart of one Canary; another threshold is another generation of it."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text(json.dumps({"apiVersion": "v2", "name": "shop", "version": "1.0.0"}))
    canary = made_in(namespace)
    canary["metadata"]["name"] = canary["spec"]["targetRef"]["name"] = "shop"
    canary["spec"]["analysis"]["threshold"] = threshold
    (folder / "templates/canary.yaml").write_text(json.dumps(canary))
    return folder


async def stored(client: KubeClient, namespace: str, status: Json, generation: int) -> None:
    """Write a status of this generation of the spec, once that is there."""

    async def found() -> Json:
        canary: Json = await client.get(CANARY, namespace, "shop")
        return canary

    await eventually(found, lambda each: each["metadata"]["generation"] == generation, within=60)
    patch = {"status": {**status, "observedGeneration": generation}}
    await client.merge_patch(CANARY, namespace, "shop", patch, subresource="status")


async def test_helm_waits_for_the_end_of_a_rollout_and_tells_a_failed_one_at_once(site: Rig, tmp_path: Path) -> None:
    namespace, scratch, played = site.namespace, tmp_path / "helm", statuses()
    waits = ("upgrade", "--install", "--wait", "shop")

    done, said = await helm(site, scratch, "install", "shop", str(chart(tmp_path / "shop", namespace, 1)))
    assert done == 0, said
    await stored(site.client, namespace, played["is-analysed"], 1)

    # Under way: the time is over before the rollout is.
    done, said = await helm(site, scratch, *waits, str(tmp_path / "shop"), "--timeout=4s")
    assert done != 0
    assert "InProgress" in said, said

    # Ended: a wait that has begun in the midst of it ends with it.
    waiting = asyncio.create_task(helm(site, scratch, *waits, str(chart(tmp_path / "shop", namespace, 2)), LONG))
    await stored(site.client, namespace, played["is-analysed"], 2)
    await asyncio.sleep(2)  # Helm has begun to wait by then; there is nothing to see it by
    assert not waiting.done(), "it is under way"
    await stored(site.client, namespace, played["has-succeeded"], 2)
    done, said = await waiting
    assert done == 0, said

    # Failed: told as that, and not at the end of the time.
    waiting = asyncio.create_task(helm(site, scratch, *waits, str(chart(tmp_path / "shop", namespace, 3)), LONG))
    await stored(site.client, namespace, played["has-failed"], 3)
    done, said = await waiting
    assert done != 0
    assert "Failed" in said
    assert "deadline exceeded" not in said


async def test_a_release_lives_in_one_namespace_without_any_right_to_the_cluster(site: Rig, tmp_path: Path) -> None:
    """Installed, upgraded, rolled back and removed by somebody who may do all, but in this namespace alone."""
    namespace, scratch = site.namespace, tmp_path / "helm"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    await site.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": TENANT, "namespace": namespace},
            "roleRef": role,
            "subjects": [{"apiGroup": role["apiGroup"], "kind": "User", "name": TENANT}],
        }
    )
    common = (f"--kube-as-user={TENANT}",)
    values = ("--skip-crds", "--set", "meshProvider=traefik", "--set", "replicaCount=0")
    own = (*values, "--set", f"namespace={namespace}")

    async def arguments() -> list[str]:
        deployment = await site.client.get(DEPLOYMENT, namespace, "canary-controller")
        found: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        return found

    done, said = await helm(site, scratch, "install", "own", str(CHART), *values, *common)
    assert done != 0
    assert "clusterrole" in said.lower(), "for all namespaces it takes rights to the cluster"
    await helm(site, scratch, "uninstall", "own", "--ignore-not-found", *common)

    done, said = await helm(site, scratch, "install", "own", str(CHART), *own, "--wait", LONG, *common)
    assert done == 0, said
    assert f"--namespace={namespace}" in await arguments()
    done, said = await helm(site, scratch, "upgrade", "own", str(CHART), *own, "--set", "logLevel=debug", *common)
    assert done == 0, said
    assert "--log-level=debug" in await arguments()
    done, said = await helm(site, scratch, "rollback", "own", "1", *common)
    assert done == 0, said
    assert "--log-level=debug" not in await arguments()

    await site.client.create(CANARY, made_in(namespace))
    done, said = await helm(site, scratch, "uninstall", "own", *common)
    assert done == 0, said
    left = await site.client.list(DEPLOYMENT, namespace)
    assert "canary-controller" not in [each["metadata"]["name"] for each in left["items"]]
    canaries = await site.client.list(CANARY, namespace)
    assert len(canaries["items"]) == 1, "Canaries and their definitions stay"
