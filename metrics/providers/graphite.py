"""Graphite's render API. The query is what stands behind `/render?`, such as `target=...&from=-5min`.

The number of a target is its newest value, where that is new enough: a query without `from` is about a whole day.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from metrics.access.http import KEYS, authorization
from metrics.errors import MisconfiguredError
from metrics.providers.base import (
    Provider,
    address_of,
    newest,
    number,
    of_series,
    raise_for_status,
    read_json,
    unexpected,
)
from metrics.question import ANY_TIME, Question, Sample, Span
from metrics.wire import Request, Response, join


def build(question: Question, now: datetime) -> Request:
    """The query, its answer as JSON."""
    return _request(question, question.query)


def probe(question: Question, now: datetime) -> Request:
    """Ask for a target that need not exist."""
    return _request(question, "target=test")


def accept(response: Response) -> None:
    """See that it is a render API that answers."""
    parse(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the targets."""
    raise_for_status(response)
    targets = read_json(response)
    if not isinstance(targets, list):
        raise unexpected(response)
    values = [value for target in targets if (value := _newest(target, span, response)) is not None]
    return of_series(values, len(targets), empty="no target has a value of late")


def _newest(target: object, span: Span, response: Response) -> float | None:
    match target:
        case {"datapoints": list(points)}:
            return newest([point for each in points if (point := _point(each)) is not None], span)
    raise unexpected(response)


def _point(point: object) -> tuple[float, float | None] | None:
    """When a bucket begins, in seconds since 1970, and its value."""
    match point:
        case [value, begin] if (seconds := _read(begin)) is not None:
            return seconds, _read(value)
    return None


def _read(value: object) -> float | None:
    """A number, which some write as text."""
    if not isinstance(value, str):
        return number(value)
    try:
        return float(value)
    except ValueError:
        return None


def _request(question: Question, query: str) -> Request:
    pairs = parse_qsl(" ".join(query.split()), keep_blank_values=True)
    if not any(name == "target" for name, _ in pairs):
        raise MisconfiguredError("a graphite query names a target, as in target=stats.errors")
    parameters = urlencode([*((name, value) for name, value in pairs if name != "format"), ("format", "json")])
    return Request("GET", join(address_of(question), "/render", parameters), authorization(question))


GRAPHITE = Provider(
    name="graphite",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=KEYS,
)
