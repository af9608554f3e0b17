"""Grafana Loki. The query is LogQL that gives numbers, such as `sum(count_over_time({app="shop"} |= "ERROR" [1m]))`."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from metrics.access.http import KEYS, authorization
from metrics.errors import QueryError
from metrics.providers import prometheus
from metrics.providers.base import Json, Provider, address_of, raise_for_status, read_object, unexpected
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join


def build(question: Question, now: datetime) -> Request:
    """An instant query at the time of asking."""
    return _request(question, question.query.strip(), now)


def probe(question: Question, now: datetime) -> Request:
    """Ask for a constant, which needs the query API, the credentials and no log."""
    return _request(question, "vector(1)", now)


def accept(response: Response) -> None:
    """See that the answer is that of a working server."""
    raise_for_status(response, _said)
    if read_object(response).get("status") != "success":
        raise unexpected(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the answer, which but for lines of a log is as Prometheus gives it."""
    raise_for_status(response, _said)
    match read_object(response).get("data"):
        case {"resultType": "streams"}:
            raise QueryError("the query gives lines, not a number; count them, as by sum(count_over_time(…))")
        case {"resultType": "vector", "result": []}:
            return Empty("no line matches the query; `… or vector(0)` makes that 0")
    return prometheus.parse(response, span)


def _request(question: Question, query: str, now: datetime) -> Request:
    parameters = urlencode({"query": query, "time": int(now.timestamp() * 1_000_000_000)})
    return Request("GET", join(address_of(question), "/loki/api/v1/query", parameters), authorization(question))


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    return answer.get("message") or answer.get("error") if answer.get("status") == "error" else None


LOKI = Provider(
    name="loki",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=KEYS,
)
