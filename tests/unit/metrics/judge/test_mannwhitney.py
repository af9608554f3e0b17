"""The Mann-Whitney test as Kayenta has it, metric by metric."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.judge.mannwhitney import (
    Direction,
    EffectSize,
    Label,
    Measure,
    NaNStrategy,
    Series,
    _Test,
    classify,
    cles,
    mean_ratio,
    shift,
)

USUAL = [float(10 + each % 7) for each in range(30)]
HIGHER = [value * 1.5 for value in USUAL]
LOWER = [value * 0.5 for value in USUAL]
NO_DATA = [math.nan] * 30

# Permeability constants of human chorioamnion, Hollander and Wolfe, Nonparametric Statistical Methods, chapter 4; the
# example of R's wilcox.test, too.
AT_TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLIER = [1.15, 0.88, 0.90, 0.74, 1.21]

values = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=15)


def label(canary: list[float], promoted: list[float], **settings: object) -> Label:
    return classify(Series(name="m", canary=canary, promoted=promoted, **settings)).label  # type: ignore[arg-type]


def test_the_statistic_is_that_of_the_published_examples() -> None:
    pairs = sum(mine > theirs for mine in AT_TERM for theirs in EARLIER)
    assert pairs == 35  # R: W = 35
    assert shift(AT_TERM, EARLIER, 0.95).estimate == pytest.approx(0.305, abs=1e-6)  # Hollander and Wolfe
    men, women = [19.0, 22, 16, 29, 24], [20.0, 11, 17, 12]
    p_value = 2 * (1 - NormalDist().cdf(_Test(men, women).z(0)))
    assert p_value == pytest.approx(0.11134688653314041, rel=1e-9)  # scipy.stats.mannwhitneyu, "asymptotic"


@given(one=values, other=values, level=st.floats(0.5, 0.99))
def test_the_interval_turns_around_with_the_samples(one: list[float], other: list[float], level: float) -> None:
    there, back = shift(one, other, level), shift(other, one, level)
    assert there.low <= there.high
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-6)


@given(one=values, other=values, by=st.integers(-100, 100))
def test_the_interval_moves_with_the_values(one: list[float], other: list[float], by: int) -> None:
    before, after = shift(one, other, 0.9), shift([value + by for value in one], other, 0.9)
    assert (after.low, after.high) == pytest.approx((before.low + by, before.high + by), abs=1e-5)


def test_a_higher_canary_is_high_and_a_lower_one_low() -> None:
    assert label(HIGHER, USUAL) is Label.HIGH
    assert label(LOWER, USUAL) is Label.LOW
    assert label([value + 0.1 for value in USUAL], USUAL) is Label.PASSES


@pytest.mark.parametrize(
    ("direction", "high", "low"),
    [
        (Direction.INCREASE, Label.HIGH, Label.PASSES),
        (Direction.DECREASE, Label.PASSES, Label.LOW),
        (Direction.EITHER, Label.HIGH, Label.LOW),
    ],
)
def test_only_a_change_in_the_bad_direction_counts(direction: Direction, high: Label, low: Label) -> None:
    assert label(HIGHER, USUAL, direction=direction) is high
    assert label(LOWER, USUAL, direction=direction) is low


def test_a_change_counts_from_the_allowed_effect_size_on() -> None:
    for bound, said in ((1.5, Label.HIGH), (1.6, Label.PASSES)):
        assert label(HIGHER, USUAL, effect_size=EffectSize(allowed_increase=bound)) is said
    for bound, said in ((0.5, Label.LOW), (0.4, Label.PASSES)):
        assert label(LOWER, USUAL, effect_size=EffectSize(allowed_decrease=bound)) is said
    likely = EffectSize(measure=Measure.CLES, allowed_increase=0.99)
    assert label(HIGHER, USUAL, effect_size=likely) is Label.PASSES
    assert label([value + 100 for value in USUAL], USUAL, effect_size=likely) is Label.HIGH


def test_an_effect_size_that_can_not_be_computed_does_not_stand_in_the_way() -> None:
    assert math.isnan(mean_ratio([1, 2], [0, 0]))
    assert label(USUAL, [0.0] * 30, effect_size=EffectSize(allowed_increase=100)) is Label.HIGH


def test_a_critical_metric_fails_the_canary_from_the_critical_effect_size_on() -> None:
    for bound, fails in ((1.5, True), (1.6, False)):
        size = EffectSize(critical_increase=bound)
        said = classify(Series(name="m", canary=HIGHER, promoted=USUAL, critical=True, effect_size=size))
        assert (said.label, said.fails) == (Label.HIGH, fails)
    assert not classify(Series(name="m", canary=HIGHER, promoted=USUAL)).fails


@pytest.mark.parametrize(
    ("settings", "said", "fails"),
    [
        ({}, Label.NO_DATA, False),
        ({"critical": True}, Label.NO_DATA, True),
        ({"must_have_data": True}, Label.NO_DATA_FAILS, False),
        ({"must_have_data": True, "critical": True}, Label.NO_DATA, True),
    ],
)
def test_no_data_is_what_the_metric_says_it_is(settings: dict[str, bool], said: Label, fails: bool) -> None:
    for canary, promoted in ((NO_DATA, USUAL), (USUAL, NO_DATA), ([], [])):
        found = classify(Series(name="m", canary=canary, promoted=promoted, **settings))  # type: ignore[arg-type]
        assert (found.label, found.fails) == (said, fails)


def test_a_value_that_is_none_is_left_out_or_a_zero() -> None:
    holes = [value for pair in zip(HIGHER, NO_DATA, strict=True) for value in pair]
    assert label(holes, USUAL, nan_strategy=NaNStrategy.REMOVE) is Label.HIGH
    assert label(holes, USUAL, nan_strategy=NaNStrategy.REPLACE) is not Label.HIGH
    assert label(NO_DATA, NO_DATA, nan_strategy=NaNStrategy.REPLACE) is Label.PASSES
    assert label([], USUAL, nan_strategy=NaNStrategy.REPLACE) is Label.PASSES


def test_samples_of_one_value_each_are_told_apart() -> None:
    assert label([2.0] * 5, [1.0] * 5) is Label.HIGH
    assert label([1.0] * 5, [2.0] * 5) is Label.LOW
    assert label([1.0] * 5, [1.0] * 4) is Label.PASSES


@given(one=values, seed=st.randoms(use_true_random=False))
def test_the_same_values_in_another_order_pass(one: list[float], seed: object) -> None:
    assert label(sorted(one), one) is Label.PASSES


@given(one=values, other=values)
def test_the_common_language_effect_size_is_the_part_of_pairs_in_which_one_is_higher(
    one: list[float], other: list[float]
) -> None:
    pairs = [(mine > theirs) + (mine == theirs) / 2 for mine in one for theirs in other]
    assert cles(one, other) == pytest.approx(sum(pairs) / len(pairs))
