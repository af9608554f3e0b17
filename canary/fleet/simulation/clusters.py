"""A cluster that may be a member: what it is called, when it can be reached, and its Canary, which somebody moves."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from canary.api.canary import Canary, parse_canary
from canary.api.meta import JsonObject
from canary.fleet.decision import Annotate, Apply, Write
from canary.fleet.facts import Member, Reachable, Seen, Unreachable


@dataclass(frozen=True, slots=True)
class Away:
    """A stretch of time in which a cluster can't be reached from the hub; None is for good."""

    start: datetime
    end: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is away."""
        return self.start <= now and (self.end is None or now < self.end)


@dataclass(frozen=True, slots=True)
class Place:
    """What a hub knows of a cluster from elsewhere.

    Args:
        name: its name.
        labels: its labels.
        added: when it comes; None for one that is there from the beginning.
        removed: when it goes; None for one that stays.
        away: when it can't be reached.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    added: datetime | None = None
    removed: datetime | None = None
    away: Sequence[Away] = ()

    def is_there(self, now: datetime) -> bool:
        """Whether the hub knows of it."""
        return (self.added is None or self.added <= now) and (self.removed is None or now < self.removed)

    def away_since(self, now: datetime) -> datetime | None:
        """Since when it can't be reached; None while it can."""
        return next((each.start for each in self.away if each.holds(now)), None)

    def next_change(self, now: datetime) -> datetime | None:
        """When the hub sees something else of it next."""
        moments = [self.added, self.removed, *(each.start for each in self.away), *(each.end for each in self.away)]
        return min((each for each in moments if each is not None and each > now), default=None)


class Cluster(ABC):
    """A cluster with a Canary in it, whose own controller moves it whether the hub can see that or not.

    Args:
        place: what the hub knows of it.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    @abstractmethod
    def canary(self) -> Canary | None:
        """The Canary as it is there; None where there is none."""

    @abstractmethod
    def apply(self, raw: JsonObject, now: datetime) -> None:
        """Somebody applies the Canary."""

    @abstractmethod
    def annotate(self, annotations: Mapping[str, str | None], now: datetime) -> None:
        """Somebody puts annotations on the Canary, or takes them off."""

    @abstractmethod
    def next_moment(self) -> datetime | None:
        """When its controller does something next; None where nothing is to come."""

    @abstractmethod
    def advance(self, now: datetime) -> None:
        """Let time pass, and its controller do what it does."""

    def seen(self, now: datetime) -> Member:
        """What a hub knows of it."""
        since = self.place.away_since(now)
        seen: Seen = Reachable(self.canary) if since is None else Unreachable(since)
        return Member(self.place.name, self.place.labels, seen)

    def write(self, write: Write, now: datetime) -> None:
        """A hub writes something into it, which its controller sees at once."""
        match write:
            case Apply(canary=raw):
                self.apply(raw, now)
            case Annotate(annotations=annotations):
                self.annotate(annotations, now)
        self.advance(now)


def applied(before: Canary | None, raw: JsonObject) -> Canary:
    """The Canary once it is applied: its spec and its own annotations anew, all else as it is."""
    made = parse_canary(raw)
    if before is None:
        return made.replace(metadata=made.metadata.replace(generation=1))
    annotations = {**before.metadata.annotations, **made.metadata.annotations}
    generation = before.metadata.generation + (before.spec != made.spec)
    metadata = before.metadata.replace(annotations=annotations, labels=made.metadata.labels, generation=generation)
    return before.replace(metadata=metadata, spec=made.spec)


def annotated(canary: Canary, annotations: Mapping[str, str | None]) -> Canary:
    """The Canary with these annotations; None takes one off."""
    merged = {**canary.metadata.annotations, **annotations}
    kept = {key: value for key, value in merged.items() if value is not None}
    return canary.replace(metadata=canary.metadata.replace(annotations=kept))
