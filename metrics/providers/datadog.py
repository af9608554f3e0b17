"""Datadog's timeseries query API.

The number of a series is that of its newest bucket that is no longer being filled, where that one is new enough.
Buckets are looked for over ten intervals, since Datadog widens them as it sees fit.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from metrics.errors import MisconfiguredError, QueryError
from metrics.providers.base import (
    Json,
    Provider,
    credential,
    newest,
    number,
    of_series,
    raise_for_status,
    read_object,
    unexpected,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Headers, Request, Response, join

_ADDRESS = "https://api.datadoghq.com"
_API_KEY = "datadog_api_key"
_APPLICATION_KEY = "datadog_application_key"
_INTERVALS = 10


def build(question: Question, now: datetime) -> Request:
    """The query over the last ten intervals."""
    end = int(now.timestamp())
    begin = end - int(_INTERVALS * question.interval.total_seconds())
    parameters = urlencode({"query": question.query.strip(), "from": begin, "to": end})
    return Request("GET", join(question.address or _ADDRESS, "/api/v1/query", parameters), _headers(question))


def probe(question: Question, now: datetime) -> Request:
    """Have the API key checked."""
    return Request("GET", join(question.address or _ADDRESS, "/api/v1/validate"), _headers(question))


def accept(response: Response) -> None:
    """See that the key is valid."""
    raise_for_status(response, _said)
    if read_object(response).get("valid") is not True:
        raise unexpected(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read all series."""
    raise_for_status(response, _said)
    answer = read_object(response)
    if answer.get("status") == "error":
        raise QueryError(str(answer.get("error") or "the query is refused"))
    match answer.get("series"):
        case []:
            return Empty("no series matches the query")
        case list(series):
            values = [value for each in series if (value := _newest(each, span, response)) is not None]
            return of_series(values, len(series), empty="no series has a value of late")
    raise unexpected(response)


def _said(answer: Json) -> object:
    """Its words in an error answer: one, or a list."""
    match answer.get("errors"):
        case [str(first), *_]:
            return first
    return answer.get("error")


def _newest(series: object, span: Span, response: Response) -> float | None:
    match series:
        case {"pointlist": list(points), **rest}:
            found = [point for each in points if (point := _point(each)) is not None]
            return newest(found, span, width=number(rest.get("interval")), full=True)
    raise unexpected(response)


def _point(point: object) -> tuple[float, float | None] | None:
    """When a bucket begins, in seconds since 1970, and its value."""
    match point:
        case [begin, value] if (milliseconds := number(begin)) is not None:
            return milliseconds / 1000, number(value)
    return None


def _headers(question: Question) -> Headers:
    if not question.credentials:
        raise MisconfiguredError(f"the datadog provider needs a Secret with {_API_KEY} and {_APPLICATION_KEY}")
    return (
        *question.headers,
        ("DD-API-KEY", credential(question.credentials, _API_KEY, "datadog")),
        ("DD-APPLICATION-KEY", credential(question.credentials, _APPLICATION_KEY, "datadog")),
    )


DATADOG = Provider(
    name="datadog",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=(_API_KEY, _APPLICATION_KEY),
)
