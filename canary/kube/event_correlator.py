"""Which Events to write: repeats become a count, floods are cut. No I/O, no clock."""

from dataclasses import dataclass
from typing import NamedTuple

from canary.kube.memo import Recent
from canary.kube.types import Json

_KEPT = 4096
_REPEAT_WITHIN = 600.0


class Regarding(NamedTuple):
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, obj: Json) -> "Regarding":
        """Refer to an object."""
        metadata = obj["metadata"]
        return cls(
            obj["apiVersion"],
            obj["kind"],
            metadata.get("namespace") or "",
            metadata["name"],
            metadata.get("uid") or "",
        )


@dataclass(frozen=True, slots=True)
class Happening:
    """What an Event tells.

    Attributes:
        regarding: The object that it is about.
        type: ``Normal`` or ``Warning``.
        reason: One word for machines.
        message: Words for people.
    """

    regarding: Regarding
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Post:
    """An Event to write.

    Attributes:
        name: The Event object's name.
        happening: What it tells.
        count: How often it has happened; more than 1 means that the object should be there already.
        first: Wall-clock time of the first time, in seconds since the epoch.
        last: Wall-clock time of this time.
    """

    name: str
    happening: Happening
    count: int
    first: float
    last: float


@dataclass(slots=True)
class _Told:
    name: str
    count: int
    first: float
    at: float


@dataclass(slots=True)
class _Bucket:
    """So many at once, and one more every so many seconds."""

    burst: int
    every: float
    tokens: float
    at: float

    @classmethod
    def full(cls, burst: int, every: float, now: float) -> "_Bucket":
        return cls(burst, every, burst, now)

    def spend(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) / self.every)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class _Limits:
    """What one object may tell."""

    news: _Bucket
    repeats: _Bucket

    @classmethod
    def of_somebody_new(cls, now: float) -> "_Limits":
        return cls(_Bucket.full(100, 10.0, now), _Bucket.full(25, 300.0, now))


class Correlator:
    """Turns what happens into Events to write.

    The same happening again within 10 minutes of the last time counts up the Event that is there; of each object, 25
    repeats may be written in a burst, and one more every 5 minutes. These are client-go's limits, which hold for all
    Events there. Here something new has a limit of its own, 100 in a burst and one more every 10 seconds, so that a
    rollout of many steps, or one that was halted for long, still tells how it ended.
    """

    def __init__(self) -> None:
        self._told: Recent[Happening, _Told] = Recent(_KEPT)
        self._limits: Recent[Regarding, _Limits] = Recent(_KEPT)

    def admit(self, happening: Happening, now: float, wall: float) -> Post | None:
        """Decide about one happening.

        Args:
            happening: What happened.
            now: Monotonic time in seconds.
            wall: Wall-clock time in seconds since the epoch.

        Returns:
            The Event to write; None where the object has had too many.
        """
        limits = self._limits_of(happening.regarding, now)
        told = self._told.get(happening)
        if told is None or now - told.at > _REPEAT_WITHIN:
            if not limits.news.spend(now):
                return None
            told = _Told(_event_name(happening.regarding.name, wall), 1, wall, now)
            self._told.put(happening, told)
        else:
            told.count += 1
            told.at = now
            if not limits.repeats.spend(now):
                return None
        return Post(told.name, happening, told.count, told.first, wall)

    def _limits_of(self, regarding: Regarding, now: float) -> _Limits:
        limits = self._limits.get(regarding)
        if limits is None:
            limits = _Limits.of_somebody_new(now)
            self._limits.put(regarding, limits)
        return limits


def _event_name(name: str, wall: float) -> str:
    """Name an Event as client-go does: its object's name and the time in hexadecimal nanoseconds."""
    return f"{name[:230]}.{int(wall * 1e9):x}"
