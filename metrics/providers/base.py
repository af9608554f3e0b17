"""What every provider is made of, and how they all read HTTP statuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

from metrics.errors import (
    MisconfiguredError,
    QueryError,
    ServerError,
    TimedOutError,
    UnauthorizedError,
    UnreadableError,
)
from metrics.question import ANY_TIME, Empty, Number, Question, Sample, Span
from metrics.wire import Request, Response

Json: TypeAlias = dict[str, Any]
"""A JSON object: the one place where values have no type; every reader checks what it takes out."""


class Parse(Protocol):
    """From the answer to the number."""

    def __call__(self, response: Response, span: Span = ANY_TIME) -> Sample:
        """The newest number of the span, of each series; raises a ProviderError."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of metrics server, as two mappings.

    Args:
        name: the `type` in a MetricTemplate.
        build: from a question and the time to the request; raises MisconfiguredError.
        parse: from the answer to the number of the time that counts; raises a ProviderError.
        probe: the request that shows whether the server is there and lets us in; raises MisconfiguredError.
        accept: reads the probe's answer; raises a ProviderError where the server can't be used.
        credentials: the Secret's keys that it reads, for messages and documents.
        deadline: seconds that one question may take, retry included.
        simpler: the request to put once more where this answer refuses what not every server knows; None for none.
    """

    name: str
    build: Callable[[Question, datetime], Request]
    parse: Parse
    probe: Callable[[Question, datetime], Request]
    accept: Callable[[Response], None]
    credentials: tuple[str, ...] = ()
    deadline: float = 5.0
    simpler: Callable[[Question, Response], Request | None] = lambda _question, _response: None


def address_of(question: Question) -> str:
    """The question's address.

    Raises:
        MisconfiguredError: there is none.
    """
    if not question.address:
        msg = f"the {question.provider} provider needs an address"
        raise MisconfiguredError(msg)
    return question.address


def credential(credentials: Mapping[str, str], key: str, provider: str, *, encoded: bool = False) -> str:
    """One key of the Secret.

    Args:
        credentials: keys and values of the Secret.
        key: the key.
        provider: who needs it.
        encoded: whether it is encoded before it is sent, so that it may hold any characters.

    Raises:
        MisconfiguredError: the Secret lacks it, or no header can carry it.
    """
    value = credentials.get(key)
    if value is None:
        there = ", ".join(sorted(credentials)) or "no keys"
        msg = f"the {provider} provider needs {key} in its Secret, which has {there}"
        raise MisconfiguredError(msg)
    value = value.strip()
    if not (encoded or (value.isascii() and value.isprintable())):
        msg = f"{key} in its Secret holds characters that no header can carry; write it on one line, as it was issued"
        raise MisconfiguredError(msg)
    return value


def raise_for_status(response: Response, said: Callable[[Json], object] = lambda _: None) -> None:
    """Turn an HTTP error status into the error that it means.

    Args:
        response: the answer.
        said: takes the server's own words out of an error answer of its API; whatever else comes is not repeated.

    Raises:
        UnauthorizedError: 401 or 403.
        QueryError: 400 or 422.
        TimedOutError: 408 or 504.
        ServerError: 429 or any 5xx.
        UnreadableError: any other status that isn't 2xx.
    """
    status = response.status
    if 200 <= status < 300:
        return
    words = words_of(response, said) or _PHRASES.get(status, "")
    text = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    match status:
        case 401 | 403:
            raise UnauthorizedError(text)
        case 400 | 422:
            raise QueryError(text)
        case 408 | 504:
            raise TimedOutError(text)
        case 429:
            raise ServerError(text)
    if status >= 500:
        raise ServerError(text)
    raise UnreadableError(text)


def read_json(response: Response) -> object:
    """The body as JSON.

    Raises:
        UnreadableError: it isn't.
    """
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"the answer is not JSON{_kind(response)}") from error


def read_object(response: Response) -> Json:
    """The body as a JSON object.

    Raises:
        UnreadableError: it isn't one.
    """
    value = read_json(response)
    if not isinstance(value, dict):
        raise unexpected(response)
    return value


def words_of(response: Response, said: Callable[[Json], object]) -> str:
    """The server's own words in an answer of its API, such as why it refuses; empty where it has none.

    Nothing else of a body is told anybody: what answers may be any server that the controller can reach, and whoever
    may write its address need not be whoever may read it.

    Args:
        response: the answer.
        said: takes the words out of a JSON object; anything but a text is none.
    """
    try:
        words = said(read_object(response))
    except UnreadableError:
        return ""
    return words if isinstance(words, str) else ""


def number(value: object) -> float | None:
    """A JSON number; None for anything else, booleans among it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def of_series(numbers: Sequence[float], series: int, *, empty: str) -> Sample:
    """What an answer of any number of series says.

    Args:
        numbers: the number of each series that has one; NaN is none.
        series: how many series there are.
        empty: why there is no number, where no series has one.
    """
    match [value for value in numbers if not math.isnan(value)]:
        case [value, *others]:
            return Number(value, series, tuple(others))
    return Empty(empty)


def newest(
    points: Sequence[tuple[float, float | None]], span: Span, *, width: float | None = None, full: bool = False
) -> float | None:
    """The newest value of a series of buckets.

    Args:
        points: of each bucket, in order, when it begins (seconds since 1970), and its value; None where it has none.
        span: the time that counts.
        width: how many seconds a bucket covers; None where it lasts until the next one begins.
        full: whether one that is still being filled counts only where there is no other.

    Returns:
        None where no bucket of the span has a value.
    """
    ends = [begin + width for begin, _ in points] if width else [*(begin for begin, _ in points[1:]), math.inf]
    buckets = [(begin, end, value) for (begin, value), end in zip(points, ends, strict=False)]
    if full:
        buckets = [each for each in buckets if each[1] <= span.now] or buckets
    values = (value for begin, end, value in reversed(buckets) if value is not None and span.holds(begin, end))
    return next(values, None)


def unexpected(response: Response) -> UnreadableError:
    """The error for JSON of another shape than promised."""
    return UnreadableError(f"the answer is not what the API promises{_kind(response)}")


def _kind(response: Response) -> str:
    """What kind of page comes instead of an answer, as of a login or a proxy."""
    return ", but a page" if "html" in response.headers.get("content-type", "").lower() else ""


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
