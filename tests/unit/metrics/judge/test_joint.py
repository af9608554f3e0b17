"""One verdict on what several places have counted: right however often it is asked, and as soon as if one had all."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.judge import Counts, Look
from metrics.judge.evidence import BETS, kept, worse
from metrics.judge.joint import Bets, together

NOTHING = (0.0,) * BETS
counts = st.builds(Counts, st.integers(1, 900), st.integers(0, 9))
bets = st.lists(st.floats(-50, 50), min_size=BETS, max_size=BETS).map(tuple)
stages_of_bets = st.lists(st.lists(bets, max_size=3), min_size=1, max_size=4)


def bets_of(looks: Sequence[Look], tolerance: float = 0.0) -> Bets:
    return worse(looks, tolerance).bets


def drawn(chance: random.Random, mean: float) -> float:
    """A Poisson count, of which there are few."""
    left, count = math.exp(-mean), 0
    product = chance.random()
    while product > left:
        count, product = count + 1, product * chance.random()
    return float(count)


def counted(chance: random.Random, requests: float, rate: float, usual: float, number: int) -> list[Look]:
    """Looks at a place where nine in ten requests go to the promoted version."""
    most = 9 * requests
    return [
        Look(Counts(requests, drawn(chance, requests * rate)), Counts(most, drawn(chance, most * usual)), 10)
        for _ in range(number)
    ]


@given(looks=st.lists(st.builds(Look, counts, counts), max_size=12))
def test_of_one_place_in_one_stage_it_is_that_place_s_evidence(looks: list[Look]) -> None:
    evidence = worse(looks, 0.001)
    assert together([[evidence.bets]]).log == pytest.approx(evidence.now, abs=1e-6)


@given(stages=stages_of_bets)
def test_a_place_that_has_counted_nothing_changes_nothing(stages: list[list[Bets]]) -> None:
    assert together([*stages[:-1], [*stages[-1], NOTHING]]).log == pytest.approx(together(stages).log, abs=1e-9)


@given(stages=stages_of_bets, number=st.integers(0, BETS - 1))
def test_what_a_place_wins_more_speaks_more_against_the_version(stages: list[list[Bets]], number: int) -> None:
    more = tuple(1.0 if each == number else 0.0 for each in range(BETS))
    assert together([*stages[:-1], [*stages[-1], more]]).log >= together(stages).log - 1e-9


@given(one=bets)
def test_bets_are_kept_rounded_down(one: Bets) -> None:
    assert all(0 <= exact - round_ < 0.0011 for exact, round_ in zip(one, kept(one), strict=True))


def test_places_that_bet_on_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        together([[NOTHING[:-1]]])
    with pytest.raises(ValueError, match="stages"):
        together([])


@pytest.mark.parametrize("rates", [(0.005,) * 5, (0.001, 0.005, 0.02, 0.02, 0.1)])
def test_releases_that_are_as_good_fail_no_more_often_than_promised_at_any_look(rates: Sequence[float]) -> None:
    """Places differ in what is usual and in how many requests they have; it is asked at each of their looks."""
    chance, level, number = random.Random(11), 0.05, 8  # noqa: S311 - a simulation
    failed = 0
    for _ in range(150):
        places = [counted(chance, 40 * (at + 1), rate, rate, number) for at, rate in enumerate(rates)]
        trails = [[bets_of(looks[:end]) for end in range(number + 1)] for looks in places]
        # One is ahead of the others, as members of a wave are that began sooner.
        moments = ([trail[max(0, end - at)] for at, trail in enumerate(trails)] for end in range(1, number + 1))
        said = (together([each[:2], each[2:], []]) for each in moments)
        failed += any(each.p_value <= level for each in said)
    # Of 150 with a chance of 5 % each, more than 15 come once in 200 times.
    assert failed <= 15


def test_a_version_is_found_by_many_places_together_with_as_many_requests_each_as_they_are_fewer() -> None:
    """Ten places with a tenth of the requests each need little more time than one with all; alone few find it."""
    chance, level = random.Random(5), 0.01  # noqa: S311 - a simulation
    whole, parts, alone = [], [], 0
    for _ in range(20):
        one = counted(chance, 100, 0.03, 0.005, 60)
        ten = [counted(chance, 10, 0.03, 0.005, 60) for _ in range(10)]
        whole.append(next(end for end in range(1, 61) if together([[bets_of(one[:end])]]).p_value <= level))
        found = (end for end in range(1, 61) if together([[bets_of(each[:end]) for each in ten]]).p_value <= level)
        parts.append(next(found, 61))
        alone += sum(worse(each[: parts[-1]]).p_value <= level for each in ten)
    assert max(parts) <= 60
    assert sorted(parts)[10] <= 3 * sorted(whole)[10]
    assert alone <= 10  # of two hundred


def test_a_place_that_fails_more_and_has_more_of_the_canary_s_requests_proves_nothing() -> None:
    """Added up, 9.2 % against 1.8 % would be worse; in neither place it is (Simpson's paradox)."""
    calm = [Look(Counts(10, 0.1), Counts(90, 0.9), 10)] * 60
    rough = [Look(Counts(90, 9), Counts(10, 1), 10)] * 60
    summed = [Look(Counts(100, 9.1), Counts(100, 1.9), 10)] * 60
    assert worse(summed).p_value < 1e-6
    assert together([[bets_of(calm), bets_of(rough)]]).log < 0


def test_a_stage_in_which_the_version_does_well_hides_nothing_of_those_after_it() -> None:
    """A test cluster with very many good requests, then three clusters in which it is worse."""
    good = bets_of([Look(Counts(50_000, 250), Counts(50_000, 250), 10)] * 30)
    bad = bets_of([Look(Counts(50, 2), Counts(450, 2.25), 10)] * 12)
    assert together([[good, bad, bad, bad]]).p_value > 0.05
    found = together([[good], [bad], [bad, bad], []])
    assert found.p_value < 0.01
    assert found.stage == 1
