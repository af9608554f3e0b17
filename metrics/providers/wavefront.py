"""Wavefront, now VMware Aria Operations for Applications. The query is WQL.

The number of a series is that of its newest point that is no longer being filled, where that is new enough.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from urllib.parse import urlencode

from metrics.access.http import authorization
from metrics.errors import MisconfiguredError, QueryError, ServerError
from metrics.providers.base import (
    Json,
    Provider,
    address_of,
    newest,
    number,
    of_series,
    raise_for_status,
    read_object,
    unexpected,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

_INTERVALS = 10
_MINUTE = timedelta(minutes=1)


def build(question: Question, now: datetime) -> Request:
    """The query over the last ten intervals, or what of them is about this version."""
    begin = now - _INTERVALS * question.interval
    if question.since is not None:
        begin = min(max(begin, question.since), now)
    return _request(question, question.query.strip(), begin, now)


def probe(question: Question, now: datetime) -> Request:
    """Ask for a constant."""
    return _request(question, "1", now - _MINUTE, now)


def accept(response: Response) -> None:
    """See that the token is accepted."""
    raise_for_status(response, _said)
    if "query" not in read_object(response):
        raise unexpected(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read all series."""
    raise_for_status(response, _said)
    answer = read_object(response)
    if kind := answer.get("errorType"):
        words = str(answer.get("errorMessage") or "the query is refused")
        raise QueryError(words) if kind == "QuerySyntaxError" else ServerError(words)
    match answer.get("timeseries"):
        case None if "query" in answer:
            return Empty("no series matches the query")
        case []:
            return Empty("no series matches the query")
        case list(series):
            width = number(answer.get("granularity")) or None
            values = [value for each in series if (value := _newest(each, span, width, response)) is not None]
            return of_series(values, len(series), empty="no series has a value of late")
    raise unexpected(response)


def _newest(series: object, span: Span, width: float | None, response: Response) -> float | None:
    match series:
        case {"data": list(points)}:
            found = [point for each in points if (point := _point(each)) is not None]
            return newest(found, span, width=width, full=True)
    raise unexpected(response)


def _point(point: object) -> tuple[float, float | None] | None:
    match point:
        case [begin, value] if (seconds := number(begin)) is not None:
            return seconds, number(value)
    return None


def _request(question: Question, query: str, begin: datetime, end: datetime) -> Request:
    if not question.credentials:
        raise MisconfiguredError("the wavefront provider needs a Secret with token")
    window = {"s": ceil(begin.timestamp() * 1000), "e": int(end.timestamp() * 1000)}
    granularity = "m" if question.interval >= _MINUTE else "s"
    parameters = urlencode({"q": query, **window, "g": granularity, "strict": "true"})
    return Request("GET", join(address_of(question), "/api/v2/chart/api", parameters), authorization(question))


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    match answer.get("status"):
        case {"message": message}:
            return message
    return answer.get("message") or answer.get("errorMessage")


WAVEFRONT = Provider(
    name="wavefront",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=("token",),
)
