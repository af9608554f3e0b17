"""The e-process on counts of two versions: what it promises, and that it finds what is there."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from metrics.judge import Counts, Look
from metrics.judge.evidence import Evidence, base_of, growths, multiples, no_worse, worse
from metrics.judge.looks import total

requests = st.integers(1, 100_000)
rates = st.floats(1e-5, 0.9)
gaps = st.one_of(st.just(0.0), st.floats(1e-5, 0.3))


def look(canary: tuple[float, float], promoted: tuple[float, float], seconds: float = 10) -> Look:
    """A look from "bad of requests" of both versions."""
    return Look(Counts(canary[1], canary[0]), Counts(promoted[1], promoted[0]), seconds)


counts = st.builds(Counts, st.integers(0, 1000), st.integers(0, 1000))


@st.composite
def seen(draw: st.DrawFn) -> Look:
    n, m = draw(requests), draw(requests)
    return look((draw(st.integers(0, n)), n), (draw(st.integers(0, m)), m))


@st.composite
def within(draw: st.DrawFn, tolerance: float) -> Look:
    """A look at which the canary's rate is at most the promoted version's and the tolerance."""
    n, m = draw(requests), draw(requests)
    rate = draw(st.floats(0, 1 - tolerance))
    return look((n * (rate + draw(st.floats(0, 1)) * tolerance) * 0.999, n), (m * rate, m))


looks = st.lists(seen(), max_size=12)


def poisson(mean: float) -> list[float]:
    """Probabilities of 0, 1, 2, ... events, as far as they matter."""
    return [
        math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(int(mean + 40 * math.sqrt(mean) + 60))
    ]


def expectation(n: float, m: float, canary: float, promoted: float, rate: float, base: float, gap: float) -> float:
    """What an alternative's evidence is expected to grow by, when the rates are canary and promoted."""
    return sum(
        p * q * math.exp(growths(look((k, n), (j, m)), [rate], base, gap)[0])
        for k, p in enumerate(poisson(n * canary))
        for j, q in enumerate(poisson(m * promoted))
    )


@pytest.mark.parametrize("promoted", [0.001, 0.01, 0.05, 0.2])
@pytest.mark.parametrize(("gap", "rate"), [(0.0, 0.02), (0.002, 0.1), (0.01, 0.012), (0.01, 0.3)])
def test_on_the_border_of_the_null_the_evidence_is_expected_to_stay_where_it_is_at_every_rate(
    gap: float, rate: float, promoted: float
) -> None:
    assert expectation(40, 160, promoted + gap, promoted, rate, 0.01, gap) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("gap", "rate"), [(0.002, 0.1), (0.01, 0.3)])
def test_inside_the_null_it_is_expected_to_shrink(gap: float, rate: float) -> None:
    assert expectation(40, 160, 0.02 + gap / 2, 0.02, rate, 0.01, gap) < 1
    assert expectation(40, 160, 0.02 + gap * 2, 0.02, 0.01, 0.01, gap) < 1  # of a canary that is worse, for no_worse


@pytest.mark.parametrize("promoted", [0.02, 0.3, 0.7])
@pytest.mark.parametrize(("gap", "rate"), [(0.0, 0.2), (0.1, 0.5), (0.1, 0.15), (0.2, 0.1)])
def test_requests_that_fail_or_do_not_are_promised_no_less_than_poisson_counts(
    promoted: float, gap: float, rate: float
) -> None:
    n, m, canary = 7, 20, promoted + gap
    expected = sum(
        math.comb(n, k) * canary**k * (1 - canary) ** (n - k)
        * math.comb(m, j) * promoted**j * (1 - promoted) ** (m - j)
        * math.exp(growths(look((k, n), (j, m)), [rate], 0.1, gap)[0])
        for k in range(n + 1)
        for j in range(m + 1)
    )  # fmt: skip
    assert expected <= 1 + 1e-12


def test_without_a_gap_it_is_the_likelihood_ratio_of_whose_the_next_bad_request_is() -> None:
    """Lindon and Malek, arXiv 2011.03567, section 4: of each bad request, theta over what the traffic's share is."""
    n, m, k, j = 100, 900, 5, 4
    rate, base = 0.05, 0.005
    theta = n * rate / (n * rate + m * base)
    ratio = k * math.log(theta / 0.1) + j * math.log((1 - theta) / 0.9)
    assert growths(look((k, n), (j, m)), [rate], base, 0)[0] == pytest.approx(ratio, rel=1e-12)


@given(data=st.data(), tolerance=gaps)
def test_a_canary_that_never_was_beyond_the_tolerance_is_never_held_to_be_worse(
    data: st.DataObject, tolerance: float
) -> None:
    seen_within = data.draw(st.lists(within(tolerance), max_size=10))
    assert worse(seen_within, tolerance).p_value > 0.999


@given(sizes=st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 1000)), max_size=20))
def test_equal_counts_never_speak_against_the_canary(sizes: Sequence[tuple[int, int]]) -> None:
    equal = [look((bad, bad + more), (bad, bad + more)) for bad, more in sizes]
    assert worse(equal).p_value > 0.999


