"""What is written again and again is undone by somebody: that is told, and no write a second follows."""

from canary.controller.contest import CALM, FIRST_REST, LONGEST_REST, MOST, Contest

ROUTE, SERVICE = "route", "service"


def fought(times: int) -> Contest:
    contest = Contest()
    for second in range(times):
        contest.note("shop/app", [(ROUTE, "as it should be")], second)
    return contest


def test_a_repair_or_two_is_no_contest() -> None:
    assert not fought(MOST).contested("shop/app", MOST)


def test_the_same_written_again_and_again_is() -> None:
    assert fought(MOST + 1).contested("shop/app", MOST)


def test_steps_of_a_rollout_are_none_however_many_they_are() -> None:
    contest = Contest()
    for weight in range(200):
        contest.note("shop/app", [(ROUTE, str(weight)), (SERVICE, str(weight % 2))], weight)
    assert not contest.contested("shop/app", 200)


def test_it_is_over_when_what_was_written_stays() -> None:
    contest = fought(MOST + 1)
    later = MOST + CALM.total_seconds() + 1

    assert not contest.contested("shop/app", later)
    contest.note("shop/app", [(ROUTE, "as it should be")], later)
    assert not contest.contested("shop/app", later)


def test_it_is_known_when_it_is_over_so_that_somebody_looks_then() -> None:
    """When nobody undoes anything any more nothing changes, and nothing else would wake the Canary."""
    contest = fought(MOST + 1)
    until = contest.over("shop/app", MOST)

    assert until is not None
    assert contest.contested("shop/app", MOST + until.total_seconds() - 1)
    assert not contest.contested("shop/app", MOST + until.total_seconds())
    assert contest.over("shop/app", MOST + until.total_seconds()) is None


def test_a_repair_or_two_need_no_look() -> None:
    assert fought(MOST).over("shop/app", MOST) is None


def test_rests_grow_up_to_a_limit() -> None:
    rests = [fought(MOST + 1 + more).rest("shop/app") for more in range(8)]
    assert rests[0] == FIRST_REST
    assert rests == sorted(rests)
    assert rests[-1] == LONGEST_REST


def test_a_canary_that_is_gone_leaves_nothing() -> None:
    contest = fought(MOST + 1)
    contest.forget("shop/app")
    assert not contest.contested("shop/app", MOST)
