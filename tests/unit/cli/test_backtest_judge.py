"""Pretend rollouts: the same version is hardly ever called worse, and one that is worse is found."""

from array import array
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.cli.backtest import pretend
from canary.cli.backtest.chance import binomial, wilson
from canary.cli.backtest.counting import Counted, _Counters, grid_of
from canary.cli.backtest.grid import Grid
from canary.cli.backtest.judge_table import _judged
from canary.cli.backtest.pretend import By, Course, Judged, Pretended, Stretch, judged, rollout
from canary.cli.backtest.workload import Workload
from metrics.ranges import Point, Series

START = datetime(2026, 3, 2, tzinfo=UTC)
LOOK = timedelta(seconds=10)
HOURS = 6 * 360
"""Looks of six hours."""


def canary(**analysis: Any) -> Canary:
    compared = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 0.5, **analysis.pop("metric", {})}
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80},
                "analysis": {"interval": "1m", "stepWeights": [10, 50], "metrics": [compared], **analysis},
            },
        }
    )


def counted(requests: int = 200, rate: float = 0.005, looks: int = HOURS) -> Counted:
    """Requests of one version, of which some fail by chance."""
    chance = Random(7)  # noqa: S311 - numbers, no secrets
    every = array("d", [float(requests)]) * looks
    bad = array("d", (float(binomial(requests, rate, chance)) for _ in range(looks)))
    return Counted(Grid(START, LOOK, looks), Workload.PRIMARY, every, bad, bytearray([1]) * looks)


def said(data: Counted, seed: int = 1, **analysis: Any) -> Judged:
    found = judged(*whose(canary(**analysis)), data, weighted=True, seed=seed, told=lambda _: None)
    assert isinstance(found, Judged), found
    return found


def whose(made: Canary) -> tuple[Canary, Any]:
    return made, made.analysis.metrics[0]


