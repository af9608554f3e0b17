"""Queries over a range of time, for statistics and pictures rather than for gates.

They go over the edge of the controller's own questions, and its reader of Prometheus' answers. prometheus-api-client,
which did this before, blocks a thread that nothing can end: its session has no limit of size, and one of time for each
read alone, so that a server that drips bytes kept `canary backtest` for good, Ctrl-C included. Of an answer that is an
error, of a page and of a broken connection it makes KeyError, JSONDecodeError and RetryError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from metrics.access.grants import Grants
from metrics.conversation import Conversation
from metrics.errors import EmptyRangeError, MisconfiguredError, ProviderError, UnreadableError
from metrics.providers.prometheus import PROMETHEUS, data_of, request_of
from metrics.question import Question
from metrics.wire import Request
from outbound.connections import Sender

_DEADLINE = 30.0


class Point(NamedTuple):
    """One value at one time."""

    time: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """A time series.

    Args:
        labels: its labels, `__name__` among them where the query keeps it.
        points: its values in order of time, NaN left out; never empty.
    """

    labels: Mapping[str, str]
    points: tuple[Point, ...]


async def query_range(
    connections: Sender,
    question: Question,
    *,
    start: datetime,
    end: datetime,
    step: timedelta,
    deadline: float = _DEADLINE,
) -> list[Series]:
    """Ask Prometheus for a query's values between two times.

    Args:
        connections: where the question goes.
        question: its address, query, credentials and headers; its threshold plays no part.
        start: the first time, with its zone.
        end: the last time, with its zone.
        step: the distance between two values.
        deadline: seconds that the whole may take.

    Returns:
        The series that have a value in the range.

    Raises:
        MisconfiguredError: the question can't be put, or the range is none.
        UnauthorizedError: the server doesn't accept the credentials.
        QueryError: the query is wrong, or asks for too many values.
        UnreachableError: there is no connection, or it broke.
        TimedOutError: there is no answer in time.
        ServerError: the server is in trouble.
        UnreadableError: what answers isn't Prometheus.
        EmptyRangeError: no series has a value in the range.
    """
    if end < start or step <= timedelta(0):
        raise MisconfiguredError(f"there is no range from {start} to {end} in steps of {step}")
    talk = Conversation(question, connections, Grants(), end)
    try:
        admitted = await talk.admitted(PROMETHEUS)
        answer = await talk.send(_request(admitted, start, end, step), deadline)
        result = data_of(answer).get("result")
    except ProviderError as error:
        raise type(error)(talk.told(error)) from error
    if not isinstance(result, list):
        raise _unexpected()
    found = [series for series in map(_series, result) if series.points]
    if not found:
        raise EmptyRangeError(f"no series has a value from {start} to {end}")
    return found


def _request(question: Question, start: datetime, end: datetime, step: timedelta) -> Request:
    times = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}", "step": f"{step.total_seconds():g}"}
    return request_of(question, "/api/v1/query_range", {"query": question.query.strip(), **times})


def _unexpected() -> UnreadableError:
    return UnreadableError("the answer is not what the API promises")


def _series(entry: object) -> Series:
    match entry:
        case {"metric": dict(labels), "values": list(values)}:
            points = (_point(value) for value in values)
            return Series(labels, tuple(point for point in points if not math.isnan(point.value)))
        case {"metric": dict(labels)}:
            return Series(labels, ())  # histograms only
    raise _unexpected()


def _point(value: object) -> Point:
    match value:
        case [int() | float() as seconds, str(text)]:
            try:
                return Point(datetime.fromtimestamp(seconds, UTC), float(text))
            except (ValueError, OverflowError, OSError) as error:
                raise UnreadableError(f"the answer has an unreadable value: {text!r}") from error
    raise _unexpected()
