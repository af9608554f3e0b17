"""What is written again and again is undone by somebody: that is told, and no write a second follows."""

from canary.controller.contest import CALM, FIRST_REST, LONGEST_REST, MOST, NAMED, Contest, Write

ROUTE = Write("TraefikService app", "as it should be", ("spec.weighted.services[0].weight",))
SERVICE = Write("Service app", "as it should be", ("spec.selector", "spec.ports[0].targetPort"))


def fought(times: int) -> Contest:
    contest = Contest()
    for second in range(times):
        contest.note("shop/app", [ROUTE], second)
    return contest


def test_a_repair_or_two_is_no_contest() -> None:
    assert not fought(MOST).contested("shop/app", MOST)


def test_the_same_written_again_and_again_is() -> None:
    assert fought(MOST + 1).contested("shop/app", MOST)


def test_steps_of_a_rollout_are_none_however_many_they_are() -> None:
    contest = Contest()
    for weight in range(200):
        contest.note("shop/app", [Write("route", str(weight)), Write("service", str(weight % 2))], weight)
    assert not contest.contested("shop/app", 200)


def test_it_is_over_when_what_was_written_stays() -> None:
    contest = fought(MOST + 1)
    later = MOST + CALM.total_seconds() + 1

    assert not contest.contested("shop/app", later)
    contest.note("shop/app", [ROUTE], later)
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


def test_what_is_undone_is_named_by_object_and_field() -> None:
    contest = fought(MOST + 1)
    contest.note("shop/app", [SERVICE], MOST)

    assert contest.undone("shop/app", MOST) == "TraefikService app (spec.weighted.services[0].weight)"
    contest.note("shop/app", [SERVICE], MOST)
    assert contest.undone("shop/app", MOST) == (
        "Service app (spec.ports[0].targetPort, spec.selector), TraefikService app (spec.weighted.services[0].weight)"
    )


def test_what_was_undone_in_an_earlier_contest_is_not_named() -> None:
    contest = fought(MOST + 1)
    later = MOST + CALM.total_seconds() + 1
    assert contest.undone("shop/app", later) == ""
    for second in range(MOST + 1):
        contest.note("shop/app", [SERVICE], later + second)

    assert "TraefikService" not in contest.undone("shop/app", later + MOST)


def test_a_condition_names_a_few_objects_and_fields() -> None:
    contest = Contest()
    many = tuple(f"spec.f{each}" for each in range(100))
    for second in range(MOST):
        contest.note("shop/app", [Write(f"Service s{each}", "", many) for each in range(100)], second)

    assert contest.undone("shop/app", MOST).count("and others") == NAMED + 1
    assert len(contest.undone("shop/app", MOST)) < 1000
