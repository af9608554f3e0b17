"""What was used lately, in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was used longest ago.

    Args:
        size: how many entries it keeps.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value of a key; None where there is none, or none any more."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, in place of the key's earlier one."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget a value; one that there is not is none."""
        self._values.pop(key, None)


class Texts:
    """One copy of each short text for all who keep it.

    Interned, a text lives as long as the process in some versions of Python, and there is no end of times and versions.

    Args:
        most: how many texts it knows at once; some 100 bytes each.
    """

    LONGEST = 80
    """Characters of a text that is likely to come again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, str] = {}

    def one(self, text: str) -> str:
        """The copy of this text that is known, or this one from now on."""
        if len(text) > self.LONGEST:
            return text
        if len(self._known) >= self._most:
            self._known.clear()
        return self._known.setdefault(text, text)


class _Result(NamedTuple, Generic[V]):
    given: tuple[object, ...]
    value: V


class Memo(Generic[V]):
    """The last result of a pure function for each thing that it was asked about.

    Nothing that goes in or comes out may be changed afterwards. What goes in is compared by identity first, so that
    asking again about the same objects costs next to nothing.

    Args:
        size: how many results it keeps.
    """

    def __init__(self, size: int) -> None:
        self._results: Recent[Hashable, _Result[V]] = Recent(size)

    def of(self, key: Hashable, given: tuple[object, ...], compute: Callable[[], V]) -> V:
        """The result for what is given; computed where the last one of this key was for something else."""
        last = self._results.get(key)
        if last is not None and last.given == given:
            return last.value
        value = compute()
        self._results.put(key, _Result(given, value))
        return value

    def drop(self, key: Hashable) -> None:
        """Forget the result for a key."""
        self._results.drop(key)
