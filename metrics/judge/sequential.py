"""The judge that may look as often as it likes: is the canary worse, is it no worse, or can't one tell yet?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isnan

from metrics.judge.evidence import Evidence, Foreseen, foreseen, no_worse_of, worse_of
from metrics.judge.forecast import RECENT, Needs, Test, needs
from metrics.judge.looks import Counts, Look, total
from metrics.threshold import plain

LEAST_P = 1e-300
"""The smallest p-value that is told as a number: what is less may be too small for one."""


class Outcome(StrEnum):
    """What the counts say of the canary."""

    WORSE = "Worse"
    """Worse than the promoted version, by more than the tolerance."""
    NO_WORSE = "NoWorse"
    """No worse than the promoted version and the margin, and seen often enough."""
    UNDECIDED = "Undecided"
    """Not enough is counted to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a metric is held against.

    Args:
        tolerance: how much more often than the promoted version's may the canary's requests be bad, as a difference of
            shares: 0.002 accepts 0.7 % where 0.5 % is usual. Beyond it the canary is worse.
        margin: what the canary must surely stay within to be no worse; at least the tolerance, which it is unless
            given. The wider, the sooner a step may end on evidence. With 0 no evidence ever suffices, and steps end by
            the clock.
        min_samples: requests that the canary must have had in a step before it may end. A canary that is worse is not
            waited for.

    Raises:
        ValueError: a number is out of its range.
    """

    tolerance: float = 0.0
    margin: float | None = None
    min_samples: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            msg = f"a tolerance is a difference of two shares, from 0 to 1: {self.tolerance}"
            raise ValueError(msg)
        if not self.tolerance <= self.within < 1:
            msg = f"a margin is at least the tolerance, and less than 1: {self.within}"
            raise ValueError(msg)
        if self.min_samples < 0:
            msg = f"a number of requests is not negative: {self.min_samples}"
            raise ValueError(msg)

    @property
    def within(self) -> float:
        """The margin, given or not."""
        return self.tolerance if self.margin is None else self.margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A metric to judge.

    Args:
        name: what people call it.
        looks: what was counted, in order, since the rollout began: the promise is about a rollout, not a step. Cut at
            the same times whenever it is asked, and whole ones only, so that what was counted doesn't change.
        rule: what it is held against.
        step: which of the looks is the first of the current step; min_samples counts from there.
        usual: what was counted of the promoted version before the rollout. It makes the bets better from the first look
            on; the promise needs nothing of it.
    """

    name: str
    looks: Sequence[Look]
    rule: Rule = Rule()
    step: int = 0
    usual: Sequence[Counts] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """How often the judge may err, over all looks and all metrics of a rollout together.

    Args:
        false_rollback: how likely a canary may be called worse in any metric, of those in which it isn't.
        false_advance: how likely may a canary that is worse than the margin in some metric be called no worse in all.

    Raises:
        ValueError: a probability is not between 0 and 1.
    """

    false_rollback: float = 0.05
    false_advance: float = 0.05

    def __post_init__(self) -> None:
        for level in (self.false_rollback, self.false_advance):
            if not 0 < level < 1:
                msg = f"the probability of an error lies between 0 and 1: {level}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is to be said of one metric.

    Args:
        name: the metric's name.
        outcome: the verdict on it.
        rule: what it was held against.
        canary: all that was counted of the canary.
        promoted: all that was counted of the promoted version.
        p_worse: the anytime-valid p-value of "not worse than the tolerance", for all metrics of the judgement (Holm).
        p_no_worse: the one of "worse than the margin", for this metric.
        since: the look, counted from 0, at which the evidence sufficed; None where it is undecided.
        enough: whether the canary has had the requests that a step must have before it ends by the clock.
        needs: what is missing; None where nothing is, or no traffic would help.
        bets: what each bet against "not worse than the tolerance" has come to, as a logarithm (`joint`).
    """

    name: str
    outcome: Outcome
    rule: Rule
    canary: Counts
    promoted: Counts
    p_worse: float
    p_no_worse: float
    enough: bool
    since: int | None = None
    needs: Needs | None = None
    bets: tuple[float, ...] = ()

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        pair = f"{self.name} {share(self.canary)} against {share(self.promoted)}"
        match self.outcome:
            case Outcome.WORSE:
                by = f" by more than {_points(self.rule.tolerance)}" if self.rule.tolerance else ""
                return f"{pair} is worse{by} ({in_words(self.p_worse)})"
            case Outcome.NO_WORSE:
                return f"{pair} is no worse than {_points(self.rule.within)} ({in_words(self.p_no_worse)})"
        if not self.canary.requests:
            return f"{self.name} can't be told: the canary has had no requests"
        if not self.promoted.requests:
            return f"{self.name} can't be told: the promoted version has had no requests"
        return f"{pair} can't be told yet: {self.needs or 'the difference is too near to what is tolerated'}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said of a canary.

    Args:
        comparisons: of each metric, in the order in which they were given.
    """

    comparisons: tuple[Comparison, ...]

    @property
    def outcome(self) -> Outcome:
        """Worse if any metric is, no worse if all are; undecided without any."""
        said = {each.outcome for each in self.comparisons}
        if Outcome.WORSE in said:
            return Outcome.WORSE
        return Outcome.NO_WORSE if said == {Outcome.NO_WORSE} else Outcome.UNDECIDED

    @property
    def enough(self) -> bool:
        """Whether the step may end by the clock, as far as the number of requests goes."""
        return all(each.enough for each in self.comparisons)


