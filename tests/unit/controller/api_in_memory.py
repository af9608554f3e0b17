"""An API server without a network: a connection that answers from memory, in virtual time, well or however it likes.

It has what the controller asks for: lists, watches that go on from a version, server-side apply and merge patches taken
as merges, and nothing of admission or fields' owners. `ill` may answer any request in its stead.
"""

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
from multidict import CIMultiDict

from canary.kube.client import KubeClient
from canary.kube.connection import Connection
from canary.kube.store import version_of
from canary.kube.types import RESOURCES

Json = dict[str, Any]

PLURALS = {resource.plural for resource in RESOURCES}


@dataclass
class Answer:
    """What comes back: a whole body, or chunks one after the other."""

    status: int = 200
    body: bytes = b""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    chunks: AsyncIterator[bytes] | None = None
    after: float = 0.0
    connection: None = None

    async def read(self) -> bytes:
        return self.body

    @property
    def content(self) -> "Answer":
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        if self.body:
            yield self.body
        if self.chunks is not None:
            async for chunk in self.chunks:
                yield chunk

    def close(self) -> None:
        """As a response has it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """As a response has it."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "true"


def answered(body: Json, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


def refused(code: int, reason: str) -> Answer:
    return answered({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}, code)


class ApiInMemory:
    """The API server; `connect` gives the way to it."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.version = 100
        self.oldest = 100
        self.history: defaultdict[str, list[tuple[int, str, Json]]] = defaultdict(list)
        self.asked: list[Asked] = []
        self.ill: Callable[[Asked], Answer | None] = lambda _: None
        self.streams_lists = True
        self.bookmarks = True
        self.changed = asyncio.Condition()
        self.uids = itertools.count(1)
        self.cuts = 0

    def connect(self) -> KubeClient:
        return KubeClient(cast("Connection", self))

    async def renew(self) -> bool:
        return False

    async def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answer:
        await asyncio.sleep(0.001)
        url = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        asked = Asked(method, url.path, query, json.loads(body) if body else None)
        self.asked.append(asked)
        answer = self.ill(asked)
        if answer is None:
            return self.answer(asked)
        await asyncio.sleep(answer.after)
        return answer

    def answer(self, asked: Asked) -> Answer:
        path = unquote(asked.path).removesuffix("/status").removesuffix("/scale")
        if asked.is_watch:
            return self.watch(asked)
        if asked.method == "GET" and path.rpartition("/")[2] in PLURALS:
            return self.listed(asked)
        if asked.method == "POST":
            path = f"{path}/{asked.body['metadata']['name']}"
            return refused(409, "AlreadyExists") if path in self.objects else self.store(path, asked.body)
        if path not in self.objects and "force" not in asked.query:
            return refused(404, "NotFound")
        if asked.method == "GET":
            return answered(self.objects[path])
        if asked.method == "DELETE":
            self.remove(path)
            return answered({"kind": "Status", "status": "Success"})
        given = (asked.body.get("metadata") or {}).get("resourceVersion")
        old = self.objects.get(path, {})
        if given is not None and given != old["metadata"]["resourceVersion"]:
            return refused(409, "Conflict")
        if "force" in asked.query:
            return self.store(path, applied(old, asked.body))
        return self.store(path, asked.body if asked.method == "PUT" else merged(old, asked.body))

    def listed(self, asked: Asked) -> Answer:
        only = asked.query.get("fieldSelector", "").removeprefix("metadata.name=")
        items = [obj for obj in self.under(asked.path) if only in ("", obj["metadata"]["name"])]
        return answered({"metadata": {"resourceVersion": str(self.version)}, "items": items})

    def under(self, path: str) -> list[Json]:
        """The objects of a collection, of one namespace or of all."""
        folders = ((at.rpartition("/")[0], obj) for at, obj in self.objects.items())
        return [obj for folder, obj in folders if path in (folder, everywhere(folder))]

    def watch(self, asked: Asked) -> Answer:
        whole = "sendInitialEvents" in asked.query
        if whole and not self.streams_lists:
            return refused(400, "BadRequest")
        since = self.version if whole else version_of(asked.query["resourceVersion"])
        if not since:
            return refused(400, "Invalid: resourceVersion")
        if since > self.version:
            return refused(504, "Timeout: Too large resource version")
        if since < self.oldest:
            return refused(410, "Expired")
        first = self.under(asked.path) if whole else []
        return Answer(chunks=self.stream(asked, since, first, whole=whole))

    async def stream(self, asked: Asked, since: int, first: list[Json], *, whole: bool) -> AsyncIterator[bytes]:
        cuts, ends = self.cuts, now() + float(asked.query["timeoutSeconds"])
        for obj in first:
            yield line("ADDED", obj)
        if whole:
            yield line("BOOKMARK", bookmark(since, initial=True))
        while now() < ends - 0.01:
            for version, kind, obj in self.history[asked.path]:
                if version > since:
                    since = version
                    yield line(kind, obj)
            try:
                async with asyncio.timeout_at(min(ends, now() + 60)), self.changed:
                    await self.changed.wait()
            except TimeoutError:
                # What changes at this very moment is yet to be told: a bookmark would have the watch go on behind it.
                told = all(version <= since for version, _, _ in self.history[asked.path])
                if self.bookmarks and told:
                    since = self.version
                    yield line("BOOKMARK", bookmark(since))
            if self.cuts != cuts:
                raise aiohttp.ClientPayloadError("connection reset")

    def store(self, path: str, obj: Json) -> Answer:
        old = self.objects.get(path)
        obj = deepcopy(obj)
        metadata = obj.setdefault("metadata", {})
        metadata.setdefault("uid", str(next(self.uids)))
        if old is not None and old == obj:
            return answered(old)
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self.objects[path] = obj
        self.tell(path, "ADDED" if old is None else "MODIFIED", obj)
        return answered(obj)

    def remove(self, path: str) -> None:
        self.version += 1
        obj = self.objects.pop(path)
        self.tell(path, "DELETED", {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}})

    def tell(self, path: str, kind: str, obj: Json) -> None:
        if "/leases/" in path:
            return  # they change all the time, and nobody watches one here
        folder = path.rpartition("/")[0]
        for collection in (folder, everywhere(folder)):
            self.history[collection].append((self.version, kind, deepcopy(obj)))
        self.ring()

    def ring(self) -> None:
        asyncio.get_running_loop().create_task(self._ring())

    async def _ring(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def cut(self) -> None:
        """Break all connections, as a server does that ends."""
        self.cuts += 1
        self.ring()

    def forget(self) -> None:
        """Lose the history, as a server does after some minutes."""
        self.oldest = self.version
        self.history.clear()


def everywhere(folder: str) -> str:
    """The path of a collection over all namespaces, from that in one."""
    root, _, rest = folder.partition("/namespaces/")
    return f"{root}/{rest.partition('/')[2]}" if rest else folder


def line(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def bookmark(version: int, *, initial: bool = False) -> Json:
    annotations = {"k8s.io/initial-events-end": "true"} if initial else {}
    return {"metadata": {"resourceVersion": str(version), "annotations": annotations}}


def applied(old: Json, new: Json) -> Json:
    """Server-side apply, as far as it is known here: a merge, but for a Service's selector, which is one value."""
    made: Json = merged(old, new)
    if (selector := new.get("spec", {}).get("selector")) is not None:
        made["spec"] = {**made["spec"], "selector": selector}
    return made


def merged(old: Any, new: Any) -> Any:
    """A merge patch."""
    if not isinstance(new, dict):
        return new
    kept = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept


def now() -> float:
    return asyncio.get_running_loop().time()
