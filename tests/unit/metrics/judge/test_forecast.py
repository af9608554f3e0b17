"""What is still missing until one can tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.judge import Compared, Counts, Look, Needs, Outcome, Rule, judge


def looks(number: int, canary: float = 0.005, weight: float = 0.1, rate: float = 10) -> list[Look]:
    """Looks of 10 s at a number of requests a second, whose canary is bad at a rate where 0.5 % is usual."""
    n, m = 10 * rate * weight, 10 * rate * (1 - weight)
    return [Look(Counts(n, n * canary), Counts(m, m * 0.005), 10)] * number


def needs(seen: list[Look], rule: Rule) -> Needs | None:
    return judge([Compared(name="errors", looks=seen, rule=rule)]).comparisons[0].needs


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (Needs(1873, 353), "needs about 1,900 more requests, 6 minutes at today's rate"),
        (Needs(1, 0.2), "needs about 1 more requests, 1 second at today's rate"),
        (Needs(49, 59), "needs about 49 more requests, 59 seconds at today's rate"),
        (Needs(123_456, 8000), "needs about 120,000 more requests, 2 hours at today's rate"),
        (Needs(123_456, 90_000), "needs about 120,000 more requests, 25 hours at today's rate"),
        (Needs(123_456, 200_000), "needs about 120,000 more requests, 2 days at today's rate"),
        (Needs(100, None), "needs about 100 more requests"),
    ],
)
def test_it_is_said_with_as_many_digits_as_an_estimate_is_good_for(missing: Needs, said: str) -> None:
    assert str(missing) == said


@pytest.mark.parametrize("seen", [10, 30])
@pytest.mark.parametrize(("canary", "expected"), [(0.005, Outcome.NO_WORSE), (0.02, Outcome.WORSE)])
def test_with_the_requests_that_it_names_it_can_be_told(canary: float, expected: Outcome, seen: int) -> None:
    """Within a factor of two and a half, where both go on exactly as they did."""
    rule = Rule(margin=0.01)
    missing = needs(looks(seen, canary), rule)
    assert missing is not None
    more = max(1, round(missing.requests / 10))
    late = judge([Compared(name="errors", looks=looks(seen + int(2.5 * more) + 1, canary), rule=rule)])
    assert late.outcome is expected
    early = judge([Compared(name="errors", looks=looks(seen + int(more / 2.5), canary), rule=rule)])
    assert early.outcome is Outcome.UNDECIDED


def test_the_time_is_that_of_the_latest_looks() -> None:
    """Where the traffic has grown tenfold, so has what comes in a minute."""
    slow, fast = looks(20, rate=1), looks(20, rate=1) + looks(6, rate=10)
    rule = Rule(margin=0.01)
    for seen, seconds_each in ((slow, 10), (fast, 1)):
        missing = needs(seen, rule)
        assert missing is not None
        assert missing.seconds == pytest.approx(seconds_each * missing.requests, rel=0.1)


def test_what_lies_on_the_margin_can_not_be_told_and_nothing_is_promised() -> None:
    same = [Look(Counts(1000, 5), Counts(9000, 45), 10)] * 10
    missing = needs(same, Rule())
    assert missing is None
    said = judge([Compared(name="errors", looks=same, rule=Rule())]).comparisons[0].message
    assert said.endswith("can't be told yet: the difference is too near to what is tolerated")


def test_the_requests_that_a_step_must_have_are_waited_for() -> None:
    assert needs([], Rule(margin=0.01)) == Needs(100, None)
    missing = needs(looks(100), Rule(margin=0.01, min_samples=5000))
    assert missing == Needs(4000, 4000)


@given(
    seen=st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 50), st.integers(0, 500), st.integers(0, 50)), max_size=8
    ),
    margin=st.floats(0, 0.1),
)
def test_whatever_is_counted_a_forecast_is_a_number_of_requests(
    seen: list[tuple[int, int, int, int]], margin: float
) -> None:
    counted = [Look(Counts(n, min(k, n)), Counts(m, min(j, m)), 10) for n, k, m, j in seen]
    missing = needs(counted, Rule(margin=margin))
    assert missing is None or missing.requests >= 1
