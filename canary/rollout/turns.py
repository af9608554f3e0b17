"""Whose turn it is where only so many rollouts may go on at once: first between namespaces, then within one.

What counts is read from the statuses of the Canaries, so that whoever takes over finds the same. The namespace with the
fewest rollouts under way comes first, of several the one whose last rollout began the longest ago: however many wait in
one namespace, a rollout of another one waits for no more of them than there are namespaces that have waited longer.
Within a namespace the highest priority goes before the longest wait.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one Canary stands.

    Args:
        key: NAMESPACE/NAME of the Canary.
        priority: of two in a namespace the higher one goes first.
        under_way: whether its rollout goes on.
        queued: since when it waits for its turn, and for nothing else; None where it does not.
        began: when its last rollout began; None where none ever has.
        group: those of one group in a namespace go on together, and count as one; empty for a Canary by itself.
    """

    key: str
    priority: int = 0
    under_way: bool = False
    queued: datetime | None = None
    began: datetime | None = None
    group: str = ""

    @property
    def namespace(self) -> str:
        """The Canary's namespace."""
        return self.key.partition("/")[0]

    @property
    def unit(self) -> str:
        """What counts as one: the group, or the Canary."""
        return f"{self.namespace}/ {self.group}" if self.group else self.key


@dataclass(frozen=True, slots=True)
class Turn:
    """What a Canary is told of the others that are rolled out.

    Args:
        limit: how many rollouts may go on at once.
        under_way: those that do, by NAMESPACE/NAME.
        granted: whether it may begin now.
    """

    limit: int
    under_way: tuple[str, ...]
    granted: bool


@dataclass(slots=True)
class _Namespace:
    """One namespace's share: how many of its units go on, when each last began, and who waits, the first one first."""

    running: int = 0
    began: list[tuple[datetime, str]] = field(default_factory=list)
    waiting: list[tuple[int, datetime, str]] = field(default_factory=list)

    def put(self, unit: Place) -> None:
        self.running += unit.under_way
        if unit.began is not None:
            insort(self.began, (unit.began, unit.key))
        if unit.queued is not None and not unit.under_way:
            insort(self.waiting, (-unit.priority, unit.queued, unit.key))

    def drop(self, unit: Place) -> None:
        self.running -= unit.under_way
        if unit.began is not None:
            del self.began[bisect_left(self.began, (unit.began, unit.key))]
        if unit.queued is not None and not unit.under_way:
            del self.waiting[bisect_left(self.waiting, (-unit.priority, unit.queued, unit.key))]


class Queue:
    """Where all Canaries stand; what a turn costs hangs on what goes on and on namespaces, not on how many there are.

    Args:
        limit: how many rollouts may go on at once.
        places: Canaries to begin with.
    """

    def __init__(self, limit: int, places: Iterable[Place] = ()) -> None:
        self._limit = limit
        self._places: dict[str, Place] = {}
        self._units: dict[str, Place] = {}
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self._namespaces: defaultdict[str, _Namespace] = defaultdict(_Namespace)
        # Namespaces that somebody waits in; units that go on, and that somebody may join.
        self._waited: set[str] = set()
        self._joined: set[str] = set()
        self._running = 0
        self._under_way: set[str] = set()
        for each in places:
            self.put(each.key, each)

    def put(self, key: str, place: Place | None) -> None:
        """A Canary stands here now; it is gone where that is None."""
        old = self._places.get(key)
        if place == old:
            return
        changed = {each.unit for each in (old, place) if each is not None}
        for unit in changed:
            self._drop(unit)
        if old is not None:
            self._members[old.unit].discard(key)
        if place is not None:
            self._places[key] = place
            self._members[place.unit].add(key)
        else:
            del self._places[key]
        (self._under_way.add if place is not None and place.under_way else self._under_way.discard)(key)
        for unit in changed:
            self._count(unit)

    def members(self, unit: str) -> frozenset[str]:
        """The Canaries that go on together and count as one."""
        return frozenset(self._members.get(unit, ()))

    def next_up(self) -> tuple[str, ...]:
        """Those that wait and may begin now, in their order."""
        picked = (*sorted(self._joined), *self._next_units())
        those = (self._places[key] for unit in picked for key in sorted(self._members[unit]))
        return tuple(each.key for each in those if each.queued is not None and not each.under_way)

    def turn(self, key: str, now: datetime) -> Turn:
        """What a Canary is told that would begin now."""
        known = self._places.get(key)
        place = known or Place(key)
        under_way = tuple(sorted(self._under_way - {key}))
        if place.under_way:
            return Turn(self._limit, under_way, granted=True)
        self.put(key, replace(place, queued=place.queued or now))
        granted = key in self.next_up()
        self.put(key, known)
        return Turn(self._limit, under_way, granted)

    def _drop(self, unit: str) -> None:
        """Have a unit count no more."""
        together = self._units.pop(unit, None)
        if together is None:
            return
        namespace = self._namespaces[together.namespace]
        namespace.drop(together)
        self._running -= together.under_way
        self._joined.discard(unit)
        if not namespace.waiting:
            self._waited.discard(together.namespace)

    def _count(self, unit: str) -> None:
        """Have a unit count as its members stand."""
        members = [self._places[key] for key in self._members[unit]]
        if not members:
            del self._members[unit]
            return
        together = self._units[unit] = _as_one(unit, members)
        namespace = self._namespaces[together.namespace]
        namespace.put(together)
        self._running += together.under_way
        if together.under_way and together.queued is not None:
            self._joined.add(unit)
        if namespace.waiting:
            self._waited.add(together.namespace)

    def _next_units(self) -> list[str]:
        """The units that may begin: from namespace to namespace, and in each in order."""
        picked: list[str] = []
        taken: Counter[str] = Counter()
        waited = set(self._waited)
        while waited and self._running + len(picked) < self._limit:
            where = min(waited, key=lambda each: self._before(each, taken[each]))
            waiting = self._namespaces[where].waiting
            picked.append(waiting[taken[where]][2])
            # One that is picked here counts as under way: of two as good the other one is next.
            taken[where] += 1
            if taken[where] == len(waiting):
                waited.discard(where)
        return picked

    def _before(self, name: str, taken: int) -> tuple[int, datetime, datetime, str]:
        """What orders namespaces, the first one first."""
        namespace = self._namespaces[name]
        began = namespace.began[-1][0] if namespace.began else _NEVER
        return namespace.running + taken, began, namespace.waiting[taken][1], name


def _as_one(unit: str, places: list[Place]) -> Place:
    queued = [each.queued for each in places if each.queued is not None and not each.under_way]
    return Place(
        unit,
        priority=max(each.priority for each in places),
        under_way=any(each.under_way for each in places),
        queued=min(queued, default=None),
        began=max((each.began for each in places if each.began is not None), default=None),
    )
