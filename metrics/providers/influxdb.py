"""InfluxDB's query API v2. The query is Flux; the number of a table of its answer is the `_value` of its first row.

Rows of which `_time` says that they are too old are none.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

from metrics.errors import QueryError
from metrics.providers.base import (
    Provider,
    address_of,
    credential,
    of_series,
    raise_for_status,
    unexpected,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Headers, Request, Response, join

_DEADLINE = 15.0


def build(question: Question, now: datetime) -> Request:
    """The query, its answer as CSV with one line of names and no annotations."""
    return _request(question, question.query)


def probe(question: Question, now: datetime) -> Request:
    """Ask for the name of one bucket."""
    return _request(question, "buckets() |> limit(n: 1)")


def accept(response: Response) -> None:
    """See that Flux is accepted from us."""
    _raise_for_error(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the first row of each table that is new enough."""
    _raise_for_error(response)
    try:
        rows = [row for row in csv.reader(response.body.decode("utf-8").splitlines()) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise unexpected(response) from error
    if not rows:
        return Empty("the query gives no rows")
    names = rows[0]
    if "error" in names and "_value" not in names:
        raise QueryError(" ".join(rows[1]) if len(rows) > 1 else "the query ends with an error")
    if "_value" not in names:
        raise unexpected(response)
    if len(rows) == 1:
        return Empty("the query gives no rows")
    first: dict[str, str] = {}
    for row in rows[1:]:
        cells = dict(zip(names, row, strict=False))
        value = cells.get("_value", "") if _counts(cells.get("_time", ""), span) else ""
        table = cells.get("table", "")
        first[table] = first.get(table) or value
    numbers = [_number(value) for value in first.values() if value]
    return of_series(numbers, len(first), empty="no table has a value of late")


def _counts(time: str, span: Span) -> bool:
    """Whether a row is of the time that counts; what doesn't say so is what the query made of its own range."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return True
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return span.holds(seconds, seconds)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise QueryError(f"the query gives {text!r}, not a number") from error


def _request(question: Question, query: str) -> Request:
    organisation = question.credentials.get("org")
    parameters = urlencode({"org": organisation.strip()}) if organisation else ""
    body = {"query": query, "type": "flux", "dialect": {"header": True, "annotations": [], "delimiter": ","}}
    return Request(
        "POST",
        join(address_of(question), "/api/v2/query", parameters),
        (*_headers(question), ("Content-Type", "application/json"), ("Accept", "application/csv")),
        json.dumps(body).encode(),
    )


def _headers(question: Question) -> Headers:
    if not question.credentials:
        return question.headers
    credential(question.credentials, "org", "influxdb", encoded=True)
    token = credential(question.credentials, "token", "influxdb")
    return (*question.headers, ("Authorization", f"Token {token}"))


def _raise_for_error(response: Response) -> None:
    raise_for_status(response, lambda answer: answer.get("message"))


INFLUXDB = Provider(
    name="influxdb",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=("org", "token"),
    deadline=_DEADLINE,
)
