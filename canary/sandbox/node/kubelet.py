"""Binds pods to nodes and runs them: the scheduler's and the kubelets' part, in one loop over one watch."""

import asyncio
import itertools
import platform
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from canary.kube.connection import open_connection
from canary.kube.store import Change
from canary.kube.types import Json
from canary.sandbox.addresses import OWN, Site
from canary.sandbox.node import logs
from canary.sandbox.node.fake import FakePod
from canary.sandbox.node.pod import Pod
from canary.sandbox.node.podapi import PodApi
from canary.sandbox.node.podspec import Identity
from canary.sandbox.node.state import timestamp

_FINAL = {"Succeeded", "Failed"}
_GRACE_SECONDS = 30


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
        site: their addresses, and those of their pods.
        certificate: what the nodes' own server for logs identifies itself by, and its key; None for no such server.
    """

    nodes: int
    folder: Path
    fake_delay: float | None = None
    backoff: float = 1.0
    certificate: tuple[Path, Path] | None = None
    site: Site = OWN

    def log(self, namespace: str, pod: str, container: str) -> Path | None:
        """Where a container's output is; None where no such container has run."""
        path = self.folder / namespace / pod / f"{container}.log"
        return path if path.is_file() and path.resolve().is_relative_to(self.folder.resolve()) else None


def node_name(number: int) -> str:
    """What the n-th node is called, counted from 1."""
    return f"node-{number}"


def node_object(number: int, site: Site = OWN) -> Json:
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
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": _architecture(),
            },
        },
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": [ready | {"lastHeartbeatTime": now, "lastTransitionTime": now}],
            "addresses": [
                {"type": "InternalIP", "address": site.node(number)},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": logs.PORT}},
            "nodeInfo": _node_info(name),
        },
    }


def _architecture() -> str:
    """This machine's, as Go names it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _node_info(name: str) -> Json:
    blank = ("kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion")
    info = dict.fromkeys(blank, "sandbox") | {"machineID": name, "systemUUID": name, "bootID": name}
    return info | {"operatingSystem": "linux", "architecture": _architecture()}


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

    api: PodApi
    settings: Settings
    _pods: dict[str, Runnable] = field(default_factory=dict)
    _binding: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _numbers: Callable[[], int] = field(default_factory=lambda: itertools.count(int(time.time())).__next__)
    _turn: Callable[[], int] = field(default_factory=lambda: itertools.count().__next__)

    async def register(self) -> None:
        """Create the nodes."""
        for number in range(1, self.settings.nodes + 1):
            await self.api.register(node_object(number, self.settings.site))

    async def run(self) -> None:
        """Follow the pods, for good."""
        pods = self.api.pods()
        pods.subscribe(self._changed)
        await pods.run()

    def _changed(self, change: Change[Json]) -> None:
        old, new = (None if pod is None else str(pod["metadata"]["uid"]) for pod in (change.old, change.new))
        if old is not None and old != new:
            self._forget(old)
        if change.new is not None:
            self._seen(change.new)

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
            self._pods[uid].delete(float(pod["metadata"].get("deletionGracePeriodSeconds", _GRACE_SECONDS)))

    async def _bind(self, pod: Json) -> None:
        node = required_node(pod) or node_name(1 + self._turn() % self.settings.nodes)
        await self.api.bind(pod, node)

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
            ip=pod.get("status", {}).get("podIP") or self.settings.site.pod(self._numbers()),
            node=node,
            node_ip=self.settings.site.node(int(node.rpartition("-")[2])),
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
    connection = await open_connection(kubeconfig)
    try:
        kubelet = Kubelet(PodApi.over(connection), settings)
        servers = await _serve_logs(settings)
        await kubelet.register()
        work, ended = asyncio.create_task(kubelet.run()), asyncio.create_task(stop.wait())
        await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
        kubelet.kill_all()
        if work.done():
            work.result()
        work.cancel()
        for server in servers:
            server.close()
    finally:
        await connection.close()


async def _serve_logs(settings: Settings) -> list[asyncio.Server]:
    if settings.certificate is None:
        return []
    hosts = [settings.site.node(number) for number in range(1, settings.nodes + 1)]
    return [await logs.serve(host, *settings.certificate, settings.log) for host in hosts]
