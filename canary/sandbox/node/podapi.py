"""What nodes ask of the API server for their pods."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.connection import Connection
from canary.kube.errors import Conflict, KubeError, Retryable
from canary.kube.source import WatchTiming
from canary.kube.transport import Request, Transport
from canary.kube.types import CONFIG_MAP, POD, SECRET, Json, Resource
from canary.kube.watch import WatchCache
from canary.sandbox.node import podspec

log = structlog.get_logger(__name__)

NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
TIMING = WatchTiming(backoff=Backoff(first=0.2, cap=1.0))
"""Nearer together than in a cluster of many: a sandbox that was stopped for a test is to go on at once."""

_BINDING = Resource("", "v1", "bindings", "Binding")
_REFERENCES = {"ConfigMap": CONFIG_MAP, "Secret": SECRET}
_AGENT = "canary-sandbox-node"
_DEADLINE = 20.0
_AGAIN_SECONDS = 0.3


@dataclass(slots=True)
class PodApi:
    """A node's access to the API server; requests are repeated until it accepts them, or refuses them for good."""

    client: KubeClient
    _transport: Transport

    @classmethod
    def over(cls, connection: Connection) -> "PodApi":
        """Use an open connection."""
        client = KubeClient(connection, deadline=_DEADLINE, user_agent=_AGENT)
        return cls(client, Transport(connection, deadline=_DEADLINE, user_agent=_AGENT))

    def pods(self) -> WatchCache[Json]:
        """All pods."""
        return WatchCache(self.client, POD, timing=TIMING)

    async def register(self, node: Json) -> None:
        """Create a node, or renew its status."""
        name = node["metadata"]["name"]
        await _insist(lambda: self.client.create(NODE, node))
        status = {"status": node["status"]}
        await _insist(lambda: self.client.merge_patch(NODE, None, name, status, subresource="status"))

    async def bind(self, pod: Json, node: str) -> None:
        """Give a pod to a node."""
        metadata = {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        await _insist(lambda: self.client.create(_BINDING, {"metadata": metadata, "target": target}))

    async def write_status(self, pod: Json, status: Json) -> None:
        """Write a pod's status, unless the pod is another one by now."""
        metadata = pod["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        namespace, name = metadata["namespace"], metadata["name"]
        await _insist(lambda: self.client.merge_patch(POD, namespace, name, body, subresource="status"))

    async def remove(self, pod: Json) -> None:
        """Take a pod whose programs have ended out of the API, at once."""
        metadata = pod["metadata"]
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        options["preconditions"] = {"uid": metadata["uid"]}
        path = POD.path(metadata["namespace"], metadata["name"])
        await _insist(lambda: self._transport.send(Request("DELETE", path, body=options)))

    async def contents(self, namespace: str, kind: str, name: str) -> podspec.Data | None:
        """What a ConfigMap or a Secret holds; None where it can't be read."""
        try:
            obj = await self.client.get(_REFERENCES[kind], namespace, name)
        except KubeError:
            return None
        return podspec.contents({**obj, "kind": kind})


async def _insist(call: Callable[[], Awaitable[object]]) -> None:
    """Repeat a request until it is accepted or refused for good, as when the pod is gone."""
    while True:
        try:
            await call()
        except Conflict as error:  # another pod of that name, or bound already
            log.info("no longer so", error=str(error))
            return
        except Retryable as error:
            log.debug("once more", error=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)
        except KubeError as error:
            log.info("refused", error=str(error))
            return
        else:
            return
