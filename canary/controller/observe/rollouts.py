"""Which Canaries are rolled out and which wait for that, as their stored statuses say: what each knows of others."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from canary.api.meta import MicroTime
from canary.api.status import Phase
from canary.kube.store import Change
from canary.kube.types import Json, mapping
from canary.rollout.dependencies import Dependency
from canary.rollout.groups import Member
from canary.rollout.hindrances import STALLED
from canary.rollout.holds import QUEUED
from canary.rollout.orders import PAUSE_ANNOTATION
from canary.rollout.turns import Place, Queue, Turn

UNDER_WAY = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})
"""Phases of a rollout that has begun: its version has pods of its own, and requests or the prospect of some."""

_PHASES = {each.value: each for each in Phase}
_TIME: TypeAdapter[datetime] = TypeAdapter(MicroTime)


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a Canary concerns others.

    Args:
        place: where it stands in the queue.
        phase: where its rollout stands.
        reason: why it stands there.
        since: since when it stands there.
        begun: whether the last rollout that has ended had begun.
        depends_on: the Canaries that it depends on, by NAMESPACE/NAME.
    """

    place: Place
    phase: Phase
    reason: str = ""
    since: datetime | None = None
    begun: bool = True
    depends_on: tuple[str, ...] = ()

    @property
    def in_group(self) -> tuple[str, Phase, str]:
        """What of it concerns others of its group."""
        return self.place.group, self.phase, self.reason


class Rollouts:
    """Where all Canaries stand.

    Args:
        limit: how many rollouts may go on at once; 0 for any number.

    Attributes:
        whole: a Canary with what the API server has dropped of its status.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._standing: dict[str, Standing] = {}
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        self._queue = Queue(limit)
        # Those that begin in a pass that has not stored it yet.
        self._beginning: set[str] = set()
        # Those that run what is deployed, as was seen when they were last looked at.
        self._current: set[str] = set()
        # Who is to be told when a Canary runs what is deployed.
        self._asking: defaultdict[str, set[str]] = defaultdict(set)
        self.whole: Callable[[Json], Json] = lambda raw: raw

    def take(self, change: Change[Json]) -> frozenset[str]:
        """Take in a change of a Canary: the keys of the others that it concerns."""
        key = f"{change.key.namespace}/{change.key.name}"
        old, new = self._standing.get(key), None
        if change.new is not None:
            new = self._standing[key] = standing_of(key, self.whole(change.new))
        else:
            self._standing.pop(key, None)
            self._current.discard(key)
        if old == new:
            return frozenset()
        woken: set[str] = set()
        if (old and old.place) != (new and new.place):
            self._line_up(key)
            woken |= self._next_up()
        if (old and old.phase) != (new and new.phase):
            woken |= self._dependents.get(key, set())
        if (old and old.in_group) != (new and new.in_group):
            woken |= self._grouped_with(old, new)
        if (old and old.depends_on) != (new and new.depends_on):
            for other in old.depends_on if old else ():
                self._dependents[other].discard(key)
            for other in new.depends_on if new else ():
                self._dependents[other].add(key)
            # It may close a circle, or open one.
            woken |= self._leading_to(key)
        return frozenset(woken - {key})

    def _grouped_with(self, *standings: Standing | None) -> set[str]:
        """Those of its groups, before and after."""
        units = {each.place.unit for each in standings if each is not None and each.place.group}
        return {each for unit in units for each in self._queue.members(unit)}

    def group(self, key: str) -> tuple[Member, ...]:
        """The others of a Canary's group; it is looked at again when one may have something new."""
        known = self._standing.get(key)
        if known is None or not known.place.group:
            return ()
        return tuple(self._member(key, other) for other in sorted(self._queue.members(known.place.unit) - {key}))

    def _member(self, key: str, other: str) -> Member:
        known = self._standing[other]
        current = self._is_current(key, other)
        return Member(other, known.phase, known.reason, current, known.since, begun=known.begun)

    def _is_current(self, key: str, other: str) -> bool:
        current = other in self._current
        if not current:
            self._asking[other].add(key)
        return current

    def _leading_to(self, key: str) -> set[str]:
        """Those that depend on a Canary, by others too."""
        found, new = set[str](), {key}
        while new:
            new = {each for other in new for each in self._dependents.get(other, ())} - found
            found |= new
        return found

    def turn(self, key: str, now: datetime) -> Turn | None:
        """What a Canary is told that would begin; None where any number of rollouts may go on."""
        if not self._limit:
            return None
        return self._queue.turn(key, now)

    def dependencies(self, key: str) -> tuple[Dependency, ...]:
        """What a Canary depends on; it is looked at again when one that is not settled may be."""
        known = self._standing.get(key)
        return tuple(self._dependency(key, other) for other in (known.depends_on if known is not None else ()))

    def _dependency(self, key: str, other: str) -> Dependency:
        known = self._standing.get(other)
        if known is None:
            return Dependency(other, None)
        return Dependency(other, known.phase, self._is_current(key, other))

    def decided(self, key: str, phase: Phase, *, current: bool) -> None:
        """A decision was made on a Canary, which may not be stored yet.

        Args:
            key: the Canary.
            phase: the phase that it is to be in: a place that it takes up no other one has.
            current: whether that is about what is deployed now.
        """
        if phase in UNDER_WAY and key not in self._beginning:
            self._beginning.add(key)
            self._line_up(key)
        if current:
            self._current.add(key)
        else:
            self._current.discard(key)

    def passed(self, key: str) -> frozenset[str]:
        """The pass is over, and what is stored counts: the keys of others that may go on by that."""
        # Not of each pass: two that look at one another would wake one another for ever.
        woken = self._asking.pop(key, set()) if key in self._current else set()
        if key in self._beginning:
            self._beginning.discard(key)
            self._line_up(key)
            known = self._standing.get(key)
            if not (known is not None and known.place.under_way):
                woken |= self._next_up()
        return frozenset(woken - {key})

    def _line_up(self, key: str) -> None:
        """Have a Canary stand where its status says, or where the pass that goes on will have it."""
        known = self._standing.get(key)
        if known is None:
            self._queue.put(key, None)
        else:
            self._queue.put(key, replace(known.place, under_way=known.place.under_way or key in self._beginning))

    def _next_up(self) -> frozenset[str]:
        return frozenset(self._queue.next_up()) if self._limit else frozenset()


