"""Dynatrace's metrics API v2. The query is a metric selector; its values over two intervals come as one number."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from urllib.parse import urlencode

from metrics.errors import MisconfiguredError
from metrics.providers.base import (
    Json,
    Provider,
    address_of,
    credential,
    number,
    of_series,
    raise_for_status,
    read_object,
    unexpected,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Headers, Request, Response, join

_TOKEN = "dynatrace_token"  # noqa: S105 - the key's name, not the token
_INTERVALS = 2

_LEAST = timedelta(minutes=3)
"""Metrics come by the minute, and the newest of them may not have come yet."""


def build(question: Question, now: datetime) -> Request:
    """The selector over the last two intervals, or what of them is about this version, one value for the whole."""
    end = int(now.timestamp())
    begin = end - int(max(_INTERVALS * question.interval, _LEAST).total_seconds())
    if question.since is not None:
        begin = max(begin, min(ceil(question.since.timestamp()), end - 1))
    parameters = urlencode(
        {"metricSelector": question.query.strip(), "resolution": "Inf", "from": begin * 1000, "to": end * 1000}
    )
    return Request("GET", join(address_of(question), "/api/v2/metrics/query", parameters), _headers(question))


def probe(question: Question, now: datetime) -> Request:
    """Ask for the name of one metric."""
    return Request("GET", join(address_of(question), "/api/v2/metrics", "pageSize=1"), _headers(question))


def accept(response: Response) -> None:
    """See that the token is accepted."""
    raise_for_status(response, _said)
    read_object(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read all series, of every metric that the selector names."""
    raise_for_status(response, _said)
    match read_object(response).get("result"):
        case []:
            return Empty("the selector gives no result")
        case list(results):
            series = [each for result in results for each in _data(result, response)]
            values = [value for each in series if (value := _value(each, response)) is not None]
            return of_series(values, len(series), empty="no series has a value")
    raise unexpected(response)


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    match answer.get("error"):
        case {"message": message}:
            return message
    return None


def _data(result: object, response: Response) -> list[object]:
    match result:
        case {"data": list(series)}:
            return series
    raise unexpected(response)


def _value(series: object, response: Response) -> float | None:
    match series:
        case {"values": list(values)}:
            return next((value for value in map(number, values) if value is not None), None)
    raise unexpected(response)


def _headers(question: Question) -> Headers:
    if not question.credentials:
        raise MisconfiguredError(f"the dynatrace provider needs a Secret with {_TOKEN}")
    token = credential(question.credentials, _TOKEN, "dynatrace")
    return (*question.headers, ("Authorization", f"Api-Token {token}"))


DYNATRACE = Provider(
    name="dynatrace",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=(_TOKEN,),
)
