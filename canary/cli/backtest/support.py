"""What thresholds the data supports: the tightest that roll back at most so many of the rollouts over it.

A rollout of N judged looks with a threshold of K failed checks is rolled back by one metric alone exactly if at least K
of its first N + K - 1 values are outside: a look that fails is repeated, so the K-th failure comes before the N-th good
look. So the K-th worst of those values is the tightest limit with which this rollout passes, and the quantiles of that
over all rollouts are the limits that let a given part of them fail. No model of the data is needed.

Metrics share the K failed checks. Set at once, each may use up only some of them: the k-th worst value with k below K
leaves room for the others, and with k = 1 none fails at all.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from canary.api.analysis import Metric, NoDataPolicy
from metrics.threshold import Threshold

ALLOWED = (0.0, 0.01, 0.05)
"""The parts of all rollouts that may be rolled back."""

DIGITS = 4
"""Significant digits that a limit is given with, rounded away from the values."""


class Side(StrEnum):
    """Which bound of the accepted range."""

    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound that the data supports.

    Args:
        side: which bound.
        allowed: the part of the rollouts that may be rolled back, 0 to 1.
        value: the tightest bound; None where no bound does, for want of data.
    """

    side: Side
    allowed: float
    value: float | None


@dataclass(slots=True)
class Support:
    """What one metric's values support.

    Args:
        metric: the metric of the spec; only the sides that it limits are looked at.
        values: its value at every look; NaN is none.
        steps: judged looks of a rollout, N.
        threshold: failed checks that roll it back, K.
    """

    metric: Metric
    values: Sequence[float]
    steps: int
    threshold: int
    _needed: dict[tuple[Side, int], list[float]] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The bounds that the spec sets."""
        limits = self.metric.limits
        return tuple(side for side, bound in ((Side.MIN, limits.min), (Side.MAX, limits.max)) if bound is not None)

    def alone(self) -> tuple[Limit, ...]:
        """The bounds, for each side by itself; none where too little is recorded."""
        found = [
            Limit(side, allowed, self.bound(side, self.threshold, allowed))
            for side in self.sides
            for allowed in ALLOWED
        ]
        return tuple(found) if any(each.value is not None for each in found) else ()

    def bound(self, side: Side, kth: int, allowed: float) -> float | None:
        """The tightest bound with which at most this part of the rollouts have `kth` values outside.

        Returns:
            None where there is too little data.
        """
        needed = self._needed.get((side, kth))
        if needed is None:
            needed = self._needed[side, kth] = sorted(self._by_rollout(side, kth))
        return _round(_quantile(needed, 1 - allowed), _SIGN[side]) if needed else None

    def accepted(self, kth: int, allowed: float) -> Threshold:
        """The metric's threshold with these bounds; with its own where the data supports none."""
        low, high = self.metric.limits.min, self.metric.limits.max
        for side in self.sides:
            value = self.bound(side, kth, allowed)
            if value is not None:
                low, high = (value, high) if side is Side.MIN else (low, value)
        crossed = low is not None and high is not None and low > high
        return Threshold(self.metric.limits.min, self.metric.limits.max) if crossed else Threshold(low, high)

    def _by_rollout(self, side: Side, kth: int) -> list[float]:
        """By rollout, the tightest bound that is enough, times the sign: so that greater is looser."""
        sign, window = _SIGN[side], self.steps + self.threshold - 1
        if self.metric.no_data is NoDataPolicy.HOLD:
            # Without a value the look is repeated.
            taken = [(look, sign * value) for look, value in enumerate(self.values) if not math.isnan(value)]
        else:
            missing = math.inf if self.metric.no_data is NoDataPolicy.FAIL else -math.inf
            taken = [(look, missing if math.isnan(value) else sign * value) for look, value in enumerate(self.values)]
        if len(taken) < window:
            return []
        at = [look for look, _ in taken]
        # At the end of the window nothing more fails, so that every rollout that begins before has all its looks.
        greatest = _kth_greatest([*(value for _, value in taken), *[-math.inf] * window], window, kth)
        # The look at which a rollout begins asks nothing: its first judged look is the next one with a value.
        return [greatest[bisect_right(at, start)] for start in range(len(self.values) - window)]


Share = Callable[[Sequence[Threshold | None]], float | None]
"""The part of the rollouts whose checks fail with these thresholds, by metric; None stands for the metric's own."""


def together(supports: Sequence[Support | None], share: Share) -> dict[float, tuple[Threshold | None, ...]]:
    """Tight thresholds for all metrics at once, by the part of the rollouts that may fail with them.

    Args:
        supports: by metric; None for one that has no data to go by.
        share: plays the rollouts.
    """

    def accepted(kth: int, part: float) -> tuple[Threshold | None, ...]:
        return tuple(None if each is None else each.accepted(kth, part) for each in supports)

    def fits(thresholds: tuple[Threshold | None, ...], allowed: float) -> bool:
        return (share(thresholds) or 0.0) <= allowed

    # The more failed checks each may use up the tighter, until those of several metrics add up. With none they can't.
    low, high = 1, max((each.threshold for each in supports if each is not None), default=1)
    while low < high:
        kth = (low + high + 1) // 2
        low, high = (kth, high) if fits(accepted(kth, 0.0), 0.0) else (low, kth - 1)
    found = {}
    for allowed in ALLOWED:
        parts = (allowed / 2**halving for halving in range(_HALVINGS))
        part = next((part for part in parts if fits(accepted(low, part), allowed)), 0.0)
        found[allowed] = accepted(low, part)
    return found


_HALVINGS = 5
_LEAST = 1e-300
_SIGN = {Side.MIN: -1.0, Side.MAX: 1.0}


def _kth_greatest(values: Sequence[float], window: int, kth: int) -> list[float]:
    """Of every stretch of so many values, the k-th greatest."""
    ordered = sorted(values[:window])
    found = [ordered[-kth]]
    for gone, come in zip(values, values[window:], strict=False):
        del ordered[bisect_left(ordered, gone)]
        insort(ordered, come)
        found.append(ordered[-kth])
    return found


def _quantile(ordered: Sequence[float], part: float) -> float:
    """The least value that at least this part of all values is not above."""
    return ordered[max(math.ceil(part * len(ordered) - 1e-9), 1) - 1]


def _round(needed: float, sign: float) -> float | None:
    if not math.isfinite(needed):
        return None
    if abs(needed) < _LEAST:
        return 0.0 if needed <= 0 else sign * _LEAST
    unit = 10.0 ** (math.floor(math.log10(abs(needed))) - DIGITS + 1)
    rounded = math.ceil(needed / unit - 1e-9) * unit
    if not math.isfinite(rounded):
        return None
    # Written and read back in decimal, so that no tail of a binary fraction is left.
    return float(f"{sign * rounded:.{DIGITS + 1}g}")
