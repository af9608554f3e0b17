"""Watches the routes that fleets name, in their namespaces alone, and writes the weights of clusters into them."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from canary.api.fleet import CanaryFleet
from canary.api.fleet_traffic import ClusterRoute, FleetTraffic
from canary.api.problems import Problem
from canary.fleet.decision import SetWeights
from canary.fleet.facts import RouteSeen
from canary.fleet.traffic.routes import KINDS, patch, seen
from canary.hub.link import MANAGER, OUTAGE
from canary.hub.members import age
from canary.hub.objects import unseen
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden
from canary.kube.types import Json, Resource
from canary.kube.watch import WatchCache

COMPONENT: Final = "deploy/kustomize/fleet/components/traffic"
"""What gives the rights."""


class Folder(NamedTuple):
    """The routes of one kind in a namespace, which is what is watched of them."""

    resource: Resource
    namespace: str


class Routes:
    """The routes that fleets name.

    Args:
        client: the way to the hub's own cluster.
        changed: is told a namespace whose routes have changed, or can be followed another way than before.
    """

    def __init__(self, client: KubeClient, changed: Callable[[str], None]) -> None:
        self._client, self._changed = client, changed
        self._caches: dict[Folder, WatchCache[Json]] = {}
        self._tasks: dict[Folder, asyncio.Task[None]] = {}
        self._wanted: frozenset[Folder] = frozenset()
        self._news = asyncio.Event()

    def follow(self, fleets: Iterable[CanaryFleet]) -> None:
        """Have what these fleets name be followed, and nothing else."""
        self._wanted = frozenset(folder for fleet in fleets for folder in _folders(fleet))
        self._news.set()

    async def run(self) -> None:
        """Follow what is wanted until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._news.wait()
                self._news.clear()
                for gone in self._tasks.keys() - self._wanted:
                    self._tasks.pop(gone).cancel()
                    del self._caches[gone]
                for new in self._wanted - self._tasks.keys():
                    self._caches[new] = cache = self._cache(new)
                    self._tasks[new] = group.create_task(cache.run(), name=f"watch {new.resource.plural}")

    def _cache(self, folder: Folder) -> WatchCache[Json]:
        cache: WatchCache[Json] = WatchCache(self._client, folder.resource, namespace=folder.namespace)
        cache.subscribe(lambda _: self._changed(folder.namespace))
        cache.on_turn(lambda _: self._changed(folder.namespace))
        return cache

    def seen(self, fleet: CanaryFleet, refused: Callable[[str], str]) -> tuple[RouteSeen, ...] | None:
        """What is known of a fleet's routes; None while they are read for the first time.

        Args:
            fleet: the fleet.
            refused: from what a route is called to why it was not written last, in words; empty where it was.
        """
        traffic = fleet.spec.traffic
        if traffic is None or fleet.watches:
            return ()
        found = [self._seen(fleet, traffic, each) for each in traffic.routes]
        known = tuple(replace(each, refused=refused(each.name)) for each in found if each is not None)
        return known if len(known) == len(found) else None

    def _seen(self, fleet: CanaryFleet, traffic: FleetTraffic, route: ClusterRoute) -> RouteSeen | None:
        cache = self._caches.get(_folder(fleet, route))
        if cache is None or not cache.tried.is_set():
            return None
        if problem := _unseen(cache):
            return RouteSeen(route.words, problem=problem)
        about = seen(traffic, route, cache.get(fleet.namespace, route.name), fleet.namespace)
        why = cache.failure.message if cache.failure is not None else "its API server does not answer"
        return replace(about, behind=f"it can't be followed: {why}") if _lags(cache) else about

    def lag_lately(self, fleet: CanaryFleet) -> bool:
        """Whether a route can't be followed since a moment ago, of which nothing but the time tells."""
        caches = [self._caches.get(each) for each in _folders(fleet)]
        return any(each is not None and each.behind_since is not None and not _lags(each) for each in caches)

    def work(self, fleet: CanaryFleet, writes: Iterable[SetWeights]) -> "dict[str, RouteWork]":
        """What is to be written into routes, by what they are called."""
        traffic = fleet.spec.traffic
        routes = {each.words: each for each in traffic.routes} if traffic is not None else {}
        found: dict[str, RouteWork] = {}
        for write in writes:
            route = routes[write.route]
            cache = self._caches.get(_folder(fleet, route))
            if traffic is not None and cache is not None:
                found[write.route] = RouteWork(self._client, cache, fleet, traffic, route, write.weights)
        return found


