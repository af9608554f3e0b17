"""The Mann-Whitney test with an effect size, as Kayenta's judge has it (NetflixACAJudge-v1.0), for those who move over.

It is a test of a fixed size. Asked once, at the end, it errs as often as it says; asked at every look it rolls back the
more healthy releases the more often it is asked (docs/judge.md). The default is `sequential` for that reason.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isnan, nan, sqrt
from statistics import NormalDist

CONFIDENCE = 0.98
TOLERANCE = 0.25
"""The part of the estimated difference that the interval has to lie beyond. Both are constants in Kayenta."""


class Label(StrEnum):
    """What is said of a metric."""

    PASSES = "Pass"
    HIGH = "High"
    LOW = "Low"
    NO_DATA = "Nodata"
    NO_DATA_FAILS = "NodataFailMetric"
    """No data where there must be some."""


class Direction(StrEnum):
    """Which change is bad."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


class NaNStrategy(StrEnum):
    """What becomes of a value that is none."""

    REMOVE = "remove"
    REPLACE = "replace"
    """Zero takes its place: of errors, no value means no error."""


class Measure(StrEnum):
    """How the size of an effect is measured."""

    MEAN_RATIO = "meanRatio"
    """The canary's mean over the promoted version's."""
    CLES = "cles"
    """How likely a value of the canary's is higher (Vargha and Delaney, 2000)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectSize:
    """How large a difference must be to count; of None, any that is significant does.

    Args:
        measure: how it is measured.
        allowed_increase: from here on an increase counts.
        allowed_decrease: from here down a decrease counts.
        critical_increase: from here on an increase of a critical metric fails the canary.
        critical_decrease: from here down a decrease does.
    """

    measure: Measure = Measure.MEAN_RATIO
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A metric of both versions.

    Args:
        name: what people call it.
        canary: values of the new version, NaN where there is none.
        promoted: values of the version that it is compared with.
        direction: which change is bad.
        nan_strategy: what becomes of NaN.
        effect_size: how large a difference must be.
        critical: whether a bad change fails the canary, whatever the others say.
        must_have_data: whether no data is a failure of the metric.
        groups: the groups in whose scores it counts.
        muted: whether it is shown, and counts nowhere.
    """

    name: str
    canary: Sequence[float]
    promoted: Sequence[float]
    direction: Direction = Direction.EITHER
    nan_strategy: NaNStrategy = NaNStrategy.REMOVE
    effect_size: EffectSize = EffectSize()
    critical: bool = False
    must_have_data: bool = False
    groups: tuple[str, ...] = ()
    muted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """What is said of a metric, and why.

    Args:
        series: the metric.
        label: what is said.
        fails: whether it fails the canary by itself, as a critical metric.
        ratio: the canary's mean over the promoted version's; NaN where one is 0.
        reason: in words, empty where there is nothing to say.
    """

    series: Series
    label: Label
    fails: bool = False
    ratio: float = 1.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the values of one sample lie above those of another.

    Args:
        low: the lower end of the confidence interval.
        high: its upper end.
        estimate: of Hodges and Lehmann, the median of all differences.
    """

    low: float
    high: float
    estimate: float


def classify(series: Series) -> Classified:
    """Say of a metric whether the canary's values are higher or lower."""
    canary, promoted = (_clean(values, series.nan_strategy) for values in (series.canary, series.promoted))
    if not canary or not promoted:
        return _without_data(series)
    if sorted(canary) == sorted(promoted):
        return Classified(series=series, label=Label.PASSES, reason=f"{series.name} is the same in both versions")
    if len({*canary, *promoted}) == 1:
        return Classified(series=series, label=Label.PASSES)
    moved = shift(canary, promoted, CONFIDENCE)
    ratio = mean_ratio(canary, promoted)
    measure = series.effect_size.measure
    effect = ratio if measure is Measure.MEAN_RATIO else cles(canary, promoted)
    none = 1.0 if measure is Measure.MEAN_RATIO else 0.5
    sizes, bound = series.effect_size, TOLERANCE * abs(moved.estimate)
    label = Label.PASSES
    if (
        series.direction is not Direction.DECREASE
        and moved.low > bound
        and _at_least(effect, sizes.allowed_increase, none)
    ):
        label = Label.HIGH
        fails = _at_least(effect, sizes.critical_increase, none)
    elif (
        series.direction is not Direction.INCREASE
        and moved.high < -bound
        and _at_most(effect, sizes.allowed_decrease, none)
    ):
        label = Label.LOW
        fails = _at_most(effect, sizes.critical_decrease, none)
    if label is Label.PASSES:
        return Classified(series=series, label=label, ratio=ratio)
    reason = f"{series.name} is {label.lower()}: {_mean(canary):.4g} against {_mean(promoted):.4g} on average"
    return Classified(series=series, label=label, fails=series.critical and fails, ratio=ratio, reason=reason)


