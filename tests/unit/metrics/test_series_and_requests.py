"""Which of several series is judged, and of how many requests a number must be to be judged at all."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.question import Empty, Number
from metrics.reading import Cause, Reading, Said, Unread
from metrics.threshold import Series, Threshold
from metrics.verdict import Fail, NoData, Pass, Unavailable, judge

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
AT_MOST = Threshold(max=5)
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9)


def reading(said: Said, requests: float | None = None) -> Reading:
    return Reading(said=said, interval=timedelta(minutes=1), time=NOW, query="q", requests=requests)


def number(*values: float) -> Number:
    return Number(values[0], len(values), values[1:])


@pytest.mark.parametrize(
    ("series", "value", "words"),
    [
        (Series.EVERY, 9.0, "the worst"),
        (Series.LAST, 3.0, "the last"),
        (Series.FIRST, 4.0, "the first"),
        (Series.MIN, 3.0, "the least"),
        (Series.MAX, 9.0, "the greatest"),
        (Series.SUM, 16.0, "the sum"),
    ],
)
def test_one_number_of_several_is_judged_and_the_message_says_which(series: Series, value: float, words: str) -> None:
    found = judge("queue", AT_MOST, reading(number(4.0, 9.0, 3.0)), series=series)

    assert isinstance(found, Pass if value <= 5 else Fail)
    assert found.value == value
    assert found.message.endswith(f"over 1m in {words} of 3 series")


@given(VALUES)
def test_of_one_series_all_say_the_same(values: list[float]) -> None:
    found = {judge("queue", AT_MOST, reading(number(values[0])), series=each).value for each in Series}

    assert found == {values[0]}


@given(VALUES, st.randoms())
def test_but_for_the_first_and_the_last_their_order_makes_no_difference(
    values: list[float], random: st.DataObject
) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for series in (Series.EVERY, Series.MIN, Series.MAX, Series.SUM):
        assert series.of(values, AT_MOST) == series.of(shuffled, AT_MOST)


def test_infinities_that_cancel_each_other_are_no_number() -> None:
    found = judge("queue", AT_MOST, reading(number(math.inf, -math.inf)), series=Series.SUM)

    assert isinstance(found, NoData)


@pytest.mark.parametrize(
    ("requests", "side"), [(None, NoData), (0.0, NoData), (99.4, NoData), (99.6, Fail), (500.0, Fail)]
)
def test_a_number_of_too_few_requests_is_no_data(requests: float | None, side: type) -> None:
    found = judge("request-duration", AT_MOST, reading(Number(9.0, 1), requests), least=100)

    assert isinstance(found, side)
    assert found.samples == (None if requests is None else round(requests))


def test_it_says_how_many_there_are_and_how_many_are_needed() -> None:
    found = judge("request-success-rate", Threshold(min=99), reading(Number(50.0, 1), 2.0), least=20)

    assert found.message == (
        "request-success-rate has no data over 1m, wanted >= 99%: 2 requests are too few, 20 are needed"
    )


@pytest.mark.parametrize(("said", "side"), [(Empty("none"), NoData), (Unread(Cause.TIMEOUT, "late"), Unavailable)])
def test_where_there_is_no_number_that_is_what_counts(said: Said, side: type) -> None:
    assert isinstance(judge("request-duration", AT_MOST, reading(said, 0.0), least=100), side)


def test_where_none_are_needed_few_are_enough() -> None:
    assert isinstance(judge("request-duration", AT_MOST, reading(Number(4.0, 1))), Pass)
