"""What is asked of a metrics server, and what comes back: values without any wire format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from metrics.threshold import Series, Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One metric check of one Canary at one moment, ready to be asked.

    Args:
        name: the metric's name in the Canary, such as `request-success-rate`.
        query: the query, its template rendered.
        threshold: the accepted values.
        interval: the time window that the query looks at.
        since: what was measured before is about another version, and doesn't count; None where that isn't known.
        unit: what stands behind the number in messages, such as `%` or ` ms`.
        provider: the kind of metrics server, a key of `metrics.providers.PROVIDERS`.
        address: its base URL; empty where the provider has a well-known one.
        credentials: keys and values of the Secret that the template names.
        headers: extra request headers, in order; a name may come more than once.
        insecure: whether the server's certificate goes unchecked.
        region: the provider's region, where it has regions.
        series: what the query of a built-in metric looks at; the first of these that there is answers.
        counts: which of several series of an answer counts.
    """

    name: str
    query: str
    threshold: Threshold
    interval: timedelta
    since: datetime | None = None
    unit: str = ""
    provider: str = "prometheus"
    address: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    insecure: bool = False
    region: str = ""
    series: tuple[str, ...] = ()
    counts: Series = Series.EVERY

    def explained(self, sample: Sample) -> Sample:
        """An answer, which tells where nothing was found what had been looked for."""
        if not isinstance(sample, Empty) or not self.series:
            return sample
        return replace(sample, reason=f"{sample.reason}; looked for: {', '.join(self.series)}")


@dataclass(frozen=True, slots=True)
class Span:
    """The time whose values may decide; all in seconds since 1970.

    Args:
        since: what began before is about another version.
        now: the time of asking.
        interval: what ended two of these ago says nothing of now.
    """

    since: float
    now: float
    interval: float

    @classmethod
    def of(cls, question: Question, now: datetime) -> Span:
        """The span of a question that is asked now."""
        since = question.since.timestamp() if question.since is not None else -math.inf
        return cls(since, now.timestamp(), question.interval.total_seconds())

    def holds(self, begin: float, end: float) -> bool:
        """Whether a value over this time may decide.

        Values that come more rarely than two intervals are as old as they are apart: the newest two of them may.
        """
        return begin >= self.since and end > self.now - 2 * max(self.interval, end - begin)


ANY_TIME = Span(since=-math.inf, now=datetime.max.replace(tzinfo=UTC).timestamp(), interval=math.inf)


@dataclass(frozen=True, slots=True)
class Number:
    """An answer with a number, or with several: one a series.

    Args:
        value: the number; an infinity is a number, NaN never comes (it is `Empty`).
        samples: how many series the answer held, those without a number too; None where the provider doesn't say.
        others: the numbers of further series. Their order says nothing: servers give series in any.
    """

    value: float
    samples: int | None = None
    others: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Empty:
    """An answer without a number: the server works, and has nothing to say.

    Args:
        reason: why, in words that can follow a colon.
    """

    reason: str = "the answer is empty"


Sample: TypeAlias = Number | Empty
