"""Binds pods to nodes and runs them: the scheduler's and the kubelets' part, in one loop over one watch."""

import asyncio
import itertools
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from canary.sandbox import addresses
from canary.sandbox.api import MERGE_PATCH, Api, Json
from canary.sandbox.node.fake import FakePod
from canary.sandbox.node.pod import Pod, grace_of, path_of, until_accepted
from canary.sandbox.node.podspec import Identity
from canary.sandbox.node.state import timestamp

_FINAL = {"Succeeded", "Failed"}


class Runnable(Protocol):
    """A pod, with or without processes."""

    def start(self) -> None:
        """Begin to run it."""

    def delete(self, grace: float) -> None:
        """End it and take it out of the API."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the nodes behave.

    Attributes:
        nodes: how many there are.
        folder: for the pods' files and logs.
        fake_delay: seconds after which a pod without a process is ready; None for pods with processes.
        backoff: seconds before the second restart of a container.
    """

    nodes: int
    folder: Path
    fake_delay: float | None = None
    backoff: float = 1.0


def node_name(number: int) -> str:
    """What the n-th node is called, counted from 1."""
    return f"node-{number}"


def node_object(number: int) -> Json:
    """A node large enough for everything."""
    name = node_name(number)
    size = {"cpu": "512", "memory": "4Ti", "pods": "5000", "ephemeral-storage": "4Ti"}
    now = timestamp()
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "pods run as processes"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": [ready | {"lastHeartbeatTime": now, "lastTransitionTime": now}],
            "addresses": [
                {"type": "InternalIP", "address": addresses.node(number)},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": _node_info(name),
        },
    }


def _node_info(name: str) -> Json:
    blank = ("kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion")
    info = dict.fromkeys(blank, "sandbox") | {"machineID": name, "systemUUID": name, "bootID": name}
    return info | {"operatingSystem": "linux", "architecture": "amd64"}


def required_node(pod: Json) -> str | None:
    """The node that a pod insists on, as those of a DaemonSet do."""
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    for term in terms:
        for rule in term.get("matchFields", []):
            if rule.get("key") == "metadata.name" and rule.get("values"):
                return str(rule["values"][0])
    return None


@dataclass(slots=True)
class Kubelet:
    """Every node's share of the work."""

    api: Api
    settings: Settings
    _pods: dict[str, Runnable] = field(default_factory=dict)
    _binding: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _numbers: Callable[[], int] = field(default_factory=lambda: itertools.count(int(time.time())).__next__)
    _turn: Callable[[], int] = field(default_factory=lambda: itertools.count().__next__)

    async def register(self) -> None:
        """Create the nodes."""
        for number in range(1, self.settings.nodes + 1):
            node = node_object(number)
            await until_accepted(lambda node=node: self.api.request("POST", "/api/v1/nodes", node))  # type: ignore[misc]
            path = f"/api/v1/nodes/{node_name(number)}/status"
            body = {"status": node["status"]}
            await until_accepted(lambda path=path, body=body: self.api.request("PATCH", path, body, MERGE_PATCH))  # type: ignore[misc]

    async def run(self) -> None:
        """Follow the pods, for good."""
        async for kind, obj in self.api.watch("/api/v1/pods"):
            if kind == "LISTED":
                self._relist(obj.get("items") or [])
            elif kind == "DELETED":
                self._forget(obj["metadata"]["uid"])
            else:
                self._seen(obj)

    def _relist(self, pods: list[Json]) -> None:
        there = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._pods if uid not in there]:
            self._forget(uid)
        for pod in pods:
            self._seen(pod)

    def _forget(self, uid: str) -> None:
        self._binding.pop(uid, None)
        pod = self._pods.pop(uid, None)
        if pod is not None:
            pod.kill()

    def _seen(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if not pod["spec"].get("nodeName"):
            if uid not in self._binding and "deletionTimestamp" not in pod["metadata"]:
                self._binding[uid] = asyncio.create_task(self._bind(pod))
            return
        self._binding.pop(uid, None)
        ended = pod.get("status", {}).get("phase") in _FINAL
        if uid not in self._pods and not ended:
            self._start(pod)
        if "deletionTimestamp" in pod["metadata"]:
            if uid not in self._pods:
                self._pods[uid] = self._make(pod)
            self._pods[uid].delete(grace_of(pod))

    async def _bind(self, pod: Json) -> None:
        node = required_node(pod) or node_name(1 + self._turn() % self.settings.nodes)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await until_accepted(lambda: self.api.request("POST", f"{path_of(pod)}/binding", binding))

    def _start(self, pod: Json) -> None:
        runnable = self._make(pod)
        self._pods[pod["metadata"]["uid"]] = runnable
        if "deletionTimestamp" not in pod["metadata"]:
            runnable.start()

    def _make(self, pod: Json) -> Runnable:
        metadata, node = pod["metadata"], pod["spec"]["nodeName"]
        identity = Identity(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            # A pod that was here before a restart of this program keeps the address that others know.
            ip=pod.get("status", {}).get("podIP") or addresses.pod(self._numbers()),
            node=node,
            node_ip=addresses.node(int(node.rpartition("-")[2])),
        )
        if self.settings.fake_delay is not None:
            return FakePod(self.api, pod, identity, self.settings.fake_delay)
        folder = self.settings.folder / metadata["namespace"] / metadata["name"]
        return Pod(self.api, pod, identity, folder, self.settings.backoff)

    def kill_all(self) -> None:
        """End every pod at once."""
        for pod in self._pods.values():
            pod.kill()


async def serve(kubeconfig: Path, settings: Settings) -> None:
    """Be the cluster's nodes until told to end by SIGTERM; then every pod's programs are ended too."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Api(kubeconfig) as api:
        kubelet = Kubelet(api, settings)
        await kubelet.register()
        work = asyncio.create_task(kubelet.run())
        ended = asyncio.create_task(stop.wait())
        await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
        kubelet.kill_all()
        if work.done():
            work.result()
        work.cancel()
