"""Kayenta, Spinnaker's judge. The query is the JSON of a standalone canary analysis; the number is its score.

The analysis is of what has been: it is begun, and asked for until it has ended.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from metrics.access.http import KEYS, authorization
from metrics.errors import MisconfiguredError, ServerError
from metrics.providers.base import (
    Json,
    Provider,
    address_of,
    number,
    of_series,
    raise_for_status,
    read_json,
    unexpected,
)
from metrics.providers.base import read_object as read
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

_ANALYSIS = "/standalone_canary_analysis"
_CONFIG_ID, _CONFIG, _REQUEST = "canaryConfigId", "canaryConfig", "executionRequest"
_STORAGE = "storageAccountName"
_PARAMETERS = ("application", "user", "metricsAccountName", "configurationAccountName", _STORAGE)
_MINUTE = timedelta(minutes=1)
_LEAST_POINTS = 50
"""Points of each series that the judge should have, by Kayenta's own word."""

_DEADLINE = 60.0
_PAUSE = 2.0


def build(question: Question, now: datetime) -> Request:
    """Begin an analysis of the interval, in whole minutes and one at least, as Kayenta counts them."""
    query = _query(question)
    minutes = max(1, question.interval // _MINUTE)
    usual = {
        "startTimeIso": _iso(now - minutes * _MINUTE),
        "endTimeIso": _iso(now),
        "step": max(1, minutes * 60 // _LEAST_POINTS),
    }
    asked: Json = query[_REQUEST]
    request = {**asked, "scopes": [{**usual, **scope} for scope in asked["scopes"]]}
    config_id = query.get(_CONFIG_ID)
    if config_id:
        path, body = f"{_ANALYSIS}/{quote(str(config_id), safe='')}", request
    else:
        path, body = _ANALYSIS, {_CONFIG: query[_CONFIG], _REQUEST: request}
    parameters = urlencode({name: str(query[name]) for name in _PARAMETERS if query.get(name)})
    headers = (*authorization(question), ("Content-Type", "application/json"))
    return Request("POST", join(address_of(question), path, parameters), headers, json.dumps(body).encode())


def follows(question: Question, response: Response) -> Request | None:
    """Ask for what has become of the analysis; None once that is known."""
    if not 200 <= response.status < 300:
        return None
    match read(response):
        case {"complete": False, "pipelineId": str(name)} | {"canaryAnalysisExecutionId": str(name)} if name:
            account = _query(question).get(_STORAGE)
            parameters = urlencode({_STORAGE: str(account)}) if account else ""
            path = f"{_ANALYSIS}/{quote(name, safe='')}"
            return Request("GET", join(address_of(question), path, parameters), authorization(question))
    return None


def probe(question: Question, now: datetime) -> Request:
    """Ask for the accounts that it has."""
    return Request("GET", join(address_of(question), "/credentials"), authorization(question))


def accept(response: Response) -> None:
    """See that it has some."""
    raise_for_status(response, _said)
    if not isinstance(read_json(response), list):
        raise unexpected(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the last score: those before are of less time.

    A judgement that Kayenta could not make has the score 0 in its answer, as the worst canary has: it is told apart by
    how it was executed.
    """
    raise_for_status(response, _said)
    match read(response):
        case {"complete": True, "canaryAnalysisExecutionResult": {"canaryScores": list(scores)} as result}:
            _raise_for_unmade(result)
            if not scores:
                return Empty("Kayenta has made no judgement")
            return of_series([value for each in scores[-1:] if (value := number(each)) is not None], 1, empty=_NO_SCORE)
        case {"complete": True, "executionStatus": str(status)} as answer:
            raise ServerError(f"Kayenta has not judged: {status.lower()}{_why(answer)}")
    raise unexpected(response)


_NO_SCORE = "Kayenta has given no score"


def _raise_for_unmade(result: Json) -> None:
    """Tell a judgement that failed by itself.

    Raises:
        ServerError: it did.
    """
    match result.get("canaryExecutionResults"):
        case [*_, {"executionStatus": str(status)} as run] if status.lower() != "succeeded":
            raise ServerError(f"Kayenta could not judge: {status.lower()}{_why(run)}")


def _why(answer: Json) -> str:
    """What went wrong, in its words: of an exception Orca keeps the details and their errors."""
    match answer.get("exception"):
        case {"details": {"errors": [str(words), *_]}} | {"details": {"error": str(words)}} | {"message": str(words)}:
            return f": {words}"
        case str(words):
            return f": {words}"
    return ""


def _query(question: Question) -> Json:
    try:
        query = json.loads(question.query)
    except (ValueError, RecursionError):
        query = None
    match query:
        case {"executionRequest": {"scopes": [_, *_] as scopes}} if bool(query.get(_CONFIG_ID)) is not bool(
            query.get(_CONFIG)
        ) and all(isinstance(each, dict) for each in scopes):
            return dict(query)
    msg = (
        f"a kayenta query is JSON with {_CONFIG_ID} or {_CONFIG}, and {_REQUEST} with thresholds and one scope at least"
    )
    raise MisconfiguredError(msg)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    return answer.get("message")


KAYENTA = Provider(
    name="kayenta",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=KEYS,
    follows=follows,
    patience=_DEADLINE,
    pause=_PAUSE,
)
