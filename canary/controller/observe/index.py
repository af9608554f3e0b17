"""Which Canaries an object concerns, so that its change wakes these and no others."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Ref(NamedTuple):
    """An object by kind, namespace and name; many are made in every pass."""

    kind: str
    namespace: str
    name: str


class Index:
    """A relation between Canaries, by key, and the objects that they look at."""

    def __init__(self) -> None:
        self._objects: dict[str, frozenset[Ref]] = {}
        self._canaries: dict[Ref, set[str]] = defaultdict(set)
        self.let_go: Callable[[Ref], None] = lambda _: None
        """Is told of each object that no Canary looks at any more."""

    def put(self, key: str, refs: Iterable[Ref]) -> None:
        """A Canary looks at these objects, and at none that it looked at before."""
        new = frozenset(refs)
        old = self._objects.get(key, frozenset())
        if new == old:
            return
        for ref in old - new:
            self._canaries[ref].discard(key)
            if not self._canaries[ref]:
                del self._canaries[ref]
                self.let_go(ref)
        for ref in new - old:
            self._canaries[ref].add(key)
        if new:
            self._objects[key] = new
        else:
            self._objects.pop(key, None)

    def drop(self, key: str) -> None:
        """A Canary is gone."""
        self.put(key, ())

    def concerned(self, ref: Ref) -> frozenset[str]:
        """The Canaries that look at an object."""
        return frozenset(self._canaries.get(ref, ()))
