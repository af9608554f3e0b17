"""Prometheus, and whatever speaks its query API: Thanos, Mimir, VictoriaMetrics, managed services.

Amazon's is asked with a signature where the template has a region, Google's with a token of a service account.

The numbers are those of the scalar, or of all series of the vector. NaN is none: it comes from dividing by no requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from http.client import BAD_REQUEST
from math import ceil
from urllib.parse import urlencode, urlsplit

from metrics.access import aws, google, oauth2
from metrics.access.grants import Grant
from metrics.access.http import KEYS, authorization
from metrics.access.own import Own
from metrics.errors import QueryError, ServerError, TimedOutError
from metrics.providers.base import (
    Json,
    Provider,
    Regions,
    address_of,
    of_series,
    raise_for_status,
    read_object,
    unexpected,
    words_of,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

_USUAL = timedelta(minutes=5)
"""How far Prometheus looks back for a sample where nothing else is said."""

_OFTEN, _SHORTEST = timedelta(minutes=1), timedelta(seconds=1)
"""It looks at its targets once a minute by itself: the newest sample of a target may be as old as that."""

_LOOKBACK = "lookback_delta"

_PATH = "/api/v1/query"
_LONGEST_QUERY = 1000
_NAN = "the answer is not a number (NaN), as when the canary gets no requests"
_FORM = ("Content-Type", "application/x-www-form-urlencoded")


def build(question: Question, now: datetime) -> Request:
    """An instant query at the server's own time.

    GET, because read-only proxies let it through; POST where the URL would grow longer than proxies like.

    A selector without a range takes the newest sample of the last five minutes, be it of the version before: it is told
    to look back on less. Servers that don't know how leave it, or refuse it and are asked without.
    """
    back = max(2 * question.interval, _OFTEN)
    if question.since is not None:
        back = min(back, max(now - question.since, _SHORTEST))
    options = {_LOOKBACK: f"{ceil(back.total_seconds())}"} if back < _USUAL else {}
    return _request(question, question.query, **options)


def simpler(question: Question, response: Response) -> Request | None:
    """The query without telling how far to look back, where the server refuses to be told."""
    refused = response.status == BAD_REQUEST and _LOOKBACK.encode() in response.body
    return _request(question, question.query) if refused else None


def probe(question: Question, now: datetime) -> Request:
    """Ask for a constant, which needs the query API, the credentials and no data."""
    return _request(question, "vector(1)")


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the answer of an instant query."""
    data = data_of(response)
    kind, result = data.get("resultType"), data.get("result")
    match kind, result:
        case "scalar", [_, str(value)]:
            return of_series([_number(value, response)], 1, empty=_NAN)
        case "vector", []:
            return Empty("no time series matches the query, as when the canary gets no requests")
        case "vector", list(series):
            return of_series([_value(each, response) for each in series], len(series), empty=_NAN)
        case (("matrix" | "string"), _):
            msg = f"the query gives a {kind}, not a number"
            raise QueryError(msg)
    raise unexpected(response)


def accept(response: Response) -> None:
    """See that the answer is that of a working server."""
    data_of(response)


def grant(question: Question, environment: Own, now: datetime) -> Grant | Mapping[str, str] | None:
    """What a managed Prometheus lets in, or the token that the Secret stands for."""
    if question.region:
        return aws.own(question, environment, now) if aws.needs_own(question) else None
    if google.ACCOUNT in question.credentials or _is_google(question):
        return google.token(question, environment, now)
    return oauth2.grant(question)


def own(question: Question) -> bool:
    """Whether the Secret has nothing for a managed Prometheus."""
    if question.region:
        return aws.needs_own(question)
    return google.ACCOUNT not in question.credentials and _is_google(question)


def _is_google(question: Question) -> bool:
    """Whether it is Google's, and nothing else lets the question in."""
    return urlsplit(question.address).hostname == google.HOST and not question.credentials


def _request(question: Question, query: str, **options: str) -> Request:
    return request_of(question, _PATH, {"query": query.strip(), **options})


def request_of(question: Question, path: str, parameters: Mapping[str, str]) -> Request:
    """A request to the query API.

    Raises:
        MisconfiguredError: there is no address, or the Secret lacks what is needed.
    """
    address, headers = address_of(question), authorization(question)
    encoded = _encoded(tuple(parameters.items()))
    if len(encoded) <= _LONGEST_QUERY:
        return Request("GET", join(address, path, encoded), headers)
    return Request("POST", join(address, path), (*headers, _FORM), encoded.encode("ascii"))


@lru_cache(maxsize=4096)
def _encoded(parameters: tuple[tuple[str, str], ...]) -> str:
    """As a form: look after look the same queries are asked, and long ones take as long as all the rest of asking."""
    return urlencode(parameters)


def data_of(response: Response) -> Json:
    """What a good answer of any query holds; raises what any other means."""
    if response.status >= 400:
        raise_for_error(response)
    answer = read_object(response)
    if answer.get("status") == "error":
        raise_for_error(response)
    data = answer.get("data")
    if answer.get("status") != "success" or not isinstance(data, dict):
        raise unexpected(response)
    return data


def raise_for_error(response: Response) -> None:
    """Raise what an error answer means; its own error type says it better than the HTTP status."""
    words = words_of(response, _said)
    # Of a proxy's page there are none: its status has to do.
    match words and words_of(response, lambda answer: answer.get("errorType")):
        case "bad_data" | "execution" if response.status in {200, 400, 422}:
            raise QueryError(words)
        case "timeout" | "canceled":
            raise TimedOutError(words)
        case "internal" | "unavailable":
            raise ServerError(words)
    raise_for_status(response, _said)
    if words:
        raise ServerError(words)


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    return answer.get("error") if answer.get("status") == "error" else None


def _value(series: object, response: Response) -> float:
    match series:
        case {"value": [_, str(value)]}:
            return _number(value, response)
        case {"histogram": _}:
            msg = "the query gives a histogram, not a number; use histogram_quantile or the like"
            raise QueryError(msg)
    raise unexpected(response)


def _number(text: str, response: Response) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise unexpected(response) from error


PROMETHEUS = Provider(
    name="prometheus",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    simpler=simpler,
    credentials=KEYS,
    grant=grant,
    own=own,
    seal=aws.sealed("aps"),
    regions=Regions.ALLOWED,
)
