"""An application that Helm 4 brings, as `docs/gitops.md` says: with `replicas` in its chart, and without."""

import asyncio
import json
import os
from pathlib import Path

from canary.kube.types import CANARY, DEPLOYMENT
from canary.sandbox import binaries
from canary.sandbox.harness import Rig, application, phase_of

NAME = "shop"
PAGE = Path(__file__).parents[2] / "docs/gitops.md"


def chart(folder: Path, version: str, replicas: int | None) -> Path:
    """A chart of one Deployment."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text(json.dumps({"apiVersion": "v2", "name": NAME, "version": "1.0.0"}))
    deployment = application(NAME, "{{ .Release.Namespace }}", version, replicas=replicas or 1)
    if replicas is None:
        del deployment["spec"]["replicas"]
    (folder / "templates/deployment.yaml").write_text(json.dumps(deployment))
    return folder


async def helm(rig: Rig, scratch: Path, *arguments: str) -> tuple[int, str]:
    """Its exit code, and what it says of errors."""
    program = binaries.ensure(("helm",))["helm"]
    folders = {f"HELM_{each}_HOME": str(scratch / each.lower()) for each in ("CACHE", "CONFIG", "DATA")}
    process = await asyncio.create_subprocess_exec(
        program,
        f"--namespace={rig.namespace}",
        *arguments,
        env={**os.environ, **rig.cluster.environment, **folders},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    return process.returncode or 0, err.decode()


async def test_a_release_without_replicas_is_rolled_out_and_one_with_them_is_refused(rig: Rig, tmp_path: Path) -> None:
    folder, scratch = tmp_path / "chart", tmp_path / "helm"
    done, said = await helm(rig, scratch, "install", NAME, str(chart(folder, "1.0.0", 2)))
    assert done == 0, said
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
        "service": {"port": 9898},
        "analysis": {"interval": "1s", "threshold": 2, "iterations": 1},
    }
    metadata = {"name": NAME, "namespace": rig.namespace}
    async with rig.recording(CANARY, NAME) as canary, rig.recording(DEPLOYMENT, NAME) as target:
        await rig.apply({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "spec": spec})
        await canary.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        await target.until(lambda each: each["spec"]["replicas"] == 0, within=20, what="rest")

        done, said = await helm(rig, scratch, "upgrade", NAME, str(chart(folder, "1.0.1", 2)))
        assert done != 0
        conflict = 'conflict with "canary-controller" using apps/v1: .spec.replicas'
        assert conflict in said
        assert conflict in PAGE.read_text()
        assert "web:1.0.0" in json.dumps(target.last), "nothing of it was taken"

        done, said = await helm(rig, scratch, "upgrade", NAME, str(chart(folder, "1.0.1", None)))
        assert done == 0, said
        await canary.until(lambda each: phase_of(each) == "Succeeded", within=60, what="promotion")
        await target.until(lambda each: each["spec"]["replicas"] == 0, within=20, what="rest")
        primary = await rig.client.get(DEPLOYMENT, rig.namespace, f"{NAME}-primary")
        assert "web:1.0.1" in json.dumps(primary)
        assert primary["spec"]["replicas"] == 2, "as many as there were"

        done, said = await helm(rig, scratch, "upgrade", NAME, str(chart(folder, "1.0.2", 2)), "--force-conflicts")
        assert done == 0, said
        await canary.until(lambda each: phase_of(each) == "Progressing", within=60, what="rollout")
        await canary.until(lambda each: phase_of(each) == "Succeeded", within=60, what="promotion")