@pytest.fixture(scope="module", autouse=True)
def fewer() -> Iterator[None]:
    """Fewer pretend rollouts: what is held here needs no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretend, "HEALTHY", 100)
        patch.setattr(pretend, "WORSE", 20)
        yield


@pytest.fixture(scope="module")
def usual() -> Judged:
    return said(counted())


def test_of_the_same_version_the_promised_part_is_taken_back_at_most(usual: Judged) -> None:
    """Of 100 rollouts with an error of 5 % more than 20 would be taken back less than once in a million times."""
    assert [each.by for each in usual.healthy] == [By.REQUESTS, By.TIME]
    assert all(each.rolled_back <= 20 for each in usual.healthy)
    assert all(each.seconds == 120 for each in usual.healthy), "two steps of a minute each"
    assert usual.promise == 0.05
    assert usual.rate == pytest.approx(0.005, rel=0.1)
    assert usual.per_second == pytest.approx(20)


def test_the_worse_a_version_is_the_sooner_it_is_found(usual: Judged) -> None:
    shares = [each.found for each in usual.worse]
    assert shares == sorted(shares)
    *_, ten, everything = usual.worse
    assert (ten.found, everything.found) == (20, 20)
    assert everything.seconds == 10, "at its first look"
    assert ten.seconds is not None
    assert ten.bad is not None
    assert ten.bad < 60


def test_the_same_seed_gives_the_same(usual: Judged) -> None:
    assert said(counted()) == usual
    assert said(counted(), seed=2) != usual


def test_on_evidence_a_good_version_is_promoted_sooner(usual: Judged) -> None:
    sooner = said(counted(2000), advance="onEvidence")
    assert sooner.healthy[0].seconds is not None
    assert sooner.healthy[0].seconds < 120


def test_where_requests_are_missing_rollouts_starve() -> None:
    assert said(counted(2)).healthy[0].starved == 100
    assert said(counted(2), metric={"noData": "Pass"}).healthy[0].starved == 0


def test_a_moment_in_which_all_fails_is_held_against_a_canary_only_where_time_is_divided() -> None:
    data = counted()
    data.bad[1000] = 200.0
    course = Course.of(*whose(canary()), weighted=True)

    def rolled_back(by: By) -> int:
        chance = Random(1)  # noqa: S311 - chances of a simulation
        ended = [rollout(course, Stretch.of(data), 992, by, 0.0, chance) for _ in range(40)]
        return sum(each.how is Pretended.ROLLED_BACK for each in ended)

    assert rolled_back(By.REQUESTS) == 0
    assert rolled_back(By.TIME) > 10


def test_a_promise_that_is_missed_is_said_to_be(usual: Judged) -> None:
    missed = tuple(replace(each, rolled_back=15, least=0.12) for each in usual.healthy)
    assert "The promise is missed" in "\n".join(_judged(replace(usual, healthy=missed)))


def test_no_rollout_spans_what_is_not_recorded() -> None:
    data = counted(looks=30)
    there = bytearray([1]) * 30
    there[10] = 0
    course = Course.of(*whose(canary()), weighted=True)
    starts = list(Stretch.of(replace(data, there=there)).starts(course))
    assert starts != []
    assert all(not (start <= 10 < start + 12) for start in starts)
    assert isinstance(judged(*whose(canary()), counted(looks=5), weighted=True, seed=1, told=lambda _: None), str)


def test_without_weights_there_is_nothing_to_pretend() -> None:
    made = canary(stepWeights=[], iterations=5)
    assert judged(*whose(made), counted(), weighted=True, seed=1, told=lambda _: None) == (
        "at no step with a share of the requests the spec looks at request-success-rate"
    )


def test_steps_that_are_written_out_last_as_long_as_they_say_and_only_those_that_compare_count() -> None:
    steps: list[dict[str, Any]] = [
        {"pause": {"duration": "5m"}},
        {"weight": 10},
        {"pause": {"duration": "3m"}},
        {"weight": 50},
        {"analysis": {"checks": ["request-success-rate"], "looks": 2, "onwards": True}},
        {"weight": 60},
        {"weight": 100},
    ]
    made = canary(stepWeights=[], steps=steps)
    course = Course.of(*whose(made), weighted=True)
    assert (course.weights, course.lengths) == ((0.5, 0.6), (120, 60))
    healthy = judged(*whose(made), counted(), weighted=True, seed=1, told=lambda _: None)
    assert isinstance(healthy, Judged)
    assert all(each.seconds == 180 for each in healthy.healthy)


def test_a_rollout_ends_with_the_look_that_finds_it() -> None:
    course = Course.of(*whose(canary()), weighted=True)
    ended = rollout(course, Stretch.of(counted(1000)), 500, By.REQUESTS, 1.0, Random(1))  # noqa: S311
    assert (ended.how, ended.seconds) == (Pretended.ROLLED_BACK, 10)
    assert 50 < ended.bad < 150


@given(st.integers(0, 5000), st.floats(0, 1), st.integers())
def test_so_many_of_so_many_come_true(number: int, share: float, seed: int) -> None:
    found = binomial(number, share, Random(seed))  # noqa: S311
    assert 0 <= found <= number
    assert share < 1 or found == number


@pytest.mark.parametrize(("number", "share"), [(10, 0.3), (1000, 0.01), (5000, 0.7)])
def test_chance_is_binomial(number: int, share: float) -> None:
    """Mean and variance of 4,000 draws; each bound is missed less than once in a million times."""
    chance = Random(5)  # noqa: S311
    draws = [binomial(number, share, chance) for _ in range(4000)]
    mean = sum(draws) / len(draws)
    variance = sum((draw - mean) ** 2 for draw in draws) / len(draws)
    expected = number * share * (1 - share)
    assert abs(mean - number * share) < 5 * (expected / 4000) ** 0.5
    assert variance == pytest.approx(expected, rel=0.15)


def test_a_share_of_which_little_is_known_has_a_wide_interval() -> None:
    """As in Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def taken(*series: tuple[str, list[float | None]], looks: int = 8) -> list[float]:
    grid = Grid(START, timedelta(minutes=1), looks)
    counters = _Counters(grid)
    part = [
        Series(
            {"pod": pod}, tuple(Point(grid.at(look), value) for look, value in enumerate(values) if value is not None)
        )
        for pod, values in series
    ]
    counters.take([each for each in part if each.points])
    return list(counters.counts)


@pytest.mark.parametrize(
    ("values", "grown"),
    [
        ([100, 110, 110, 130], [0, 10, 0, 20]),
        ([100, 110, 5, 7], [0, 10, 5, 2]),
        ([100, None, None, 130], [0, 0, 0, 30]),
    ],
)
def test_what_a_counter_has_counted_is_as_the_controller_reckons_it(values: list[Any], grown: list[float]) -> None:
    assert taken(("a", values))[:4] == grown


def test_a_counter_that_begins_counts_from_nothing_and_a_gap_says_nothing() -> None:
    assert taken(("a", [1, 1, 1, 1]), ("b", [None, None, 7, 8]))[:4] == [0, 0, 7, 1]
    long: list[float | None] = [1, 2, *[None] * 10, 900, 901]
    assert taken(("a", long), looks=14) == [0, 1, *[0] * 10, 0, 1]


def test_looks_are_longer_where_there_would_be_too_many() -> None:
    week = timedelta(days=7)
    assert grid_of(START, START + timedelta(hours=1), timedelta(minutes=1)).step == timedelta(seconds=5)
    assert grid_of(START, START + week, timedelta(minutes=1)).step == timedelta(seconds=40)
    assert grid_of(START, START + week, timedelta(minutes=10)).step == timedelta(seconds=50)


def test_what_the_judge_would_have_done_is_told(usual: Judged) -> None:
    lines = "\n".join(_judged(usual))
    assert "tolerates 0.5 % more, and 5 % of healthy rollouts taken back." in lines
    assert "The promise is kept." in lines
    assert "all of its requests" in lines
