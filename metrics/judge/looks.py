"""What was counted of both versions, look by look: all that a comparison rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import inf


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one version over some time.

    Args:
        requests: how many there were; a fraction, where a server of metrics reckons one.
        bad: how many of them were bad: failed, or slower than a bound. More than there were requests is what counters
            read at different moments give, and does no harm.

    Raises:
        ValueError: a number is negative, infinite or NaN.
    """

    requests: float = 0.0
    bad: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.requests < inf and 0 <= self.bad < inf):
            msg = f"counts are finite and not negative: {self.bad} of {self.requests}"
            raise ValueError(msg)

    @property
    def rate(self) -> float:
        """The share that was bad; NaN of no requests."""
        return self.bad / self.requests if self.requests else float("nan")

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.requests + other.requests, self.bad + other.bad)


@dataclass(frozen=True, slots=True)
class Look:
    """What came to both versions between one look and the next.

    Within a look both versions are taken to live in the same world: what is bad for a moment, an outage of a database,
    is bad for both. From look to look the world may change as it likes, and so may the weights.

    Args:
        canary: counts of the new version.
        promoted: counts of the version that it is compared with.
        seconds: how long that took; only forecasts use it.
    """

    canary: Counts
    promoted: Counts
    seconds: float = 0.0


SHORTEST = timedelta(seconds=5)
"""Time between two looks at least: metrics servers seldom have anything new sooner."""

_LOOKS_A_STEP = 12


def time_between(interval: timedelta) -> timedelta:
    """The time from one look to the next in an analysis with this interval: a dozen to each step."""
    return max(SHORTEST, interval / _LOOKS_A_STEP)


def total(counts: Iterable[Counts]) -> Counts:
    """All of them together."""
    some = list(counts)
    return Counts(sum([each.requests for each in some]), sum([each.bad for each in some]))
