import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.cli.backtest import chance

RATES = st.floats(0.0005, 0.9995)


def exact(least: int, requests: int, rate: float) -> float:
    return math.fsum(
        math.comb(requests, failures) * rate**failures * (1 - rate) ** (requests - failures)
        for failures in range(max(least, 0), requests + 1)
    )


@given(requests=st.integers(1, 150), least=st.integers(-2, 155), rate=RATES)
def test_a_tail_is_the_sum_of_its_terms(requests: int, least: int, rate: float) -> None:
    assert chance.tail(least, requests, rate) == pytest.approx(exact(least, requests, rate), abs=1e-9)


def test_a_tail_of_many_requests_is_that_of_the_normal_distribution() -> None:
    requests, rate = 1_000_000, 0.01
    above = requests * rate + 2 * math.sqrt(requests * rate * (1 - rate))
    assert chance.tail(math.ceil(above), requests, rate) == pytest.approx(0.02275, rel=0.04)


def test_a_version_that_never_or_always_fails_is_certain() -> None:
    assert chance.fails(100, 0.01, 0.0) == 0
    assert chance.fails(100, 0.01, 1.0) == 1
    assert chance.fails(100, 0.01, 0.5) > 0.999


@pytest.mark.parametrize(("allowed", "healthy", "bad"), [(0.01, 0.001, 0.02), (0.05, 0.01, 0.1), (0.001, 1e-6, 0.01)])
def test_the_requests_needed_tell_a_healthy_version_from_a_bad_one(allowed: float, healthy: float, bad: float) -> None:
    requests = chance.needed(allowed, healthy, bad)
    assert requests is not None
    assert chance.fails(requests, allowed, healthy) <= chance.ALPHA
    assert 1 - chance.fails(requests, allowed, bad) <= chance.BETA
    half = requests // 2
    assert chance.fails(half, allowed, healthy) > chance.ALPHA or 1 - chance.fails(half, allowed, bad) > chance.BETA


def test_the_requests_needed_agree_with_the_normal_approximation_of_the_handbook() -> None:
    """NIST 7.2.4.2 with the threshold half-way: so both errors pull at it from either side."""
    healthy, bad = 0.10, 0.20
    found = chance.needed(0.15, healthy, bad)
    z_alpha, z_beta = 2.326, 1.645
    from_healthy = (z_alpha * math.sqrt(healthy * (1 - healthy)) / 0.05) ** 2
    from_bad = (z_beta * math.sqrt(bad * (1 - bad)) / 0.05) ** 2
    assert found == pytest.approx(max(from_healthy, from_bad), rel=0.2)


def test_nothing_tells_versions_apart_where_the_healthy_one_fails_as_often_as_is_accepted() -> None:
    assert chance.needed(0.01, 0.01, 0.02) is None
    assert chance.needed(0.01, 0.001, 0.005) is None


@given(chances=st.lists(st.floats(0, 1), min_size=1, max_size=4), threshold=st.integers(1, 3))
def test_a_rollout_is_rolled_back_by_chance_as_often_as_all_its_courses_say(
    chances: list[float], threshold: int
) -> None:
    """Every course of failed and good looks is followed until promotion or the last failed check."""
    total = 0.0
    for course in product((True, False), repeat=len(chances) + threshold - 1):
        probability, step, failed = 1.0, 0, 0
        for fails in course:
            if step == len(chances) or failed == threshold:
                # The course is over: what would come is counted once.
                probability *= 0.5
                continue
            probability *= chances[step] if fails else 1 - chances[step]
            step, failed = (step, failed + 1) if fails else (step + 1, failed)
        total += probability if failed == threshold else 0.0
    assert chance.rolled_back(chances, threshold) == pytest.approx(total, abs=1e-9)


def test_a_week_without_failures_is_compatible_with_three_of_all_requests() -> None:
    none = chance.health([100.0, 100.0, math.nan], [600.0, 400.0, 500.0])
    assert none == chance.Health(3 / 1000, bound=True)
    some = chance.health([99.0, 100.0], [600.0, 400.0])
    assert some is not None
    assert some.rate == pytest.approx(0.006)
    assert not some.bound
    assert chance.health([math.nan], [5.0]) is None
    assert chance.health([100.0], [0.0]) is None


def test_the_percentile_rule_is_wilks_s() -> None:
    assert math.ceil(math.log(0.05) / math.log(0.99)) == chance.PERCENTILE_REQUESTS
