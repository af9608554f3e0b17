"""A Lease on a server in memory, and electors that contend for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from random import Random
from typing import Any

from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, Conflict, NotFound, Unreachable
from canary.kube.leader import (
    LeaderElector,
)
from canary.kube.transport import Query, Request

Json = dict[str, Any]


class LeaseServer:
    """One lease with the API server's rules for writing it; can be down."""

    def __init__(self) -> None:
        self.lease: Json | None = None
        self.down = False
        # For how many seconds the answer to a write is on its way.
        self.distance = 0.0
        self.requests: list[str] = []
        self.watches: set[asyncio.Queue[bytes]] = set()

    async def answer(self, request: Request) -> Json:
        self.requests.append(request.method)
        await asyncio.sleep(0.01)
        if self.down:
            raise Unreachable(request.method, request.path, "connection refused")
        if request.method == "GET":
            if self.lease is None:
                raise NotFound(request.method, request.path, "not found")
            return deepcopy(self.lease)
        body = deepcopy(request.body)
        assert body is not None
        if request.method == "POST":
            if self.lease is not None:
                raise AlreadyExists(request.method, request.path, "exists")
            body["metadata"]["resourceVersion"] = "1"
        else:
            if self.lease is None or body["metadata"]["resourceVersion"] != self.version:
                raise Conflict(request.method, request.path, "changed")
            body["metadata"]["resourceVersion"] = str(int(self.version) + 1)
        self.lease = body
        for watch in self.watches:
            watch.put_nowait(json.dumps({"type": "MODIFIED", "object": body}).encode() + b"\n")
        written = deepcopy(body)
        await asyncio.sleep(self.distance)
        return written

    def delete(self) -> None:
        """Somebody deletes the lease."""
        lease, self.lease = self.lease, None
        for watch in self.watches:
            watch.put_nowait(json.dumps({"type": "DELETED", "object": lease}).encode() + b"\n")

    @property
    def version(self) -> str:
        assert self.lease is not None
        return str(self.lease["metadata"]["resourceVersion"])

    @property
    def holder(self) -> str:
        return "" if self.lease is None else str(self.lease["spec"]["holderIdentity"])


class LeaseClient(KubeClient):
    """A client that asks a `LeaseServer`; may be cut off from it."""

    def __init__(self, server: LeaseServer) -> None:
        self.server = server
        self.cut_off = False
        self.may_watch = True

    async def _send(self, request: Request) -> Json:
        if self.cut_off:
            try:
                async with asyncio.timeout(request.deadline):
                    await asyncio.sleep(3600)
            except TimeoutError:
                raise Unreachable(request.method, request.path, "no answer") from None
        return await self.server.answer(request)

    @asynccontextmanager
    async def _watch(self) -> AsyncIterator["Stream"]:
        self.server.requests.append("WATCH")
        if self.server.down or not self.may_watch:
            raise Unreachable("GET", "leases", "connection refused")
        told: asyncio.Queue[bytes] = asyncio.Queue()
        self.server.watches.add(told)
        try:
            yield Stream(told)
        finally:
            self.server.watches.remove(told)

    def stream(self, path: str, query: Query, *, accept: str = "") -> Any:
        assert query["fieldSelector"] == "metadata.name=lease"
        return self._watch()


class Stream:
    """The body of a watch that never ends."""

    def __init__(self, told: "asyncio.Queue[bytes]") -> None:
        self.told = told

    async def iter_any(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.told.get()


class Actor:
    """Work that notes when it acts, and complains if anybody else does at the same time."""

    acting: set[str]

    def __init__(self, name: str, server: LeaseServer, acting: set[str], lingers: float = 0.0) -> None:
        self.name = name
        self.client = LeaseClient(server)
        self.elector = LeaderElector(self.client, "test", "lease", name, random=Random(name))  # noqa: S311
        self.acting = acting
        self.lingers = lingers
        self.times: list[tuple[float, float]] = []

    async def lead(self) -> None:
        loop = asyncio.get_running_loop()
        assert self.elector.is_leader
        assert not self.acting
        self.acting.add(self.name)
        began = loop.time()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(self.lingers)
            self.acting.remove(self.name)
            self.times.append((began, loop.time()))

    def start(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.elector.run(self.lead))


async def stop(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError)
