"""What the hub's own cluster has: CanaryFleets, and the objects and Secrets that stand for clusters."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain

from canary.api.problems import Problem
from canary.fleet.members.base import Member, SecretRef
from canary.fleet.members.placement import FEDERATED_DEPLOYMENT
from canary.fleet.members.registry import SOURCES, Roster, secrets_of
from canary.hub.options import HubOptions
from canary.kube.client import KubeClient
from canary.kube.store import Change, Key
from canary.kube.types import CANARY_FLEET, SECRET, Json, mapping, name_of, namespace_of
from canary.kube.watch import WatchCache


class Objects:
    """The watches of the hub's own cluster.

    Secrets are known whole where they stand for a cluster, or are named by what does; of others only that they are.

    Args:
        client: the way to the cluster.
        options: the hub's settings.
        news: is called when what stands for clusters, or a fleet, has changed.
        fleet_changed: is told `NAMESPACE/NAME` of a CanaryFleet that has changed.
    """

    def __init__(
        self,
        client: KubeClient,
        options: HubOptions,
        news: Callable[[], None],
        fleet_changed: Callable[[str], None],
    ) -> None:
        self._sources = {name: SOURCES[name] for name in options.sources}
        self._roster = Roster(self._sources)
        self._needed: frozenset[SecretRef] = frozenset()
        places = options.member_namespaces or (client.namespace,)
        kinds = dict.fromkeys(kind for each in self._sources.values() for kind in each.resources if kind != SECRET)
        self.fleets: WatchCache[Json] = WatchCache(client, CANARY_FLEET, namespace=options.namespace)
        self._kinds = [WatchCache(client, kind, namespace=place) for kind in kinds for place in places]
        self._secrets = {place: WatchCache(client, SECRET, namespace=place, named=self._named) for place in places}
        self._placements = (
            WatchCache(client, FEDERATED_DEPLOYMENT, namespace=options.namespace, project=_placement)
            if options.placements
            else None
        )
        for cache in (*self._kinds, *self._secrets.values(), *self._placed()):
            cache.subscribe(lambda _: news())
            cache.on_turn(lambda _: news())
        self.fleets.subscribe(lambda change: news() if _generation(change.old) != _generation(change.new) else None)
        self.fleets.subscribe(lambda change: fleet_changed(_key(change)))

    def _all(self) -> Iterator[WatchCache[Json]]:
        return chain([self.fleets], self._kinds, self._secrets.values(), self._placed())

    def _placed(self) -> Iterator[WatchCache[Json]]:
        """The watch of FederatedDeployments, where there is one."""
        if self._placements is not None:
            yield self._placements

    def placements(self) -> dict[tuple[str, str], Json] | None:
        """FederatedDeployments by namespace and name; None where it is not known which there are."""
        cache = self._placements
        if cache is None or not cache.synced.is_set():
            return None
        return {(namespace_of(each) or "", name_of(each)): each for each in cache.list()}

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            for cache in self._all():
                group.create_task(cache.run(), name=f"watch {cache.resource.plural}")

    async def tried(self) -> None:
        """Wait until each was read, or could not be."""
        for cache in self._all():
            await cache.tried.wait()

    def gaps(self) -> tuple[Problem, ...]:
        """Why it can't be known which clusters there are; those that were known once, are."""
        unknown = [each for each in (*self._kinds, *self._secrets.values()) if not each.synced.is_set()]
        return tuple(_gap(each) for each in unknown[:1])

    async def members(self) -> dict[str, Member]:
        """The clusters that there are, by name.

        Raises:
            KubeError: a Secret can't be read.
        """
        there = [obj for cache in self._kinds for obj in cache.list()]
        labelled = [obj for cache in self._secrets.values() for obj in cache.list()]
        self._needed = secrets_of([*there, *labelled], self._sources)
        for ref in self._needed:
            await self._fill(ref)
        return self._roster.members([*there, *(obj for cache in self._secrets.values() for obj in cache.list())])

    async def _fill(self, ref: SecretRef) -> None:
        """Read a Secret whole that was of no interest before."""
        if (cache := self._secrets.get(ref.namespace)) is not None:
            await cache.fill(ref.namespace, ref.name)

    def _named(self, key: Key, obj: Json) -> bool:
        chosen = (each.chooses(obj) for each in self._sources.values() if SECRET in each.resources)
        return SecretRef(key.namespace, key.name) in self._needed or any(chosen)


def _placement(federated: Json) -> Json:
    """What is kept of a FederatedDeployment: where it goes, and not what."""
    spec = mapping(federated.get("spec"))
    metadata = {key: value for key, value in federated["metadata"].items() if key in _KEPT}
    kind = {"apiVersion": FEDERATED_DEPLOYMENT.api_version, "kind": FEDERATED_DEPLOYMENT.kind}
    return {**kind, "metadata": metadata, "spec": {"placement": spec.get("placement")}}


_KEPT = frozenset({"name", "namespace", "uid", "resourceVersion"})
"""What is kept of its metadata."""


def unseen(cache: WatchCache[Json]) -> str:
    """That the hub does not see the objects of a kind, and why, in words."""
    why = cache.failure.message if cache.failure is not None else "they are being read"
    return f"the hub does not see {cache.resource.plural}: {why}"


def _gap(cache: WatchCache[Json]) -> Problem:
    message = f"can't be known, as {unseen(cache)}"
    return Problem("spec.members", message, "give the hub the rights, or leave the source out of --members")


def _generation(fleet: Json | None) -> object:
    return fleet["metadata"].get("generation") if fleet is not None else None


def _key(change: Change[Json]) -> str:
    return f"{change.key.namespace}/{change.key.name}"
