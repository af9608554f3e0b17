"""The weights of two versions in a route of somebody else's: how they are read and written.

Nothing else of such a route is ours: other rules, filters, matches and backends stay as they are. What stands in a list
can only be written with the whole list, as none of these kinds says by what its entries are told apart. It is written
as it was read, and only where nobody has written since.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from canary.api.traffic import TOTAL_WEIGHT
from canary.kube.types import Json, ObjectRef, mapping
from canary.routers.route_kind import CANARY, PRIMARY, Lists, share


class Versions(NamedTuple):
    """The Services of an application, as a route may name them.

    Args:
        namespace: where they are.
        service: the Service that users call. It selects the primary, so that a route may name either of the two.
    """

    namespace: str
    service: str

    @property
    def primaries(self) -> tuple[str, str]:
        """What leads to the primary."""
        return self.service + PRIMARY, self.service

    @property
    def canary(self) -> str:
        """What leads to the canary."""
        return self.service + CANARY


class Part(NamedTuple):
    """What a part of a route says of the two versions.

    Args:
        percent: the canary's share of what both get; None where neither gets anything.
        primary: whether it leads to the primary too.
    """

    percent: int | None
    primary: bool = True


class Weights(Protocol):
    """How the weights of one kind of route are read and written."""

    @property
    def settle(self) -> timedelta:
        """How long requests may go on as before after it was written."""

    @property
    def way(self) -> str:
        """How the canary is named beside the primary, in words with its Service as `{canary}`."""

    def parts(self, versions: Versions, route: Json) -> Sequence[Part]:
        """What each part of a route says in which weights are ours to set, or that leads to the canary all the same."""

    def divided(self, versions: Versions, route: Json, percent: int) -> Json:
        """The merge patch that gives the canary so many percent; empty where it is so."""

    def handed_back(self, versions: Versions, route: Json) -> Json:
        """The merge patch by which all lead to the Service that users call, as the versions' own are to go."""

    def not_taken(self, ref: ObjectRef, route: Json) -> str:
        """Why the gateway has not taken a route as it is now; empty where it has, or tells nothing."""


def says_nothing(_ref: ObjectRef, _route: Json) -> str:
    """Of a gateway that doesn't say whether it has taken a route."""
    return ""


class _Named(NamedTuple):
    """A list of backends, with those of the two versions on it."""

    backends: list[Json]
    primary: Json | None
    canary: Json | None


@dataclass(frozen=True, slots=True)
class InLists:
    """Of a kind that keeps its backends in lists.

    Where no backend may be idle the canary is not named by the route's author, but put beside the primary.

    Args:
        kept: where the lists are.
        settle: how long requests may go on as before.
        ours: whether a backend is a Service in a namespace.
        told: why the gateway has not taken the route.
    """

    kept: Lists
    settle: timedelta
    ours: Callable[[str, Json], bool]
    told: Callable[[ObjectRef, Json], str] = says_nothing

    @property
    def way(self) -> str:
        """In the same list."""
        return "name {canary} beside it, with a weight of 0" if self.kept.keeps_idle else "have it lead to {service}"

    def parts(self, versions: Versions, route: Json) -> list[Part]:
        """One for each list that names the canary, or may."""
        lists = self._named(versions, mapping(route.get("spec")))
        return [self._part(each) for each in lists if each.canary is not None or self._takes(each)]

    def divided(self, versions: Versions, route: Json, percent: int) -> Json:
        """Both weights, out of 100."""
        return self._changed(versions, route, lambda named: self._divide(versions, named, percent))

    def handed_back(self, versions: Versions, route: Json) -> Json:
        """The Service that users call, in place of the primary and the canary."""
        return self._changed(versions, route, lambda named: self._lead_past(versions, named))

    def not_taken(self, ref: ObjectRef, route: Json) -> str:
        """What the gateway says."""
        return self.told(ref, route)

    def _named(self, versions: Versions, spec: Json) -> Iterator[_Named]:
        for backends in self.kept.backends(spec):
            ours = [each for each in backends if not self.kept.copied(each) and self.ours(versions.namespace, each)]
            found = {self.kept.name(each): each for each in reversed(ours)}
            primary = next((found[name] for name in versions.primaries if name in found), None)
            yield _Named(backends, primary, found.get(versions.canary))

    def _takes(self, named: _Named) -> bool:
        """Whether its weights are ours to set."""
        return named.primary is not None and (named.canary is not None or not self.kept.keeps_idle)

    def _part(self, named: _Named) -> Part:
        weights = [self.kept.weight(each) if each is not None else 0 for each in (named.canary, named.primary)]
        return Part(share(*weights), named.primary is not None)

    def _changed(self, versions: Versions, route: Json, change: Callable[[_Named], list[Json]]) -> Json:
        spec = copy.deepcopy(mapping(route.get("spec")))
        for named in list(self._named(versions, spec)):
            if named.primary is not None:
                named.backends[:] = change(named)
        part = self.kept.part(spec)
        return {} if part == self.kept.part(mapping(route.get("spec"))) else {"spec": part}

    def _divide(self, versions: Versions, named: _Named, percent: int) -> list[Json]:
        if named.primary is None or not self._takes(named):
            return named.backends
        beside = named.canary or self.kept.named(named.primary, versions.canary)
        pair = [{**named.primary, "weight": TOTAL_WEIGHT - percent}]
        if self.kept.keeps_idle:
            weighted = {id(named.primary): pair[0], id(named.canary): {**beside, "weight": percent}}
            return [weighted.get(id(each), each) for each in named.backends]
        pair += [{**beside, "weight": percent}] if percent else []
        return self._in_place_of_primary(named, pair)

    def _lead_past(self, versions: Versions, named: _Named) -> list[Json]:
        if named.primary is None:
            return named.backends
        called = self.kept.named(named.primary, versions.service)
        whole = {**called, "weight": TOTAL_WEIGHT} if named.canary is not None else called
        return self._in_place_of_primary(named, [whole])

    def _in_place_of_primary(self, named: _Named, pair: list[Json]) -> list[Json]:
        """The list with these in place of the primary, and without the canary where it stood."""
        kept = (each for each in named.backends if each is not named.canary)
        return [one for each in kept for one in (pair if each is named.primary else [each])]
