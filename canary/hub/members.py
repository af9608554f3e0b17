"""The clusters that there are, and a link to each that a fleet has for a member: made, ended, and made anew."""

import asyncio
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Final

import structlog

from canary.api.fleet import CanaryFleet, Placement, parse_fleet
from canary.api.problems import InvalidResource, Problem
from canary.fleet.members.base import Member, Unusable
from canary.fleet.members.placement import placed
from canary.hub.link import Link, Place
from canary.hub.objects import Objects
from canary.kube.access import Access
from canary.kube.backoff import Backoff
from canary.kube.errors import KubeError
from canary.kube.types import Json

log = structlog.get_logger(__name__)

_PLACEMENT: Final = "spec.members.placement"

Placements = Mapping[tuple[str, str], Json] | None
"""The FederatedDeployments that there are, by namespace and name; None where that is not known."""

GATHER: Final = 0.1
"""Seconds in which what has changed gathers before it is looked at once."""


class Members:
    """The members of all fleets.

    Args:
        objects: what the hub's own cluster has.
        link: makes a link, which does nothing before it runs.
        changed: is called when the clusters that there are, or their links, have changed.

    Attributes:
        known: the clusters that there are, by name; None before they were looked at.
        fleets: the fleets that there are, as their specs were then.
    """

    def __init__(self, objects: Objects, link: Callable[[Place, Access], Link], changed: Callable[[], None]) -> None:
        self.known: Mapping[str, Member] | None = None
        self.fleets: tuple[CanaryFleet, ...] = ()
        self._objects, self._link, self._changed = objects, link, changed
        self._links: dict[Place, tuple[Link, asyncio.Task[None]]] = {}
        self._news = asyncio.Event()
        self._seen: object = None
        self._backoff = Backoff(first=1.0, cap=30.0)
        self._failures = 0
        self._warned: set[str] = set()

    def look(self) -> None:
        """Something has changed: look again."""
        self._news.set()

    def link(self, place: Place) -> Link | None:
        """The link there, where there is one."""
        found = self._links.get(place)
        return found[0] if found is not None else None

    def attend(self, fleet: str, awaited: Container[Place]) -> None:
        """Ask the members that a fleet's release waits for for a sign of life where they say nothing, and no others.

        Args:
            fleet: key of the fleet.
            awaited: for whom it waits.
        """
        for place, (link, _) in self._links.items():
            link.attend(fleet, awaited=place in awaited)

    def having(self, place: Place, name: str | None) -> Iterator[str]:
        """The keys of the fleets whose Canary may be there under a name; under any where it is None."""
        for fleet in self.fleets:
            if namespace_of(fleet) == place.namespace and name in (None, name_of(fleet)):
                yield fleet.key

    async def run(self) -> None:
        """Follow what changes until cancelled; a link that is slow or dead keeps no other waiting."""
        self._news.set()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._news.wait()
                self._news.clear()
                await asyncio.sleep(await self._safely(group))

    async def _safely(self, group: asyncio.TaskGroup) -> float:
        """Look; the seconds until the next look."""
        try:
            await self._look(group)
        except KubeError as error:
            self._failures += 1
            log.warning("what stands for clusters can't be read", reason=str(error))
            self._news.set()
            return self._backoff.delay(self._failures)
        self._failures = 0
        return GATHER

    async def _look(self, group: asyncio.TaskGroup) -> None:
        known, fleets = await self._objects.members(), tuple(_fleets(self._objects.fleets.list()))
        placements = self._objects.placements()
        moved = self._connect(group, places(fleets, known, placements))
        seen = (known, fleets, self._objects.gaps(), placements)
        self.known, self.fleets = known, fleets
        if moved or seen != self._seen:
            self._seen = seen
            self._warn(known)
            self._changed()

    def _connect(self, group: asyncio.TaskGroup, wanted: Mapping[Place, Access]) -> bool:
        """End and make links as it is wanted; whether there were any to."""
        gone = [each for each, (link, _) in self._links.items() if wanted.get(each) != link.access]
        for place in gone:
            self._links.pop(place)[1].cancel()
        new = wanted.keys() - self._links.keys()
        for place in new:
            link = self._link(place, wanted[place])
            self._links[place] = link, group.create_task(link.run(), name=f"member {place.member}")
        return bool(gone or new)

    def _warn(self, known: Mapping[str, Member]) -> None:
        """Log once what people are to be told of members that can be used."""
        told = {words for member in known.values() for words in member.warnings}
        for words in sorted(told - self._warned):
            log.warning(words)
        self._warned = told


