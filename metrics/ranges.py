"""Queries over a range of time, for statistics and pictures rather than for gates.

They go through prometheus-api-client, whose requests block: each runs in a thread. Nothing of it is loaded before the
first such query, because it brings as much code as the rest of the controller.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from metrics.errors import EmptyRangeError, MisconfiguredError, TimedOutError, UnreachableError, UnreadableError
from metrics.providers.base import address_of
from metrics.providers.prometheus import authorization, raise_for_error
from metrics.question import Question
from metrics.wire import Response, join

_DEADLINE = 30.0


class Point(NamedTuple):
    """One value at one time."""

    time: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """A time series.

    Args:
        labels: its labels, `__name__` among them where the query keeps it.
        points: its values in order of time, NaN left out; never empty.
    """

    labels: Mapping[str, str]
    points: tuple[Point, ...]


async def query_range(
    question: Question, *, start: datetime, end: datetime, step: timedelta, deadline: float = _DEADLINE
) -> list[Series]:
    """Ask Prometheus for a query's values between two times.

    Args:
        question: its address, query, credentials and headers; its threshold plays no part.
        start: the first time, with its zone.
        end: the last time, with its zone.
        step: the distance between two values.
        deadline: seconds that the whole may take.

    Returns:
        The series that have a value in the range.

    Raises:
        MisconfiguredError: the question can't be put, or the range is none.
        UnauthorizedError: the server doesn't accept the credentials.
        QueryError: the query is wrong, or asks for too many values.
        UnreachableError: there is no connection, or it broke.
        TimedOutError: there is no answer in time.
        ServerError: the server is in trouble.
        UnreadableError: what answers isn't Prometheus.
        EmptyRangeError: no series has a value in the range.
    """
    if end < start or step <= timedelta(0):
        raise MisconfiguredError(f"there is no range from {start} to {end} in steps of {step}")
    try:
        async with asyncio.timeout(deadline):
            result = await asyncio.to_thread(_fetch, question, start, end, step, deadline)
    except TimeoutError as error:
        raise TimedOutError(f"no answer within {deadline:g} s") from error
    series = [_series(entry) for entry in result]
    found = [entry for entry in series if entry.points]
    if not found:
        raise EmptyRangeError(f"no series has a value from {start} to {end}")
    return found


class _Connection(Protocol):
    """What is used of prometheus-api-client's connection."""

    def custom_query_range(
        self,
        query: str,
        start_time: datetime,
        end_time: datetime,
        step: str,
        params: dict[str, str],
        timeout: float,
    ) -> object: ...


def _fetch(question: Question, start: datetime, end: datetime, step: timedelta, deadline: float) -> list[object]:
    """Ask, in a thread; the library's own errors become ours."""
    import requests  # noqa: PLC0415 - see the module's docstring
    from prometheus_api_client import PrometheusConnect  # noqa: PLC0415
    from urllib3.util.retry import Retry  # noqa: PLC0415

    address = join(address_of(question), "")
    headers: dict[str, str] = {}
    for name, value in authorization(question):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    with requests.Session() as session:
        session.verify = not question.insecure
        session.hooks["response"].append(_raise_for_error)
        connection: _Connection = PrometheusConnect(
            address, headers=headers, session=session, retry=Retry(total=1, status=0, redirect=5)
        )
        # The library rounds both times to whole seconds; parameters given here win.
        exact = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        try:
            result = connection.custom_query_range(
                question.query.strip(), start, end, f"{step.total_seconds():g}", exact, deadline
            )
        except requests.Timeout as error:
            raise TimedOutError(f"no answer within {deadline:g} s") from error
        except requests.JSONDecodeError as error:
            raise UnreadableError("the answer is not JSON") from error
        except requests.ConnectionError as error:
            raise UnreachableError(f"the connection failed ({error})") from error
        except requests.RequestException as error:
            raise MisconfiguredError(f"the request can't be made: {error}") from error
        except (KeyError, TypeError) as error:
            raise UnreadableError("the answer is not what the API promises") from error
    if not isinstance(result, list):
        raise UnreadableError("the answer is not what the API promises")
    return result


def _raise_for_error(response: Any, *_: object, **__: object) -> None:
    """Read an error answer before the library reduces it to a text."""
    if response.status_code >= 400:
        raise_for_error(Response(response.status_code, response.content))


def _series(entry: object) -> Series:
    match entry:
        case {"metric": dict(labels), "values": list(values)}:
            points = (_point(value) for value in values)
            return Series(labels, tuple(point for point in points if not math.isnan(point.value)))
        case {"metric": dict(labels)}:
            return Series(labels, ())  # histograms only
    raise UnreadableError("the answer is not what the API promises")


def _point(value: object) -> Point:
    match value:
        case [int() | float() as seconds, str(text)]:
            try:
                return Point(datetime.fromtimestamp(seconds, UTC), float(text))
            except (ValueError, OverflowError, OSError) as error:
                raise UnreadableError(f"the answer has an unreadable value: {text!r}") from error
    raise UnreadableError("the answer is not what the API promises")
