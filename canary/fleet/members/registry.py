"""The sources of members that there are, and the members that come of objects."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from canary.api.problems import Problem
from canary.fleet.members import (
    argocd,
    cluster_api,
    cluster_profile,
    kubeconfig_secret,
    kubefed,
    rancher_fleet,
)
from canary.fleet.members.base import Member, SecretRef, Secrets, Source, Unusable, kind_of
from canary.fleet.members.parts import Part, Refused, labels_of
from canary.kube.access import Access
from canary.kube.types import SECRET, Json

SOURCES: Final[Mapping[str, Source]] = MappingProxyType(
    {
        "argocd": argocd.SOURCE,
        "cluster-api": cluster_api.SOURCE,
        "cluster-profile": cluster_profile.SOURCE,
        "kubeconfig": kubeconfig_secret.SOURCE,
        "kubefed": kubefed.SOURCE,
        "rancher-fleet": rancher_fleet.SOURCE,
    }
)
"""By the names that options and members call them by."""


def members(objects: Iterable[Json], sources: Mapping[str, Source] = SOURCES) -> dict[str, Member]:
    """The clusters that objects stand for, by name.

    A pure function of what caches hold: an object that was added, removed or changed is a member that is there, is not,
    or is another value.

    Args:
        objects: those of the kinds of the sources, each once, and the Secrets that `secrets_of` names, with their data.
        sources: the sources that count, by name.
    """
    return Roster(sources).members(objects)


class Roster:
    """The same for whoever asks again and again: only members of objects that have changed since are made anew.

    Args:
        sources: the sources that count, by name.
    """

    def __init__(self, sources: Mapping[str, Source] = SOURCES) -> None:
        self._sources = sources
        self._made: Mapping[tuple[str, str], _Made] = {}

    def members(self, objects: Iterable[Json]) -> dict[str, Member]:
        """The clusters that objects stand for, by name; see the function of that name."""
        there: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
        for obj in objects:
            there[kind_of(obj)].append(obj)
        secrets = Secrets(there[SECRET.group, SECRET.kind])
        found = (
            (name, source, obj)
            for name, source in self._sources.items()
            for kind in source.resources
            for obj in filter(source.chooses, there[kind.group, kind.kind])
        )
        # In place of those of the last time, so that nothing is kept of an object that is gone.
        self._made = dict(self._make(name, source, obj, secrets) for name, source, obj in found)
        return _by_name(each.member for each in self._made.values())

    def _make(self, name: str, source: Source, obj: Json, secrets: Secrets) -> tuple[tuple[str, str], "_Made"]:
        part = Part.of_object(obj)
        given = (obj, *(secrets.find(each) for each in _needed(source, part)))
        last = self._made.get((name, part.of))
        if last is not None and last.given == given:
            return (name, part.of), last
        return (name, part.of), _Made(given, _member(name, source, part, secrets))


class _Made(NamedTuple):
    """A member, and the objects that it was made of."""

    given: tuple[object, ...]
    member: Member


def _by_name(made: Iterable[Member]) -> dict[str, Member]:
    found: defaultdict[str, list[Member]] = defaultdict(list)
    for each in made:
        found[each.name].append(each)
    return {name: _one(sorted(same, key=_place)) for name, same in sorted(found.items())}


def _place(member: Member) -> tuple[str, str]:
    return member.of, member.source


def secrets_of(objects: Iterable[Json], sources: Mapping[str, Source] = SOURCES) -> frozenset[SecretRef]:
    """The Secrets that are read for the clusters that objects stand for; of those that are Secrets metadata will do."""
    named = ((source, obj) for obj in objects for source in sources.values() if source.has(obj))
    return frozenset(ref for source, obj in named for ref in _needed(source, Part.of_object(obj)))


def _needed(source: Source, part: Part) -> Iterator[SecretRef]:
    try:
        yield from (each for each in source.secrets(part) if each.namespace and each.name)
    except Refused:
        return


def _member(name: str, source: Source, part: Part, secrets: Secrets) -> Member:
    called = part.name
    connection: Access | Unusable
    try:
        called = source.name(part)
        if (deleted := part.part("metadata.deletionTimestamp")).is_there:
            raise deleted.refused("is set: it is being deleted", "wait until it is gone")
        connection = source.access(part, secrets)
    except Refused as refused:
        connection = Unusable(refused.of, refused.problem)
    return Member(called, MappingProxyType(labels_of(part.value)), name, part.of, connection)


def _one(same: list[Member]) -> Member:
    """The member of a name; one that can't be used where several objects claim it."""
    first, *others = same
    if not others:
        return first
    message = f"is the name of {', '.join(f'{each.of} ({each.source})' for each in others)}, too"
    problem = Problem("metadata.name", message, "give each cluster a name of its own, or leave out one of the sources")
    labels = {key: value for each in reversed(same) for key, value in each.labels.items()}
    return Member(first.name, MappingProxyType(labels), first.source, first.of, Unusable(first.of, problem))
