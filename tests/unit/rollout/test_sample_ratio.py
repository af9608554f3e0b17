"""Whether counts of both versions fit the weight: never off by chance, and off where enough shows it."""

from datetime import timedelta
from math import exp, lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.rollout.facts import Count, Counts
from canary.rollout.sample_ratio import ALLOWED, CHANCE, Arriving, NoneArriving, OffShare, Ratio, TooFewToTell, ratio

MINUTE = timedelta(minutes=1)

weights = st.integers(1, 99)


def counted(canary: float, primary: float, *, withheld: int = 0, direct: bool = False) -> Counts:
    """Counts that are known exactly."""
    total = round(canary + primary)
    return Counts(MINUTE, Count(canary, canary), Count(primary, primary), total, withheld, direct)


def chance(came: int, total: int, share: float) -> float:
    """How likely exactly so many of all requests come to the canary."""
    ways = lgamma(total + 1) - lgamma(came + 1) - lgamma(total - came + 1)
    return exp(ways + came * log(share) + (total - came) * log(1 - share))


def is_off(found: Ratio) -> bool:
    return isinstance(found, NoneArriving | OffShare)


@given(weights, st.integers(1, 400))
def test_the_right_weight_is_called_off_less_than_once_in_a_million_million_looks(weight: int, total: int) -> None:
    """Of all counts that are called off, the chances together: exact, by the binomial distribution itself."""
    called = (came for came in range(total + 1) if is_off(ratio(counted(came, total - came), weight)))
    assert sum(chance(came, total, weight / 100) for came in called) <= CHANCE


@given(weights, st.floats(1 / ALLOWED, ALLOWED), st.integers(1, 10_000_000))
def test_odds_that_are_off_by_less_than_half_are_put_down_to_how_it_is_counted(
    weight: int, factor: float, total: int
) -> None:
    odds = weight / (100 - weight) * factor
    canary = total * odds / (1 + odds)
    assert not is_off(ratio(counted(canary, total - canary), weight))


@given(weights, st.floats(1.6, 50), st.booleans())
def test_any_other_ratio_is_called_off_with_enough_requests(weight: int, factor: float, fewer: bool) -> None:
    total = 20_000_000
    odds = weight / (100 - weight) * (1 / factor if fewer else factor)
    canary = total * odds / (1 + odds)
    found = ratio(counted(canary, total - canary), weight)
    assert isinstance(found, OffShare)
    assert (found.asked, found.seen) == (weight, total)
    assert found.share == pytest.approx(100 * canary / total)


@given(weights, st.integers(1, 10_000))
def test_that_none_arrive_is_known_once_about_forty_are_missing(weight: int, total: int) -> None:
    found = ratio(counted(0, total), weight)
    expected = total * weight / 100
    if expected >= 50:
        assert found == NoneArriving(round(expected), total)
    if expected <= 12:
        assert found == TooFewToTell(), "of few, none proves nothing"


def test_a_gateway_that_begins_anew_all_the_time_may_withhold_one_request_each_time() -> None:
    """At 5 % and fewer than 20 requests between two configurations, Traefik gives the canary none."""
    assert ratio(counted(0, 1100), 5) == NoneArriving(55, 1100)
    assert ratio(counted(0, 1100, withheld=30), 5) == TooFewToTell()
    assert ratio(counted(0, 3000, withheld=30), 5) == NoneArriving(150, 3000)


def test_what_may_have_arrived_is_not_said_to_be_missing() -> None:
    unknown = Counts(MINUTE, Count(0, 200), Count(900, 900), 1000)
    assert ratio(unknown, 10) == TooFewToTell()
    certain = Counts(MINUTE, Count(90, 200), Count(900, 900), 1000)
    assert ratio(certain, 10) == Arriving()


def test_where_others_than_the_route_lead_requests_to_the_canary_too_many_are_no_fault() -> None:
    """A load test that calls the canary's own Service, as many have: in a mesh it is counted, too."""
    assert is_off(ratio(counted(900, 900), 10))
    assert ratio(counted(900, 900, direct=True), 10) == Arriving()
    assert is_off(ratio(counted(1, 9000, direct=True), 10)), "too few are, whoever comes besides"


@pytest.mark.parametrize("weight", [0, 100, -1, 101])
def test_a_version_that_has_everything_has_no_ratio(weight: int) -> None:
    with pytest.raises(ValueError, match="one version has all requests"):
        ratio(counted(1, 1), weight)


def test_no_requests_say_nothing() -> None:
    assert ratio(counted(0, 0), 10) == TooFewToTell()
