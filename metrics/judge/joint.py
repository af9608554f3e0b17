"""One verdict on what was counted at several places: clusters that get a version one after the other.

Each place bets by itself against "the canary is no worse here than tolerated" (`evidence`). Where what is counted at
one place does not hang on what is counted at another, given the state of the world that both versions share, a product
of their e-processes is an e-process again, for "it is worse at none of these places": e-values of independent data are
multiplied (Vovk and Wang, "E-values: calibration, combination and applications", Annals of Statistics 49 (2021), arXiv
1912.06116; Grünwald, de Heide and Koolen, "Safe testing", arXiv 1906.07801). What each place has come to at the last
time at which it was heard of is what counts: nothing else is needed of a place that says no more.

Counts are not added up. A place that fails more than others fails more for both versions, and where the canary has
more of its requests than elsewhere the sums would say that it is worse (Simpson's paradox: E. H. Simpson, "The
interpretation of interaction in contingency tables", 1951). Within a place both versions are in the same world.

What is multiplied is bet by bet: what was won at all places by betting on five times the tolerated rate, what was won
by betting on ten times. A mixture of these products is an e-process as each is; so only one stake is lost for not
knowing how bad the version is, and places with an Nth of the requests each find it about as soon as one with all.

Part of the stake is on each stage from which on a version may be worse: it may do well in a test cluster, with all of
its many requests, and not elsewhere. That costs the logarithm of the number of stages, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from metrics.judge.evidence import mixed

Bets = Sequence[float]
"""What each bet of one place has come to, as logarithms."""


@dataclass(frozen=True, slots=True)
class Joint:
    """What all places together have come to.

    Args:
        log: the logarithm of the e-process.
        stage: the stage, counted from 0, from which on the evidence is the strongest.
    """

    log: float
    stage: int

    @property
    def p_value(self) -> float:
        """1 over the e-process: at most alpha, at any time, with a probability of at most alpha (Ville)."""
        return exp(-max(0.0, self.log))


def together(stages: Sequence[Sequence[Bets]]) -> Joint:
    """Put together what the places of all stages have come to.

    Args:
        stages: the bets of each place, by stage, in their order; those to come are empty, and count none the less.

    Raises:
        ValueError: there are no stages, or places have not as many bets as there are.
    """
    if not stages:
        msg = "without stages nothing can be put together"
        raise ValueError(msg)
    found: list[float] = []
    total: list[float] = []
    for places in reversed(stages):
        for bets in places:
            total = [sum(pair) for pair in zip(total, bets, strict=True)] if total else list(bets)
        found.append(mixed(total) if total else 0.0)
    found.reverse()
    most = max(found)
    # Of stages that say the same the last one: those before have had nobody, or nothing to say.
    stage = max(number for number, each in enumerate(found) if each == most)
    return Joint(most + log(sum([exp(each - most) for each in found]) / len(found)), stage)
