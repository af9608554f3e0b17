"""What was used lately, in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was used longest ago.

    Args:
        size: how many entries it keeps, where need be asked each time.
    """

    def __init__(self, size: int | Callable[[], int]) -> None:
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
        most = self._size if isinstance(self._size, int) else max(1, self._size())
        while len(self._values) > most:
            self._values.popitem(last=False)


class _Result(NamedTuple, Generic[V]):
    given: tuple[object, ...]
    value: V


class Memo(Generic[V]):
    """The last result of a pure function for each thing that it was asked about.

    Nothing that goes in or comes out may be changed afterwards. What goes in is compared by identity first, so that
    asking again about the same objects costs next to nothing.

    Args:
        size: how many results it keeps, where need be asked each time.
    """

    def __init__(self, size: int | Callable[[], int]) -> None:
        self._results: Recent[Hashable, _Result[V]] = Recent(size)

    def of(self, key: Hashable, given: tuple[object, ...], compute: Callable[[], V]) -> V:
        """The result for what is given; computed where the last one of this key was for something else."""
        last = self._results.get(key)
        if last is not None and last.given == given:
            return last.value
        value = compute()
        self._results.put(key, _Result(given, value))
        return value
