"""From metrics to a score of 0 to 100, as Kayenta reckons it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.judge.mannwhitney import Label, Series
from metrics.judge.scores import Grade, Thresholds, score

USUAL = tuple(float(10 + each % 7) for each in range(30))
HIGHER = tuple(value * 1.5 for value in USUAL)
THRESHOLDS = Thresholds(passing=90, marginal=70)


def series(*groups: str, good: bool = True, data: bool = True, critical: bool = False, muted: bool = False) -> Series:
    canary = (USUAL if good else HIGHER) if data else (math.nan,)
    return Series(name="m", canary=canary, promoted=USUAL, groups=groups, critical=critical, muted=muted)


def graded(*metrics: Series, **weights: float) -> tuple[Grade, float]:
    said = score(metrics, weights, THRESHOLDS)
    return said.grade, said.score


def test_a_group_scores_the_part_of_its_metrics_that_pass() -> None:
    said = score([series("errors"), series("errors", good=False), series("latency")], {}, THRESHOLDS)
    assert [(group.name, group.score) for group in said.groups] == [("errors", 50), ("latency", 100)]


def test_groups_weigh_what_they_are_given_and_share_the_rest() -> None:
    metrics = series("a", good=False), series("b"), series("c")
    assert graded(*metrics, a=60) == (Grade.FAIL, 40)
    assert graded(*metrics, a=20) == (Grade.MARGINAL, 80)
    assert graded(*metrics, a=10) == (Grade.PASSES, 90)
    assert graded(*metrics)[1] == pytest.approx(66.67)


def test_a_critical_metric_that_is_bad_makes_the_score_zero() -> None:
    said = score([series("a"), series("a"), series("b", good=False, critical=True)], {"b": 1}, THRESHOLDS)
    assert (said.grade, said.score) == (Grade.FAIL, 0)
    assert said.reason.startswith("critical: m is high")
    assert graded(series("a"), series("a"), series("b", data=False, critical=True)) == (Grade.FAIL, 0)


def test_half_of_the_metrics_without_data_fail_and_fewer_count_as_nothing() -> None:
    assert graded(series("a"), series("b", data=False)) == (Grade.FAIL, 0)
    assert graded(series("a"), series("a"), series("b", data=False)) == (Grade.PASSES, 100)
    assert score([series("a"), series("b", data=False)], {}, THRESHOLDS).reason == "1 of 2 metrics have no data"


def test_a_muted_metric_is_shown_and_counts_nowhere() -> None:
    said = score([series("a"), series("a", good=False, critical=True, muted=True)], {}, THRESHOLDS)
    assert (said.grade, said.score) == (Grade.PASSES, 100)
    assert [each.label for each in said.metrics] == [Label.PASSES, Label.HIGH]


def test_without_metrics_nothing_passes() -> None:
    assert score([], {}, THRESHOLDS).reason == "there is no metric to judge by"
    assert graded() == (Grade.FAIL, 0)


@given(goods=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=8))
def test_a_better_metric_never_makes_a_lower_score(goods: list[tuple[str, bool]]) -> None:
    metrics = [series(group, good=good) for group, good in goods]
    before = score(metrics, {}, THRESHOLDS).score
    assert 0 <= before <= 100
    for number, (group, _) in enumerate(goods):
        better = [*metrics[:number], series(group), *metrics[number + 1 :]]
        assert score(better, {}, THRESHOLDS).score >= before


@pytest.mark.parametrize("wrong", [(70, 90), (101, 90), (90, -1)])
def test_thresholds_are_in_order(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="scores"):
        Thresholds(*wrong)
