"""Pods as processes behave as pods: configuration, images, crashes, deletion, restarts of their node."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import CONFIG_MAP, DAEMON_SET, POD, SECRET, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import connects, eventually

DUMP = """
import json, os, pathlib, time
root = pathlib.Path(os.environ['POD_DIR'])
files = {str(p.relative_to(root)): p.read_text() for p in root.rglob('*') if p.is_file()}
target = pathlib.Path(os.environ['TARGET'])
target.with_suffix('.part').write_text(json.dumps({'env': dict(os.environ), 'files': files}))
target.with_suffix('.part').rename(target)
time.sleep(1000)
"""


class Pods:
    """Pods of one namespace."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    async def create(self, name: str, container: Json, **spec: Any) -> None:
        metadata = {"name": name, "namespace": self.namespace, "labels": {"app": name}}
        pod = {"metadata": metadata, "spec": {"containers": [{"name": "main", **container}], **spec}}
        await self.client.create(POD, pod)

    async def status(self, name: str) -> Json:
        status: Json = (await self.client.get(POD, self.namespace, name))["status"]
        return status

    async def until(self, name: str, accept: Callable[[Json], Any], within: float = 10) -> Json:
        """Wait for a state of its only container."""

        async def ask() -> Json:
            found = (await self.status(name)).get("containerStatuses") or [{}]
            return dict(found[0])

        return await eventually(ask, lambda status: bool(accept(status)), within=within)

    async def names(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in (await self.client.list(POD, self.namespace))["items"]}

    async def delete(self, name: str) -> None:
        await self.client.delete(POD, self.namespace, name)


@pytest_asyncio.fixture
async def pods(cluster: Cluster, namespace: str) -> AsyncIterator[Pods]:
    async with KubeClient.connect(cluster.kubeconfig) as client:
        yield Pods(client, namespace)


def waiting(status: Json) -> str:
    return str(status.get("state", {}).get("waiting", {}).get("reason", ""))


def python(code: str) -> Json:
    return {"image": "process://python3", "args": ["-u", "-c", code]}


async def test_a_program_gets_its_configuration(pods: Pods, namespace: str, tmp_path: Path) -> None:
    settings = {"metadata": {"name": "settings", "namespace": namespace}, "data": {"color": "blue"}}
    keys = {"metadata": {"name": "keys", "namespace": namespace}, "stringData": {"token": "hush"}}
    await pods.client.create(CONFIG_MAP, settings)
    await pods.client.create(SECRET, keys)
    target = tmp_path / "dump.json"
    container = python(DUMP) | {
        "env": [
            {"name": "TARGET", "value": str(target)},
            {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "BOTH", "value": "$(WHO)/$(TOKEN)"},
        ],
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "CFG_"}],
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}],
    }
    await pods.create("shop", container, volumes=[{"name": "settings", "configMap": {"name": "settings"}}])

    async def ask() -> Json:
        text = await asyncio.to_thread(lambda: target.read_text() if target.exists() else "{}")
        found: Json = json.loads(text)
        return found

    dump = await eventually(ask, bool, within=10)
    assert dump["env"]["BOTH"] == "shop/hush"
    assert dump["env"]["CFG_color"] == "blue"
    assert dump["env"]["POD_IP"] == (await pods.status("shop"))["podIP"]
    assert dump["files"] == {"etc/settings/color": "blue"}


async def test_a_missing_config_map_keeps_a_pod_waiting_until_it_is_there(pods: Pods, namespace: str) -> None:
    container = {"image": "sample/web:1", "envFrom": [{"configMapRef": {"name": "late"}}]}
    await pods.create("shop", container)
    status = await pods.until("shop", lambda s: waiting(s) == "CreateContainerConfigError")
    assert status["state"]["waiting"]["message"] == "ConfigMap late does not exist"
    await pods.client.create(CONFIG_MAP, {"metadata": {"name": "late", "namespace": namespace}})
    await pods.until("shop", lambda s: s["ready"])


async def test_an_unknown_image_is_never_pulled(pods: Pods) -> None:
    await pods.create("shop", {"image": "registry.example/shop:1"})
    await pods.until("shop", lambda s: waiting(s) == "ErrImagePull")
    status = await pods.until("shop", lambda s: waiting(s) == "ImagePullBackOff")
    assert "registry.example/shop:1" in status["state"]["waiting"]["message"]
    assert (await pods.status("shop"))["phase"] == "Pending"


