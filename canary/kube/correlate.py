"""Which Events to write: repeats become a count, floods are cut. No I/O, no clock."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from canary.kube.types import Json

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_KEPT = 4096
_REPEAT_WITHIN = 600.0
_BURST = 25
_REFILL_EVERY = 300.0


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
    tokens: float
    at: float


class Correlator:
    """Turns what happens into Events to write, with client-go's limits.

    The same happening again within 10 minutes of the last time counts up the Event that is there. Of each object, 25
    may be written in a burst, and one more every 5 minutes.
    """

    def __init__(self) -> None:
        self._told: _Recent[Happening, _Told] = _Recent(_KEPT)
        self._buckets: _Recent[Regarding, _Bucket] = _Recent(_KEPT)

    def admit(self, happening: Happening, now: float, wall: float) -> Post | None:
        """Decide about one happening.

        Args:
            happening: What happened.
            now: Monotonic time in seconds.
            wall: Wall-clock time in seconds since the epoch.

        Returns:
            The Event to write; None where the object has had too many.
        """
        told = self._told.get(happening)
        if told is None or now - told.at > _REPEAT_WITHIN:
            told = _Told(_event_name(happening.regarding.name, wall), 0, wall, now)
            self._told.put(happening, told)
        told.count += 1
        told.at = now
        if not self._spend(happening.regarding, now):
            return None
        return Post(told.name, happening, told.count, told.first, wall)

    def _spend(self, regarding: Regarding, now: float) -> bool:
        bucket = self._buckets.get(regarding)
        if bucket is None:
            bucket = _Bucket(_BURST, now)
            self._buckets.put(regarding, bucket)
        bucket.tokens = min(_BURST, bucket.tokens + (now - bucket.at) / _REFILL_EVERY)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


class _Recent(Generic[K, V]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)


def _event_name(name: str, wall: float) -> str:
    """Name an Event as client-go does: its object's name and the time in hexadecimal nanoseconds."""
    return f"{name[:230]}.{int(wall * 1e9):x}"