class RouteWork:
    """The weights of clusters, as they are to be written into a route.

    Args:
        client: the way to the hub's own cluster.
        cache: the routes of its kind in its namespace.
        fleet: the fleet.
        traffic: what it says of its clusters.
        route: which route.
        weights: percent of all requests by member.
    """

    def __init__(
        self,
        client: KubeClient,
        cache: WatchCache[Json],
        fleet: CanaryFleet,
        traffic: FleetTraffic,
        route: ClusterRoute,
        weights: Mapping[str, int],
    ) -> None:
        self._client, self._cache, self._namespace = client, cache, fleet.namespace
        self._traffic, self._route, self._weights = traffic, route, weights

    async def done(self) -> None:
        """Write, on the state that was read.

        Raises:
            KubeError: it is refused, or not answered in time.
        """
        found = self._cache.get(self._namespace, self._route.name)
        change = patch(self._traffic, self._route, found, self._weights) if found is not None else {}
        if change:
            place = (KINDS[self._route.kind].resource, self._namespace, self._route.name)
            self._cache.note(await self._client.merge_patch(*place, change, field_manager=MANAGER))


def rivals(fleet: CanaryFleet, others: Iterable[CanaryFleet]) -> Iterator[Problem]:
    """Older fleets that set weights of the same backends in the same route: both would do so without end.

    Args:
        fleet: the fleet.
        others: all that there are.
    """
    for index, route in enumerate(fleet.spec.traffic.routes if fleet.spec.traffic is not None else ()):
        for other in others:
            older = other.namespace == fleet.namespace and age(other) < age(fleet)
            if older and not (fleet.watches or other.watches) and (shared := _shared(fleet, other, route)):
                message = f"the weights of {route.words} for {shared} are set by the older fleet {other.key}"
                yield Problem(f"spec.traffic.routes[{index}]", message, "name another route, or other backends")


def _shared(fleet: CanaryFleet, other: CanaryFleet, route: ClusterRoute) -> str:
    """A backend of a route that both set the weight of; empty where there is none."""
    if fleet.spec.traffic is None or other.spec.traffic is None:
        return ""
    same = [each for each in other.spec.traffic.routes if (each.kind, each.name) == (route.kind, route.name)]
    if not any(each.host == route.host or not (each.host and route.host) for each in same):
        return ""
    backends = ({each.stands_for_it for each in of.members} for of in (fleet.spec.traffic, other.spec.traffic))
    return min(set.intersection(*backends), default="")


def _folders(fleet: CanaryFleet) -> list[Folder]:
    traffic = fleet.spec.traffic
    if traffic is None or fleet.watches:
        return []
    return [_folder(fleet, each) for each in traffic.routes if each.kind in KINDS]


def _folder(fleet: CanaryFleet, route: ClusterRoute) -> Folder:
    return Folder(KINDS[route.kind].resource, fleet.namespace)


def _unseen(cache: WatchCache[Json]) -> str:
    """Why it can't be known which routes there are; empty where it can."""
    resource = cache.resource
    if cache.state == "absent":
        return f"{resource.full_name} are not installed in the hub's cluster"
    if cache.synced.is_set() and not isinstance(cache.failure, Forbidden):
        return ""
    remedy = f"; {COMPONENT} gives the rights" if isinstance(cache.failure, Forbidden) else ""
    return f"{unseen(cache)}{remedy}"


def _lags(cache: WatchCache[Json]) -> bool:
    """Whether a watch is broken for longer than proxies do it."""
    since = cache.behind_since
    return since is not None and asyncio.get_running_loop().time() - since >= OUTAGE.total_seconds()
