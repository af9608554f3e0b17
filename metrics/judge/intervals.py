"""Intervals around what was counted of one version that hold at every look, to be shown beside a verdict."""

from __future__ import annotations

from itertools import accumulate
from math import inf, lgamma, log, log1p

from metrics.judge.histogram import Histogram
from metrics.judge.looks import Counts

_TUNED = 1000.0
"""The number of requests at which the intervals are the narrowest."""


def rate_interval(counts: Counts, error: float = 0.05, tuned: float = _TUNED) -> tuple[float, float]:
    """A confidence sequence for the rate of bad requests.

    All rates that the two-sided beta-binomial mixture does not reject: Howard, Ramdas, McAuliffe and Sekhon,
    "Time-uniform, nonparametric, nonasymptotic confidence sequences", arXiv 1810.08240.

    Args:
        counts: what was counted since the beginning.
        error: the probability that the rate is outside at any look.
        tuned: the number of requests at which the interval is the narrowest.
    """
    bad, requests = min(counts.bad, counts.requests), counts.requests
    if not requests:
        return 0.0, 1.0
    seen = bad / requests

    def border(outside: float) -> float:
        inside = seen
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if _mixture(bad, requests, middle, error, tuned) >= -log(error):
                outside = middle
            else:
                inside = middle
        return inside

    return border(0.0), border(1.0)


def quantile_interval(
    histogram: Histogram, quantile: float, error: float = 0.05, tuned: float = _TUNED
) -> tuple[float, float]:
    """A confidence sequence for a quantile, as far as the buckets tell.

    Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
    identification", arXiv 1906.09712: a value is no candidate once the part of requests below it is not that of the
    quantile, by the same mixture. Of a histogram only its bounds can be asked.

    Args:
        histogram: what was measured since the beginning.
        quantile: between 0 and 1.
        error: the probability that the quantile is outside at any look.
        tuned: the number of requests at which the interval is the narrowest.

    Returns:
        The largest bound that lies surely below the quantile, 0 where none does, and the smallest that lies surely
        above, infinity where none does.
    """
    requests = sum(histogram.counts)
    low, high = 0.0, inf
    for bound, below in zip(histogram.bounds, accumulate(histogram.counts), strict=True):
        if requests and _mixture(below, requests, quantile, error, tuned) >= -log(error):
            if below < quantile * requests:
                low = bound
            elif high == inf:
                high = bound
    return low, high


_HALVINGS = 50
_LEAST = 1e-3


def _mixture(bad: float, requests: float, rate: float, error: float, tuned: float) -> float:
    """The logarithm of a martingale under `rate`: binomial likelihoods, mixed by a beta distribution around it."""
    variance = rate * (1 - rate)
    if not variance:
        return inf if (bad if rate == 0 else requests - bad) else 0.0
    missing = -2 * log(error)
    width = max(variance * tuned / (missing + log1p(missing)) - variance, _LEAST * variance)
    fails, passes = width / (1 - rate), width / rate
    return (
        _log_beta(fails + bad, passes + requests - bad)
        - _log_beta(fails, passes)
        - bad * log(rate)
        - (requests - bad) * log1p(-rate)
    )


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
