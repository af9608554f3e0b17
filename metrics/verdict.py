"""What a number means for a rollout: four sides, never a bool.

A breached threshold, an empty answer and a metrics server that is down are three different things, and each
verdict carries what it was made from all the way to the status, the event and the alert.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias, TypedDict, assert_never

from metrics.question import Empty, Number
from metrics.reading import Cause, Compared, Reading, Unread
from metrics.threshold import UNITS, Threshold, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What every verdict carries.

    Args:
        name: the metric's name in the Canary.
        threshold: the accepted values.
        query: the query that was asked.
        interval: the time window that the query looks at.
        time: when it was asked.
        unit: what stands behind the number in messages.
    """

    name: str
    threshold: Threshold
    query: str
    interval: timedelta
    time: datetime
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(_Judged):
    """The number is in the accepted range."""

    value: float
    samples: int | None = None

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        low, high = self.threshold.min, self.threshold.max
        if low is not None and high is not None:
            relation = f"within {plain(low)}..{plain(high)}{self.unit}"
        elif low is not None:
            relation = f"at least {plain(low)}{self.unit}"
        elif high is not None:
            relation = f"at most {plain(high)}{self.unit}"
        else:
            relation = "accepted (no threshold)"
        return f"{self.name} {_shown(self)} is {relation} over {written(self.interval)}{_of_series(self)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(_Judged):
    """The number is outside the accepted range."""

    value: float
    samples: int | None = None

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        low, high = self.threshold.min, self.threshold.max
        if low is not None and self.value < low:
            relation = f"below {plain(low)}{self.unit}"
        else:
            relation = f"above {plain(high if high is not None else math.inf)}{self.unit}"
        return f"{self.name} {_shown(self)} is {relation} over {written(self.interval)}{_of_series(self)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoData(_Judged):
    """The server works and has no number: most often, the canary gets no requests.

    Args:
        reason: why there is none, in words that follow a colon.
    """

    reason: str
    value: None = field(default=None, init=False)
    samples: None = field(default=None, init=False)

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        wanted = f"{self.threshold}{self.unit}"
        return f"{self.name} has no data over {written(self.interval)}, wanted {wanted}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable(_Judged):
    """The server could not be asked, or gave no usable answer; it says nothing about the canary.

    Args:
        cause: the kind of trouble.
        reason: the trouble in words that follow a colon.
    """

    cause: Cause
    reason: str
    value: None = field(default=None, init=False)
    samples: None = field(default=None, init=False)

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        return f"{self.name} can't be read, wanted {self.threshold}{self.unit}: {self.reason}"


Verdict: TypeAlias = Pass | Fail | NoData | Unavailable


def judge(name: str, threshold: Threshold, reading: Reading) -> Verdict:
    """Hold what was said of a metric against the accepted values.

    NaN is no data: it is what a division by no requests gives. An infinity is compared as it is, so that it
    breaches any maximum (or minimum) on its side. Of several series the worst one counts, in whatever order they come:
    a pod that fails is not made up for by one that does well.

    Args:
        name: the metric's name in the Canary.
        threshold: the accepted values.
        reading: what was said.
    """
    about = _about(name, threshold, reading)
    match reading.said:
        case Unread(cause, reason):
            return Unavailable(**about, cause=cause, reason=reason)
        case Compared():
            return NoData(**about, reason="it was compared, and has no number of its own")
        case Empty(reason):
            return NoData(**about, reason=reason)
        case Number() as number:
            return _judge(about, number)
        case _:
            assert_never(reading.said)


def _judge(about: _About, number: Number) -> Pass | Fail | NoData:
    numbers = [value for value in (number.value, *number.others) if not math.isnan(value)]
    if not numbers:
        return NoData(**about, reason="the answer is not a number (NaN)")
    threshold = about["threshold"]
    value = threshold.worst(numbers)
    side = Pass if threshold.accepts(value) else Fail
    return side(**about, value=value, samples=number.samples)


class _About(TypedDict):
    name: str
    threshold: Threshold
    query: str
    interval: timedelta
    time: datetime
    unit: str


def _about(name: str, threshold: Threshold, reading: Reading) -> _About:
    return _About(
        name=name,
        threshold=threshold,
        query=reading.query,
        interval=reading.interval,
        time=reading.time,
        unit=UNITS.get(name, ""),
    )


def _shown(judged: Pass | Fail) -> str:
    """Round the number for people, never so far that it changes sides of a bound."""
    value, threshold = judged.value, judged.threshold
    if not math.isfinite(value):
        return f"{value}{judged.unit}"
    # Zero is a bound too: a small error rate must not read as none.
    bounds = [0.0, *(bound for bound in (threshold.min, threshold.max) if bound is not None)]
    shorter = (*(round(value, places) for places in range(2, 8)), *(float(f"{value:.{n}g}") for n in range(3, 17)))
    for rounded in shorter:
        if all(_side(rounded, bound) == _side(value, bound) for bound in bounds):
            return f"{plain(rounded)}{judged.unit}"
    return f"{plain(value)}{judged.unit}"


def _of_series(judged: Pass | Fail) -> str:
    """Which series it is about, where there are several."""
    return f" in the worst of {judged.samples} series" if judged.samples is not None and judged.samples > 1 else ""


def _side(value: float, bound: float) -> int:
    return (value > bound) - (value < bound)


def written(duration: timedelta) -> str:
    """Write a duration as Go does: `1m`, `1h30m`, `500ms`."""
    milliseconds = duration // timedelta(milliseconds=1)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
