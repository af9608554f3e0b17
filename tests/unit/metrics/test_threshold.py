import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.threshold import Threshold, plain, threshold_of

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("name", "threshold", "low", "high", "expected"),
    [
        ("request-success-rate", 99, None, None, Threshold(min=99)),
        ("request-duration", 500, None, None, Threshold(max=500)),
        ("my-metric", 5, None, None, Threshold(max=5)),
        ("request-success-rate", 99, 95, None, Threshold(min=95)),
        ("request-success-rate", 99, None, 100, Threshold(max=100)),
        ("my-metric", None, 1, 10, Threshold(1, 10)),
        ("my-metric", None, None, None, Threshold(max=0)),
        ("request-success-rate", None, None, None, Threshold(min=0)),
    ],
)
def test_a_range_wins_and_a_lone_threshold_is_a_minimum_for_the_success_rate_only(
    name: str, threshold: float | None, low: float | None, high: float | None, expected: Threshold
) -> None:
    assert threshold_of(name, threshold, low=low, high=high) == expected


@pytest.mark.parametrize(
    ("threshold", "text"),
    [
        (Threshold(min=99), ">= 99"),
        (Threshold(max=500), "<= 500"),
        (Threshold(99, 100), "99..100"),
        (Threshold(min=0.1), ">= 0.1"),
        (Threshold(), "any"),
    ],
)
def test_a_threshold_reads_as_people_write_it(threshold: Threshold, text: str) -> None:
    assert str(threshold) == text


@given(low=finite, high=finite, value=finite)
def test_both_bounds_are_inclusive(low: float, high: float, value: float) -> None:
    low, high = min(low, high), max(low, high)
    threshold = Threshold(low, high)
    assert threshold.accepts(low)
    assert threshold.accepts(high)
    assert threshold.accepts(value) == (low <= value <= high)


def test_nan_is_accepted_by_nothing_that_binds() -> None:
    assert not Threshold(min=0).accepts(math.nan)
    assert not Threshold(max=0).accepts(math.nan)


@pytest.mark.parametrize(("low", "high"), [(2, 1), (math.nan, None), (None, math.nan)])
def test_a_threshold_that_nothing_can_meet_is_refused(low: float | None, high: float | None) -> None:
    with pytest.raises(ValueError, match=r"no value is|not NaN"):
        Threshold(low, high)


@given(finite)
def test_a_plain_number_is_the_same_number(value: float) -> None:
    assert float(plain(value)) == value


@pytest.mark.parametrize(("value", "text"), [(99.0, "99"), (0.5, "0.5"), (1e20, "1e+20"), (math.inf, "inf")])
def test_a_plain_number_has_no_trailing_zeros(value: float, text: str) -> None:
    assert plain(value) == text
