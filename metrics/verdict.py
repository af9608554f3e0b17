"""What a number means for a rollout: four sides, never a bool.

A breached threshold, an empty answer and a metrics server that is down are three different things, and each
verdict carries what it was made from all the way to the status, the event and the alert.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeAlias, TypedDict, assert_never

from metrics.question import Empty, Number
from metrics.reading import Cause, Compared, Ran, Reading, Run, Sampled, Unread
from metrics.threshold import UNITS, Series, Threshold, plain


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
        words: what is said in place of the number and its bounds, where it was not judged by these; else empty.
    """

    name: str
    threshold: Threshold
    query: str
    interval: timedelta
    time: datetime
    unit: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(_Judged):
    """The number is in the accepted range.

    Args:
        value: the number.
        samples: how many requests it was taken over, where they were counted, else how many series the answer had.
        chosen: which series of several it is about, in words; empty where there is one.
    """

    value: float
    samples: int | None = None
    chosen: str = ""

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        if self.words:
            return f"{self.name}: {self.words}"
        low, high = self.threshold.min, self.threshold.max
        if low is not None and high is not None:
            relation = f"within {plain(low)}..{plain(high)}{self.unit}"
        elif low is not None:
            relation = f"at least {plain(low)}{self.unit}"
        elif high is not None:
            relation = f"at most {plain(high)}{self.unit}"
        else:
            relation = "accepted (no threshold)"
        return f"{self.name} {_shown(self)} is {relation} over {written(self.interval)}{self.chosen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(_Judged):
    """The number is outside the accepted range; the arguments are those of `Pass`."""

    value: float
    samples: int | None = None
    chosen: str = ""

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        if self.words:
            return f"{self.name}: {self.words}"
        low, high = self.threshold.min, self.threshold.max
        if low is not None and self.value < low:
            relation = f"below {plain(low)}{self.unit}"
        else:
            relation = f"above {plain(high if high is not None else math.inf)}{self.unit}"
        return f"{self.name} {_shown(self)} is {relation} over {written(self.interval)}{self.chosen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoData(_Judged):
    """The server works and has no number: most often, the canary gets no requests.

    Args:
        reason: why there is none, in words that follow a colon.
    """

    reason: str
    value: None = field(default=None, init=False)
    samples: int | None = None

    @property
    def message(self) -> str:
        """One plain sentence, without a full stop."""
        if self.words:
            return f"{self.name}: {self.words}"
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


def judge(
    name: str, threshold: Threshold, reading: Reading, *, series: Series = Series.EVERY, least: int = 0
) -> Verdict:
    """Hold what was said of a metric against the accepted values.

    NaN is no data: it is what a division by no requests gives. An infinity is compared as it is, so that it
    breaches any maximum (or minimum) on its side. Of several series the worst one counts where nothing else is asked
    for, in whatever order they come: a pod that fails is not made up for by one that does well.

    Args:
        name: the metric's name in the Canary.
        threshold: the accepted values.
        reading: what was said.
        series: which of several series counts.
        least: how many requests the number must have been taken over; of fewer it says nothing.
    """
    about = _about(name, threshold, reading)
    match reading.said:
        case Unread(cause, reason):
            return Unavailable(**about, cause=cause, reason=reason)
        case Compared() | Sampled():
            return NoData(**about, reason="it was compared, and has no number of its own")
        case Empty(reason):
            return NoData(**about, reason=reason)
        case Run(Ran.PENDING, words):
            return NoData(**about, reason=words, words=words)
        case Run(ran, words):
            return Pass(**about, value=1.0, words=words) if ran is Ran.PASSED else Fail(**about, value=0.0, words=words)
        case Number() as number:
            return _few(about, reading.requests, least) or _judge(about, number, reading.requests, series)
        case _:
            assert_never(reading.said)


def _few(about: _About, requests: float | None, least: int) -> NoData | None:
    """The verdict where there are too few requests to judge by; None where there are enough."""
    if not least or (requests is not None and round(requests) >= least):
        return None
    if requests is None:
        return NoData(**about, reason=f"nobody has counted its requests, of which {least} are needed")
    there = round(requests)
    return NoData(**about, reason=f"{there} requests are too few, {least} are needed", samples=there)


def _judge(about: _About, number: Number, requests: float | None, series: Series) -> Pass | Fail | NoData:
    numbers = [value for value in (number.value, *number.others) if not math.isnan(value)]
    value = series.of(numbers, about["threshold"]) if numbers else math.nan
    if math.isnan(value):
        return NoData(**about, reason="the answer is not a number (NaN)")
    side = Pass if about["threshold"].accepts(value) else Fail
    samples = round(requests) if requests is not None else number.samples
    several = number.samples is not None and number.samples > 1
    chosen = f" in {_CHOSEN[series]} of {number.samples} series" if several else ""
    return side(**about, value=value, samples=samples, chosen=chosen)


_CHOSEN: Mapping[Series, str] = {
    Series.EVERY: "the worst",
    Series.LAST: "the last",
    Series.FIRST: "the first",
    Series.MIN: "the least",
    Series.MAX: "the greatest",
    Series.SUM: "the sum",
}


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
    places, digits = (round(value, n) for n in range(2, 8)), (float(f"{value:.{n}g}") for n in range(3, 17))
    for rounded in chain(places, digits):
        if all(_side(rounded, bound) == _side(value, bound) for bound in bounds):
            return f"{plain(rounded)}{judged.unit}"
    return f"{plain(value)}{judged.unit}"


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
