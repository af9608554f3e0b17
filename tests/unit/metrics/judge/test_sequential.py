"""The verdict on a canary from all looks so far."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.judge import Compared, Counts, Look, Outcome, Promise, Rule, judge
from metrics.judge.sequential import holm, in_words

MARGIN = Rule(margin=0.01)


def look(canary: tuple[float, float], promoted: tuple[float, float]) -> Look:
    return Look(Counts(canary[1], canary[0]), Counts(promoted[1], promoted[0]), 10)


def compared(*looks: Look, name: str = "errors", rule: Rule = MARGIN, step: int = 0) -> Compared:
    return Compared(name=name, looks=looks, rule=rule, step=step)


def outcome(*looks: Look, rule: Rule = MARGIN) -> Outcome:
    return judge([compared(*looks, rule=rule)]).outcome


HEALTHY = look((0, 100), (4, 900))
BROKEN = look((6, 100), (4, 900))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.5])
def test_a_version_that_fails_every_request_is_found_within_thirty_of_them(share: float) -> None:
    promoted = (1 - share) / share
    seen = [look((1, 1), (0.005 * promoted, promoted))] * 30
    assert outcome(*seen[:12]) is Outcome.WORSE


def test_five_in_a_hundred_are_found_at_the_first_look_by_six_bad_requests() -> None:
    assert outcome(BROKEN) is Outcome.WORSE


def test_a_canary_is_no_worse_once_its_counts_say_so_and_there_are_enough() -> None:
    assert outcome(HEALTHY) is Outcome.UNDECIDED
    assert outcome(*[HEALTHY] * 6) is Outcome.NO_WORSE
    assert outcome(*[HEALTHY] * 6, rule=replace(MARGIN, min_samples=601)) is Outcome.UNDECIDED


def test_a_worse_canary_is_not_waited_for() -> None:
    assert outcome(BROKEN, rule=replace(MARGIN, min_samples=10_000)) is Outcome.WORSE


def test_the_requests_that_a_step_must_have_count_from_its_own_first_look() -> None:
    seen = [HEALTHY] * 6
    assert judge([compared(*seen, step=5)]).enough
    assert not judge([compared(*seen, step=6)]).enough


def test_what_the_tolerance_accepts_is_not_worse() -> None:
    slightly = [look((10, 1000), (5, 1000))] * 50
    assert outcome(*slightly, rule=Rule()) is Outcome.WORSE
    assert outcome(*slightly, rule=Rule(tolerance=0.006)) is not Outcome.WORSE
    assert outcome(*slightly, rule=Rule(tolerance=0.02)) is Outcome.NO_WORSE


def test_an_outage_that_hits_both_versions_is_not_held_against_the_canary() -> None:
    assert outcome(HEALTHY, look((50, 100), (450, 900)), HEALTHY) is not Outcome.WORSE


def test_a_canary_that_gets_more_weight_while_all_fail_more_is_not_worse() -> None:
    """Pooled over the looks its rate is higher, at no look it is (Simpson's paradox)."""
    seen = [look((1, 100), (9, 900)), look((50, 500), (50, 500))] * 20
    assert outcome(*seen) is not Outcome.WORSE


def test_what_was_called_worse_stays_so_whatever_is_counted_after() -> None:
    assert outcome(BROKEN, *[HEALTHY] * 100) is Outcome.WORSE


def test_of_several_metrics_each_has_to_be_clearer() -> None:
    barely = compared(look((4, 100), (4, 900)), name="errors")
    others = [compared(HEALTHY, name=f"slow {number}") for number in range(3)]
    alone, among = judge([barely]).comparisons[0], judge([barely, *others]).comparisons[0]
    assert among.p_worse == pytest.approx(4 * alone.p_worse)
    assert (alone.outcome, among.outcome) == (Outcome.WORSE, Outcome.UNDECIDED)


def test_a_canary_is_worse_if_a_metric_is_and_no_worse_if_all_are() -> None:
    good, bad, open_ = compared(*[HEALTHY] * 6), compared(*[BROKEN] * 3), compared(HEALTHY)
    assert judge([good, bad, open_]).outcome is Outcome.WORSE
    assert judge([good, open_]).outcome is Outcome.UNDECIDED
    assert judge([good, good]).outcome is Outcome.NO_WORSE
    assert judge([]).outcome is Outcome.UNDECIDED


p_values = st.lists(st.floats(0, 1), max_size=8)


@given(values=p_values, alpha=st.floats(0.001, 0.5))
def test_holm_rejects_by_steps_what_is_small_enough_for_as_many_as_are_left(values: list[float], alpha: float) -> None:
    adjusted, _ = holm(values)
    rejected = set()
    for rank, number in enumerate(sorted(range(len(values)), key=lambda number: values[number])):
        if values[number] * (len(values) - rank) > alpha:
            break
        rejected.add(number)
    assert {number for number, value in enumerate(adjusted) if value <= alpha} == rejected


@given(values=p_values, other=st.floats(0, 1), number=st.integers(0, 7))
def test_holm_lies_between_each_alone_and_bonferroni_and_keeps_their_order(
    values: list[float], other: float, number: int
) -> None:
    adjusted, _ = holm(values)
    for value, more in zip(values, adjusted, strict=True):
        assert value <= more <= min(1, value * len(values))
    if number < len(values):
        smaller = [*values[:number], values[number] * other, *values[number + 1 :]]
        assert all(new <= old for new, old in zip(holm(smaller)[0], adjusted, strict=True))


counted = st.tuples(st.integers(0, 50), st.integers(1, 500))


@given(pairs=st.lists(st.tuples(counted, counted), min_size=1, max_size=8), cut=st.integers(0, 8))
def test_a_judge_that_was_restarted_says_what_an_uninterrupted_one_says(
    pairs: list[tuple[tuple[int, int], tuple[int, int]]], cut: int
) -> None:
    seen = [look(canary, promoted) for canary, promoted in pairs]
    judge([compared(*seen[:cut])])  # and forgotten
    assert judge([compared(*seen)]) == judge([compared(*[replace(each) for each in seen])])
    for number in range(len(seen)):
        if outcome(*seen[:number]) is Outcome.WORSE:
            assert outcome(*seen) is Outcome.WORSE


@given(pairs=st.lists(counted, min_size=1, max_size=8))
def test_equal_counts_are_never_worse(pairs: list[tuple[int, int]]) -> None:
    assert outcome(*[look(each, each) for each in pairs]) is not Outcome.WORSE


def test_of_three_hundred_healthy_rollouts_looked_at_a_hundred_times_no_more_are_rolled_back_than_promised() -> None:
    """With 5 % promised, and some 2 % seen, 40 of 300 happen less than once in a million runs."""
    draw = random.Random(7)  # noqa: S311

    def bad(requests: int) -> int:
        return sum(draw.random() < 0.02 for _ in range(requests))

    back = 0
    for _ in range(300):
        seen = [look((bad(20), 20), (bad(30), 30)) for _ in range(100)]
        back += outcome(*seen, rule=Rule()) is Outcome.WORSE
    assert back < 40


@pytest.mark.parametrize(
    ("looks", "message"),
    [
        ([], "errors can't be told: the canary has had no requests"),
        ([look((0, 5), (0, 0))], "errors can't be told: the promoted version has had no requests"),
        ([BROKEN], "errors 6 % (6 of 100) against 0.444 % (4 of 900) is worse (p 0.0014)"),
        ([HEALTHY] * 6, "errors 0 % (0 of 600) against 0.444 % (24 of 5400) is no worse than 1 % (p 0.0069)"),
    ],
)
def test_the_message_carries_both_rates_and_what_they_were_made_from(looks: list[Look], message: str) -> None:
    assert judge([compared(*looks)]).comparisons[0].message == message


@pytest.mark.parametrize(("p_value", "words"), [(0.0, "p < 1e-300"), (1.5e-73, "p 1.5e-73"), (1.0, "p 1")])
def test_no_p_value_is_told_as_zero(p_value: float, words: str) -> None:
    assert in_words(p_value) == words


def test_the_message_names_the_tolerance_that_was_exceeded() -> None:
    said = judge([compared(BROKEN, rule=Rule(tolerance=0.001))]).comparisons[0].message
    assert "is worse by more than 0.1 %" in said


def test_a_comparison_says_since_when_it_was_clear() -> None:
    seen = [HEALTHY, HEALTHY, BROKEN, HEALTHY]
    assert judge([compared(*seen)]).comparisons[0].since is None
    assert judge([compared(BROKEN, HEALTHY)]).comparisons[0].since == 0
    assert judge([compared(*seen, BROKEN)]).comparisons[0].since == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"tolerance": -0.1},
        {"tolerance": 1},
        {"tolerance": 0.1, "margin": 0.05},
        {"margin": 1},
        {"margin": math.nan},
        {"min_samples": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"tolerance|margin|requests"):
        Rule(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0, 1, -1, math.nan])
def test_a_promise_is_a_probability(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Promise(false_rollback=level)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Promise(false_advance=level)
