"""Apache SkyWalking. The query is GraphQL that executes an expression (MQE) over `$duration`, which is filled in.

Of what `execExpression` gives it takes `error` and `results { values { id value } }`. Values come by the minute; of
each series the newest minute counts that is over. The server's clock is taken to be UTC's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from metrics.access.http import KEYS, authorization
from metrics.errors import MisconfiguredError, QueryError
from metrics.providers.base import (
    Json,
    Provider,
    address_of,
    newest,
    of_series,
    patient,
    raise_for_status,
    read_object,
    unexpected,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

_MINUTE = timedelta(minutes=1)
_LEAST = timedelta(minutes=3)
"""The newest minute is not over, and the one before it may not have been written yet."""

_VARIABLE = "$duration"


def build(question: Question, now: datetime) -> Request:
    """The query over the minutes of the last two intervals, or those of them that are about this version."""
    if _VARIABLE not in question.query:
        raise MisconfiguredError(f"a skywalking query is GraphQL that asks over {_VARIABLE}")
    begin = now - max(2 * question.interval, _LEAST)
    if question.since is not None and question.since > begin:
        begin = min(question.since + _MINUTE, now)
    duration = {"start": _minute(begin), "end": _minute(now), "step": "MINUTE"}
    return _request(question, {"query": question.query.strip(), "variables": {"duration": duration}})


def probe(question: Question, now: datetime) -> Request:
    """Ask for the server's version."""
    return _request(question, {"query": "query { version }"})


def accept(response: Response) -> None:
    """See that it is GraphQL that answers."""
    _data(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the series of every expression of the query."""
    results = [each for answer in _data(response).values() for each in _results(answer, response)]
    if not results:
        return Empty("the expression gives no series")
    found = [_newest(each, patient(span, _LEAST.total_seconds()), response) for each in results]
    values = [value for value in found if value is not None]
    return of_series(values, len(results), empty="no series has a value of late")


def _data(response: Response) -> Json:
    raise_for_status(response, _said)
    answer = read_object(response)
    if isinstance(words := _said(answer), str):
        raise QueryError(words)
    match answer:
        case {"data": dict(data)}:
            return data
    raise unexpected(response)


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    match answer.get("errors"):
        case [{"message": message}, *_]:
            return message
    return None


def _results(answer: object, response: Response) -> Iterator[object]:
    match answer:
        case {"error": str(words)} if words:
            raise QueryError(words)
        case {"results": list(results)}:
            yield from results
        case _:
            raise unexpected(response)


def _newest(series: object, span: Span, response: Response) -> float | None:
    match series:
        case {"values": [{"id": None, "value": value}]}:
            return _number(value)  # made of the whole time
        case {"values": list(values)}:
            points = [_point(each, response) for each in values]
            return newest(points, span, width=_MINUTE.total_seconds(), full=True)
    raise unexpected(response)


def _point(value: object, response: Response) -> tuple[float, float | None]:
    """When a minute begins, and its value; ids are in milliseconds."""
    match value:
        case {"id": str(time), "value": found} if time.isascii() and time.isdigit():
            return min(int(time[:20]), 2**53) / 1000, _number(found)
    raise unexpected(response)


def _number(value: object) -> float | None:
    try:
        found = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        raise QueryError("the expression gives a text, not a number") from None
    return None if math.isnan(found) else found


def _minute(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H%M")


def _request(question: Question, body: Json) -> Request:
    headers = (*authorization(question), ("Content-Type", "application/json"))
    return Request("POST", join(address_of(question), "/graphql"), headers, json.dumps(body).encode())


SKYWALKING = Provider(
    name="skywalking",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=KEYS,
)