def mean_ratio(canary: Sequence[float], promoted: Sequence[float]) -> float:
    """The canary's mean over the promoted version's; NaN where one of them is 0."""
    mine, theirs = _mean(canary), _mean(promoted)
    return mine / theirs if mine and theirs else nan


def cles(canary: Sequence[float], promoted: Sequence[float]) -> float:
    """The part of all pairs in which the canary's value is higher; a tie is half of one."""
    return _above(canary, sorted(promoted), 0.0)[0] / (len(canary) * len(promoted))


def shift(canary: Sequence[float], promoted: Sequence[float], confidence: float) -> Shift:
    """The confidence interval that belongs to the test: all shifts by which the samples would not be held different.

    The normal approximation with corrections for continuity and ties, as in R's wilcox.test. Where both samples have
    one value each, Kayenta adds noise at random to be able to compute anything; here the difference is what it is.
    """
    lowest, highest = min(canary) - max(promoted), max(canary) - min(promoted)
    if lowest == highest:
        return Shift(lowest, lowest, lowest)
    test = _Test(canary, promoted)
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    low = _root(lambda moved: test.z(moved) > quantile, lowest, highest)
    high = _root(lambda moved: test.z(moved) > -quantile, lowest, highest)
    # As many differences lie below as above; of an even number, between two of them.
    first = _root(lambda moved: test.excess(moved) > 0, lowest, highest)
    last = _root(lambda moved: test.excess(moved) >= 0, lowest, highest)
    return Shift(low, high, (first + last) / 2)


class _Test:
    """The test statistic of two samples, of which one is moved."""

    def __init__(self, canary: Sequence[float], promoted: Sequence[float]) -> None:
        self._canary, self._promoted = canary, sorted(promoted)
        self._own = _ties(Counter(canary)) + _ties(Counter(promoted))

    def z(self, moved: float) -> float:
        """By how many standard deviations the canary's values rank too high, once they are moved down."""
        n, m = len(self._canary), len(self._promoted)
        above, tied = _above(self._canary, self._promoted, moved)
        ties = _ties(Counter([*(value - moved for value in self._canary), *self._promoted])) if tied else self._own
        excess = above - n * m / 2
        variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
        if not variance:
            return 0.0
        return (excess - (0.5 if excess > 0 else -0.5 if excess < 0 else 0.0)) / sqrt(variance)

    def excess(self, moved: float) -> float:
        """In how many pairs more than half of all the canary's value is higher, once it is moved down."""
        return _above(self._canary, self._promoted, moved)[0] - len(self._canary) * len(self._promoted) / 2


def _root(still: Callable[[float], bool], low: float, high: float) -> float:
    """Where something that holds for small shifts ends to hold."""
    if not still(low):
        return low
    if still(high):
        return high
    precision, middle = _PRECISION * (high - low), (low + high) / 2
    while high - low > precision and low < middle < high:
        low, high = (middle, high) if still(middle) else (low, middle)
        middle = (low + high) / 2
    return middle


_PRECISION = 1e-9
"""Of a shift, as a part of the range in which it may lie."""


def _above(canary: Sequence[float], promoted: Sequence[float], moved: float) -> tuple[float, bool]:
    """In how many pairs the canary's value, moved down, is higher; and whether any are the same. `promoted` is sorted.

    A pair of the same is half a one.
    """
    above, tied = 0, False
    for value in canary:
        value -= moved  # noqa: PLW2901
        left = bisect_left(promoted, value)
        right = bisect_right(promoted, value, left)
        above += left + right
        tied = tied or left != right
    return above / 2, tied


def _ties(counts: Counter[float]) -> int:
    return sum(count**3 - count for count in counts.values() if count > 1)


def _clean(values: Iterable[float], strategy: NaNStrategy) -> list[float]:
    if strategy is NaNStrategy.REPLACE:
        return [0.0 if isnan(value) else value for value in values]
    return [value for value in values if not isnan(value)]


def _without_data(series: Series) -> Classified:
    if series.nan_strategy is NaNStrategy.REPLACE:
        return Classified(series=series, label=Label.PASSES)
    reason = f"{series.name} has no data"
    if series.must_have_data and not series.critical:
        return Classified(series=series, label=Label.NO_DATA_FAILS, reason=reason)
    return Classified(series=series, label=Label.NO_DATA, fails=series.critical, reason=reason)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _at_least(effect: float, bound: float | None, none: float) -> bool:
    """Whether an effect is as large as asked for; one that can't be computed does not stand in the way."""
    return isnan(effect) or effect >= (none if bound is None else bound)


def _at_most(effect: float, bound: float | None, none: float) -> bool:
    return isnan(effect) or effect <= (none if bound is None else bound)
