"""Intervals that hold at every look."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.judge import Counts
from metrics.judge.histogram import Histogram
from metrics.judge.intervals import quantile_interval, rate_interval


@pytest.mark.parametrize(
    ("bad", "requests", "tuned", "low", "high"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (100, 200, 1, 0.328923, 0.671076),
        (1, 2, 50, 0.0, 1.0),
        (0, 1, 50, 0.0, 1.0),
        (1, 1, 50, 0.0, 1.0),
    ],
)
def test_the_intervals_are_those_of_the_authors(bad: int, requests: int, tuned: float, low: float, high: float) -> None:
    """The figures that `confseq`, by S. Howard, holds its `bernoulli_confidence_interval` against."""
    assert rate_interval(Counts(requests, bad), 0.05, tuned) == pytest.approx((low, high), abs=1e-5)


rates = st.tuples(st.integers(1, 10_000), st.floats(0, 1)).map(lambda drawn: Counts(drawn[0], drawn[0] * drawn[1]))


@given(counts=rates, error=st.floats(0.001, 0.5))
def test_what_was_seen_lies_within(counts: Counts, error: float) -> None:
    low, high = rate_interval(counts, error)
    assert 0 <= low <= counts.rate <= high <= 1


@given(counts=rates, error=st.floats(0.001, 0.25))
def test_bad_and_good_are_alike(counts: Counts, error: float) -> None:
    low, high = rate_interval(counts, error)
    turned = rate_interval(Counts(counts.requests, counts.requests - counts.bad), error)
    assert (1 - high, 1 - low) == pytest.approx(turned, abs=1e-6)


def test_nothing_counted_is_anything() -> None:
    assert rate_interval(Counts()) == (0, 1)
    assert quantile_interval(Histogram((1.0, math.inf), (0, 0)), 0.5) == (0, math.inf)


def test_a_quantile_lies_between_the_bounds_that_tell() -> None:
    small = Histogram((0.1, 0.25, 0.5, math.inf), (70, 25, 5, 0))
    large = Histogram(small.bounds, tuple(100 * count for count in small.counts))
    assert quantile_interval(small, 0.5) == (0, 0.1)
    assert quantile_interval(small, 0.9) == (0.1, math.inf)
    assert quantile_interval(large, 0.9) == (0.1, 0.25)
    assert quantile_interval(large, 0.99) == (0.25, 0.5)


@given(counts=st.lists(st.integers(0, 1000), min_size=4, max_size=4), quantile=st.floats(0.01, 0.99))
def test_the_bucket_with_the_quantile_is_never_left_out(counts: list[int], quantile: float) -> None:
    histogram = Histogram((1.0, 2.0, 3.0, 4.0), tuple(counts))
    low, high = quantile_interval(histogram, quantile)
    below = 0
    for bound, count in zip(histogram.bounds, counts, strict=True):
        below += count
        if below >= quantile * sum(counts):
            assert low < bound <= high or high == math.inf
            break