def places(
    fleets: Iterable[CanaryFleet], members: Mapping[str, Member], placements: Placements = None
) -> dict[Place, Access]:
    """What is watched of which members, and the way there.

    Args:
        fleets: the fleets that there are.
        members: the clusters that there are.
        placements: the FederatedDeployments that there are; None where that is not known.
    """
    return dict(each for fleet in fleets for each in _places(fleet, members, placements))


def _places(
    fleet: CanaryFleet, members: Mapping[str, Member], placements: Placements
) -> Iterator[tuple[Place, Access]]:
    namespace = namespace_of(fleet)
    for member in chosen(fleet, members, placements):
        if isinstance(member.connection, Access):
            yield Place(member.name, namespace), member.connection


def chosen(fleet: CanaryFleet, members: Mapping[str, Member], placements: Placements = None) -> list[Member]:
    """The clusters that a fleet has for members; one that it is placed on and that is none can't be used."""
    found = _placed(fleet, members, placements)
    there = found.values() if isinstance(found, Mapping) else ()
    return [each for each in there if fleet.spec.members.selector.matches(each.labels)]


def _placed(
    fleet: CanaryFleet, members: Mapping[str, Member], placements: Placements
) -> Mapping[str, Member] | Unusable | None:
    """The clusters that a fleet is placed on; None where there is nothing that would say so."""
    if fleet.spec.members.placement is None:
        return members
    federated = (placements or {}).get(_federated(fleet))
    return placed(federated, members) if federated is not None else None


def _federated(fleet: CanaryFleet) -> tuple[str, str]:
    """Namespace and name of what says where a fleet is placed."""
    placement = fleet.spec.members.placement or Placement(federated_deployment="")
    return placement.namespace or fleet.namespace, placement.federated_deployment


def misplaced(fleet: CanaryFleet, placements: Placements) -> Iterator[Problem]:
    """Why it can't be told where a fleet is placed: it is none the less, and keeps its members."""
    if fleet.spec.members.placement is None:
        return
    if placements is None:
        message = "can't be known, as the hub does not see FederatedDeployments"
        yield Problem(_PLACEMENT, message, "start it with --placements, and with the rights, or take this out")
        return
    found, named = _placed(fleet, {}, placements), "/".join(_federated(fleet))
    if found is None:
        yield Problem(_PLACEMENT, f"FederatedDeployment {named} does not exist", "create it, or correct its name")
    elif isinstance(found, Unusable):
        yield Problem(_PLACEMENT, f"{found.of} can't be read: {found.problem}", "correct it there")


def rivals(
    fleet: CanaryFleet,
    others: Iterable[CanaryFleet],
    members: Mapping[str, Member],
    placements: Placements = None,
) -> Iterator[Problem]:
    """Older fleets that write the same Canary into the same members: both would do so without end.

    Args:
        fleet: the fleet.
        others: all that there are.
        members: the clusters that there are.
        placements: the FederatedDeployments that there are; None where that is not known.
    """
    place, own = (namespace_of(fleet), name_of(fleet)), {each.name for each in chosen(fleet, members, placements)}
    for other in others:
        same = (namespace_of(other), name_of(other)) == place and not (fleet.watches or other.watches)
        theirs = chosen(other, members, placements) if same and age(other) < age(fleet) else []
        shared = own & {each.name for each in theirs}
        if shared:
            message = f"the Canary {'/'.join(place)} of {min(shared)} is written by the older fleet {other.key}"
            yield Problem("spec.template.metadata.name", message, "write another name, or choose other members")


def age(fleet: CanaryFleet) -> tuple[str, str]:
    """What is less for the older one of two fleets."""
    created = fleet.metadata.creation_timestamp
    return created.isoformat() if created is not None else "", fleet.key


def namespace_of(fleet: CanaryFleet) -> str:
    """The namespace in which a fleet's members have their Canary."""
    return fleet.spec.template.metadata.namespace or fleet.namespace or "default"


def name_of(fleet: CanaryFleet) -> str:
    """The name that a fleet's Canary has in all members."""
    return fleet.spec.template.metadata.name


def _fleets(found: Iterable[Json]) -> Iterator[CanaryFleet]:
    """The fleets, but for those that can't be read."""
    for raw in found:
        try:
            yield parse_fleet(raw)
        except InvalidResource:
            continue  # which is told of where it is worked on
