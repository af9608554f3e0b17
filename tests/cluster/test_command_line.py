"""What people type, against a real API server with a controller: how it stands, what is ordered, and who may not."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json, Resource
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Rig, application, phase_of

NAME = "shop"
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
TOKEN = Resource("", "v1", "serviceaccounts/viewer/token", "TokenRequest")
ROLE = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


class Shell:
    """Runs commands, each in a process of its own."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace

    async def __call__(self, *words: str, **environment: str) -> tuple[int, str]:
        """The exit code, and what is said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", "from canary.cli import main; raise SystemExit(main())"),
            *words,
            env={**self._cluster.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def data(self, *words: str) -> Any:
        code, said = await self(*words, "-o", "json", f"-n={self._namespace}")
        assert code == 0, said
        return json.loads(said)


def made_in(namespace: str) -> Json:
    """A Canary with more steps than any test takes."""
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
        "service": {"port": 9898},
        "analysis": {"interval": "1s", "threshold": 2, "iterations": 900},
    }
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": spec,
    }


async def test_a_rollout_is_looked_at_and_ordered_about(rig: Rig, cluster: Cluster) -> None:
    canary = Shell(cluster, rig.namespace)
    here = f"-n={rig.namespace}"
    assert await canary("get", here) == (0, "no Canaries in this namespace; -A looks in all\n")
    assert await canary("abort", NAME, here) == (1, f'canary abort: canaries.flagger.app "{NAME}" not found\n')
    await rig.apply(application(NAME, rig.namespace, "1.0.0"))
    async with rig.recording(CANARY, NAME) as seen:
        await rig.apply(made_in(rig.namespace))
        await seen.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        await rig.apply(application(NAME, rig.namespace, "1.0.1"))
        await seen.until(lambda each: each["status"].get("iterations", 0) > 1, within=60, what="steps")

        code, table = await canary("get", here)
        assert code == 0
        assert table.splitlines()[1].split()[:2] == [NAME, "Progressing"]
        assert (await canary.data("get", NAME))["metadata"]["name"] == NAME
        assert (await canary.data("explain", NAME))["phase"] == "Progressing"

        assert (await canary("pause", NAME, here, "--reason=lunch"))[0] == 0
        await seen.until(lambda each: each["status"].get("reason") == "Paused", within=20, what="pause")
        assert seen.last["status"]["message"].startswith("paused by ")
        assert seen.last["status"]["message"].endswith(": lunch")
        whole = await rig.client.get(CANARY, rig.namespace, NAME)
        assert "kubectl-canary" in {each["manager"] for each in whole["metadata"]["managedFields"]}
        assert (await canary("resume", NAME, here))[0] == 0
        await seen.until(lambda each: each["status"].get("reason") != "Paused", within=20, what="the end of the pause")

        assert (await canary("abort", NAME, here))[0] == 0
        await seen.until(lambda each: phase_of(each) == "Failed", within=30, what="rollback")
        assert seen.last["status"]["message"].startswith("aborted by ")
        assert (await canary("abort", NAME, here))[0] == 1

        assert (await canary("retry", NAME, here))[0] == 0
        await seen.until(lambda each: phase_of(each) == "Progressing", within=30, what="another try")
        assert (await canary("promote", NAME, here))[0] == 0
        await seen.until(lambda each: phase_of(each) == "Succeeded", within=90, what="promotion")
    told = "\n".join(await rig.events(NAME))
    for each in (f"Paused {NAME}.{rig.namespace} by ", "Resumed ", "Rolling back ", "Promotion ordered for "):
        assert each in told


async def test_what_is_in_the_way_is_one_line(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    canary = Shell(cluster, namespace)
    stranger = tmp_path / "stranger"
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": "nobody"}
    stranger.write_text(json.dumps(document))
    for command in (["get"], ["get", "-w"], ["explain", NAME], ["promote", NAME], ["wait", NAME]):
        code, said = await canary(*command, f"-n={namespace}", KUBECONFIG=str(stranger))
        assert (code, said.count("\n")) == (2, 1), said
        assert "does not accept these credentials" in said


async def test_whoever_may_only_look_gives_no_orders(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    canary = Shell(cluster, namespace)
    async with KubeClient.connect(cluster.kubeconfig) as client:
        account = {"metadata": {"name": "viewer", "namespace": namespace}}
        rules = [{"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get", "list", "watch"]}]
        subjects = [{"kind": "ServiceAccount", "name": "viewer", "namespace": namespace}]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "viewer"}
        await client.create(SERVICE_ACCOUNT, account)
        await client.create(ROLE, {**account, "rules": rules})
        await client.create(ROLE_BINDING, {**account, "subjects": subjects, "roleRef": role})
        token = await client.create(TOKEN, {**account, "apiVersion": "authentication.k8s.io/v1", "spec": {}})
        await client.create(CANARY, made_in(namespace))
        status = {"status": {"phase": "Progressing", "canaryWeight": 0, "failedChecks": 0, "iterations": 0}}
        await client.merge_patch(CANARY, namespace, NAME, status, subresource="status")
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token["status"]["token"]}
    viewer = tmp_path / "viewer"
    viewer.write_text(json.dumps(document))

    code, said = await canary("get", f"-n={namespace}", KUBECONFIG=str(viewer))
    assert (code, said.count("\n")) == (0, 2), said
    code, said = await canary("abort", NAME, f"-n={namespace}", KUBECONFIG=str(viewer))
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith("canary abort: not allowed: ")
    assert f'User "system:serviceaccount:{namespace}:viewer" cannot patch resource "canaries"' in said
    code, said = await canary("get", "-A", KUBECONFIG=str(viewer))
    assert (code, said.count("\n")) == (2, 1), said
