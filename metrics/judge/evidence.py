"""Evidence that stays right however often one looks: an e-process on counts of two versions.

A quantity that starts at 1, is never negative, and is not expected to grow as long as the null hypothesis holds,
exceeds 1/alpha at any time with a probability of at most alpha (Ville's inequality; Ramdas, Grünwald, Vovk and Shafer,
"Game-theoretic statistics and safe anytime-valid inference", arXiv 2210.01948). One may look at it after every
request or once a day, stop when it suits and go on when it doesn't.

For each look and each alternative (canary's rate a, promoted version's rate b; n requests and k bad ones of each
version) it grows by a ratio of likelihoods of Poisson counts,

    S = (a/a0)^k_canary (b/b0)^k_promoted exp(-n_canary (a - a0) - n_promoted (b - b0)),

where (a0, b0) is the point of the null hypothesis "a0 - b0 = gap" nearest to the alternative in the Kullback-Leibler
sense: the reverse information projection of Turner and Grünwald, "Exact anytime-valid confidence intervals for
contingency tables and beyond", arXiv 2203.09785, for the difference of two rates; for Poisson counts it is the root of
a quadratic. With it S has the expectation 1 at every point of the line a - b = gap, whatever the rates, and less on the
null's side of it. For a gap of 0 it is the likelihood ratio of "which version does the next bad request come from", the
test for Poisson processes whose intensity changes over time of Lindon and Malek, "Anytime-valid inference for
multinomial count data", arXiv 2011.03567, section 4; that both are the same for Poisson counts is shown by Hao,
Grünwald, Lardy, Long and Adams, "E-values for k-sample tests with exponential families", arXiv 2303.00471.

As 1 + x <= exp(x), S promises for requests that fail or don't (Bernoulli) what it promises for Poisson counts: one
request fails with one probability, the next with another. For rare failures nothing is lost by it.

Where bad requests of one version come in clusters, of a client that tries again or a pod that is ill for a while,
nobody's test keeps its promise: ten that hang together look like ten. What the promoted version's looks so far say of
that takes a part of each look's growth only, the smaller the more its bad requests scatter. As E(S^c) <= E(S)^c for c
between 0 and 1, that costs power, never the promise.

The alternatives are fixed multiples of what the counts before a look say of the promoted version: a mixture over them
is again an e-process (the method of mixtures), and what was known before a look is a fair bet on it. So nothing is kept
in memory: from the counts of all looks the same comes out at every time, and after every restart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, floor, inf, log, sqrt
from typing import NamedTuple

from metrics.judge.looks import Counts, Look

_TIMES = (1.1, 1.3, 1.7, 2.5, 5.0, 10.0, 100.0)
"""How many times the tolerated rate a worse canary may have."""
_LOGS, _MORE = tuple(map(log, _TIMES)), tuple([each - 1 for each in _TIMES])
_WEIGHTS = (0.03, 0.05, 0.10, 0.17, 0.20, 0.35, 0.10)
"""How much is bet on each: most on what shall be found after a handful of bad requests."""
BETS = len(_WEIGHTS)
"""How many bets there are on a worse canary."""
_DIGITS = 3
"""Digits behind the point with which bets are kept."""
_PARTS = (0.0, 0.25, 0.5)
"""How much of the margin a canary that is no worse may use up, each with the same weight."""

_FIRST = Counts(requests=100, bad=0.5)
"""What is taken for the promoted version's before anything is counted; after some hundred requests it is forgotten."""
_TRUST = 5.0
"""How many stretches without clusters a promoted version is credited with before the first."""
_STRETCH, _EXPECTED = 3, 1.0
"""Looks in a stretch, at least, and bad requests that are expected in it: fewer say nothing of clusters."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much the counts speak against a null hypothesis.

    Args:
        trail: the logarithm of the e-process after each look.
        bets: the logarithm of what each bet has come to after the last look, for one that was staked on it.
    """

    trail: tuple[float, ...]
    bets: tuple[float, ...] = ()

    @property
    def now(self) -> float:
        """The logarithm of the e-process after the last look."""
        return self.trail[-1] if self.trail else 0.0

    @property
    def p_value(self) -> float:
        """The anytime-valid p-value: 1 over the largest value so far (arXiv 2210.01948)."""
        return exp(-max(0.0, *self.trail)) if self.trail else 1.0

    def since(self, level: float) -> int | None:
        """The first look, counted from 0, at which it was at least 1/level."""
        bound = -log(level)
        return next((number for number, value in enumerate(self.trail) if value >= bound), None)


