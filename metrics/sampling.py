"""The values of a metric of two versions, over as long a time each: the edge that asks for both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import nan

from metrics.access.grants import Grants
from metrics.conversation import Conversation
from metrics.errors import EmptyRangeError, ProviderError, QueryError
from metrics.question import Question
from metrics.ranges import Series, query_range
from metrics.read import unread
from metrics.reading import Reading, Said, Sampled
from outbound.connections import Sender

_MOST = 1000
"""Values of each version that are asked for: the newest ones."""


@dataclass(frozen=True, slots=True)
class Times:
    """When values are taken.

    Args:
        now: when the newest of the canary's is, or would be.
        count: how many of each version.
        step: the time between two, and that which each is about.
        until: when the newest of the promoted version's is; None for the same times.
    """

    now: datetime
    count: int
    step: timedelta
    until: datetime | None = None

    @classmethod
    def of(cls, since: datetime, now: datetime, step: timedelta, until: datetime | None = None) -> Times:
        """The times since a version has requests: those whose whole step is about it, none of them twice."""
        count = (now - since) // step
        last = since + count * step
        return cls(last, min(count, _MOST), step, until)

    def ending(self, last: datetime) -> tuple[datetime, datetime]:
        """The first and the last time, of as many as there are."""
        return last - (self.count - 1) * self.step, last


async def sample(connections: Sender, canary: Question, promoted: Question, times: Times, now: datetime) -> Reading:
    """Ask Prometheus for the values of both versions; outside trouble becomes `Unread`, never an error.

    Args:
        connections: where the questions go.
        canary: the question about the new version.
        promoted: the one about the version that it is compared with.
        times: when values are taken.
        now: the time.
    """
    question = canary
    try:
        found = []
        for question, last in ((canary, times.now), (promoted, times.until or times.now)):
            found.append(await _values(connections, question, times, last) if times.count else ())
        said: Said = Sampled(*found)
    except ProviderError as error:
        said = unread(question, error, Conversation(question, connections, Grants(), now))
    return Reading.of(canary, said, now)


async def _values(connections: Sender, question: Question, times: Times, last: datetime) -> tuple[float, ...]:
    """The values of the one series that the query has.

    Raises:
        ProviderError: they are not to be had, or there are several series.
    """
    start, end = times.ending(last)
    try:
        series = await query_range(connections, question, start=start, end=end, step=times.step)
    except EmptyRangeError:
        return (nan,) * times.count
    if len(series) > 1:
        raise QueryError(f"the query gives {len(series)} series; write one that gives one, such as a sum over them")
    return _placed(series[0], start, times)


def _placed(series: Series, start: datetime, times: Times) -> tuple[float, ...]:
    values = {round((point.time - start) / times.step): point.value for point in series.points}
    return tuple(values.get(place, nan) for place in range(times.count))
