"""How many more requests it takes to tell, said as people say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

from metrics.judge.evidence import Evidence, base_of, growths, multiples, parts
from metrics.judge.looks import Counts, Look

RECENT = 6
"""How many looks' traffic is taken for today's."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is still missing.

    Args:
        requests: requests of the canary, about.
        seconds: how long they take to come at the rate of the latest looks; None where nothing comes.
    """

    requests: int
    seconds: float | None

    def __str__(self) -> str:
        time = f", {_duration(self.seconds)} at today's rate" if self.seconds is not None else ""
        return f"needs about {_rounded(self.requests):,} more requests{time}"


@dataclass(frozen=True, slots=True)
class Test:
    """One of the two questions, and what is still asked for an answer.

    Args:
        evidence: what there is.
        level: the error that is promised.
        gap: the tolerance, or the margin.
    """

    evidence: Evidence
    level: float
    gap: float


def needs(
    latest: Sequence[Look], canary: Counts, promoted: Counts, worse: Test, no_worse: Test, at_least: float = 0.0
) -> Needs | None:
    """What it takes until one of the questions is answered, if both versions go on as they do.

    The evidence is expected to grow with each request by what the best of the alternatives grows by, at the rates that
    are counted so far: the canary's drawn towards the promoted version's while few of its requests are bad.

    Args:
        latest: the latest looks, whose traffic is taken for today's.
        canary: all that was counted of the canary.
        promoted: all that was counted of the promoted version.
        worse: the question whether the canary is worse.
        no_worse: the question whether it is no worse.
        at_least: requests of the canary that are waited for in any case.

    Returns:
        None where the difference is too near to the tolerance, and the margin, to be ever told.
    """
    recent = [look for look in latest if look.canary.requests and look.promoted.requests]
    base = base_of(promoted)
    if not recent:
        return Needs(max(1, ceil(at_least)), None) if at_least > 0 else None
    n = sum([look.canary.requests for look in recent]) / len(recent)
    m = sum([look.promoted.requests for look in recent]) / len(recent)
    prior = 0.5 / base
    rate = (0.5 + canary.bad) / (prior + canary.requests)
    expected = Look(Counts(n, n * rate), Counts(m, m * base))
    rounds = [
        _rounds(worse, max(growths(expected, multiples(base, worse.gap), base, worse.gap))),
        _rounds(no_worse, max(growths(expected, parts(base, no_worse.gap), base, no_worse.gap))),
    ]
    told = [each for each in rounds if each is not None]
    if not told and at_least <= 0:
        return None
    # Evidence that is there already waits for the rest of the requests alone, and so does what evidence never settles.
    count = max(min(told, default=0.0), at_least / n)
    seconds = sum(look.seconds for look in recent) / len(recent)
    return Needs(max(1, ceil(count * n)), count * seconds if seconds else None)


_SLOW = 1e-9
"""Below it evidence does not grow but by the errors of arithmetic."""


def _rounds(test: Test, growth: float) -> float | None:
    """How many more such looks it takes."""
    missing = -log(test.level) - test.evidence.now
    return max(0.0, missing) / growth if growth > _SLOW else None


def _rounded(number: int) -> int:
    """Two digits are all that an estimate is good for."""
    return int(float(f"{number:.2g}")) if number >= 1 else 1


def _duration(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size or (unit == "minute" and seconds >= size):
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    count = max(1, round(seconds))
    return f"{count} second{'s' if count != 1 else ''}"