def worse(looks: Sequence[Look], tolerance: float = 0.0, usual: Sequence[Counts] = ()) -> Evidence:
    """Evidence against "the canary's rate is at most the promoted version's and `tolerance`".

    Args:
        looks: what was counted, in order, since the rollout began.
        tolerance: the difference of rates that is still accepted, 0 or more.
        usual: what was counted of the promoted version before, in parts as long as a look.

    Raises:
        ValueError: the tolerance is negative or no number.
    """
    return worse_of(looks, foreseen(looks, usual), tolerance)


def no_worse(looks: Sequence[Look], margin: float, usual: Sequence[Counts] = ()) -> Evidence:
    """Evidence against "the canary's rate is at least the promoted version's and `margin`".

    Args:
        looks: what was counted, in order, since the rollout began.
        margin: the difference of rates that matters; with 0 there is never any evidence.
        usual: what was counted of the promoted version before, in parts as long as a look.

    Raises:
        ValueError: the margin is negative or no number.
    """
    return no_worse_of(looks, foreseen(looks, usual), margin)


class Foreseen(NamedTuple):
    """What was known before a look.

    Args:
        base: the promoted version's rate.
        part: how much of the look's growth is believed.
    """

    base: float
    part: float


def foreseen(looks: Sequence[Look], usual: Sequence[Counts] = ()) -> list[Foreseen]:
    """What was known before each of the looks: the same for both questions."""
    known = _Known()
    known.learn(usual)
    before: list[Foreseen] = []
    known.learn([look.promoted for look in looks], before)
    return before


def worse_of(looks: Sequence[Look], before: Sequence[Foreseen], tolerance: float) -> Evidence:
    """`worse`, for whoever has computed what was known before each look."""
    return _evidence(looks, before, tolerance, _WEIGHTS, multiples) if tolerance else _of_quotients(looks, before)


def no_worse_of(looks: Sequence[Look], before: Sequence[Foreseen], margin: float) -> Evidence:
    """`no_worse`, for whoever has computed what was known before each look."""
    return _evidence(looks, before, margin, (1 / len(_PARTS),) * len(_PARTS), parts)


def multiples(base: float, tolerance: float) -> tuple[float, ...]:
    """The rates of a worse canary on which `worse` bets."""
    return tuple([(base + tolerance) * each for each in _TIMES])


def parts(base: float, margin: float) -> tuple[float, ...]:
    """The rates of a canary that is no worse, on which `no_worse` bets."""
    return tuple([base + margin * each for each in _PARTS])


def base_of(promoted: Counts) -> float:
    """What is taken for the promoted version's rate, given what was counted of it."""
    return (_FIRST.bad + promoted.bad) / (_FIRST.requests + promoted.requests)


def _evidence(
    looks: Sequence[Look],
    before: Sequence[Foreseen],
    gap: float,
    weights: Sequence[float],
    alternatives: Callable[[float, float], tuple[float, ...]],
) -> Evidence:
    if not 0 <= gap < inf:
        msg = f"a difference of rates is finite and not negative: {gap}"
        raise ValueError(msg)
    bets = [log(weight) for weight in weights]
    trail, now = [], 0.0
    for look, (base, part) in zip(looks, before, strict=True):
        canary, promoted = look.canary, look.promoted
        if promoted.requests and canary.requests and (gap or promoted.bad or canary.bad):
            grown = growths(look, alternatives(base, gap), base, gap)
            bets = [bet + part * more for bet, more in zip(bets, grown)]  # noqa: B905 - as many, and three times a look
            now = _together(bets)
        trail.append(now)
    return Evidence(tuple(trail), _won(bets, weights))


def _of_quotients(looks: Sequence[Look], before: Sequence[Foreseen]) -> Evidence:
    """`worse` for a tolerance of 0, where all alternatives are quotients of the two rates, the same at each look."""
    bets = [log(weight) for weight in _WEIGHTS]
    trail, now = [], 0.0
    for look, (_, part) in zip(looks, before, strict=True):
        canary, promoted = look.canary, look.promoted
        n, k, m, j = canary.requests, canary.bad, promoted.requests, promoted.bad
        if n and m and (k or j):
            share, mine, bad = n / (n + m), part * k, part * (k + j)
            bets = [
                bet + mine * its_log - bad * log(1 + share * more)
                for bet, its_log, more in zip(bets, _LOGS, _MORE)  # noqa: B905 - as many
            ]
            now = _together(bets)
        trail.append(now)
    return Evidence(tuple(trail), _won(bets, _WEIGHTS))


