"""Latencies, counted: in buckets of one per cent for percentiles, and in those that Prometheus is given."""

import bisect
import math
from collections import Counter
from collections.abc import Iterable

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of Prometheus' buckets in seconds; the last one, without a bound, comes after them."""

WIDTH = 1.01
"""How much larger the upper bound of a bucket is than its lower one: percentiles are off by half a per cent at most."""

SHORTEST = 1e-6
"""Seconds below which latencies are not told apart."""


class Histogram:
    """Counts latencies."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.total = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count a latency."""
        self._buckets[math.floor(math.log(max(seconds, SHORTEST)) / _STEP)] += 1
        self.total += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float:
        """Return the latency in seconds that so many per cent of all do not exceed; NaN where there are none."""
        wanted = max(1, math.ceil(self.total * percent / 100))
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(math.exp((bucket + 0.5) * _STEP), self.longest)
        return math.nan


_STEP = math.log(WIDTH)


def in_buckets(latencies: Iterable[float]) -> list[int]:
    """Return how many latencies fall into each of Prometheus' buckets, not cumulated."""
    counts = [0] * (len(BOUNDS) + 1)
    for seconds in latencies:
        counts[bisect.bisect_left(BOUNDS, seconds)] += 1
    return counts
