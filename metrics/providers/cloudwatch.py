"""Amazon CloudWatch's GetMetricData. The query is its list of metric queries as JSON, as Flagger's templates have it.

The number of a result is that of its newest period that is no longer being filled, where that is new enough: the newest
values are some minutes old. Results with `"ReturnData": false` don't come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from metrics.access import aws
from metrics.access.grants import Grant
from metrics.access.own import Own
from metrics.errors import MisconfiguredError, QueryError, ServerError, UnauthorizedError
from metrics.providers.base import (
    Json,
    Parse,
    Provider,
    Regions,
    newest,
    number,
    of_series,
    patient,
    raise_for_status,
    read_object,
    unexpected,
    words_of,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

_INTERVALS = 10
_POINTS = 20
_DELAY = 300.0
"""Seconds within which AWS' own services deliver what they measure."""

_TARGET = "GraniteServiceVersion20100801.GetMetricData"
_KIND = "application/x-amz-json-1.0"

_UNAUTHORIZED = ("AccessDenied", "UnrecognizedClient", "InvalidClientToken", "Expired", "InvalidSignature", "Signature")
_BUSY = ("Throttl", "LimitExceeded", "InternalFailure", "InternalService", "ServiceUnavailable")


def build(question: Question, now: datetime) -> Request:
    """The queries over the last ten intervals, or what of them is about this version."""
    return _request(question, now, _queries(question))


def probe(question: Question, now: datetime) -> Request:
    """Ask for nothing, which is refused, but only to whom may ask."""
    return _request(question, now, [])


def accept(response: Response) -> None:
    """See that what is refused is the question, and not who asks."""
    try:
        _raise_for_error(response)
    except QueryError:
        read_object(response)
        return
    read_object(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the results of any period."""
    return _read(response, span, None)


def reads(question: Question) -> Parse:
    """Read the results, knowing the period of the queries."""
    width = max(_periods(_queries(question)), default=None)
    return lambda response, span=ANY_TIME: _read(response, span, width)


def grant(question: Question, environment: Own, now: datetime) -> Grant | Mapping[str, str] | None:
    """The controller's own role where the Secret has no keys."""
    return aws.own(question, environment, now) if aws.needs_own(question) else None


def _read(response: Response, span: Span, width: float | None) -> Sample:
    _raise_for_error(response)
    match read_object(response).get("MetricDataResults"):
        case []:
            return Empty("the queries give no result; one of them has to return its data")
        case list(results):
            found = [_newest(each, patient(span, _DELAY), width, response) for each in results]
            values = [value for value in found if value is not None]
            return of_series(values, len(results), empty="no result has a value of late")
    raise unexpected(response)


def _newest(result: object, span: Span, width: float | None, response: Response) -> float | None:
    match result:
        case {"StatusCode": "Forbidden"}:
            raise UnauthorizedError("a metric of the query may not be read")
        case {"StatusCode": "InternalError"}:
            raise ServerError("a metric of the query could not be read")
        case {"Timestamps": list(times), "Values": list(values)} if len(times) == len(values):
            begins = [number(each) for each in times]
            points = sorted((begin, number(each)) for begin, each in zip(begins, values, strict=True) if begin)
            return newest(points, span, width=width, full=True)
    raise unexpected(response)


def _queries(question: Question) -> list[object]:
    """The list that the query is.

    Raises:
        MisconfiguredError: it is none.
    """
    try:
        queries = json.loads(question.query)
    except (ValueError, RecursionError):
        queries = None
    if not isinstance(queries, list) or not queries:
        raise MisconfiguredError("a cloudwatch query is a JSON list of metric queries, as for GetMetricData")
    return queries


def _periods(value: object) -> Iterator[float]:
    match value:
        case dict():
            for name, each in value.items():
                if name == "Period" and (period := number(each)):
                    yield period
                else:
                    yield from _periods(each)
        case list():
            for each in value:
                yield from _periods(each)


def _request(question: Question, now: datetime, queries: list[object]) -> Request:
    region = aws.region_of(question)
    end = int(now.timestamp())
    begin = end - int(_INTERVALS * question.interval.total_seconds())
    body = {"StartTime": begin, "EndTime": end, "MaxDatapoints": _POINTS * len(queries), "MetricDataQueries": queries}
    address = question.address or f"https://monitoring.{region}.{aws.domain_of(region)}"
    headers = (*question.headers, ("Content-Type", _KIND), ("Accept", _KIND), ("X-Amz-Target", _TARGET))
    return Request("POST", join(address, "/"), headers, json.dumps(body).encode())


def _raise_for_error(response: Response) -> None:
    """Raise what an error means; AWS answers 400 to whom it does not know, and to whom asks too often."""
    kind = words_of(response, lambda answer: answer.get("__type")).rpartition("#")[2]
    words = words_of(response, _said)
    told = f"HTTP {response.status}: {kind}" + (f": {words}" if words else "")
    if response.status == 400 and kind.startswith(_UNAUTHORIZED):
        raise UnauthorizedError(told)
    if response.status == 400 and kind.startswith(_BUSY):
        raise ServerError(told)
    raise_for_status(response, _said)


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    return (answer.get("message") or answer.get("Message")) if "__type" in answer else None


CLOUDWATCH = Provider(
    name="cloudwatch",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=aws.KEYS,
    grant=grant,
    own=aws.needs_own,
    seal=aws.sealed("monitoring"),
    reads=reads,
    regions=Regions.NEEDED,
)
