"""Sample ratio: whether requests arrive at the two versions in the ratio that their route asks for.

What was counted is held against the weight with two allowances:

- one for chance. Where the share that was asked for, or one within the second allowance, makes what was counted less
  likely than `CHANCE`, the requests are divided otherwise. That is the bound of Chernoff on the tail of the binomial
  distribution: never below the tail itself, exact where none arrived, and the same for ten requests and ten million.
- one for how it is counted: requests are counted when they end, which takes one version longer than the other, and
  pods are scraped one after the other. The odds may be `ALLOWED` times what was asked for: of 10 % it may be between
  6.9 and 14.3 %, of 50 % between 40 and 60.

Together a data plane that does what it is asked to is called off once in more than a million looks: of what is counted
by scraping, the variance is up to twice that of the requests themselves, and the tail then the root of `CHANCE`.
"""

from dataclasses import dataclass
from math import log

from canary.api.traffic import TOTAL_WEIGHT
from canary.rollout.facts import Counts

CHANCE = 1e-12
"""How unlikely what was counted must be."""

ALLOWED = 1.5
"""By how much the odds of a version may differ from what was asked for, either way."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """Requests arrive at the canary, and nothing shows that they are too few or too many."""


@dataclass(frozen=True, slots=True)
class NoneArriving:
    """Of so many requests some should have come to the canary, and none did.

    Args:
        expected: how many should have.
        seen: how many requests there were.
    """

    expected: int
    seen: int


@dataclass(frozen=True, slots=True)
class OffShare:
    """The canary gets another share than its weight.

    Args:
        asked: its weight, in percent.
        share: what it got, in percent.
        seen: of how many requests.
    """

    asked: int
    share: float
    seen: int


@dataclass(frozen=True, slots=True)
class TooFewToTell:
    """Nothing has arrived at the canary for certain, and of so few requests that proves nothing."""


Ratio = Arriving | NoneArriving | OffShare | TooFewToTell


def ratio(counts: Counts, weight: int) -> Ratio:
    """What counts of both versions say of the weight that was in force while they were counted.

    Args:
        counts: the requests of a stretch of time.
        weight: percent of requests that the canary should get, more than 0 and less than 100.

    Raises:
        ValueError: at another weight there is nothing to compare.
    """
    if not 0 < weight < TOTAL_WEIGHT:
        msg = f"at weight {weight} one version has all requests"
        raise ValueError(msg)
    canary, primary = counts.canary, counts.primary
    asked = weight / TOTAL_WEIGHT
    low, high = _share(asked, ALLOWED * (1 - asked)), _share(ALLOWED * asked, 1 - asked)
    most, least = _share(canary.most + counts.withheld, primary.least), _share(canary.least, primary.most)
    if most < low and _is_off(most, low, counts.total):
        if not canary.most:
            return NoneArriving(round(counts.total * asked), counts.total)
        return OffShare(weight, TOTAL_WEIGHT * _share(canary.most, primary.least), counts.total)
    if least > high and not counts.direct and _is_off(least, high, counts.total):
        return OffShare(weight, TOTAL_WEIGHT * least, counts.total)
    return Arriving() if canary.least else TooFewToTell()


def _share(canary: float, primary: float) -> float:
    """The canary's part of both; half of nothing."""
    both = canary + primary
    return canary / both if both else 0.5


def _is_off(seen: float, share: float, total: int) -> bool:
    """Whether so many requests, of each of which the canary has this chance, hardly ever give it what was seen."""
    return total * _divergence(seen, share) > -log(CHANCE)


def _divergence(seen: float, share: float) -> float:
    """Of Kullback and Leibler: what each request adds to the logarithm of how unlikely it all is."""
    return _term(seen, share) + _term(1 - seen, 1 - share)


def _term(seen: float, share: float) -> float:
    return seen * log(seen / share) if seen else 0.0
