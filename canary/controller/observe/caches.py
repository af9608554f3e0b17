"""What the controller knows of the cluster without asking: one watch a kind, shared by all Canaries."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from canary.controller.observe.former_routes import INDEXED, Owners
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, Unauthorized, Unreachable
from canary.kube.store import Change
from canary.kube.types import (
    ALERT_PROVIDER,
    CANARY,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    METRIC_TEMPLATE,
    SECRET,
    SERVICE,
    Json,
    Resource,
    resource_of,
)
from canary.kube.watch import WatchCache
from canary.workloads import revisions

CONFIGS = (CONFIG_MAP, SECRET)

OUTAGE_SECONDS = 5.0
"""Shorter breaks of a watch, as proxies make them once a minute, miss nothing and are no outage."""

METADATA_ONLY = (*CONFIGS, CONTROLLER_REVISION)
"""Watched for changes only: their contents are read when they are needed, and not kept."""

LABELS = {CONTROLLER_REVISION: revisions.LABEL}
"""The label that the objects of a kind must have: there are many more, which belong to others."""


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


class Caches:
    """The watches.

    Args:
        client: where from.
        resources: what is watched beside Canaries and what belongs to them: the kinds of targets and routes.
        namespace: the only namespace to watch; None is all.
        configs: whether ConfigMaps and Secrets are watched; without, no right to them is needed.
        changed: is told of every change of an object.
        recovered: is told when all is known as it is again, after a watch had broken off.
    """

    def __init__(
        self,
        client: KubeClient,
        resources: Iterable[Resource],
        *,
        namespace: str | None,
        configs: bool = True,
        changed: Callable[[Resource, Change[Json]], None],
        recovered: Callable[[], None] = lambda: None,
    ) -> None:
        self._recovered = recovered
        self._seeing_since: float | None = None
        always = (CANARY, METRIC_TEMPLATE, ALERT_PROVIDER, SERVICE, CONTROLLER_REVISION, *(CONFIGS if configs else ()))
        self._caches: dict[Resource, WatchCache[Json]] = {
            resource: WatchCache(
                client,
                resource,
                namespace=namespace,
                metadata_only=resource in METADATA_ONLY,
                label_selector=LABELS.get(resource),
            )
            for resource in dict.fromkeys((*always, *resources))
        }
        self.owners = Owners()
        """Which Services and routes were made for which Canary."""
        for resource, cache in self._caches.items():
            if resource in INDEXED:
                cache.subscribe(partial(self.owners.note, resource))
            cache.subscribe(partial(changed, resource))
            cache.on_recovery(self._on_recovery)

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object as it was last seen; None when there is none."""
        cache = self._caches.get(resource)
        return cache.get(namespace, name) if cache is not None else None

    def state(self, resource: Resource) -> KindState:
        """How far what is known of a kind can be relied on."""
        cache = self._caches.get(resource)
        if cache is None:
            return KindState(Freshness.STALE, reason=f"{resource.plural} are not watched")
        reason = cache.failure.message if cache.failure is not None else ""
        if cache.state == "absent":
            return KindState(Freshness.ABSENT, cache.behind_since, reason)
        if cache.current:
            return KindState(Freshness.FRESH)
        if isinstance(cache.failure, Forbidden | Unauthorized):
            return KindState(Freshness.FORBIDDEN, cache.behind_since, reason)
        return KindState(Freshness.STALE, cache.behind_since, reason or "not listed yet")

    def require(self, resources: Iterable[Resource]) -> None:
        """Make sure that what is known of these kinds is how they are now: an old picture is nothing to act on.

        Raises:
            Unreachable: one of them can't be followed at the moment.
        """
        for resource in resources:
            cache = self._caches.get(resource)
            if cache is not None and not cache.current:
                raise Unreachable("WATCH", resource.path(), "what is known of it may be old")

    def _on_recovery(self, seconds: float) -> None:
        if seconds >= OUTAGE_SECONDS:
            self._seeing_since = asyncio.get_running_loop().time()
        if all(cache.current for cache in self._caches.values()):
            self._recovered()

    def blind_until(self, now: datetime) -> datetime | None:
        """When the last watch that had been broken off for a while went on; None where none ever has been."""
        since = self._seeing_since
        return None if since is None else self.moment(since, now)

    def moment(self, since: float | None, now: datetime) -> datetime:
        """The time of day at a loop time; now, where there is none."""
        return now if since is None else now - timedelta(seconds=asyncio.get_running_loop().time() - since)

    def list(self, resource: Resource) -> list[Json]:
        """All objects of a kind, as they were last seen."""
        return list(self._caches[resource].list())

    def named(self, resource: Resource, namespace: str, names: Iterable[str]) -> Mapping[str, Json]:
        """Those of these objects that exist, by name."""
        found = ((name, self.get(resource, namespace, name)) for name in names)
        return {name: obj for name, obj in found if obj is not None}

    def note(self, obj: Json) -> None:
        """Take in what a write has returned, so that the next look does not see the world before it."""
        resource = resource_of(obj)
        cache = self._caches.get(resource)
        if cache is not None:
            metadata_only = {key: obj[key] for key in ("apiVersion", "kind", "metadata")}
            cache.note(metadata_only if resource in METADATA_ONLY else obj)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for resource, cache in self._caches.items():
                group.create_task(cache.run(), name=f"watch {resource.plural}")

    async def synced(self) -> None:
        """Wait until every watch has seen the whole of its kind once."""
        for cache in self._caches.values():
            await cache.synced.wait()

    @property
    def ready(self) -> bool:
        """Whether every watch has seen the whole of its kind once."""
        return all(cache.synced.is_set() for cache in self._caches.values())
