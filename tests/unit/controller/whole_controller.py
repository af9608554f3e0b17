"""The whole controller on an API server in memory, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

# Beforehand: the controller has a thread load it, and the work of threads takes no virtual time.
import canary.controller.ask.asker  # noqa: F401
from canary.controller import run
from canary.controller.clock import Clock
from canary.controller.observe.caches import Caches
from canary.kube.client import KubeClient
from canary.kube.types import CANARY, DEPLOYMENT, Resource
from tests.unit.controller.api_in_memory import Answer, ApiInMemory, Json, now

START = datetime(2026, 11, 28, tzinfo=UTC)


class Cluster(ApiInMemory):
    """An API server whose Deployments have all their pods at once."""

    def __init__(self) -> None:
        super().__init__()
        self.caches: list[Caches] = []

    def store(self, path: str, obj: Json) -> Answer:
        if "/deployments/" in path:
            pods = (obj.get("spec") or {}).get("replicas", 1)
            counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), pods)
            obj = {**obj, "status": {**counts, "observedGeneration": 1}}
            obj["metadata"] = {**obj.get("metadata", {}), "generation": 1}
        return super().store(path, obj)

    def put(self, resource: Resource, name: str, **fields: Any) -> None:
        metadata = {"namespace": "prod", "name": name}
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}
        self.store(resource.path("prod", name), obj)

    def put_app(self, image: str = "i") -> None:
        """A Deployment."""
        container = {"name": "c", "image": image}
        pods = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [container]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "app"}}, "template": pods}
        self.put(DEPLOYMENT, "app", spec=spec)

    def put_canary(self, **analysis: Any) -> None:
        """Its Canary."""
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
        analysis = {"interval": "1m", "threshold": 2, "maxWeight": 50, "stepWeight": 50} | analysis
        self.put(CANARY, "app", spec={"targetRef": target, "service": {"port": 80}, "analysis": analysis})

    def condition(self, kind: str) -> Json:
        """A condition of the Canary; empty where it has none such."""
        return next((each for each in self.status().get("conditions", []) if each["type"] == kind), {})

    def status(self) -> Json:
        """The Canary's status."""
        status: Json = self.objects[CANARY.path("prod", "app")].get("status") or {}
        return status


class NoServer:
    """In place of `/metrics` and its kin."""

    def __init__(self, *_: object, **__: object) -> None:
        """As the real one."""

    async def start(self) -> None:
        """As the real one."""

    async def close(self) -> None:
        """As the real one."""


def connect(monkeypatch: pytest.MonkeyPatch, api: Cluster) -> None:
    """Have a controller that is run speak to this API server, by virtual time."""

    @asynccontextmanager
    async def connection(*_: object, **__: object) -> AsyncIterator[KubeClient]:
        yield api.connect()

    class Kept(Caches):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            api.caches.append(self)

    monkeypatch.setattr(KubeClient, "connect", connection)
    monkeypatch.setattr(run, "Server", NoServer)
    monkeypatch.setattr(run, "Caches", Kept)
    monkeypatch.setattr(run, "Clock", lambda: Clock(lambda: START + timedelta(seconds=now()), now))


async def eventually(what: Callable[[], bool], within: float, seen: Callable[[], object] = lambda: "") -> None:
    ends = now() + within
    while not what():
        assert now() < ends, seen()
        await asyncio.sleep(0.5)
