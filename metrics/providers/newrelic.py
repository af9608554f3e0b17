"""New Relic's Insights query API. The query is NRQL that gives one number; the interval is put behind it as SINCE."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from metrics.errors import MisconfiguredError
from metrics.providers.base import Provider, credential, number, raise_for_status, read_object, unexpected
from metrics.question import Empty, Number, Question, Sample
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


def parse(response: Response) -> Sample:
    """Read the only result."""
    raise_for_status(response, lambda answer: answer.get("error"))
    match read_object(response).get("results"):
        case []:
            return Empty("the query gives no result")
        case [dict(result)]:
            # Functions such as average() and percentage() name the number after themselves.
            named = [result["result"]] if "result" in result else result.values()
            match [value for value in map(number, named) if value is not None]:
                case [value]:
                    return Number(value, 1)
                case []:
                    return Empty("the result holds no number")
    raise unexpected(response)


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
