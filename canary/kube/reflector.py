"""Following one collection of objects: list, then watch, whatever happens to the connection."""

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from canary.kube.client import PAGE, KubeClient
from canary.kube.decode import decode
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
from canary.kube.source import Sink, Source, WatchTiming
from canary.kube.store import version_of
from canary.kube.transport import NETWORK_ERRORS, Query
from canary.kube.types import Json

log = structlog.get_logger(__name__)

State = Literal["starting", "watching", "failing", "absent"]

_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
# One 404 may come from a server that is still starting; so many in a row mean that the resource is gone.
_ABSENCES = 3
# So many answers in a row that nobody can make sense of mean that the place to go on from may be no good.
_SENSELESS = 3
# Of so many objects that could not be taken it is remembered that this was told.
_SKIPPED_KEPT = 1000


class Reflector:
    """Keeps a sink current with the API server, whatever that answers.

    An object that can't be taken is left out; anything else that isn't what was asked for is a failure of this watch,
    which is tried again. A watch that breaks off after it went well for a while is taken up again where it was, and
    counts as a failure only where that fails.

    Attributes:
        synced: Set once the sink has been complete for the first time.
        tried: Set once the first attempt has ended, well or not.
        state: How it goes; ``failing`` while the last attempt failed, ``absent`` while the resource isn't there.
        healthy_since: Loop time since which it goes well; None while it doesn't.
        last_contact: Loop time at which the server last said anything; None before the first word.
        lists: How many full lists were taken.
        skipped: How many times an object was left out because it could not be taken.
        turned: Called when the sink is current (again, or with the resource installed or gone), with the seconds for
            which it may have lagged; and each time that following fails for another reason.
        behind_since: Loop time since which the sink may lag behind the server; None while it is current.
        failure: Why the last attempt failed; None while it goes well.
    """

    def __init__(self, client: KubeClient, source: Source, sink: Sink, timing: WatchTiming) -> None:
        self.synced = asyncio.Event()
        self.tried = asyncio.Event()
        self.state: State = "starting"
        self.healthy_since: float | None = None
        self.last_contact: float | None = None
        self.lists = 0
        self.skipped = 0
        self.turned: Callable[[float], None] = lambda _: None
        self.behind_since: float | None = None
        self.failure: KubeError | None = None
        self._client = client
        self._source = source
        self._sink = sink
        self._timing = timing
        # Where to resume; None where a full list is needed.
        self._version: str | None = None
        self._streams_lists: bool | None = None
        # Failures in a row: without any answer, with one, and with one that makes no sense.
        self._unanswered = 0
        self._failures = 0
        self._senseless = 0
        self._absences = 0
        # Loop time since which the watch at hand is open; None where none is.
        self._open_since: float | None = None
        # What `turned` was last called for.
        self._told: State | type[KubeError] = "starting"
        self._skipped: set[str] = set()

    @property
    def current(self) -> bool:
        """Whether the sink holds what the server holds, as far as can be known."""
        return self.state == "absent" or (self.state == "watching" and self._version is not None)

    @property
    def _path(self) -> str:
        """Path of the collection, in the version at hand."""
        return self._client.path(self._source.resource, self._source.namespace)

    async def run(self) -> None:
        """Follow until cancelled."""
        self.behind_since = _now()
        while True:
            self._open_since = None
            try:
                await self._follow()
            except KubeError as error:
                wait = self._wait_after(error)
            except Exception as error:
                log.exception("watch failed by what nobody thought of", path=self._path)
                wait = self._wait_after(self._nonsense(type(error).__name__))
            else:
                wait = self._wait_after(Unreachable("GET", self._path, "the watch ended"))
            await asyncio.sleep(wait)

    async def _follow(self) -> None:
        """List where needed, then watch until the watch ends."""
        if self._version is None:
            self._sink.begin_list()
            if self._streams_lists is None:
                self._streams_lists = self._client.served.streams_lists
            if not self._streams_lists:
                await self._list()
        await self._watch()

    async def _list(self) -> None:
        token: str | None = None
        while True:
            page = await self._client.page(
                self._path,
                {"limit": PAGE, "continue": token, "labelSelector": self._source.label_selector},
                accept=self._source.accept("PartialObjectMetadataList"),
            )
            items, metadata = page.get("items") or [], page.get("metadata")  # an empty list may be null
            if not isinstance(items, list) or not isinstance(metadata, dict):
                raise self._nonsense("the answer isn't a list")
            self._heard()
            for item in items:
                self._take_object(item, self._sink.put)
            token = metadata.get("continue")
            if not token:
                return self._listed(metadata.get("resourceVersion"))

    async def _watch(self) -> None:
        """Watch on from the version at hand; without one, the server sends the full list first."""
        source, buffer, timing = self._source, LineBuffer(), self._timing
        seconds = max(1, int(timing.random.uniform(*timing.renew)))
        accept = source.accept("PartialObjectMetadata")
        async with self._client.stream(self._path, self._watch_query(seconds), accept=accept) as content:
            self._heard()
            self._open_since = _now()
            ends = _now() + seconds + timing.margin
            try:
                async with asyncio.timeout_at(self._patience(ends)) as limit:
                    async for chunk in content.iter_any():
                        self._heard()
                        for line in buffer.feed(chunk):
                            self._take(line)
                        limit.reschedule(self._patience(ends))
            except NETWORK_ERRORS as error:  # a TimeoutError is an OSError
                if limit.expired():
                    raise Unreachable("GET", self._path, "silent for too long") from error
                raise error_of_network("GET", self._path, error) from error

    def _patience(self, ends: float) -> float:
        """Until when the watch at hand is waited for: a list that is streamed has no reason to pause."""
        return min(ends, _now() + self._timing.stall) if self._version is None else ends

    def _watch_query(self, seconds: int) -> Query:
        first = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        resume = {"resourceVersion": self._version}
        return {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": seconds,
            "labelSelector": self._source.label_selector,
            **(first if self._version is None else resume),
        }

    def _take(self, line: bytes) -> None:
        try:
            event = decode(line)
        except ValueError as error:
            raise self._nonsense("the watch isn't JSON") from error
        obj = event.get("object") if isinstance(event, dict) else None
        if not isinstance(event, dict) or not isinstance(obj, dict):
            raise self._nonsense("what the watch sends is no event")
        match event.get("type"):
            case "ADDED" | "MODIFIED":
                taken = self._take_object(obj, self._sink.put)
            case "DELETED":
                taken = self._take_object(obj, self._sink.remove)
            case "BOOKMARK":
                taken = self._bookmark(obj)
            case "ERROR":
                raise error_of_status("GET", self._path, obj)
            case _:
                raise self._nonsense("what the watch sends is no event")
        if taken:
            self._failures = self._unanswered = self._senseless = 0
            self._advance(obj["metadata"])

    def _take_object(self, obj: Json, sink: Callable[[Json], None]) -> bool:
        """Take an object in; leave it out where it is none that can be, and tell that once."""
        try:
            if self._source.resource.namespaced and not obj["metadata"].get("namespace"):
                raise ValueError("an object without a namespace")
            sink(self._source.typed(obj))
        except Exception as error:  # noqa: BLE001 - it concerns this object alone
            self.skipped += 1
            who = _named(obj)
            if who not in self._skipped and len(self._skipped) < _SKIPPED_KEPT:
                self._skipped.add(who)
                log.warning("object left out", path=self._path, object=who, error=repr(error)[:200])
            return False
        return True

    def _bookmark(self, obj: Json) -> bool:
        metadata = obj.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if not isinstance(version, str):
            raise self._nonsense("a bookmark says no version")
        if self._version is not None and version_of(version) < version_of(self._version):
            raise Gone("GET", self._path, "the server's history went back")
        self._sink.reached(version_of(version))
        return True

    def _advance(self, metadata: Json) -> None:
        version = metadata.get("resourceVersion")
        annotations = metadata.get("annotations")
        if not isinstance(version, str) or not version:
            return
        if self._version is not None:
            self._version = version
        elif isinstance(annotations, dict) and annotations.get(_INITIAL_EVENTS_END) == "true":
            self._listed(version)

    def _listed(self, version: object) -> None:
        if not isinstance(version, str) or not version:
            raise self._nonsense("the list says no version")
        self._sink.end_list(version)
        self.lists += 1
        self._version = version
        self._catch_up()
        self.synced.set()
        self.tried.set()

    def _heard(self) -> None:
        now = self.last_contact = _now()
        self._absences = 0
        if self.healthy_since is None:
            if self.state != "starting":
                log.info("watch goes on", path=self._path)
            self.healthy_since = now
        if self.state == "absent":
            self.behind_since = now
        self.state = "watching"
        self._catch_up()

    def _catch_up(self) -> None:
        if not self.current:
            return
        since, self.behind_since = self.behind_since, None
        lagged = _now() - since if since is not None and self.failure is not None else 0.0
        if self.state == "watching":
            self.failure = None
        self._tell(self.state, lagged)

    def _tell(self, what: State | type[KubeError], seconds: float) -> None:
        if what != self._told:
            self._told = what
            self.turned(seconds)

    def _nonsense(self, words: str) -> Unreachable:
        """The error of an answer that is none; after some, what is known may be wrong, and is read anew."""
        self._senseless += 1
        if self._senseless >= _SENSELESS:
            self._senseless, self._version = 0, None
        return Unreachable("GET", self._path, words)

    def _wait_after(self, error: KubeError) -> float:
        """Account for the end of a watch, or for a failure; give the seconds to wait before going on."""
        lived = 0.0 if self._open_since is None else _now() - self._open_since
        if self._open_since is not None and lived >= self._timing.settled:
            self._failures = self._unanswered = 0
            if isinstance(error, Unreachable) and self.current:
                log.debug("watch is taken up again", path=self._path, reason=error.message)
                return self._timing.resume * self._timing.random.random()
        if self._version is None and self._streams_lists and _cannot_stream_lists(error):
            self._streams_lists = self._client.served.streams_lists = False
            return 0.0
        if isinstance(error, NotFound):
            resource = self._source.resource
            if resource.earlier and self._client.served.is_not_there(resource):
                return 0.0
            self._absences += 1
            if not self.synced.is_set() or self._absences >= _ABSENCES or self.state == "absent":
                return self._absent(error)
        wait = self._backoff(error)
        if isinstance(error, Throttled | ServerError):
            wait = max(wait, min(error.retry_after or 0.0, self._timing.patience))
        self.failure, self.state, self.healthy_since = error, "failing", None
        if self.behind_since is None:
            self.behind_since = _now()
        log.warning("watch broke off", path=self._path, error=error.message, wait=round(wait, 2))
        self._tell(type(error), 0.0)
        self.tried.set()
        return wait

    def _backoff(self, error: KubeError) -> float:
        """The wait grows with the failures of one sort: a server that answers again is not made to wait for."""
        if isinstance(error, Unreachable):
            self._unanswered += 1
            return min(self._timing.backoff.delay(self._unanswered), self._timing.unreachable)
        if isinstance(error, Gone | Invalid):
            # No history from there on, or a version that never was one. The list that is needed has not failed yet.
            self._failures = 0 if self._version is not None else self._failures
            self._version = None
        self._unanswered = 0
        self._failures += 1
        return self._timing.backoff.delay(self._failures)

    def _absent(self, error: KubeError) -> float:
        """The resource isn't installed (any more): that is a healthy, empty state, looked at again now and then."""
        now = self.last_contact = _now()
        if self.state != "absent":
            log.info("resource isn't installed", path=self._path)
        self.failure, self.state, self.healthy_since = error, "absent", self.healthy_since or now
        self._version, self._failures, self._unanswered = None, 0, 0
        self._sink.clear()
        self._catch_up()
        self.synced.set()
        self.tried.set()
        return min(self._timing.backoff.delay(self._absences), self._timing.absent)


def _named(obj: object) -> str:
    """Namespace and name of an object as far as it has them, for people."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    place = metadata if isinstance(metadata, dict) else {}
    return f"{place.get('namespace', '')}/{place.get('name', '?')}"[:300]


def _cannot_stream_lists(error: KubeError) -> bool:
    """Tell how a server says that it can't send the list as part of the watch.

    400 or 422 where it doesn't know how, an error 500 within the stream where its etcd is older than 3.5.13.
    """
    return isinstance(error, Invalid) or (isinstance(error, ServerError) and error.status == 500)


def _now() -> float:
    return asyncio.get_running_loop().time()