async def test_a_program_that_ends_is_restarted_with_growing_pauses(pods: Pods) -> None:
    await pods.create("shop", python("raise SystemExit(3)"))
    status = await pods.until("shop", lambda s: waiting(s) == "CrashLoopBackOff" and s["restartCount"] > 1)
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["ready"] is False


async def test_a_program_that_fails_its_liveness_probe_is_restarted(pods: Pods) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"image": "sample/web:1", "livenessProbe": probe, "env": [{"name": "TERM_SECONDS", "value": "0"}]}
    await pods.create("shop", container)
    await pods.until("shop", lambda s: s.get("restartCount", 0) > 0)


async def test_a_pod_is_ready_only_when_its_probe_says_so(pods: Pods) -> None:
    probe = {"httpGet": {"path": "/readyz", "port": 9898}, "periodSeconds": 1}
    variables = [{"name": "READY_DELAY", "value": "1"}]
    await pods.create("shop", {"image": "sample/web:1", "readinessProbe": probe, "env": variables})
    status = await pods.until("shop", lambda s: "running" in s.get("state", {}))
    assert status["ready"] is False
    await pods.until("shop", lambda s: s["ready"])
    ready = next(c for c in (await pods.status("shop"))["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "True"


@pytest.mark.parametrize(("code", "phase"), [("", "Succeeded"), ("raise SystemExit(1)", "Failed")])
async def test_a_pod_that_is_not_restarted_has_a_last_phase(pods: Pods, code: str, phase: str) -> None:
    await pods.create("job", python(code), restartPolicy="Never")

    async def ask() -> str:
        return str((await pods.status("job")).get("phase"))

    await eventually(ask, lambda found: found == phase, within=10)


async def test_a_deleted_pod_serves_on_and_then_goes(pods: Pods) -> None:
    await pods.create("shop", {"image": "sample/web:1", "env": [{"name": "TERM_SECONDS", "value": "1"}]})
    await pods.until("shop", lambda s: s.get("ready"))
    ip = str((await pods.status("shop"))["podIP"])

    serves = connects(ip, 9898)
    await eventually(serves, bool, within=5)
    await pods.delete("shop")
    assert await serves()
    await eventually(pods.names, lambda names: not names, within=10)
    assert not await serves()


async def test_a_program_that_ignores_its_end_is_killed(pods: Pods) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); open('deaf', 'w'); time.sleep(1000)"
    probe = {"exec": {"command": ["test", "-f", "deaf"]}, "periodSeconds": 1}
    await pods.create("deaf", python(code) | {"readinessProbe": probe}, terminationGracePeriodSeconds=1)
    await pods.until("deaf", lambda s: s.get("ready"))
    await pods.delete("deaf")
    began = asyncio.get_running_loop().time()
    await eventually(pods.names, lambda names: not names, within=10)
    assert asyncio.get_running_loop().time() - began >= 0.9


async def test_pods_come_back_with_their_node(cluster: Cluster, pods: Pods) -> None:
    """No program outlives its node, and each starts again with it, under the same address."""
    await pods.create("shop", {"image": "sample/web:1", "env": [{"name": "TERM_SECONDS", "value": "0"}]})
    await pods.until("shop", lambda s: s.get("ready"))
    before = (await pods.status("shop"))["podIP"]
    serves = connects(before, 9898)
    cluster.parts["node"].kill()
    try:
        await eventually(serves, lambda answer: not answer, within=2)
    finally:
        await cluster.parts["node"].start()
    await eventually(serves, bool, within=10)
    assert (await pods.status("shop"))["podIP"] == before


async def test_logs_are_read_through_the_api_server(cluster: Cluster, pods: Pods) -> None:
    await pods.create("talker", python("print('one'); print('two'); import time; time.sleep(1000)"))

    async def logs(*options: str) -> str:
        command = ["kubectl", "logs", "-n", pods.namespace, "talker", *options]
        environment = {**os.environ, **cluster.environment}
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        output, _ = await process.communicate()
        return output.decode()

    assert await eventually(logs, lambda text: "two" in text, within=10) == "one\ntwo\n"
    assert await logs("--tail=1") == "two\n"


async def test_a_daemon_set_has_a_pod_on_every_node(pods: Pods, namespace: str) -> None:
    labels = {"app": "agent"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "sample/web:1"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    await pods.client.create(DAEMON_SET, {"metadata": {"name": "agent", "namespace": namespace}, "spec": spec})

    async def ask() -> int:
        return int((await pods.client.get(DAEMON_SET, namespace, "agent"))["status"].get("numberReady", 0))

    await eventually(ask, lambda count: count == 2, within=10)
