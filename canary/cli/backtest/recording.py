"""Recorded data: range queries in stretches that Prometheus answers, into one value a look."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from canary.cli.backtest.grid import Grid
from metrics.errors import EmptyRangeError, ProviderError, QueryError, TimedOutError, TooLargeError
from metrics.question import Question
from metrics.ranges import Series

MOST_POINTS = 11_000
"""Values that Prometheus gives for one series at most."""

CHUNK = 2_000
"""Looks that are asked for at once: a day and a half at 1m, so that progress is seen and memory stays small."""

MOST_VALUES = 100_000
"""Values of all series of one answer, where a query has many series."""

SMALLEST = 50
"""Looks below which a stretch that is too much for the server is not halved any more."""

SMALLEST_IN_TIME = 500
"""The same for one that isn't answered in time, or too large: each try costs the whole limit."""

AT_ONCE = 2
"""Stretches that are asked for side by side: more would only queue in a local Prometheus."""

_TOO_MUCH = ("too many samples", "exceeds the limit", "exceeded maximum resolution", "query length")
_NONE = math.nan


class Ask(Protocol):
    """How a query is put over a range of time: `metrics.ranges.query_range`."""

    async def __call__(
        self, question: Question, *, start: datetime, end: datetime, step: timedelta, deadline: float
    ) -> list[Series]:
        """The series that have a value in the range; raises what `query_range` raises."""


@dataclass(frozen=True, slots=True)
class Server:
    """The Prometheus that is asked.

    Args:
        ask: how a query is put.
        deadline: seconds that one stretch may take.
    """

    ask: Ask
    deadline: float = 60.0


class FetchError(Exception):
    """A question got no usable answer.

    Args:
        question: the question.
        error: why; its text can follow a colon.
    """

    def __init__(self, question: Question, error: ProviderError) -> None:
        self.question = question
        self.error = error
        super().__init__(f"{question.name}: {error}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One value a look.

    Args:
        values: by look; NaN is none.
        series: how many series the query gave; which of several counts is the spec's to say, as in the controller.
    """

    values: array[float]
    series: int

    @property
    def found(self) -> int:
        """How many looks have a value."""
        return sum(not math.isnan(value) for value in self.values)


async def fetch(
    server: Server, question: Question, grid: Grid, *, series: int = 1, told: Callable[[int], None] = lambda _: None
) -> Recorded:
    """The values at every look.

    Args:
        server: who is asked.
        question: what is asked.
        grid: the looks.
        series: how many series the query gives, as far as is known.
        told: is told of each stretch how many looks it has.

    Raises:
        FetchError: there is no usable answer.
    """
    values = array("d", [_NONE]) * grid.looks
    size = max(SMALLEST, min(CHUNK, MOST_VALUES // max(series, 1)))
    gate = asyncio.Semaphore(AT_ONCE)

    async def stretch(looks: range) -> int:
        async with gate:
            found = await _fill(server, question, grid, looks, values)
        told(len(looks))
        return found

    wrong: FetchError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(stretch(looks)) for looks in grid.chunks(size)]
    except* FetchError as errors:
        # What is raised in here comes out in a group, before Python 3.11.4.
        wrong = _first(errors)
    if wrong is not None:
        raise wrong
    return Recorded(values, max(task.result() for task in tasks))


def _first(errors: BaseExceptionGroup[FetchError]) -> FetchError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, FetchError)  # noqa: S101 - tells the type: the group was split by it
    return error


async def _fill(server: Server, question: Question, grid: Grid, looks: range, values: array[float]) -> int:
    """Put the values of a stretch in their places; the number of series."""
    parts = await parts_of(server, question, grid, looks)
    for found in parts:
        _place(found, grid, values, question)
    return max((len(found) for found in parts), default=0)


async def parts_of(server: Server, question: Question, grid: Grid, looks: range) -> list[list[Series]]:
    """The series of a stretch, in order of time, in halves where it is too much at once.

    Raises:
        FetchError: there is no usable answer.
    """
    try:
        found = await server.ask(
            question, start=grid.at(looks[0]), end=grid.at(looks[-1]), step=grid.step, deadline=server.deadline
        )
    except EmptyRangeError:
        return []
    except ProviderError as error:
        if len(looks) <= _smallest(error):
            raise FetchError(question, error) from error
        middle = len(looks) // 2
        halves = [await parts_of(server, question, grid, half) for half in (looks[:middle], looks[middle:])]
        return [part for half in halves for part in half]
    return [found]


def _smallest(error: ProviderError) -> float:
    """Looks up to which a stretch with this error is not asked for again in halves."""
    match error:
        case TimedOutError() | TooLargeError():
            return SMALLEST_IN_TIME
        case QueryError() if any(words in str(error) for words in _TOO_MUCH):
            return SMALLEST
    return math.inf


def _place(found: Iterable[Series], grid: Grid, values: array[float], question: Question) -> None:
    """Of several series that value at a look counts which does in an answer to the controller."""
    start, step = grid.start.timestamp(), grid.step.total_seconds()
    for series in found:
        for moment, value in series.points:
            look = round((moment.timestamp() - start) / step)
            if 0 <= look < len(values):
                before = values[look]
                values[look] = value if math.isnan(before) else question.counts.of((before, value), question.threshold)


def span(recorded: Sequence[bool]) -> range:
    """The looks from the first to the last at which something is recorded; empty where nothing is."""
    first = next((look for look, there in enumerate(recorded) if there), None)
    if first is None:
        return range(0)
    last = next(look for look in range(len(recorded) - 1, -1, -1) if recorded[look])
    return range(first, last + 1)
