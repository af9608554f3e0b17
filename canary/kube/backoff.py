"""Growing, jittered waits between attempts."""

from dataclasses import dataclass, field
from random import Random


def fresh_random() -> Random:
    """Make a generator of one's own, for jitter."""
    return Random()  # noqa: S311 - spreads retries over time, guards nothing


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after the n-th failure in a row.

    Attributes:
        first: Seconds after the first failure, before jitter.
        cap: Most seconds ever, jitter included.
        factor: Growth from one failure to the next.
        jitter: Share of the wait that is random: 0.5 waits between half and all of it.
        random: Where the jitter comes from.
    """

    first: float
    cap: float
    factor: float = 2.0
    jitter: float = 0.5
    random: Random = field(default_factory=fresh_random, compare=False, repr=False)

    def delay(self, failures: int) -> float:
        """Seconds to wait after ``failures`` failures in a row (1 or more)."""
        # The exponent is bounded so that the power stays a float for years of failures.
        wait = min(self.cap, self.first * self.factor ** min(max(failures, 1) - 1, 60))
        return wait * (1 - self.jitter * self.random.random())
