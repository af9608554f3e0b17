"""What the controller knows of the cluster without asking: one watch a kind, shared by all Canaries."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from canary.controller.observe.former_routes import INDEXED, Owners
from canary.controller.observe.index import Ref, ref_to
from canary.gates.registry import STARTED, WATCHED
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, Unauthorized, Unreachable
from canary.kube.store import Change, Key
from canary.kube.types import (
    ALERT_PROVIDER,
    CANARY,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    METRIC_TEMPLATE,
    RESOURCES,
    SECRET,
    SERVICE,
    Json,
    Resource,
)
from canary.kube.watch import WatchCache
from canary.workloads import revisions
from canary.workloads.origin import APPLIED_ANNOTATION

CONFIGS = (CONFIG_MAP, SECRET)

OUTAGE_SECONDS = 5.0
"""Shorter breaks of a watch, as proxies make them once a minute, miss nothing and are no outage."""

METADATA_ONLY = (*CONFIGS, CONTROLLER_REVISION)
"""Watched for changes only: their contents are read when they are needed, and not kept."""

WHOLE = frozenset({CANARY, METRIC_TEMPLATE, ALERT_PROVIDER})
"""Of these every object is kept whole: there are none but for Canaries."""

OWNERS = frozenset({CANARY.kind, CONTROLLER_REVISION.kind})
"""Who owns what was made for a Canary: the Canary itself, or what is kept of its primary's revisions."""

LABELS = dict.fromkeys((CONTROLLER_REVISION, *STARTED), revisions.LABEL)
"""The label that the objects of a kind must have: there are many more, which belong to others."""


NONE_THERE = "does not exist"
"""Why an object is not found whose kind can be seen."""


class Freshness(StrEnum):
    """How far what is known of a kind can be relied on."""

    FRESH = "fresh"
    """It is how it is now, as far as can be known."""
    STALE = "stale"
    """It can't be followed at present, or hasn't been listed yet: what is known, if anything, may be old."""
    ABSENT = "absent"
    """It isn't installed: there are no objects of it."""
    FORBIDDEN = "forbidden"
    """The API server doesn't let us list or watch it: what is known, if anything, may be old."""


@dataclass(frozen=True, slots=True)
class KindState:
    """What is to be thought of what is known of a kind.

    Args:
        freshness: how far it can be relied on.
        since: loop time in seconds since which it is not fresh; None while it is, and where that never began.
        reason: why it is not, in the server's words where it gave any; empty while it is.
    """

    freshness: Freshness
    since: float | None = None
    reason: str = ""


FRESH = KindState(Freshness.FRESH)