def standing_of(key: str, raw: Json) -> Standing:
    """What of a Canary concerns others, from what the API server has of it, whatever else is to be thought of that."""
    spec, status, metadata = (mapping(raw.get(part)) for part in ("spec", "status", "metadata"))
    scheduling = mapping(spec.get("scheduling"))
    priority = scheduling.get("priority")
    phase = _phase(status.get("phase"))
    waits = phase is Phase.WAITING and status.get("reason") == QUEUED and not status.get("canaryWeight")
    stopped = spec.get("suspend") or metadata.get("deletionTimestamp") or _is_stalled(status)
    stopped = stopped or mapping(metadata.get("annotations")).get(PAUSE_ANNOTATION)
    place = Place(
        key,
        priority=priority if isinstance(priority, int) else 0,
        under_way=phase in UNDER_WAY,
        # Whoever can't take its turn now must not keep others from theirs.
        queued=_time(status.get("queuedSince")) if waits and not stopped else None,
        began=_time(status.get("rolloutStartTime")),
        group=str(mapping(scheduling.get("group")).get("name") or ""),
    )
    return Standing(
        place,
        phase,
        str(status.get("reason") or ""),
        _time(status.get("lastTransitionTime")),
        begun=_has_begun(status.get("history"), place.began),
        depends_on=depends_on(raw),
    )


def depends_on(raw: Json) -> tuple[str, ...]:
    """The Canaries that a Canary depends on, by NAMESPACE/NAME."""
    namespace = str(mapping(raw.get("metadata")).get("namespace") or "")
    named = mapping(mapping(raw.get("spec")).get("scheduling")).get("dependsOn")
    refs = [mapping(each) for each in named] if isinstance(named, list) else []
    return tuple(dict.fromkeys(f"{ref.get('namespace') or namespace}/{ref.get('name')}" for ref in refs))


def _phase(text: object) -> Phase:
    return _PHASES.get(text, Phase.EMPTY) if isinstance(text, str) else Phase.EMPTY


def _has_begun(history: object, began: datetime | None) -> bool:
    """Whether the last rollout that has ended had begun: one that was not was noticed after the last that did."""
    last = mapping(history[0]) if isinstance(history, list) and history else {}
    noticed = _time(last.get("started"))
    return noticed is None or (began is not None and noticed <= began)


def _is_stalled(status: Any) -> bool:
    said = status.get("conditions")
    found = (mapping(each) for each in said) if isinstance(said, list) else ()
    return any(each.get("type") == STALLED and each.get("status") == "True" for each in found)


def _time(text: object) -> datetime | None:
    with suppress(ValidationError):
        return _TIME.validate_python(text) if text else None
    return None