def _won(bets: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """What each bet has come to, whatever was staked on it."""
    return tuple([bet - log(weight) for bet, weight in zip(bets, weights, strict=True)])


def kept(bets: Sequence[float]) -> tuple[float, ...]:
    """Bets as they are kept, as logarithms: rounded down, so that the promise is."""
    return tuple([floor(each * 10**_DIGITS) / 10**_DIGITS for each in bets])


def mixed(bets: Sequence[float]) -> float:
    """The logarithm of what all bets of `worse` have come to together, each with the stake that it has there.

    Args:
        bets: the logarithm of what each has come to, for one that was staked on it.

    Raises:
        ValueError: they are not as many as there are.
    """
    return _together([log(weight) + bet for weight, bet in zip(_WEIGHTS, bets, strict=True)])


def _together(bets: Sequence[float]) -> float:
    """The logarithm of the sum of what was won with all bets, given their logarithms."""
    try:
        return log(sum(map(exp, bets)))
    except (OverflowError, ValueError):  # all of them too large, or too small, for a number
        most = max(bets)
        return most + log(sum([exp(bet - most) for bet in bets]))


class _Known:
    """What earlier looks say of the promoted version: its rate, and how far its bad requests come in clusters.

    That is the index of dispersion, Pearson's: the mean square of what a stretch of looks has more or less than the
    looks before it predict, in units of what independent requests would have.
    """

    __slots__ = ("_bad", "_freedom", "_looks", "_predicted", "_requests", "_scatter", "_since")

    def __init__(self) -> None:
        self._requests, self._bad = _FIRST.requests, _FIRST.bad
        self._scatter = self._freedom = _TRUST
        self._looks, self._since, self._predicted = 0, (self._requests, self._bad), self._bad / self._requests

    def learn(self, counted: Sequence[Counts], before: list[Foreseen] | None = None) -> None:
        """Take in what was counted.

        Args:
            counted: the counts of the looks, in order.
            before: takes what was known before each: the rate, and the part of a look's growth that is believed, 1 over
                the index of dispersion where that is more than 1.
        """
        requests, bad, scatter, freedom = self._requests, self._bad, self._scatter, self._freedom
        looks, (requests_then, bad_then), predicted = self._looks, self._since, self._predicted
        for each in counted:
            if before is not None:
                before.append(Foreseen(bad / requests, freedom / scatter if scatter > freedom else 1.0))
            bad += each.bad  # without requests, of those that were read a moment sooner, or later
            if not each.requests:
                continue
            first = requests == _FIRST.requests
            requests += each.requests
            looks += 1
            if first:  # nothing was known that could have predicted it
                looks, requests_then, bad_then, predicted = 0, requests, bad, bad / requests
            if looks < _STRETCH:
                continue
            stretch = requests - requests_then
            expected = stretch * predicted
            if expected >= _EXPECTED:
                # A prediction from so many requests is itself uncertain.
                scatter += (bad - bad_then - expected) ** 2 / (expected * requests / requests_then)
                freedom += 1
                looks, requests_then, bad_then, predicted = 0, requests, bad, bad / requests
        self._requests, self._bad, self._scatter, self._freedom = requests, bad, scatter, freedom
        self._looks, self._since, self._predicted = looks, (requests_then, bad_then), predicted


def growths(look: Look, rates: Sequence[float], base: float, gap: float) -> list[float]:
    """By how much a look makes the logarithm of the evidence grow, for each alternative.

    The nearest point of the null hypothesis is where

        n rate / (b0 + gap) + m base / b0 = n + m,

    a quadratic in b0; there the expectation of S is the same for all rates on the border.

    Args:
        look: what was counted, of both versions some requests.
        rates: the canary's rate in each alternative.
        base: the promoted version's rate in all of them, more than 0.
        gap: the difference of rates on the border of the null hypothesis.
    """
    n, k, m, j = look.canary.requests, look.canary.bad, look.promoted.requests, look.promoted.bad
    both, failing = n + m, m * base
    if not gap:
        # The quotient of two rates is all that counts, and of the requests, whose they are.
        if not k and not j:
            return [0.0] * len(rates)
        part, bad, unit = n / both, k + j, 1 / base
        rest = 1 - part
        return [k * log(rate * unit) - bad * log(rest + part * rate * unit) for rate in rates]
    linear, product = failing - both * gap, 4 * both * failing * gap
    grown = []
    for rate in rates:
        middle = linear + n * rate
        root = sqrt(middle * middle + product)
        # Of the two ways to write the root the one that subtracts nothing from something alike.
        nearest = (middle + root) / (2 * both) if middle > 0 else 2 * failing * gap / (root - middle)
        border = nearest + gap
        more = n * (border - rate) + m * (nearest - base)
        if k:
            more += k * log(rate / border)
        if j:
            more += j * log(base / nearest)
        grown.append(more)
    return grown
