"""How much traffic is needed to tell a good version from a bad one by its share of failed requests.

The requests of one look are taken for independent, each failing with the version's error rate: their failures then
follow the binomial distribution, whose exact tails are summed here. A look fails when more than the allowed share
failed. The number of requests needed is the least with which a healthy version fails a look with a probability of at
most ALPHA and a bad one passes it with at most BETA: a test of one proportion with a given critical value, for
which NIST/SEMATECH, e-Handbook of Statistical Methods, section 7.2.4.2, gives the normal approximation.

A week without a single failure does not prove an error rate of 0: with n requests, rates of up to 3/n are compatible
with it at 95 % (Hanley and Lippman-Hand, JAMA 249, 1983, p. 1743).

The 99th percentile of n requests is often no more than the slowest of them: only from 299 on is one of the slowest
percent among them with 95 % (Wilks, Annals of Mathematical Statistics 12, 1941, p. 91: n >= ln 0.05 / ln 0.99).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

ALPHA = 0.01
"""Probability with which a healthy version may fail one look."""

BETA = 0.05
"""Probability with which a bad version may pass one look."""

TIMES = (2, 5, 10)
"""Bad versions: how many times the allowed share of their requests fails."""

PERCENTILE_REQUESTS = 299
"""Requests from which on a 99th percentile is more than the slowest request."""

MOST_REQUESTS = 10_000_000
_GROWTH = 1.03
_RUN = 12
"""So many numbers of requests in a row must do: the share that is allowed is rounded to whole requests, so that some
numbers do by luck."""

_NEGLIGIBLE = 1e-18
_FEW = 32


def tail(least: int, requests: int, rate: float) -> float:
    """The probability of at least so many failures among so many requests.

    Args:
        least: the number of failures.
        requests: the number of requests.
        rate: the probability of one failure, 0 to 1.
    """
    if least <= 0:
        return 1.0
    if least > requests or rate <= 0:
        return 0.0
    if rate >= 1:
        return 1.0
    if least <= requests * rate:
        return 1.0 - _sum(requests - least + 1, requests, 1 - rate)
    return _sum(least, requests, rate)


def _sum(least: int, requests: int, rate: float) -> float:
    """The upper tail from beyond the mean: its terms only fall."""
    if least > requests:
        return 0.0
    term = math.exp(
        math.lgamma(requests + 1)
        - math.lgamma(least + 1)
        - math.lgamma(requests - least + 1)
        + least * math.log(rate)
        + (requests - least) * math.log1p(-rate)
    )
    total, odds = 0.0, rate / (1 - rate)
    for failures in range(least, requests + 1):
        total += term
        term *= (requests - failures) / (failures + 1) * odds
        if term <= total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


def fails(requests: int, allowed: float, rate: float) -> float:
    """The probability that a look fails.

    Args:
        requests: requests of the look.
        allowed: the share of failures that is accepted, 0 to 1.
        rate: the version's error rate, 0 to 1.
    """
    return tail(math.floor(requests * allowed + 1e-9) + 1, requests, rate)


def needed(allowed: float, healthy: float, bad: float) -> int | None:
    """About how many requests a look needs to tell a healthy version from a bad one.

    Args:
        allowed: the share of failures that is accepted, 0 to 1.
        healthy: the healthy version's error rate.
        bad: the bad version's error rate.

    Returns:
        The number, within a few percent; None where no number does, or more than MOST_REQUESTS.
    """
    if not healthy < allowed < bad:
        return None
    run, first, requests = 0, 0, 1
    while requests <= MOST_REQUESTS:
        if fails(requests, allowed, healthy) <= ALPHA and 1 - fails(requests, allowed, bad) <= BETA:
            first, run = first if run else requests, run + 1
            if run == _RUN:
                return first
        else:
            run = 0
        requests = max(requests + 1, math.ceil(requests * _GROWTH))
    return None


def rolled_back(chances: Sequence[float], threshold: int) -> float:
    """The probability that a rollout is rolled back.

    Args:
        chances: by step, the probability that a look at it fails; a step that fails is looked at again.
        threshold: failed checks that roll it back.
    """
    # By the number of failed checks so far, the probability to stand there at this step.
    standing = [1.0] + [0.0] * (threshold - 1)
    for chance in chances:
        failed = 0.0
        after = []
        for already in standing:
            here = already + failed
            failed = here * chance
            after.append(here * (1 - chance))
        standing = after
    return max(0.0, 1.0 - sum(standing))


@dataclass(frozen=True, slots=True)
class Health:
    """The error rate that a healthy version is taken to have.

    Args:
        rate: 0 to 1.
        bound: whether it is the greatest that a window without failures allows.
    """

    rate: float
    bound: bool


def health(success: Sequence[float], requests: Sequence[float]) -> Health | None:
    """The error rate over a window: failed requests by all requests.

    Args:
        success: by look, the success rate in percent, 0 to 100; NaN is none.
        requests: by look, the number of requests, not infinite; NaN is none.
    """
    pairs = [
        (count, count * min(max(1 - rate / 100, 0.0), 1.0))
        for rate, count in zip(success, requests, strict=True)
        if not math.isnan(rate) and not math.isnan(count) and count > 0
    ]
    total = sum(count for count, _ in pairs)
    if total <= 0:
        return None
    failed = sum(failures for _, failures in pairs)
    least = min(3 / total, 1.0)
    # Less than one failed request is what is left of dividing: none failed.
    return Health(failed / total, bound=False) if failed >= 0.5 else Health(least, bound=True)


def wilson(found: int, tried: int) -> tuple[float, float]:
    """The 95 % interval of a share of which so many of so many are known.

    Wilson's (Journal of the American Statistical Association 22, 1927, p. 209), which holds for shares near 0, too.
    """
    share, square = found / tried, _NORMAL**2 / tried
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


_NORMAL = 1.959964
"""The 97.5th percentile of the normal distribution."""


def binomial(number: int, share: float, chance: Random) -> int:
    """How many of so many come true by chance, each with this probability: exactly, in few draws.

    By order statistics: the median of uniform numbers follows a beta distribution, and tells which half is left (L.
    Devroye, Non-Uniform Random Variate Generation, 1986, X.4.3).
    """
    found = 0
    while number > _FEW and 0 < share < 1:
        below = 1 + number // 2
        middle = chance.betavariate(below, number + 1 - below)
        if middle >= share:
            number, share = below - 1, share / middle
        else:
            found += below
            number, share = number - below, (share - middle) / (1 - middle)
    if share <= 0:
        return found
    return found + (number if share >= 1 else sum(chance.random() < share for _ in range(number)))
