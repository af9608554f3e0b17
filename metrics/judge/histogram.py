"""Latencies: from histograms of two versions to the share of their requests that is slower than a bound.

A slower canary has a larger share of its requests above any bound (it is stochastically larger; sequential tests of
that order are what Lindon, Sanden and Shirikian, "Rapid regression detection in software deployments through sequential
testing", arXiv 2205.14762, find regressions by). Where the user names no bound, the one that tells most about a
quantile is where the promoted version's quantile lies: there, as much of its requests is slower as the quantile leaves
over. Which of the histogram's bounds that is, the looks before say, so that the choice is a fair one; what is above it
is then counted as any other bad request, exactly, with no guess about where in a bucket a request lies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from metrics.judge.looks import Counts, Look


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long the requests of one version took.

    Args:
        bounds: the upper bounds of the buckets, rising, in whatever unit; the last may be infinite. Those of a native
            histogram's buckets do as well as those of a classic one.
        counts: how many requests lie in each bucket, below its bound and above the one before: not cumulated.

    Raises:
        ValueError: bounds don't rise, there are more or fewer counts, or a count is no number or negative.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.bounds) != len(self.counts) or any(not low < high for low, high in pairwise(self.bounds)):
            msg = "the bounds of a histogram rise, and each has a count"
            raise ValueError(msg)
        if not all(0 <= count < inf for count in self.counts):
            msg = "the counts of a histogram are finite and not negative"
            raise ValueError(msg)

    def slower(self, bound: float) -> Counts:
        """Requests slower than the smallest of the histogram's bounds that is at least `bound`."""
        above = bisect_left(self.bounds, bound) + 1
        return Counts(sum(self.counts), sum(self.counts[above:]))


@dataclass(frozen=True, slots=True)
class Timed:
    """The latencies of both versions between one look and the next.

    Args:
        canary: those of the new version.
        promoted: those of the version that it is compared with, with the same bounds.
        seconds: how long that took.
    """

    canary: Histogram
    promoted: Histogram
    seconds: float = 0.0


def slower_than(looks: Sequence[Timed], bound: float) -> tuple[Look, ...]:
    """Count as bad what is slower than a bound, in the unit of the histograms."""
    return tuple(Look(each.canary.slower(bound), each.promoted.slower(bound), each.seconds) for each in looks)


@dataclass(frozen=True, slots=True)
class AtQuantile:
    """Looks that hold a quantile of two versions against each other.

    Args:
        looks: with what is slower than the bound counted as bad.
        usual: the same of the promoted version before.
        bound: the last bound, in the unit of the histograms; None where nothing was measured.
    """

    looks: tuple[Look, ...]
    usual: tuple[Counts, ...]
    bound: float | None


def slower_than_quantile(
    looks: Sequence[Timed], quantile: float, *, slowdown: float = 0.0, usual: Sequence[Histogram] = ()
) -> AtQuantile:
    """Count as bad what is slower than the promoted version's quantile.

    The bound is the one of the histogram's that is nearest to the quantile in what lies above it, as the looks before
    have
    it: chosen anew at each look until ten requests are to be expected above it, and then kept. Where nothing came
    before, the first look says nothing.

    Args:
        looks: what was measured, in order, since the rollout began.
        quantile: between 0 and 1: 0.99.
        slowdown: how much slower than the promoted version the canary may be, as a part: with 0.1 what the canary needs
            more than 1.1 times the bound for is held against what the promoted version needs more than the bound for.
            The canary's bound is the next one of the histogram's: coarse buckets accept more.
        usual: what was measured of the promoted version before, in parts as long as a look.

    Raises:
        ValueError: the quantile is not between 0 and 1, or the slowdown is negative or no number.
    """
    if not 0 < quantile < 1:
        msg = f"a quantile lies between 0 and 1: {quantile}"
        raise ValueError(msg)
    if not 0 <= slowdown < inf:
        msg = f"a slowdown is finite and not negative: {slowdown}"
        raise ValueError(msg)
    buckets: dict[float, float] = {}
    for histogram in usual:
        _add(buckets, histogram)
    seen, bound, kept = [], None, False
    for look in looks:
        if not kept:
            bound = _nearest(buckets, 1 - quantile)
            kept = sum(buckets.values()) * (1 - quantile) >= _SETTLED
            _add(buckets, look.promoted)
        if bound is None:
            seen.append(Look(Counts(), Counts(), look.seconds))
        else:
            canary, promoted = look.canary.slower(bound * (1 + slowdown)), look.promoted.slower(bound)
            seen.append(Look(canary, promoted, look.seconds))
    before = () if bound is None else tuple(histogram.slower(bound) for histogram in usual)
    return AtQuantile(tuple(seen), before, bound)


def bound_at(histogram: Histogram, quantile: float) -> float | None:
    """The bound that tells most about a quantile: that above which nearest to what the quantile leaves over lies.

    Args:
        histogram: what was measured of the promoted version.
        quantile: between 0 and 1.

    Returns:
        None where nothing was measured, or nothing below any bound.
    """
    if not any(histogram.counts[:-1]):
        return None
    return _nearest(dict(zip(histogram.bounds, histogram.counts, strict=True)), 1 - quantile)


_SETTLED = 10.0
"""Requests above a bound that make it worth keeping."""


def _add(buckets: dict[float, float], histogram: Histogram) -> None:
    for bound, count in zip(histogram.bounds, histogram.counts, strict=True):
        buckets[bound] = buckets.get(bound, 0.0) + count


def _nearest(buckets: dict[float, float], share: float) -> float | None:
    """The bound above which a part of the requests lies that is, as a ratio, nearest to a share.

    Above the last bound with requests below it half a request is taken to lie.
    """
    left = requests = sum(buckets.values())
    nearest, distance = None, inf
    for bound, count in sorted(buckets.items()):
        left -= count
        if not requests or bound == inf:
            break
        part = max(left, _HALF) / requests
        off = max(part / share, share / part)
        if off < distance:
            nearest, distance = bound, off
    return nearest


_HALF = 0.5
