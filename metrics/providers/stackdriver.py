"""Google Cloud Monitoring, once Stackdriver. The query is MQL; its values come newest first.

Google has stopped the support of MQL; what it gives to PromQL is asked by the provider `prometheus`, see there.
"""

from __future__ import annotations

import json
from datetime import datetime
from urllib.parse import quote

from metrics.access import google
from metrics.errors import MisconfiguredError, QueryError, ServerError
from metrics.providers.base import (
    Json,
    Provider,
    credential,
    number,
    of_series,
    patient,
    raise_for_status,
    read_object,
    unexpected,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

_PROJECT = "project"
_DELAY = 300.0
"""Seconds within which Google's own metrics come in."""


def build(question: Question, now: datetime) -> Request:
    """The query, about the project of the Secret."""
    return _request(question, question.query.strip())


def probe(question: Question, now: datetime) -> Request:
    """Ask for nothing, which is refused, but only to whom may ask."""
    return _request(question, "")


def accept(response: Response) -> None:
    """See that what is refused is the question, and not who asks."""
    try:
        raise_for_status(response, _said)
    except QueryError:
        if _said(read_object(response)) is None:
            raise unexpected(response) from None
        return
    read_object(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the newest value of each series that is new enough."""
    raise_for_status(response, _said)
    answer = read_object(response)
    if errors := answer.get("partialErrors"):
        raise ServerError(f"the answer is not whole: {_first(errors)}")
    match answer.get("timeSeriesData", []):
        case []:
            return Empty("no time series matches the query, as when the canary gets no requests")
        case list(series):
            found = [_newest(each, patient(span, _DELAY), response) for each in series]
            values = [value for value in found if value is not None]
            return of_series(values, len(series), empty="no time series has a value of late")
    raise unexpected(response)


def _newest(series: object, span: Span, response: Response) -> float | None:
    if not isinstance(series, dict):
        raise unexpected(response)
    points = series.get("pointData", [])
    if not isinstance(points, list):
        raise unexpected(response)
    for point in points:
        match point:
            case {"values": [value], "timeInterval": {"endTime": str(end), **rest}}:
                ends = _seconds(end, response)
                begins = _seconds(str(rest.get("startTime", end)), response)
                if span.holds(begins, ends) and (found := _value(value)) is not None:
                    return found
            case {"values": [_, _, *_]}:
                raise QueryError("the query gives several values a series, not one; take one by group_by or project")
            case {"values": []}:
                continue
            case _:
                raise unexpected(response)
    return None


def _value(value: object) -> float | None:
    """A typed value; whole numbers are written as text."""
    match value:
        case {"doubleValue": found}:
            return float(found) if found in {"NaN", "Infinity", "-Infinity"} else number(found)
        case {"int64Value": str(found)} if found.lstrip("-").isdecimal():
            return number(int(found[:400]))
        case {"boolValue": bool(found)}:
            return float(found)
        case {"distributionValue": _}:
            raise QueryError("the query gives a distribution, not a number; use percentile() or the like")
    return None


def _seconds(time: str, response: Response) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError) as error:
        raise unexpected(response) from error


def _request(question: Question, query: str) -> Request:
    if not question.credentials:
        raise MisconfiguredError(f"the stackdriver provider needs a Secret with {_PROJECT}")
    project = quote(credential(question.credentials, _PROJECT, "stackdriver", encoded=True), safe="")
    token = credential(question.credentials, "token", "stackdriver")
    headers = (*question.headers, ("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))
    address = join(question.address or f"https://{google.HOST}", f"/v3/projects/{project}/timeSeries:query")
    return Request("POST", address, headers, json.dumps({"query": query}).encode())


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    match answer.get("error"):
        case {"message": message}:
            return message
    return None


def _first(errors: object) -> str:
    match errors:
        case [{"message": str(message)}, *_]:
            return message
    return "it does not say why"


def _has_token(question: Question) -> bool:
    return google.ACCOUNT in question.credentials or "token" in question.credentials


STACKDRIVER = Provider(
    name="stackdriver",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=(_PROJECT, "token"),
    grant=lambda question, environment, now: (
        None if "token" in question.credentials else google.token(question, environment, now)
    ),
    own=lambda question: not _has_token(question),
)
