"""How every answer is read: HTTP statuses, JSON, numbers and series."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeAlias

from metrics.errors import QueryError, ServerError, TimedOutError, UnauthorizedError, UnreadableError
from metrics.question import Empty, Number, Sample, Span
from metrics.wire import Response

Json: TypeAlias = dict[str, Any]
"""A JSON object: the one place where values have no type; every reader checks what it takes out."""


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
    text = f"HTTP {status}{_rest(response)}: {words}" if words else f"HTTP {status}{_rest(response)}"
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


def patient(span: Span, least: float) -> Span:
    """The span for servers whose newest values are some minutes old: those of so many seconds may decide at least."""
    return replace(span, interval=max(span.interval, least / 2))


def unexpected(response: Response) -> UnreadableError:
    """The error for JSON of another shape than promised."""
    return UnreadableError(f"the answer is not what the API promises{_kind(response)}")


def _rest(response: Response) -> str:
    """For how long a server that has too much to do asks to be left alone; empty where it doesn't say so in seconds."""
    seconds = response.headers.get("retry-after", "")
    told = response.status in {429, 503} and len(seconds) < _LONGEST_REST and seconds.isascii() and seconds.isdigit()
    return f" (it asks to be left alone for {int(seconds)} s)" if told else ""


def _kind(response: Response) -> str:
    """What kind of page comes instead of an answer, as of a login or a proxy."""
    return ", but a page" if "html" in response.headers.get("content-type", "").lower() else ""


_LONGEST_REST = 7
"""Digits, less one, of what can be meant."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
