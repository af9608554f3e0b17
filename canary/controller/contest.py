"""Whether somebody undoes what is written around a Canary: a webhook that mutates it, another controller, a person.

One that writes the same again and again gets nowhere, and costs the API server a write each time. It is known by what
is written: the same manifest to the same object as the last time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

MOST = 10
"""Times that the same is written to an object before it is called undone; each repairs what may be an accident."""

CALM = timedelta(minutes=2)
"""A Canary whose objects stay as they were written for so long is contested no more."""

FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=1)
"""How long a contested Canary rests, whatever changes around it: at first, and at most."""


@dataclass(slots=True)
class _Writes:
    digests: dict[object, str] = field(default_factory=dict)
    undone: int = 0
    last: float = float("-inf")


class Contest:
    """What was written around each Canary, by key, and how often the same."""

    def __init__(self) -> None:
        self._writes: dict[str, _Writes] = {}

    def note(self, key: str, written: Iterable[tuple[object, str]], now: float) -> bool:
        """Take in what a pass has written.

        Args:
            key: the Canary.
            written: each object, and a digest of what was written to it.
            now: loop time in seconds.

        Returns:
            Whether any of it was the same as before.
        """
        again = False
        for obj, digest in written:
            writes = self._writes.setdefault(key, _Writes())
            if writes.digests.get(obj) == digest:
                writes.undone, writes.last, again = writes.undone + 1, now, True
            writes.digests[obj] = digest
        return again

    def contested(self, key: str, now: float) -> bool:
        """Whether somebody undoes what is written around a Canary; loop time in seconds."""
        writes = self._writes.get(key)
        if writes is None or now - writes.last <= CALM.total_seconds():
            return writes is not None and writes.undone >= MOST
        writes.undone = 0
        return False

    def over(self, key: str, now: float) -> timedelta | None:
        """In how long a Canary is contested no more, if nothing is undone until then; None where it is not."""
        if not self.contested(key, now):
            return None
        # The moment itself still counts as contested, and a timer may be early by as much as a clock is coarse.
        return timedelta(seconds=self._writes[key].last - now) + CALM + timedelta(seconds=1)

    def rest(self, key: str) -> timedelta:
        """How long a contested Canary rests: twice as long each time."""
        doubled = min(max(self._writes[key].undone - MOST, 0), 10) if key in self._writes else 0
        return min(FIRST_REST * (1 << doubled), LONGEST_REST)

    def forget(self, key: str) -> None:
        """A Canary is gone."""
        self._writes.pop(key, None)
