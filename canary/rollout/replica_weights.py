"""Weights by the numbers of pods: both versions stand behind one Service, and each pod gets the same share.

The primary keeps its pods, so that it can take everything back at any time, and the canary never has more than it: so
many weights can be had as the primary has pods, up to half, and all of the traffic by the canary alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from canary.api.traffic import TOTAL_WEIGHT


@dataclass(frozen=True, slots=True)
class Count:
    """A weight that can be had.

    Args:
        pods: of the canary.
        primary: pods of the primary, none of which counts where the canary gets everything.
        share: percent of the requests that the canary gets by that, rounded.
        asked: the weights for which this is the nearest.
    """

    pods: int
    primary: int
    share: int
    asked: tuple[int, ...]

    @property
    def exact(self) -> bool:
        """Whether this is what was asked for."""
        return self.asked == (self.share,)

    def __str__(self) -> str:
        wanted = ", ".join(f"{weight} %" for weight in self.asked)
        total = self.pods + self.primary
        return f"asked {wanted}, {self.pods} of {total} pods is {self.share} %"


def counts(weights: Iterable[int], primary: int) -> tuple[Count, ...]:
    """The weights that can be had in place of these, each once.

    Args:
        weights: in percent, 1 to 100, growing.
        primary: pods of the primary, 1 at least.
    """
    found: dict[tuple[int, int], tuple[int, ...]] = {}
    for weight in weights:
        pods = pods_for(weight, primary)
        share = TOTAL_WEIGHT if weight == TOTAL_WEIGHT else share_of(pods, primary)
        found[pods, share] = (*found.get((pods, share), ()), weight)
    return tuple(
        Count(pods, primary if share < TOTAL_WEIGHT else 0, share, asked) for (pods, share), asked in found.items()
    )


def pods_for(weight: int, primary: int) -> int:
    """How many pods of the canary come nearest to a weight; as many as the primary's for all of the traffic.

    Args:
        weight: percent, 1 to 100.
        primary: pods of the primary, 1 at least.
    """
    if weight >= TOTAL_WEIGHT:
        return primary
    below = max(1, min(primary, weight * primary // (TOTAL_WEIGHT - weight)))
    wanted = Fraction(weight, TOTAL_WEIGHT)
    return min((below, min(primary, below + 1)), key=lambda pods: abs(Fraction(pods, pods + primary) - wanted))


def share_of(pods: int, primary: int) -> int:
    """Percent of the requests that so many pods of the canary get beside so many of the primary, 1 to 99."""
    total = pods + primary
    return max(1, min(TOTAL_WEIGHT - 1, (2 * TOTAL_WEIGHT * pods + total) // (2 * total)))