class Caches:
    """The watches: one a kind, from when the first Canary needs it.

    An object that no Canary names is known by its version only, a stub. Whoever wants an object whole names it, waits
    for its kind (`need`), and then for the object (`fill`), in this order.

    Args:
        client: where from.
        resources: what may be watched beside Canaries and what belongs to them: the kinds of targets and routes.
        namespace: the only namespace to watch; None is all.
        configs: whether ConfigMaps and Secrets may be watched; without, no right to them is needed.
        named: whether any Canary names an object.
        changed: is told of every change of an object that is named.
        wake: is told of each Canary that is to be looked at again, because a kind that it needs can be seen again, is
            installed or gone, or is forbidden.
    """

    def __init__(
        self,
        client: KubeClient,
        resources: Iterable[Resource],
        *,
        namespace: str | None,
        configs: bool = True,
        named: Callable[[Ref], bool] = lambda _: True,
        changed: Callable[[Resource, Change[Json]], None],
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._named = named
        self._wake = wake
        self._group: asyncio.TaskGroup | None = None
        self._started: dict[Resource, None] = {}
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        # The Canaries that need a kind, and those of them that saw it when it was not fresh.
        self._users: defaultdict[Resource, set[str]] = defaultdict(set)
        self._unsatisfied: defaultdict[Resource, set[str]] = defaultdict(set)
        # What was asked for before anybody named it.
        self._asked: set[Ref] = set()
        self._seeing_since: float | None = None
        always = (
            CANARY,
            METRIC_TEMPLATE,
            ALERT_PROVIDER,
            SERVICE,
            CONTROLLER_REVISION,
            *WATCHED,
            *(CONFIGS if configs else ()),
        )
        self._client, self._namespace, self._changed = client, namespace, changed
        self._caches: dict[Resource, WatchCache[Json]] = {}
        # By API group or version, and kind: several versions may be watched of one kind.
        self._by_kind: defaultdict[tuple[str, str], list[WatchCache[Json]]] = defaultdict(list)
        self._by_version: dict[tuple[str, str], WatchCache[Json]] = {}
        self.owners = Owners()
        """Which Services and routes were made for which Canary."""
        for resource in dict.fromkeys((*always, *resources)):
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        """A kind that may be watched."""
        cache: WatchCache[Json] = WatchCache(
            self._client,
            resource,
            namespace=self._namespace,
            metadata_only=resource in METADATA_ONLY,
            label_selector=LABELS.get(resource),
            named=partial(self._is_named, resource),
        )
        self._caches[resource] = self._by_version[resource.api_version, resource.kind] = cache
        self._by_kind[resource.group, resource.kind].append(cache)
        if resource in INDEXED:
            cache.subscribe(partial(self.owners.note, resource))
        cache.subscribe(partial(self._changed, resource))
        cache.on_turn(partial(self._turned, resource))

    def _is_named(self, resource: Resource, key: Key, obj: Json) -> bool:
        """Whether an object is to be known whole: a Canary names it, or it was made for one."""
        if resource in WHOLE or self._named(ref_to(resource, key.namespace, key.name)):
            return True
        metadata = obj["metadata"]
        if APPLIED_ANNOTATION in (metadata.get("annotations") or ()):
            return True
        return any(owner.get("kind") in OWNERS for owner in metadata.get("ownerReferences") or ())

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object as it was last seen; None when there is none, and where its kind can't be seen.

        Raises:
            Unreachable: it can't be said yet, but soon: its kind is being listed, or the object itself was named by
                nobody so far.
        """
        cache = self._caches.get(resource)
        if cache is None:
            return None
        obj = cache.get(namespace, name)
        if obj is None:
            self._start(resource)
            if not cache.tried.is_set() and self._group is not None:
                raise Unreachable("GET", self._client.path(resource, namespace, name), "its kind is being listed")
            if cache.is_stub(namespace, name):
                self._asked.add(ref_to(resource, namespace, name))
                raise Unreachable("GET", self._client.path(resource, namespace, name), "it is being read")
        return obj

    def peek(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object if it is known whole."""
        cache = self._caches.get(resource)
        return cache.get(namespace, name) if cache is not None else None

    def is_known(self, resource: Resource, namespace: str, name: str) -> bool:
        """Whether there is such an object, known whole or not."""
        cache = self._caches.get(resource)
        return cache is not None and (cache.get(namespace, name) is not None or cache.is_stub(namespace, name))

    async def need(self, key: str, resources: Iterable[Resource]) -> dict[Resource, KindState]:
        """See to it that these kinds are watched for a Canary, which is woken when those that aren't fresh are again.

        Waits for kinds that nobody needed before, until they were listed or it is known why they can't be.

        Returns:
            How far what is known of each can be relied on.
        """
        states: dict[Resource, KindState] = {}
        for resource in resources:
            if resource not in self._caches and resource not in RESOURCES:
                self._add(resource)  # only the Canary knows that there is such a kind
            cache = self._caches.get(resource)
            if cache is not None and (resource not in self._started or not cache.tried.is_set()):
                await self.listed((resource,))
            self._users[resource].add(key)
            state = states[resource] = self.state(resource)
            if state.freshness is not Freshness.FRESH:
                self._unsatisfied[resource].add(key)
        return states

    async def listed(self, resources: Iterable[Resource]) -> None:
        """Watch these kinds, and wait until each was listed, or the first attempt has failed."""
        caches = [self._caches[each] for each in resources if each in self._caches]
        for cache in caches:
            self._start(cache.resource)
        for cache in caches:
            await cache.tried.wait()

    async def synced(self, resource: Resource) -> None:
        """Watch a kind, and wait until it was listed, however long that takes."""
        self._start(resource)
        await self._caches[resource].synced.wait()

    async def fill(self, refs: Iterable[Ref]) -> None:
        """Read those of these objects whole that nobody named before; they have to be named by now.

        Raises:
            KubeError: one can't be read.
        """
        asked, self._asked = self._asked, set()
        for ref in (*refs, *asked):
            for cache in self._by_kind.get((ref.group, ref.kind), ()):
                if cache.is_stub(ref.namespace, ref.name):
                    await cache.fill(ref.namespace, ref.name)

    def forget(self, key: str) -> None:
        """A Canary is gone: it needs nothing any more."""
        for keys in (*self._users.values(), *self._unsatisfied.values()):
            keys.discard(key)
        self.stop_asking()

    def stop_asking(self) -> None:
        """Don't ask any more for kinds that nobody needs and that can't be had: the others may stay."""
        for resource in [each for each in self._tasks if not self._users[each] and each is not CANARY]:
            cache = self._caches[resource]
            if cache.tried.is_set() and (cache.state == "absent" or not cache.synced.is_set()):
                self._tasks.pop(resource).cancel()
                self._started.pop(resource)
                cache.tried.clear()

    def state(self, resource: Resource) -> KindState:
        """How far what is known of a kind can be relied on."""
        cache = self._caches.get(resource)
        if cache is None:
            return KindState(Freshness.STALE, reason=f"{resource.plural} are not watched")
        self._start(resource)
        if cache.current and cache.state != "absent":
            return FRESH
        reason = cache.failure.message if cache.failure is not None else ""
        if cache.state == "absent":
            return KindState(Freshness.ABSENT, cache.behind_since, reason)
        if isinstance(cache.failure, Forbidden | Unauthorized):
            return KindState(Freshness.FORBIDDEN, cache.behind_since, reason)
        return KindState(Freshness.STALE, cache.behind_since, reason or "not listed yet")

    def why_missing(self, resource: Resource) -> str:
        """Why an object of a kind is not found: there is none, or nobody can say."""
        state = self.state(resource)
        if state.freshness in (Freshness.FRESH, Freshness.ABSENT):
            return NONE_THERE
        return f"can't be looked up: {state.reason}"

    def _turned(self, resource: Resource, seconds: float) -> None:
        """A kind can be seen again, is installed or gone, or can't be followed for another reason than before."""
        now = self.state(resource).freshness
        if now is Freshness.STALE:
            return
        if seconds >= OUTAGE_SECONDS:
            self._seeing_since = asyncio.get_running_loop().time()
        # Who saw it fresh has missed nothing when it is so again; that it is gone or forbidden concerns everybody.
        concerned = (self._unsatisfied if now is Freshness.FRESH else self._users)[resource]
        for key in tuple(concerned):
            self._wake(key)
        self._unsatisfied.pop(resource, None)

    def blind_until(self, now: datetime) -> datetime | None:
        """When the last watch that had been broken off for a while went on; None where none ever has been."""
        since = self._seeing_since
        return None if since is None else self.moment(since, now)

    def moment(self, since: float | None, now: datetime) -> datetime:
        """The time of day at a loop time; now, where there is none."""
        return now if since is None else now - timedelta(seconds=asyncio.get_running_loop().time() - since)

    def list(self, resource: Resource, namespace: str | None = None) -> list[Json]:
        """All objects of a kind that are named, or those in one namespace, as they were last seen."""
        return self._caches[resource].list(namespace)

    def count(self, resource: Resource) -> int:
        """How many objects of a kind there are, named or not."""
        return len(self._caches[resource])

    def named(self, resource: Resource, namespace: str, names: Iterable[str]) -> Mapping[str, Json]:
        """Those of these objects that exist, by name.

        Raises:
            Unreachable: as for `get`.
        """
        found = ((name, self.get(resource, namespace, name)) for name in names)
        return {name: obj for name, obj in found if obj is not None}

    def note(self, obj: Json) -> None:
        """Take in what a write has returned, so that the next look does not see the world before it."""
        cache = self._by_version.get((str(obj.get("apiVersion", "")), str(obj.get("kind", ""))))
        if cache is not None:
            metadata_only = {key: obj[key] for key in ("apiVersion", "kind", "metadata")}
            cache.note(metadata_only if cache.resource in METADATA_ONLY else obj)

    async def run(self) -> None:
        """Watch what is needed, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for resource in self._started:
                self._watch(resource)
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None

    def _start(self, resource: Resource) -> None:
        if resource not in self._started:
            self._started[resource] = None
            self._watch(resource)

    def _watch(self, resource: Resource) -> None:
        if self._group is not None:
            watch = self._caches[resource].run()
            self._tasks[resource] = self._group.create_task(watch, name=f"watch {resource.plural}")