@given(one=seen(), gap=gaps)
def test_each_further_bad_request_of_the_canary_speaks_more_against_it(one: Look, gap: float) -> None:
    more = Look(Counts(one.canary.requests, one.canary.bad + 1), one.promoted)
    assert worse([more], gap).now >= worse([one], gap).now - 1e-9
    assert no_worse([more], gap).now <= no_worse([one], gap).now + 1e-9


@given(one=seen(), gap=gaps)
def test_each_further_bad_request_of_the_promoted_version_speaks_less_against_the_canary(one: Look, gap: float) -> None:
    more = Look(one.canary, Counts(one.promoted.requests, one.promoted.bad + 1))
    assert worse([more], gap).now <= worse([one], gap).now + 1e-9
    assert no_worse([more], gap).now >= no_worse([one], gap).now - 1e-9


@given(some=looks, more=looks, gap=gaps)
def test_what_was_seen_of_earlier_looks_is_the_same_whenever_it_is_computed(
    some: list[Look], more: list[Look], gap: float
) -> None:
    for test in (worse, no_worse):
        before, after = test(some, gap), test(some + more, gap)
        assert after.trail[: len(some)] == before.trail
        assert after.p_value <= before.p_value


@given(some=looks, number=st.integers(0, 12), gap=gaps)
def test_a_look_at_which_one_version_had_no_requests_says_nothing(some: list[Look], number: int, gap: float) -> None:
    silent = look((0, 0), (0, 0))
    with_silence = [*some[:number], silent, *some[number:]]
    assert worse(with_silence, gap).now == pytest.approx(worse(some, gap).now, rel=1e-9, abs=1e-9)


@given(some=looks, gap=gaps)
def test_it_is_a_number_whatever_is_counted(some: list[Look], gap: float) -> None:
    for test in (worse, no_worse):
        assert all(math.isfinite(value) for value in test(some, gap).trail)


@given(some=looks, level=st.floats(0.001, 0.5))
def test_since_is_the_first_look_at_which_it_sufficed(some: list[Look], level: float) -> None:
    evidence = worse(some)
    first = evidence.since(level)
    if first is None:
        assert evidence.p_value > level * (1 - 1e-9)
    else:
        assert worse(some[: first + 1]).p_value <= level * (1 + 1e-9)
        assert worse(some[:first]).p_value > level * (1 - 1e-9)


def test_nothing_seen_is_no_evidence() -> None:
    assert Evidence(()).p_value == 1
    assert worse([]).since(0.05) is None


@given(some=looks)
def test_within_no_margin_nothing_is_shown_to_be_no_worse(some: list[Look]) -> None:
    assert no_worse(some, 0).p_value > 1 - 1e-9


@pytest.mark.parametrize("gap", [-0.1, math.inf, math.nan])
def test_a_difference_of_rates_is_a_number_that_is_not_negative(gap: float) -> None:
    with pytest.raises(ValueError, match="not negative"):
        worse([], gap)


@pytest.mark.parametrize("numbers", [(-1, 0), (0, -1), (math.inf, 0), (1, math.nan)])
def test_counts_are_finite_and_not_negative(numbers: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        Counts(*numbers)


@given(one=seen())
def test_what_is_known_of_the_promoted_version_beforehand_changes_bets_not_sides(one: Look) -> None:
    assume(one.canary.rate <= one.promoted.rate)
    assert worse([one], 0.01, usual=[Counts(100_000, 20)]).p_value > 0.999


def clusters(size: int, every: int, number: int) -> list[Counts]:
    """Looks at 900 requests each; each `every`th has `size` bad ones."""
    return [Counts(900, size if look % every == 0 else 0) for look in range(number)]


def test_the_more_a_promoted_version_fails_in_clusters_the_less_a_cluster_of_the_canary_says() -> None:
    cluster = [look((6, 100), (4, 900))]
    steady, some, many = (
        worse(cluster, usual=before).now for before in (clusters(4, 1, 60), clusters(20, 5, 60), clusters(80, 20, 60))
    )
    assert steady > some > many > 0


@given(some=looks, gap=gaps, usual=st.lists(counts, max_size=20))
@example([Look(Counts(6009, 5999), Counts(9371, 388), 10)], 0.25, [Counts(0, 1)])
def test_clusters_never_make_evidence_out_of_none(some: list[Look], gap: float, usual: list[Counts]) -> None:
    """What is believed of a look's growth is a part of it."""
    for one in some:
        grown = worse([one], gap, usual).now
        alternatives = growths(one, multiples(base_of(total(usual)), gap), base_of(total(usual)), gap)
        assert min(0, *alternatives) - 1e-9 <= grown <= max(0, *alternatives) + 1e-9


def test_a_steady_rate_is_no_cluster_whatever_it_is() -> None:
    cluster = [look((6, 100), (4, 900))]
    for bad in (0, 4, 45, 450):
        before = [Counts(900, bad)] * 60
        assert worse(cluster, usual=before).now == pytest.approx(worse(cluster).now, rel=0.01)
