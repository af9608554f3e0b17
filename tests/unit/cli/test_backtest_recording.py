import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from canary.cli.backtest.grid import Grid
from canary.cli.backtest.recording import CHUNK, MOST_POINTS, SMALLEST, FetchError, Recorded, Server, fetch, span
from metrics.errors import EmptyRangeError, ProviderError, QueryError, TimedOutError, TooLargeError, UnauthorizedError
from metrics.question import Question
from metrics.ranges import Point, Series
from metrics.threshold import Series as Counting
from metrics.threshold import Threshold

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEEK = Grid(START, MINUTE, 10_081)
QUESTION = Question(name="errors", query="errors", threshold=Threshold(max=1), interval=MINUTE)


@dataclass
class Prometheus:
    """Answers with the number of the look, as a server with limits of its own would."""

    at: Callable[[int], float | None] = float
    refuse: Callable[[int], ProviderError | None] = lambda _: None
    series: int = 1
    sizes: list[int] = field(default_factory=list)

    async def ask(
        self, question: Question, *, start: datetime, end: datetime, step: timedelta, deadline: float
    ) -> list[Series]:
        moments = [start + step * index for index in range((end - start) // step + 1)]
        self.sizes.append(len(moments))
        await asyncio.sleep(0)
        error = self.refuse(len(moments))
        if error is not None:
            raise error
        looks = [round((moment - START) / MINUTE) for moment in moments]
        points = tuple(
            Point(moment, value)
            for moment, look in zip(moments, looks, strict=True)
            if (value := self.at(look)) is not None
        )
        if not points:
            raise EmptyRangeError
        return [Series({"series": str(number)}, points) for number in range(self.series)]


async def fetched(prometheus: Prometheus, grid: Grid = WEEK, series: int = 1) -> Recorded:
    return await fetch(Server(prometheus.ask), QUESTION, grid, series=series)


async def test_a_week_comes_in_stretches_that_prometheus_answers_each_look_once() -> None:
    prometheus = Prometheus()
    recorded = await fetched(prometheus)
    assert list(recorded.values) == [float(look) for look in range(WEEK.looks)]
    assert sum(prometheus.sizes) == WEEK.looks
    assert max(prometheus.sizes) == CHUNK < MOST_POINTS


async def test_progress_tells_every_look_once() -> None:
    told: list[int] = []
    await fetch(Server(Prometheus().ask), QUESTION, WEEK, told=told.append)
    assert sum(told) == WEEK.looks


async def test_gaps_are_none_whether_they_fill_a_stretch_or_not() -> None:
    recorded = await fetched(Prometheus(at=lambda look: 1.0 if look < 10 or look > 5_000 else None))
    assert recorded.found == 10 + WEEK.looks - 5_001
    assert math.isnan(recorded.values[10])
    assert math.isnan(recorded.values[5_000])
    assert recorded.values[5_001] == 1


async def test_nothing_at_all_is_no_error_of_a_stretch() -> None:
    assert (await fetched(Prometheus(at=lambda _: None))).found == 0


@pytest.mark.parametrize(
    "error",
    [
        TimedOutError("no answer within 60 s"),
        TooLargeError("the answer is larger than 32 MiB"),
        QueryError("query processing would load too many samples into memory in query execution"),
    ],
)
async def test_what_is_too_much_at_once_is_asked_for_in_halves(error: ProviderError) -> None:
    prometheus = Prometheus(refuse=lambda size: error if size > 600 else None)
    recorded = await fetched(prometheus)
    assert recorded.found == WEEK.looks
    assert min(prometheus.sizes) >= SMALLEST


@pytest.mark.parametrize("error", [TimedOutError("no answer within 60 s"), TooLargeError("larger than 32 MiB")])
async def test_a_server_that_never_answers_in_time_or_size_is_told_of_and_not_asked_for_ever(
    error: ProviderError,
) -> None:
    prometheus = Prometheus(refuse=lambda _: error)
    with pytest.raises(FetchError) as caught:
        await fetched(prometheus)
    assert caught.value.error is error
    assert len(prometheus.sizes) < 10


@pytest.mark.parametrize("error", [QueryError("parse error"), UnauthorizedError("HTTP 401")])
async def test_another_error_ends_it_at_once(error: ProviderError) -> None:
    prometheus = Prometheus(refuse=lambda _: error)
    with pytest.raises(FetchError) as caught:
        await fetched(prometheus)
    assert (caught.value.error, caught.value.question) == (error, QUESTION)
    assert len(prometheus.sizes) < 5


async def test_of_many_series_the_worst_one_counts_and_stretches_are_smaller() -> None:
    prometheus = Prometheus(series=400)
    recorded = await fetched(prometheus, Grid(START, MINUTE, 600), series=400)
    assert (recorded.series, recorded.values[7]) == (400, 7)
    assert max(prometheus.sizes) == 250


@pytest.mark.parametrize(
    ("counts", "value"), [("every", 3.0), ("last", 2.0), ("first", 3.0), ("min", 2.0), ("sum", 5.0)]
)
async def test_of_several_series_the_one_of_the_spec_counts(counts: str, value: float) -> None:
    async def ask(
        question: Question, *, start: datetime, end: datetime, step: timedelta, deadline: float
    ) -> list[Series]:
        return [Series({"series": name}, (Point(START, each),)) for name, each in (("a", 3.0), ("b", 2.0))]

    question = replace(QUESTION, counts=Counting(counts))
    recorded = await fetch(Server(ask), question, Grid(START, MINUTE, 1))
    assert list(recorded.values) == [value]


async def test_a_look_that_only_a_later_series_has_is_filled_by_it() -> None:
    async def ask(
        question: Question, *, start: datetime, end: datetime, step: timedelta, deadline: float
    ) -> list[Series]:
        return [
            Series({"series": "a"}, (Point(START, 3.0),)),
            Series({"series": "b"}, (Point(START, 2.0), Point(START + MINUTE, 2.0))),
        ]

    recorded = await fetch(Server(ask), QUESTION, Grid(START, MINUTE, 3))
    assert list(recorded.values)[:2] == [3.0, 2.0]
    assert math.isnan(recorded.values[2])


def test_looks_lie_within_the_window_both_ends_counted() -> None:
    grid = Grid.between(START, START + timedelta(minutes=5, seconds=30), MINUTE)
    assert (grid.looks, grid.end) == (6, START + timedelta(minutes=5))
    assert grid.index(START + timedelta(minutes=2, seconds=10)) == 2


@pytest.mark.parametrize("looks", [1, 2, 299, 300, 301, 10_081])
def test_thinned_looks_cover_the_same_time(looks: int) -> None:
    grid = Grid(START, MINUTE, looks)
    thin = grid.thinned(300)
    assert thin.looks <= 300
    assert thin.end <= grid.end < thin.end + thin.step


def test_the_span_of_what_is_recorded_goes_from_the_first_to_the_last() -> None:
    assert span([False, True, False, True, False]) == range(1, 4)
    assert span([False, False]) == range(0)
