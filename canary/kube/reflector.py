"""Following one collection of objects: list, then watch, whatever happens to the connection."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol

import structlog

from canary.kube.backoff import Backoff, fresh_random
from canary.kube.client import PAGE, KubeClient
from canary.kube.errors import (
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    Throttled,
    Unreachable,
    error_of_network,
    error_of_status,
)
from canary.kube.lines import LineBuffer
from canary.kube.store import version_of
from canary.kube.transport import JSON, NETWORK_ERRORS, Query
from canary.kube.types import Json, Resource

log = structlog.get_logger(__name__)

State = Literal["starting", "watching", "failing", "absent"]

_METADATA = "application/json;as={};g=meta.k8s.io;v=v1,application/json"
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
# One 404 may come from a server that is still starting; so many in a row mean that the resource is gone.
_ABSENCES = 3


@dataclass(frozen=True, slots=True)
class WatchTiming:
    """How a watch cache paces itself; all in seconds.

    Attributes:
        renew: Range from which each watch draws for how long it asks, so that they don't end all at once.
        stall: Silence after which a watch is taken for dead; bookmarks come about once a minute.
        absent: How often to look whether a missing resource has been installed.
        settled: A watch that lived for so long starts the count of failures over.
        backoff: Waits after failures.
        unreachable: Most that is waited before a server that gave no answer is tried again.
        random: Where ``renew`` is drawn from.
    """

    renew: tuple[float, float] = (300.0, 600.0)
    stall: float = 150.0
    absent: float = 30.0
    settled: float = 5.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=30.0))
    unreachable: float = 5.0
    random: Random = field(default_factory=fresh_random, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Which objects to follow, and in which representation.

    Attributes:
        resource: Their kind.
        namespace: Only there; None for everywhere.
        label_selector: Only those that it selects.
        metadata_only: Whether to ask for their metadata only.
    """

    resource: Resource
    namespace: str | None = None
    label_selector: str | None = None
    metadata_only: bool = False

    @property
    def path(self) -> str:
        """Path of the collection."""
        return self.resource.path(self.namespace)

    def accept(self, kind: Literal["PartialObjectMetadata", "PartialObjectMetadataList"]) -> str:
        """The representation to ask for, where metadata is all that's wanted."""
        return _METADATA.format(kind) if self.metadata_only else JSON

    def typed(self, obj: Json) -> Json:
        """Give an object the apiVersion and kind that items of lists lack and partial metadata hides."""
        obj["apiVersion"], obj["kind"] = self.resource.api_version, self.resource.kind
        return obj


class Sink(Protocol):
    """Where what is followed goes: a `Store`."""

    def begin_list(self) -> None: ...  # noqa: D102 - as in Store
    def end_list(self, version: str) -> None: ...  # noqa: D102
    def put(self, obj: Json) -> None: ...  # noqa: D102
    def remove(self, obj: Json) -> None: ...  # noqa: D102
    def reached(self, version: int) -> None: ...  # noqa: D102
    def clear(self) -> None: ...  # noqa: D102


