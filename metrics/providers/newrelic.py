"""New Relic's Insights query API. The query is NRQL that gives one number; the interval is put behind it as SINCE."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote, urlencode

from metrics.errors import MisconfiguredError, QueryError
from metrics.providers.base import Provider, credential, number, raise_for_status, read_object, unexpected
from metrics.question import ANY_TIME, Empty, Number, Question, Sample, Span
from metrics.wire import Request, Response, join

_ADDRESS = "https://insights-api.newrelic.com"
_ACCOUNT = "newrelic_account_id"
_KEY = "newrelic_query_key"


def build(question: Question, now: datetime) -> Request:
    """The query over the last interval."""
    return _request(question, question.query.strip())


def probe(question: Question, now: datetime) -> Request:
    """Count something that need not exist."""
    return _request(question, "SELECT count(*) FROM Metric")


def accept(response: Response) -> None:
    """See that the key is accepted."""
    raise_for_status(response, lambda answer: answer.get("error"))
    read_object(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the only result."""
    raise_for_status(response, lambda answer: answer.get("error"))
    answer = read_object(response)
    if "facets" in answer:
        raise QueryError("the query gives a number for each facet, not one; take FACET out")
    match answer.get("results"):
        case []:
            return Empty("the query gives no result")
        case [dict(result)]:
            # Functions such as average() and percentage() name the number after themselves.
            return _only(list(_numbers(result.get("result", result))))
        case [_, *_]:
            raise QueryError("the query gives several results, not one number; SELECT one")
    raise unexpected(response)


def _only(found: list[float]) -> Sample:
    match found:
        case []:
            return Empty("the result holds no number")
        case [value]:
            return Number(value, 1)
    raise QueryError(f"the query gives {len(found)} numbers, not one; SELECT one")


def _numbers(value: object) -> Iterator[float]:
    """The numbers of a result: percentile() has one for each that was asked for."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _numbers(each)
    elif (found := number(value)) is not None:
        yield found


def _request(question: Question, query: str) -> Request:
    credentials = question.credentials
    if not credentials:
        raise MisconfiguredError(f"the newrelic provider needs a Secret with {_ACCOUNT} and {_KEY}")
    path = f"/v1/accounts/{quote(credential(credentials, _ACCOUNT, 'newrelic', encoded=True), safe='')}/query"
    nrql = f"{query} SINCE {int(question.interval.total_seconds())} seconds ago"
    headers = (*question.headers, ("X-Query-Key", credential(credentials, _KEY, "newrelic")))
    return Request("GET", join(question.address or _ADDRESS, path, urlencode({"nrql": nrql})), headers)


NEWRELIC = Provider(
    name="newrelic",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=(_ACCOUNT, _KEY),
)
