"""What requests came to, as the demonstration counts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.sandbox.demo.load import Load, by_version, load_of, recent
from canary.sandbox.traffic import Answer

answers = st.lists(
    st.builds(
        Answer,
        at=st.floats(0, 100),
        seconds=st.floats(0, 5),
        status=st.sampled_from([0, 200, 404, 500, 503]),
        version=st.sampled_from(["", "1.0.0", "1.1.0"]),
    )
)


def test_a_request_failed_if_it_has_a_5xx_or_no_answer_at_all() -> None:
    load = load_of(Answer(0, 0.1, status, "1") for status in (200, 404, 500, 503, 0))
    assert (load.served, load.failed, load.success) == (2, 3, 40.0)


def test_nothing_is_known_of_no_requests() -> None:
    assert load_of([]) == Load(0, 0, None)
    assert load_of([]).success is None


def test_latency_is_of_what_was_answered() -> None:
    assert load_of([Answer(0, 0.1, 200, "1"), Answer(0, 5.0, 0, "")]).p99 == 0.1


@pytest.mark.parametrize(("count", "p99"), [(1, 1), (99, 99), (100, 99), (101, 100), (200, 198)])
def test_the_99th_percentile_is_the_least_value_that_99_of_100_do_not_exceed(count: int, p99: int) -> None:
    assert load_of(Answer(0, float(number), 200, "1") for number in range(count, 0, -1)).p99 == p99


@given(answers)
def test_no_request_is_counted_twice_or_not_at_all(some: list[Answer]) -> None:
    loads = by_version(some)
    assert sum(load.requests for load in loads.values()) == len(some) == load_of(some).requests
    assert sum(load.failed for load in loads.values()) == load_of(some).failed


@given(answers, st.floats(0, 100))
def test_recent_are_those_sent_since_whenever_they_were_answered(some: list[Answer], since: float) -> None:
    in_order = sorted(some, key=lambda answer: answer.at + answer.seconds)
    found = list(recent(in_order, since))
    assert sorted(map(id, found)) == sorted(id(answer) for answer in some if answer.at >= since)
