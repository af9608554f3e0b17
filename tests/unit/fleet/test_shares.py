"""How all requests are divided between clusters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.fleet.shares import Claim, Rank, divided, part


def free(name: str, share: int) -> Claim:
    """A cluster that may get any part."""
    return Claim(name, share)


def away(name: str, share: int) -> Claim:
    """One that is to get nothing."""
    return Claim(name, share, Rank.AWAY, 0)


def test_each_gets_its_share_where_none_is_away() -> None:
    assert divided([free("eu", 50), free("us", 30), free("ap", 20)]) == {"eu": 50, "us": 30, "ap": 20}


def test_others_take_the_share_of_one_that_is_away_in_proportion() -> None:
    assert divided([away("eu", 50), free("us", 30), free("ap", 20)]) == {"eu": 0, "us": 60, "ap": 40}


def test_whole_percents_sum_to_a_hundred_by_the_largest_remainders() -> None:
    assert divided([away("eu", 4), free("us", 48), free("ap", 33), free("sa", 15)]) == {
        "eu": 0,
        "us": 50,
        "ap": 34,
        "sa": 16,
    }


def test_one_that_cannot_be_reached_gets_no_more_than_it_did() -> None:
    claims = [away("eu", 50), Claim("us", 30, Rank.UNREACHABLE, 30), free("ap", 20)]
    assert divided(claims) == {"eu": 0, "us": 30, "ap": 70}


def test_one_that_comes_back_gets_no_more_than_its_step_says() -> None:
    claims = [Claim("eu", 50, Rank.RETURNING, part(50, 10)), free("us", 30), free("ap", 20)]
    assert divided(claims) == {"eu": 5, "us": 57, "ap": 38}


def test_who_can_be_reached_least_takes_what_nobody_else_may_have() -> None:
    """Requests go somewhere, whatever is known of where."""
    claims = [away("eu", 50), Claim("us", 50, Rank.UNREACHABLE, 50)]
    assert divided(claims) == {"eu": 0, "us": 100}
    assert divided([away("eu", 50), away("us", 50)]) == {"eu": 50, "us": 50}


@pytest.mark.parametrize(("share", "percent", "is_"), [(60, 10, 6), (4, 10, 1), (33, 50, 16), (0, 50, 0), (1, 99, 1)])
def test_a_part_of_a_share_is_rounded_down_and_one_percent_at_least(share: int, percent: int, is_: int) -> None:
    assert part(share, percent) == is_


@st.composite
def claims(draw: st.DrawFn) -> list[Claim]:
    """Clusters of any shares that sum to 100, each free or not."""
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=1, max_size=6)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    found = []
    for number, share in enumerate(shares):
        rank = draw(st.sampled_from(Rank))
        most = {Rank.FREE: None, Rank.AWAY: 0}.get(rank, draw(st.integers(0, 100)))
        found.append(Claim(f"c{number}", share, rank, most))
    return found


@given(claims())
def test_all_weights_sum_to_a_hundred_and_none_exceeds_its_most(given_: list[Claim]) -> None:
    """None but those that take what is left where no cluster is free."""
    weights = divided(given_)
    assert sum(weights.values()) == 100
    assert all(weight >= 0 for weight in weights.values())
    last = min(each.rank for each in given_ if each.share)
    for each in given_:
        if each.most is not None and each.rank is not last:
            assert weights[each.name] <= each.most