class Reflector:
    """Keeps a sink current with the API server.

    Attributes:
        synced: Set once the sink has been complete for the first time.
        state: How it goes; ``failing`` while the last attempt failed, ``absent`` while the resource isn't there.
        healthy_since: Loop time since which it goes well; None while it doesn't.
        last_contact: Loop time at which the server last said anything; None before the first word.
        lists: How many full lists were taken.
        recovered: Called when the sink is current again after a failure, with the seconds since that began.
        behind_since: Loop time since which a sink that was current may lag; None while it is current.
        failure: Why the last attempt failed; None while it goes well.
    """

    def __init__(self, client: KubeClient, source: Source, sink: Sink, timing: WatchTiming) -> None:
        self.synced = asyncio.Event()
        self.state: State = "starting"
        self.healthy_since: float | None = None
        self.last_contact: float | None = None
        self.lists = 0
        self.recovered: Callable[[float], None] = lambda _: None
        self._client = client
        self._source = source
        self._sink = sink
        self._timing = timing
        # Where to resume; None where a full list is needed.
        self._version: str | None = None
        self._streams_lists = True
        # Failures in a row: without any answer, and with one.
        self._unanswered = 0
        self._failures = 0
        self._absences = 0
        self.behind_since: float | None = None
        self.failure: KubeError | None = None

    @property
    def current(self) -> bool:
        """Whether the sink holds what the server holds, as far as can be known."""
        return self.state == "absent" or (self.state == "watching" and self._version is not None)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except KubeError as error:
                wait = self._wait_after(error)
                await asyncio.sleep(wait)

    async def _follow(self) -> None:
        """List where needed, then watch until the watch ends."""
        if self._version is None:
            self._sink.begin_list()
            if not self._streams_lists:
                await self._list()
        began = _now()
        try:
            await self._watch()
        finally:
            if _now() - began >= self._timing.settled:
                self._failures = self._unanswered = 0
        if _now() - began < self._timing.settled:
            raise Unreachable("GET", self._source.path, "the watch ended at once")

    async def _list(self) -> None:
        token: str | None = None
        while True:
            page = await self._client.page(
                self._source.path,
                {"limit": PAGE, "continue": token, "labelSelector": self._source.label_selector},
                accept=self._source.accept("PartialObjectMetadataList"),
            )
            self._heard()
            for item in page["items"] or ():  # an empty list may be null
                self._sink.put(self._source.typed(item))
            token = page["metadata"].get("continue")
            if not token:
                return self._listed(page["metadata"]["resourceVersion"])

    async def _watch(self) -> None:
        """Watch on from the version at hand; without one, the server sends the full list first."""
        source, buffer = self._source, LineBuffer()
        accept = source.accept("PartialObjectMetadata")
        async with self._client.stream(source.path, self._watch_query(), accept=accept) as content:
            self._heard()
            try:
                async with asyncio.timeout(self._timing.stall) as limit:
                    async for chunk in content.iter_any():
                        self._heard()
                        limit.reschedule(_now() + self._timing.stall)
                        for line in buffer.feed(chunk):
                            self._take(line)
            except NETWORK_ERRORS as error:  # a TimeoutError is an OSError
                if limit.expired():
                    raise Unreachable("GET", source.path, f"silent for {self._timing.stall:g} s") from error
                raise error_of_network("GET", source.path, error) from error

    def _watch_query(self) -> Query:
        first = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        resume = {"resourceVersion": self._version}
        return {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": int(self._timing.random.uniform(*self._timing.renew)),
            "labelSelector": self._source.label_selector,
            **(first if self._version is None else resume),
        }

    def _take(self, line: bytes) -> None:
        try:
            event: Json = json.loads(line)
        except ValueError as error:
            raise Unreachable("GET", self._source.path, "the watch isn't JSON") from error
        obj: Json = event["object"]
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self._sink.put(self._source.typed(obj))
            case "DELETED":
                self._sink.remove(self._source.typed(obj))
            case "BOOKMARK":
                self._bookmark(version_of(obj["metadata"]["resourceVersion"]))
            case _:
                raise error_of_status("GET", self._source.path, obj)
        self._failures = self._unanswered = 0
        self._advance(obj["metadata"])

    def _bookmark(self, version: int) -> None:
        if self._version is not None and version < version_of(self._version):
            raise Gone("GET", self._source.path, "the server's history went back")
        self._sink.reached(version)

    def _advance(self, metadata: Json) -> None:
        version = metadata["resourceVersion"]
        if self._version is not None:
            self._version = version
        elif (metadata.get("annotations") or {}).get(_INITIAL_EVENTS_END) == "true":
            self._listed(version)

    def _listed(self, version: str) -> None:
        self._sink.end_list(version)
        self.lists += 1
        self._version = version
        self.synced.set()
        self._catch_up()

    def _heard(self) -> None:
        now = self.last_contact = _now()
        self._absences = 0
        if self.healthy_since is None:
            if self.state != "starting":
                log.info("watch goes on", path=self._source.path)
            self.healthy_since = now
        self.state = "watching"
        self._catch_up()

    def _catch_up(self) -> None:
        if not self.current:
            return
        if self.state == "watching":
            self.failure = None
        since, self.behind_since = self.behind_since, None
        if since is not None:
            self.recovered(_now() - since)

    def _wait_after(self, error: KubeError) -> float:
        """Account for a failure; give the seconds to wait before going on."""
        self.failure = error
        if self._version is None and self._streams_lists and _cannot_stream_lists(error):
            self._streams_lists = False
            return 0.0
        if isinstance(error, NotFound):
            self._absences += 1
            if not self.synced.is_set() or self._absences >= _ABSENCES or self.state == "absent":
                return self._absent()
        wait = self._backoff(error)
        if isinstance(error, Throttled | ServerError):
            wait = max(wait, error.retry_after or 0.0)
        self.state, self.healthy_since = "failing", None
        if self.behind_since is None:
            self.behind_since = _now()
        log.warning("watch broke off", path=self._source.path, error=error.message, wait=round(wait, 2))
        return wait

    def _backoff(self, error: KubeError) -> float:
        """The wait grows with the failures of one sort: a server that answers again is not made to wait for."""
        if isinstance(error, Unreachable):
            self._unanswered += 1
            return min(self._timing.backoff.delay(self._unanswered), self._timing.unreachable)
        if isinstance(error, Gone):
            # The list that is needed where there is no history has not failed yet.
            self._failures = 0 if self._version is not None else self._failures
            self._version = None
        self._unanswered = 0
        self._failures += 1
        return self._timing.backoff.delay(self._failures)

    def _absent(self) -> float:
        """The resource isn't installed (any more): that is a healthy, empty state, looked at again now and then."""
        now = self.last_contact = _now()
        if self.state != "absent":
            log.info("resource isn't installed", path=self._source.path)
        self.state, self.healthy_since = "absent", self.healthy_since or now
        self._version, self._failures, self._unanswered = None, 0, 0
        self._sink.clear()
        self.synced.set()
        self._catch_up()
        return self._timing.absent * self._timing.random.uniform(0.8, 1.2)


def _cannot_stream_lists(error: KubeError) -> bool:
    """Tell how a server says that it can't send the list as part of the watch.

    400 or 422 where it doesn't know how, an error 500 within the stream where its etcd is older than 3.5.13.
    """
    return isinstance(error, Invalid) or (isinstance(error, ServerError) and error.status == 500)


def _now() -> float:
    return asyncio.get_running_loop().time()
