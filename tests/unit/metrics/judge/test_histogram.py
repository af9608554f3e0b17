"""Latencies: which of the requests in a histogram count as slow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.judge import Compared, Counts, Look, Outcome, judge
from metrics.judge.histogram import Histogram, Timed, slower_than, slower_than_quantile

BOUNDS = (0.1, 0.25, 0.5, 1.0, math.inf)
USUAL = Histogram(BOUNDS, (700, 200, 90, 9, 1))
SLOWER = Histogram(BOUNDS, (60, 20, 10, 9, 1))
ALIKE = Histogram(BOUNDS, (70, 20, 9, 1, 0))

histograms = st.builds(Histogram, st.just(BOUNDS), st.tuples(*[st.integers(0, 500)] * len(BOUNDS)))
timed = st.lists(st.builds(Timed, histograms, histograms, st.just(10.0)), max_size=6)


@pytest.mark.parametrize(
    ("bound", "slow"), [(0.0, 300), (0.1, 300), (0.11, 100), (0.25, 100), (0.5, 10), (1, 1), (2, 0), (math.inf, 0)]
)
def test_slower_than_a_bound_is_what_lies_above_the_next_bound_of_the_histogram(bound: float, slow: int) -> None:
    assert USUAL.slower(bound) == Counts(1000, slow)


def test_a_given_bound_makes_looks_of_histograms() -> None:
    assert slower_than([Timed(SLOWER, USUAL, 10)], 0.5) == (Look(Counts(100, 10), Counts(1000, 10), 10),)


@pytest.mark.parametrize(("quantile", "bound"), [(0.5, 0.1), (0.9, 0.25), (0.99, 0.5), (0.999, 1.0)])
def test_the_bound_lies_where_the_promoted_versions_quantile_does(quantile: float, bound: float) -> None:
    said = slower_than_quantile([Timed(SLOWER, USUAL)], quantile, usual=[USUAL] * 20)
    assert said.bound == bound
    assert said.looks == slower_than([Timed(SLOWER, USUAL)], bound)
    assert said.usual == (USUAL.slower(bound),) * 20


def test_without_anything_before_the_first_look_only_says_where_to_look() -> None:
    said = slower_than_quantile([Timed(SLOWER, USUAL), Timed(SLOWER, USUAL)], 0.99)
    assert [look.canary for look in said.looks] == [Counts(), Counts(100, 10)]


def test_a_bound_is_kept_once_it_stands_on_enough_requests() -> None:
    """What the rollout itself sees must not move the line that it is held against."""
    drifted = Histogram(BOUNDS, (0, 0, 700, 290, 10))
    said = slower_than_quantile([Timed(ALIKE, drifted)] * 50, 0.99, usual=[USUAL])
    assert said.bound == 0.5
    assert {look.promoted for look in said.looks} == {Counts(1000, 300)}


def test_a_slowdown_is_accepted_up_to_the_next_bound() -> None:
    said = slower_than_quantile([Timed(SLOWER, USUAL)], 0.99, slowdown=0.1, usual=[USUAL])
    assert said.looks == (Look(Counts(100, 1), Counts(1000, 10)),)


def test_a_slow_canary_is_worse_and_a_like_one_is_not() -> None:
    for canary, outcome in ((SLOWER, Outcome.WORSE), (ALIKE, Outcome.UNDECIDED)):
        said = slower_than_quantile([Timed(canary, USUAL, 10)] * 3, 0.99, usual=[USUAL] * 10)
        metric = Compared(name="latency", looks=said.looks, usual=said.usual)
        assert judge([metric]).outcome is outcome


@given(some=timed, more=timed, quantile=st.floats(0.01, 0.999), slowdown=st.floats(0, 3))
def test_what_a_look_counts_depends_on_no_later_one(
    some: list[Timed], more: list[Timed], quantile: float, slowdown: float
) -> None:
    first = slower_than_quantile(some, quantile, slowdown=slowdown).looks
    assert slower_than_quantile(some + more, quantile, slowdown=slowdown).looks[: len(some)] == first


@given(some=timed, quantile=st.floats(0.01, 0.999))
def test_nor_on_what_the_canary_did_at_it(some: list[Timed], quantile: float) -> None:
    """The choice of the bound knows the promoted version alone."""
    others = [Timed(ALIKE, each.promoted, each.seconds) for each in some]
    bounds = [slower_than_quantile(looks, quantile).bound for looks in (some, others)]
    assert bounds[0] == bounds[1]


@given(one=histograms, bound=st.floats(0, 5), quantile=st.floats(0.01, 0.999))
def test_the_same_latencies_are_never_worse(one: Histogram, bound: float, quantile: float) -> None:
    looks = [Timed(one, one, 10)] * 5
    for counted in (slower_than(looks, bound), slower_than_quantile(looks, quantile).looks):
        assert judge([Compared(name="latency", looks=counted)]).outcome is not Outcome.WORSE


@pytest.mark.parametrize(
    ("bounds", "counts"),
    [((1, 2), (1,)), ((2, 1), (1, 1)), ((1, 1), (1, 1)), ((1,), (-1,)), ((1,), (math.nan,)), ((1, math.nan), (1, 1))],
)
def test_a_histogram_that_makes_no_sense_is_refused(bounds: tuple[float, ...], counts: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram(bounds, counts)


def test_a_quantile_and_a_slowdown_are_in_their_ranges() -> None:
    for quantile in (0, 1, math.nan):
        with pytest.raises(ValueError, match="quantile"):
            slower_than_quantile([], quantile)
    for slowdown in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match="slowdown"):
            slower_than_quantile([], 0.5, slowdown=slowdown)
