"""Splunk Observability Cloud, once SignalFx. The query is a SignalFlow program that publishes one stream.

The program is executed over the past and ends; its answers come as server-sent events. The number of a time series is
its newest, where that is new enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode, urlsplit, urlunsplit

from metrics.errors import MisconfiguredError, QueryError, ServerError, UnreachableError
from metrics.providers.base import (
    Json,
    Provider,
    address_of,
    credential,
    newest,
    number,
    of_series,
    raise_for_status,
    read_object,
    unexpected,
)
from metrics.question import ANY_TIME, Question, Sample, Span
from metrics.wire import Headers, Request, Response, join

_TOKEN = "sf_token_key"  # noqa: S105 - the key's name, not the token
_INTERVALS = 10
_DEADLINE = 10.0

_HOST = re.compile(r"(api|stream)(\.[a-z0-9-]+\.(?:signalfx\.com|observability\.splunkcloud\.com))")
"""A realm answers as two hosts: programs are executed at the second."""


def build(question: Question, now: datetime) -> Request:
    """The program over the last ten intervals, without waiting for what comes late."""
    end = int(now.timestamp() * 1000)
    begin = end - int(_INTERVALS * question.interval.total_seconds() * 1000)
    parameters = urlencode({"start": begin, "stop": end, "immediate": "true"})
    headers = (*_headers(question), ("Content-Type", "text/plain"), ("Accept", "text/event-stream"))
    address = join(_at(address_of(question), "stream"), "/v2/signalflow/execute", parameters)
    return Request("POST", address, headers, question.query.encode())


def probe(question: Question, now: datetime) -> Request:
    """Ask for the name of one metric."""
    return Request("GET", join(_at(address_of(question), "api"), "/v2/metric", "limit=1"), _headers(question))


def accept(response: Response) -> None:
    """See that the token is accepted."""
    raise_for_status(response, _said)
    read_object(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the newest value of each time series, once the program has ended."""
    raise_for_status(response, _said)
    series: dict[str, list[tuple[float, float | None]]] = {}
    ended = False
    for kind, message in _events(response):
        match kind, message:
            case "data", {"data": list(values), "logicalTimestampMs": time}:
                for name, value in _values(values, response):
                    series.setdefault(name, []).append(((number(time) or 0.0) / 1000, value))
            case "error", _:
                raise QueryError(_refused(message))
            case "control-message", {"event": "CHANNEL_ABORT"}:
                raise ServerError("the program was ended before its time")
            case "control-message", {"event": "END_OF_CHANNEL"}:
                ended = True
    if not ended:
        raise UnreachableError("the answers broke off before the program's end")
    found = (newest(sorted(points, key=lambda point: point[0]), span) for points in series.values())
    values = [value for value in found if value is not None]
    return of_series(values, len(series), empty="no time series has a value of late")


def _events(response: Response) -> Iterator[tuple[str, Json]]:
    """The events of the stream: what kind, and the JSON behind `data:`, which may go over several lines."""
    if "event-stream" not in response.headers.get("content-type", "text/event-stream"):
        raise unexpected(response)
    try:
        text = response.body.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise unexpected(response) from error
    for block in text.split("\n\n"):
        fields = [line.partition(":") for line in block.split("\n") if line]
        kinds = [value.strip() for name, _, value in fields if name == "event"]
        data = "\n".join(value.removeprefix(" ") for name, _, value in fields if name == "data")
        if not kinds or not data:
            continue
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            # The last one, cut in the middle: its end is what is missed.
            return
        if isinstance(message, dict):
            yield kinds[-1], message


def _values(values: list[object], response: Response) -> Iterator[tuple[str, float | None]]:
    for each in values:
        match each:
            case {"tsId": str(name), **rest}:
                yield name, number(rest.get("value"))
            case _:
                raise unexpected(response)


def _refused(message: Json) -> str:
    match message:
        case {"message": str(words)}:
            return words
        case {"errors": [{"code": str(code), **rest}, *_]}:
            told = rest.get("message")
            return f"{code}: {told}" if isinstance(told, str) else code
    return "the program is refused"


def _at(address: str, role: str) -> str:
    """The host of the realm for this; an address of another kind stays."""
    parts = urlsplit(address)
    if (found := _HOST.fullmatch(parts.netloc)) is None:
        return address
    return urlunsplit(parts._replace(netloc=f"{role}{found[2]}"))


def _headers(question: Question) -> Headers:
    if not question.credentials:
        raise MisconfiguredError(f"the splunk provider needs a Secret with {_TOKEN}")
    return (*question.headers, ("X-SF-Token", credential(question.credentials, _TOKEN, "splunk")))


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    return answer.get("message")


SPLUNK = Provider(
    name="splunk",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=(_TOKEN,),
    deadline=_DEADLINE,
)
