"""Other Canaries that a rollout waits for before it begins, as they stand now."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from canary.api.status import Phase

SETTLED: Final = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED})
"""Phases of a Canary that serves what is deployed, if nothing newer is."""

_WORDS: Final = {
    Phase.EMPTY: "is being initialized",
    Phase.INITIALIZING: "is being initialized",
    Phase.WAITING: "waits to be rolled out",
    Phase.FAILED: "has failed",
    Phase.TERMINATING: "is being deleted",
    Phase.TERMINATED: "is being deleted",
}
_ROLLED_OUT: Final = "is being rolled out"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A Canary that another one depends on.

    Args:
        key: NAMESPACE/NAME of it.
        phase: where it stands; None where there is none that this controller sees.
        current: whether that is about what is deployed now.
    """

    key: str
    phase: Phase | None
    current: bool = True

    @property
    def settled(self) -> bool:
        """Whether it serves what is deployed."""
        return self.phase in SETTLED and self.current

    def __str__(self) -> str:
        if self.phase is None:
            return f"{self.key}, which does not exist here"
        if self.phase in SETTLED:
            return f"{self.key}, which has a new revision"
        return f"{self.key}, which {_WORDS.get(self.phase, _ROLLED_OUT)}"


def circle(key: str, named_by: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """The shortest way from a Canary by what it depends on back to itself; empty where there is none.

    Args:
        key: NAMESPACE/NAME of the Canary.
        named_by: what a Canary depends on.
    """
    ways: list[tuple[str, ...]] = [(key,)]
    seen = {key}
    while ways:
        longer = []
        for way in ways:
            for after in named_by(way[-1]):
                if after == key:
                    return (*way, key)
                if after not in seen:
                    seen.add(after)
                    longer.append((*way, after))
        ways = longer
    return ()
