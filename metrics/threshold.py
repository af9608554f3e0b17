"""The accepted values of a metric, and how the spec's two ways of writing them read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

REQUEST_SUCCESS_RATE = "request-success-rate"
REQUEST_DURATION = "request-duration"
REQUEST_RATE = "request-rate"

UNITS: Mapping[str, str] = {REQUEST_SUCCESS_RATE: "%", REQUEST_DURATION: " ms", REQUEST_RATE: " requests/s"}
"""What stands behind the number of each built-in metric; its keys are the built-in metrics."""


class Series(StrEnum):
    """Which number of an answer with several series is held against the accepted values."""

    EVERY = "every"
    """The worst, so that every one must be accepted."""
    LAST = "last"
    FIRST = "first"
    MIN = "min"
    MAX = "max"
    SUM = "sum"

    def of(self, values: Sequence[float], threshold: Threshold) -> float:
        """The number that counts.

        Args:
            values: the number of each series, in the order of the answer; at least one.
            threshold: the accepted values.
        """
        match self:
            case Series.EVERY:
                return threshold.worst(values)
            case Series.LAST:
                return values[-1]
            case Series.FIRST:
                return values[0]
            case Series.MIN:
                return min(values)
            case Series.MAX:
                return max(values)
            case Series.SUM:
                # Of infinities on both sides there is no sum; NaN is no data.
                return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


@dataclass(frozen=True, slots=True)
class Threshold:
    """An inclusive range of accepted values; a bound that is None doesn't bind.

    Args:
        min: the smallest accepted value.
        max: the largest accepted value.

    Raises:
        ValueError: a bound is NaN, or no value can lie between the two.
    """

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if any(bound is not None and math.isnan(bound) for bound in (self.min, self.max)):
            msg = "a bound of a threshold is a number, not NaN"
            raise ValueError(msg)
        if self.min is not None and self.max is not None and self.min > self.max:
            msg = f"no value is both at least {plain(self.min)} and at most {plain(self.max)}"
            raise ValueError(msg)

    def accepts(self, value: float) -> bool:
        """Whether the value lies in the range; NaN never does, infinities compare as they are."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def worst(self, values: Iterable[float]) -> float:
        """Of several values the one that is farthest outside the range; where none is, the one nearest to a bound.

        Raises:
            ValueError: there is none.
        """
        return min(values, key=self._room)

    def _room(self, value: float) -> tuple[bool, float, float]:
        """Whether a value is accepted, and how far it is from where that changes; itself, where that is the same."""
        gaps = [value - self.min] if self.min is not None else []
        if self.max is not None:
            gaps.append(self.max - value)
        # Infinity from infinity is NaN.
        return self.accepts(value), min((0.0 if math.isnan(gap) else gap for gap in gaps), default=0.0), value

    def __str__(self) -> str:
        if self.min is not None and self.max is not None:
            return f"{plain(self.min)}..{plain(self.max)}"
        if self.min is not None:
            return f">= {plain(self.min)}"
        if self.max is not None:
            return f"<= {plain(self.max)}"
        return "any"


def threshold_of(name: str, threshold: float | None, *, low: float | None, high: float | None) -> Threshold:
    """Read a metric's `threshold` and `thresholdRange` as Flagger does.

    A range wins over the single number. The single number is the minimum of request-success-rate (percent), and of
    request-rate (a second), which Flagger doesn't have; and the maximum of everything else: of request-duration in
    milliseconds. Neither written means 0.

    Args:
        name: the metric's name in the Canary.
        threshold: `threshold`, None where it isn't written.
        low: `thresholdRange.min`, None where it isn't written.
        high: `thresholdRange.max`, None where it isn't written.

    Raises:
        ValueError: the range is empty, or a bound is NaN.
    """
    if low is not None or high is not None:
        return Threshold(low, high)
    bound = threshold or 0.0
    return Threshold(min=bound) if name in (REQUEST_SUCCESS_RATE, REQUEST_RATE) else Threshold(max=bound)


def plain(value: float) -> str:
    """Write a number as people do: no trailing zeros, no exponent for the sizes that metrics have."""
    if not math.isfinite(value):
        return str(value)
    text = repr(float(value))
    if "e" not in text:
        return text.removesuffix(".0")
    return f"{value:g}" if float(f"{value:g}") == value else text
