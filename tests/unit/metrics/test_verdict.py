import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.question import Empty, Number, Question
from metrics.reading import Cause, Unread
from metrics.threshold import Threshold
from metrics.verdict import Fail, NoData, Pass, written
from tests.tools.judged import judged

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
numbers = st.floats(allow_nan=False)


def asked(threshold: Threshold, name: str = "request-success-rate", unit: str = "", interval: int = 60) -> Question:
    return Question(
        name=name, query="q", threshold=threshold, interval=timedelta(seconds=interval), unit=unit, address="http://p"
    )


@pytest.mark.parametrize(
    ("threshold", "value", "message"),
    [
        (Threshold(min=99), 84.2, "request-success-rate 84.2% is below 99% over 1m"),
        (Threshold(min=99), 99, "request-success-rate 99% is at least 99% over 1m"),
        (Threshold(min=99), 98.999996, "request-success-rate 98.999996% is below 99% over 1m"),
        (Threshold(max=5), 5.000000001, "request-success-rate 5.000000001% is above 5% over 1m"),
        (Threshold(max=500), 12.3456, "request-success-rate 12.35% is at most 500% over 1m"),
        (Threshold(1, 10), 5, "request-success-rate 5% is within 1..10% over 1m"),
        (Threshold(1, 10), 0.5, "request-success-rate 0.5% is below 1% over 1m"),
        (Threshold(1, 10), 11, "request-success-rate 11% is above 10% over 1m"),
        (Threshold(), 7, "request-success-rate 7% is accepted (no threshold) over 1m"),
        (Threshold(max=5), math.inf, "request-success-rate inf% is above 5% over 1m"),
        (Threshold(min=5), -math.inf, "request-success-rate -inf% is below 5% over 1m"),
        (Threshold(max=5), 0.0004, "request-success-rate 0.0004% is at most 5% over 1m"),
    ],
)
def test_the_message_holds_the_number_against_the_bound_that_decided(
    threshold: Threshold, value: float, message: str
) -> None:
    verdict = judged(asked(threshold, unit="%"), Number(value), NOW)
    assert verdict.message == message


@given(value=numbers, low=st.none() | numbers, high=st.none() | numbers)
def test_a_number_passes_exactly_when_it_is_accepted_and_the_verdict_carries_all(
    value: float, low: float | None, high: float | None
) -> None:
    if low is not None and high is not None:
        low, high = min(low, high), max(low, high)
    question = asked(Threshold(low, high))
    verdict = judged(question, Number(value, samples=1), NOW)
    assert isinstance(verdict, Pass if question.threshold.accepts(value) else Fail)
    assert verdict.value == value
    assert (verdict.name, verdict.query, verdict.threshold) == (question.name, question.query, question.threshold)
    assert (verdict.time, verdict.interval, verdict.samples) == (NOW, question.interval, 1)


@given(values=st.lists(numbers, min_size=1), low=st.none() | numbers, high=st.none() | numbers, data=st.data())
def test_several_numbers_pass_exactly_when_all_are_accepted_in_any_order(
    values: list[float], low: float | None, high: float | None, data: st.DataObject
) -> None:
    if low is not None and high is not None:
        low, high = min(low, high), max(low, high)
    question = asked(Threshold(low, high))
    first, *others = values
    again, *rest = data.draw(st.permutations(values))
    verdict = judged(question, Number(first, len(values), tuple(others)), NOW)
    other = judged(question, Number(again, len(values), tuple(rest)), NOW)

    assert type(verdict) is type(other)
    assert isinstance(verdict, Pass) is all(question.threshold.accepts(value) for value in values)
    assert isinstance(verdict, Pass) or verdict.value == other.value


@pytest.mark.parametrize(
    ("threshold", "values", "worst"),
    [
        (Threshold(min=99), (100, 20, 99), 20),
        (Threshold(max=500), (900, 100), 900),
        (Threshold(min=1, max=10), (0, 12, 5), 12),
        (Threshold(min=1, max=10), (5, 9.5, 3), 9.5),
        (Threshold(max=5), (-math.inf, math.inf, 3), math.inf),
    ],
)
def test_the_worst_is_farthest_outside_or_else_nearest_to_a_bound(
    threshold: Threshold, values: tuple[float, ...], worst: float
) -> None:
    assert threshold.worst(values) == worst


@given(
    value=st.floats(-1e6, 1e6),
    bound=st.floats(-1e6, 1e6) | st.sampled_from([99.0, 5.0, 0.0, 100.0]),
    nudge=st.sampled_from([0.0, 1e-3, -1e-3, 1e-9, -1e-9]),
)
def test_rounding_for_people_never_moves_a_number_across_the_bound(value: float, bound: float, nudge: float) -> None:
    for number in (value, bound + nudge):
        verdict = judged(asked(Threshold(min=bound), name="m"), Number(number), NOW)
        shown = float(verdict.message.split()[1])
        assert (shown < bound) == (number < bound)
        assert (shown == 0) == (number == 0)


def test_a_number_next_to_nothing_is_told_in_short() -> None:
    verdict = judged(asked(Threshold(min=99), unit="%"), Number(1.4210854715202004e-14), NOW)
    assert verdict.message.startswith("request-success-rate 1.42e-14% is below 99%")


def test_nan_is_no_data() -> None:
    verdict = judged(asked(Threshold(max=5)), Number(math.nan), NOW)
    assert isinstance(verdict, NoData)
    assert verdict.value is None


def test_infinity_passes_where_no_bound_is_on_its_side() -> None:
    assert isinstance(judged(asked(Threshold(min=5)), Number(math.inf), NOW), Pass)


def test_an_empty_answer_says_what_was_wanted_and_why_there_is_nothing() -> None:
    verdict = judged(asked(Threshold(min=99), unit="%"), Empty("no series"), NOW)
    assert isinstance(verdict, NoData)
    assert verdict.message == "request-success-rate has no data over 1m, wanted >= 99%: no series"


def test_trouble_says_what_was_wanted_and_what_broke() -> None:
    verdict = judged(asked(Threshold(max=500), "request-duration", " ms"), Unread(Cause.UNREACHABLE, "refused"), NOW)
    assert verdict.message == "request-duration can't be read, wanted <= 500 ms: refused"
    assert verdict.value is None


def test_credentials_never_reach_a_verdict() -> None:
    question = Question(
        name="m", query="q", threshold=Threshold(), interval=timedelta(0), credentials={"token": "s3cret"}
    )
    assert "s3cret" not in repr(judged(question, Unread(Cause.TIMEOUT, "slow"), NOW))
    assert "s3cret" not in repr(question)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_written_duration_is_the_same_duration(milliseconds: int) -> None:
    size = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    parts = re.findall(r"(\d+)(ms|h|m|s)", written(timedelta(milliseconds=milliseconds)))
    assert sum(int(count) * size[unit] for count, unit in parts) == milliseconds
