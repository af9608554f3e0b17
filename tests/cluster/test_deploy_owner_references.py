"""Clusters whose API server enforces rights on owner references, as OpenShift's does."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest_asyncio

from canary.kube.types import CANARY, SERVICE, TRAEFIK_SERVICE, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.options import CONTROLLER
from canary.sandbox.rig import Rig, application, phase_of
from canary.sandbox.testing import eventually

KUSTOMIZE = Path(__file__).parents[2] / "deploy/kustomize"
SYSTEM = "flagger-system"
PLUGIN = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"


@pytest_asyncio.fixture
async def enforcing(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The cluster, its API server started anew with the admission plugin."""
    server = cluster.parts["apiserver"]
    command = server.command

    async def restart(made: Callable[[], Sequence[str]]) -> None:
        server.kill()  # it would wait for its watches
        server.command = made
        await server.start()

    await restart(lambda: [*command(), PLUGIN])
    yield cluster
    await restart(command)
    program = cluster.folder / "bin/kubectl"
    arguments = ("delete", "-k", str(KUSTOMIZE / "controller"))
    process = await asyncio.create_subprocess_exec(program, *arguments, env={**os.environ, **cluster.environment})
    async with asyncio.timeout(60):
        assert await process.wait() == 0


def overlay(folder: Path, *components: str) -> Path:
    """What we install, but for the controller's pods: it runs beside the cluster."""
    folder.mkdir()
    none = json.dumps([{"op": "replace", "path": "/spec/replicas", "value": 0}])
    document = {
        "resources": [os.path.relpath(KUSTOMIZE / "base", folder)],
        "components": [os.path.relpath(KUSTOMIZE / "components" / each, folder) for each in components],
        "patches": [{"target": {"kind": "Deployment"}, "patch": none}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(document))
    return folder


def canary(name: str, namespace: str) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    analysis = {"interval": "1s", "threshold": 2, "stepWeight": 50, "maxWeight": 50}
    spec = {"targetRef": target, "service": {"port": 9898}, "revertOnDeletion": True, "analysis": analysis}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "spec": spec}


async def test_only_taking_an_owner_off_takes_more_rights_there_and_the_component_gives_them(
    enforcing: Cluster, namespace: str, tmp_path: Path
) -> None:
    begun = enforcing.audit_log.stat().st_size

    async def forbidden() -> list[str]:
        with enforcing.audit_log.open("rb") as log:
            log.seek(begun)
            entries = [json.loads(line) for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]
        answers = [each["responseStatus"] for each in entries if each["user"]["username"] == CONTROLLER]
        return [answer["message"] for answer in answers if answer["code"] == 403]

    await enforcing.apply(overlay(tmp_path / "without"))
    async with Rig.on(enforcing, namespace) as rig, rig.recording(CANARY, "shop") as recording:
        await rig.start_controller("--mesh-provider=traefik", f"--leader-election-namespace={SYSTEM}")
        await rig.apply(application("shop", namespace, "1.0.0", replicas=1))
        await rig.apply(canary("shop", namespace))
        await recording.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        assert await forbidden() == [], "what is created may name its owner, and block its deletion"

        await rig.client.delete(CANARY, namespace, "shop")
        (first, *_) = await eventually(forbidden, bool, within=30)
        assert "cannot set an ownerRef on a resource you can't delete" in first

        await enforcing.apply(overlay(tmp_path / "with", "owner-references"))
        await rig.client.merge_patch(CANARY, namespace, "shop", {"metadata": {"annotations": {"look": "again"}}})
        await recording.until(lambda each: not each, within=30, what="end of the Canary")
        for resource in (SERVICE, TRAEFIK_SERVICE):
            left = await rig.client.get(resource, namespace, "shop")
            assert "ownerReferences" not in left["metadata"]
    await enforcing.parts["controller"].stop()