def judge(metrics: Sequence[Compared], promise: Promise = Promise()) -> Judgement:
    """Compare a canary with the promoted version, from the counts of all looks so far.

    Nothing is kept between two calls: whoever calls again with the same counts, and those of further looks, gets what
    an uninterrupted judge would have said. What was once called worse stays so, whatever is counted after.

    A rollback needs one metric that is worse: of several, by chance, one is found sooner. Holm's method divides the
    promise among them (S. Holm, "A simple sequentially rejective multiple test procedure", 1979); as it needs nothing
    but p-values that hold, and these hold at any time, so does it. To advance needs all metrics, and no such
    correction: an error in the one that is worse is part of it.
    """
    before = [foreseen(each.looks, each.usual) for each in metrics]
    against = [worse_of(each.looks, known, each.rule.tolerance) for each, known in zip(metrics, before, strict=True)]
    adjusted, shares = holm([each.p_value for each in against])
    return Judgement(
        tuple(
            _comparison(metric, known, evidence, p_value, promise.false_rollback / share, promise)
            for metric, known, evidence, p_value, share in zip(metrics, before, against, adjusted, shares, strict=True)
        )
    )


def holm(p_values: Sequence[float]) -> tuple[list[float], list[int]]:
    """Adjust p-values for being several.

    Returns:
        The adjusted ones, each at most alpha where Holm's method rejects at alpha; and by how much each was multiplied.
    """
    count = len(p_values)
    adjusted, shares, most = [1.0] * count, [1] * count, 0.0
    for rank, number in enumerate(sorted(range(count), key=lambda number: p_values[number])):
        shares[number] = count - rank
        most = max(most, min(1.0, p_values[number] * shares[number]))
        adjusted[number] = most
    return adjusted, shares


def _comparison(
    metric: Compared, before: Sequence[Foreseen], against: Evidence, p_worse: float, level: float, promise: Promise
) -> Comparison:
    """Say it of one metric.

    Args:
        metric: what was counted.
        before: what was known before each look.
        against: the evidence that it is worse.
        p_worse: its p-value, adjusted.
        level: what is asked of the p-value that is not.
        promise: what was promised.
    """
    looks, rule = metric.looks, metric.rule
    canary, promoted = total(look.canary for look in looks), total(look.promoted for look in looks)
    missing = rule.min_samples - sum([look.canary.requests for look in looks[metric.step :]])
    favour = no_worse_of(looks, before, rule.within) if rule.within else Evidence(())
    said, since, lacks = Outcome.UNDECIDED, None, None
    if p_worse <= promise.false_rollback:
        said, since = Outcome.WORSE, against.since(level)
    elif favour.p_value <= promise.false_advance and missing <= 0:
        said, since = Outcome.NO_WORSE, favour.since(promise.false_advance)
    else:
        tests = Test(against, level, rule.tolerance), Test(favour, promise.false_advance, rule.within)
        lacks = needs(looks[-RECENT:], canary, total([promoted, *metric.usual]), *tests, at_least=missing)
    return Comparison(
        name=metric.name,
        outcome=said,
        rule=rule,
        canary=canary,
        promoted=promoted,
        p_worse=p_worse,
        p_no_worse=favour.p_value,
        enough=missing <= 0,
        since=since,
        needs=lacks,
        bets=against.bets,
    )


def share(counts: Counts) -> str:
    """What was counted, in words: which share was bad, and of how many."""
    return f"{_points(counts.rate)} ({plain(round(counts.bad, 1))} of {plain(round(counts.requests, 1))})"


def in_words(p_value: float) -> str:
    """A p-value in words; none is 0, though the smallest can't be told from it."""
    return f"p {p_value:.2g}" if p_value >= LEAST_P else f"p < {LEAST_P:.0g}"


def _points(share: float) -> str:
    return "none" if isnan(share) else f"{100 * share:.3g} %"
