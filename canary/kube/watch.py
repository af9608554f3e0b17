"""Caches that follow one resource each: reads without a request."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, overload

from canary.kube.client import KubeClient
from canary.kube.errors import KubeError
from canary.kube.reflector import Reflector, State
from canary.kube.source import Source, WatchTiming
from canary.kube.store import Change, Key, Store, everybody, trim
from canary.kube.types import Json, Resource

T = TypeVar("T")


class WatchCache(Generic[T]):
    """What the API server holds of one resource, kept current by `run`.

    A resource that isn't installed is no error: the cache is then empty, synced, and ``absent``, and fills once
    it is installed.

    Attributes:
        resource: What it follows.
    """

    @overload
    def __init__(
        self: "WatchCache[Json]",
        client: KubeClient,
        resource: Resource,
        *,
        namespace: str | None = None,
        project: None = None,
        metadata_only: bool = False,
        label_selector: str | None = None,
        named: Callable[[Key, Json], bool] = everybody,
        timing: WatchTiming | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        *,
        namespace: str | None = None,
        project: Callable[[Json], T],
        metadata_only: bool = False,
        label_selector: str | None = None,
        named: Callable[[Key, Json], bool] = everybody,
        timing: WatchTiming | None = None,
    ) -> None: ...

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        *,
        namespace: str | None = None,
        project: Callable[[Json], T] | None = None,
        metadata_only: bool = False,
        label_selector: str | None = None,
        named: Callable[[Key, Json], bool] = everybody,
        timing: WatchTiming | None = None,
    ) -> None:
        """Set up a cache; nothing happens before `run`.

        Args:
            client: The way to the server.
            resource: What to follow.
            namespace: Only there; None for everywhere.
            project: What to keep of an object; by default all but managed fields and kubectl's copy.
            metadata_only: Ask the server for the objects' metadata only.
            label_selector: Only objects that it selects; then `note` only such.
            named: Which objects somebody wants; of others only the version is kept (see `canary.kube.store`).
            timing: How to pace lists and watches.
        """
        self.resource = resource
        self._namespace = namespace
        self._client = client
        keep = trim if project is None else lambda obj, _: project(obj)
        self._store: Store[T] = Store(keep, named)  # type: ignore[arg-type]  # Json by the overload
        self._source = source = Source(resource, namespace, label_selector, metadata_only)
        self._follower = Reflector(client, source, self._store, timing or WatchTiming())

    async def run(self) -> None:
        """Follow the resource until cancelled; failures are logged and retried, never raised."""
        await self._follower.run()

    def get(self, namespace: str | None, name: str) -> T | None:
        """Look an object up; None where there is none, or its resource isn't installed. Not to be changed.

        None for one that nobody has named yet, too: see `is_stub`.
        """
        return self._store.get(namespace, name)

    def is_stub(self, namespace: str | None, name: str) -> bool:
        """Whether there is such an object that isn't known whole."""
        return self._store.is_stub(namespace, name)

    async def fill(self, namespace: str | None, name: str) -> None:
        """Read an object whole that is a stub so far; it is to be named before.

        Raises:
            KubeError: It can't be read.
        """
        if self._store.is_stub(namespace, name):
            accept = self._source.accept("PartialObjectMetadataList")
            found = await self._client.find(self.resource, namespace, name, accept=accept)
            if found is not None:
                self._store.fill(self._source.typed(found))

    def list(self, namespace: str | None = None) -> "list[T]":
        """All objects, or those in one namespace."""
        return [*self._store.values(namespace)]

    def __len__(self) -> int:
        return len(self._store)

    def subscribe(self, handler: Callable[[Change[T]], None]) -> None:
        """Call a handler, synchronously, with each change from now on; own writes that are noted included.

        Changes that the projection doesn't show are not told. A handler that raises is logged, and the others
        still run.
        """
        self._store.subscribe(handler)

    def note(self, obj: Json) -> None:
        """Take what an own write returned, so that reads never go back behind it."""
        namespace = obj["metadata"].get("namespace")
        if self._namespace is None or namespace == self._namespace:
            self._store.note(obj)

    @property
    def synced(self) -> asyncio.Event:
        """Set once the cache has been complete for the first time."""
        return self._follower.synced

    @property
    def tried(self) -> asyncio.Event:
        """Set once the first attempt to follow has ended, well or not."""
        return self._follower.tried

    @property
    def skipped(self) -> int:
        """How many times an object was left out because it could not be taken."""
        return self._follower.skipped

    @property
    def state(self) -> State:
        """How the following goes: ``starting``, ``watching``, ``failing`` or ``absent``."""
        return self._follower.state

    @property
    def current(self) -> bool:
        """Whether it holds what the server holds, as far as can be known: not while it can't be followed."""
        return self._follower.current

    @property
    def behind_since(self) -> float | None:
        """Loop time since which it may lag behind the server; None while it is current, and before its first try."""
        return self._follower.behind_since

    @property
    def failure(self) -> KubeError | None:
        """Why the last attempt to follow failed; None while it goes well."""
        return self._follower.failure

    def on_turn(self, handler: Callable[[float], None]) -> None:
        """Call a handler each time that it becomes current, absent, or fails for another reason.

        It is given the seconds for which the cache may have lagged before it became current; else 0.
        """
        self._follower.turned = handler

    @property
    def healthy_since(self) -> float | None:
        """Loop time since which the following goes well; None while it doesn't."""
        return self._follower.healthy_since

    @property
    def silence(self) -> float | None:
        """Seconds since the server last said anything; None before its first word.

        No sign of anything: a server whose etcd reports no progress says nothing while nothing happens.
        """
        heard = self._follower.last_contact
        return None if heard is None else asyncio.get_running_loop().time() - heard

    @property
    def lists(self) -> int:
        """How many full lists were taken, for metrics: one, unless history was lost."""
        return self._follower.lists
