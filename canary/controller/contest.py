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


DELETED = "deleted"
"""In place of fields, of an object that was gone."""

NAMED = 5
"""So many objects are named, and so many fields of each."""


@dataclass(frozen=True, slots=True)
class Write:
    """What was written to an object.

    Args:
        obj: its kind and name.
        digest: of what was written.
        fields: where the object was not so before.
    """

    obj: str
    digest: str
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class _Writes:
    digests: dict[str, str] = field(default_factory=dict)
    undone: int = 0
    last: float = float("-inf")
    fields: dict[str, set[str]] = field(default_factory=dict)


class Contest:
    """What was written around each Canary, by key, and how often the same."""

    def __init__(self) -> None:
        self._writes: dict[str, _Writes] = {}

    def note(self, key: str, written: Iterable[Write], now: float) -> bool:
        """Take in what a pass has written.

        Args:
            key: the Canary.
            written: what was written, to each object.
            now: loop time in seconds.

        Returns:
            Whether any of it was the same as before.
        """
        again = False
        for each in written:
            writes = self._writes.setdefault(key, _Writes())
            if writes.digests.get(each.obj) == each.digest:
                writes.undone, writes.last, again = writes.undone + 1, now, True
                writes.fields.setdefault(each.obj, set()).update(each.fields)
            writes.digests[each.obj] = each.digest
        return again

    def contested(self, key: str, now: float) -> bool:
        """Whether somebody undoes what is written around a Canary; loop time in seconds."""
        writes = self._writes.get(key)
        if writes is None or now - writes.last <= CALM.total_seconds():
            return writes is not None and writes.undone >= MOST
        writes.undone = 0
        writes.fields.clear()
        return False

    def undone(self, key: str, now: float) -> str:
        """The objects and fields that somebody undoes around a Canary; empty where nobody does."""
        if not self.contested(key, now):
            return ""
        found = (f"{obj} ({_first(fields)})" for obj, fields in self._writes[key].fields.items())
        return _first(found)

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


def _first(words: Iterable[str]) -> str:
    """The first of them, whatever their order: nothing is told anew that only comes in another one."""
    there = sorted(words)
    return ", ".join(there[:NAMED]) + (" and others" if len(there) > NAMED else "")
