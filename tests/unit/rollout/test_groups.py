"""Canaries of a group begin together, are promoted together and are taken back together."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.simulation import Annotate, Deploy, Edit, Reading, Reply, Scenario, Scheduled, Version
from canary.rollout.turns import Place, Queue
from tests.unit.rollout.fleet import Fleet, canary_of, story_of

GATE = {"name": "gate", "type": "confirm-rollout", "url": "http://hooks.test/"}


def grouped(name: str, *, group: dict[str, Any] | None = None, **analysis: Any) -> Canary:
    given = {"interval": "1m", "threshold": 2, "stepWeight": 50, "maxWeight": 50, **analysis}
    given["metrics"] = [{"name": "request-success-rate", "threshold": 99}]
    return canary_of("shop", name, analysis=given, scheduling={"group": {"name": "checkout", **(group or {})}})


def at(fleet: Fleet, name: str, phase: Phase) -> float:
    """The second at which a Canary came to a phase last."""
    world = fleet.worlds[f"shop/{name}"]
    return next(each.at.total_seconds() for each in reversed(world.entries) if each.phase is phase)


def first(fleet: Fleet, name: str, phase: Phase) -> float:
    world = fleet.worlds[f"shop/{name}"]
    return next(each.at.total_seconds() for each in world.entries if each.phase is phase)


def phases(fleet: Fleet) -> dict[str, Phase]:
    return {key.removeprefix("shop/"): each.canary.status.phase for key, each in fleet.worlds.items()}


@pytest.mark.field("spec.scheduling.group.name")
def test_they_begin_together_and_the_quick_one_is_promoted_when_the_slow_one_is_ready() -> None:
    quick, slow = story_of(grouped("quick"), at=62), story_of(grouped("slow", stepWeight=10), at=60)
    alone = story_of(canary_of("shop", "alone"), at=60)
    fleet = Fleet([quick, slow, alone])
    fleet.run(timedelta(minutes=3, seconds=30))
    status = fleet.worlds["shop/quick"].canary.status
    assert (status.phase, status.reason) == (Phase.PROGRESSING, "WaitingForGroup")
    assert status.message == "is ready, and is promoted with shop/slow"
    fleet.run(timedelta(hours=1))
    assert set(phases(fleet).values()) == {Phase.SUCCEEDED}
    assert first(fleet, "quick", Phase.PROGRESSING) == pytest.approx(first(fleet, "slow", Phase.PROGRESSING), abs=1)
    assert first(fleet, "quick", Phase.PROMOTING) == pytest.approx(first(fleet, "slow", Phase.PROMOTING), abs=61)
    assert first(fleet, "alone", Phase.PROMOTING) < first(fleet, "quick", Phase.PROMOTING) - 60


def test_one_that_fails_takes_the_others_back_at_once_and_says_so() -> None:
    bad = Version(readings=(Reading(99.5), Reading(1.0, after=timedelta(seconds=130))))
    failing = Scenario(
        canary=grouped("failing", stepWeight=10),
        versions={"v1": Version(), "v2": bad},
        changes=(Scheduled(timedelta(seconds=60), Deploy("v2")),),
    )
    fleet = Fleet([story_of(grouped("quick")), story_of(grouped("slow", stepWeight=5)), failing])
    fleet.run(timedelta(hours=1))
    assert set(phases(fleet).values()) == {Phase.FAILED}
    moment = first(fleet, "failing", Phase.FAILED)
    for name in ("quick", "slow"):
        assert first(fleet, name, Phase.FAILED) == pytest.approx(moment, abs=1)
        status = fleet.worlds[f"shop/{name}"].canary.status
        assert status.message.startswith("its group is taken back, failed: shop/failing")
        assert status.last_promoted_spec == "v1"


def test_what_one_has_failed_with_before_holds_nobody_who_comes_later() -> None:
    fleet = Fleet([story_of(grouped("bad"), bad=True), story_of(grouped("later"), at=1800)])
    fleet.run(timedelta(hours=2))
    assert phases(fleet) == {"bad": Phase.FAILED, "later": Phase.SUCCEEDED}


def test_members_without_anything_new_are_not_waited_for() -> None:
    fleet = Fleet([story_of(grouped("one")), story_of(grouped("other"), at=90_000)])
    fleet.run(timedelta(hours=1))
    assert first(fleet, "one", Phase.PROGRESSING) == 70
    assert phases(fleet)["one"] is Phase.SUCCEEDED


@pytest.mark.field("spec.scheduling.group.startDeadline")
def test_one_that_can_not_begin_holds_the_others_for_no_longer_than_the_deadline() -> None:
    """It waits for an approval that never comes."""
    gated = story_of(grouped("gated", webhooks=[GATE]))
    gated = Scenario(
        canary=gated.canary, versions=gated.versions, changes=gated.changes, replies=(Reply(approved=False),)
    )
    fleet = Fleet([gated, story_of(grouped("free", group={"startDeadline": "15m"}))])
    fleet.run(timedelta(minutes=5))
    status = fleet.worlds["shop/free"].canary.status
    assert (status.phase, status.reason) == (Phase.WAITING, "WaitingForGroup")
    assert status.message == "begins with shop/gated, or at 2026-01-01T00:16:00Z without"
    fleet.run(timedelta(minutes=55))
    assert phases(fleet) == {"gated": Phase.WAITING, "free": Phase.SUCCEEDED}
    assert first(fleet, "free", Phase.PROGRESSING) == 60 + 15 * 60


def test_an_approval_lets_them_begin_together() -> None:
    gated = story_of(grouped("gated", webhooks=[GATE]))
    closed = (Reply(approved=False, end=timedelta(seconds=400)),)
    gated = Scenario(canary=gated.canary, versions=gated.versions, changes=gated.changes, replies=closed)
    fleet = Fleet([gated, story_of(grouped("free"))])
    fleet.run(timedelta(hours=1))
    assert first(fleet, "free", Phase.PROGRESSING) >= 400
    assert first(fleet, "free", Phase.PROGRESSING) == pytest.approx(first(fleet, "gated", Phase.PROGRESSING), abs=1)
    assert set(phases(fleet).values()) == {Phase.SUCCEEDED}


def test_an_override_waits_for_nobody() -> None:
    slow, quick = story_of(grouped("slow", stepWeight=1)), story_of(grouped("quick"))
    order = Scheduled(timedelta(seconds=400), Annotate("flagger.app/override", "by alice: a fix"))
    quick = Scenario(canary=quick.canary, versions=quick.versions, changes=(*quick.changes, order))
    fleet = Fleet([slow, quick])
    fleet.run(timedelta(minutes=12))
    assert phases(fleet) == {"slow": Phase.PROGRESSING, "quick": Phase.SUCCEEDED}


def test_a_group_counts_as_one_rollout() -> None:
    """Were each of them to wait for a place of its own, two of three would wait for ever with one rollout at once."""
    names = ("a", "b", "c")
    fleet = Fleet([*(story_of(grouped(name)) for name in names), story_of(canary_of("shop", "alone"), at=61)], 1)
    fleet.run(timedelta(hours=2))
    assert set(phases(fleet).values()) == {Phase.SUCCEEDED}
    begun = [first(fleet, name, Phase.PROGRESSING) for name in names]
    assert max(begun) - min(begun) <= 1
    alone = first(fleet, "alone", Phase.PROGRESSING), at(fleet, "alone", Phase.SUCCEEDED)
    ended = max(at(fleet, name, Phase.SUCCEEDED) for name in names)
    assert alone[0] >= ended or alone[1] <= min(begun)


def test_it_survives_restarts_of_the_controller() -> None:
    fleet = Fleet([story_of(grouped("quick")), story_of(grouped("slow", stepWeight=10)), story_of(grouped("third"))])
    for _ in range(60):
        fleet.run(timedelta(seconds=23))
        fleet.restart()
    assert set(phases(fleet).values()) == {Phase.SUCCEEDED}
    promoted = [first(fleet, name, Phase.PROMOTING) for name in ("quick", "slow", "third")]
    assert max(promoted) - min(promoted) <= 61


def test_a_member_that_is_suspended_keeps_the_others_waiting_until_the_deadline_alone() -> None:
    one = story_of(grouped("stopped"))
    spec = one.canary.spec.replace(suspend=True)
    stop = Scheduled(timedelta(seconds=55), Edit(spec))
    one = Scenario(canary=one.canary, versions=one.versions, changes=(stop, *one.changes))
    fleet = Fleet([one, story_of(grouped("free"))])
    fleet.run(timedelta(hours=1))
    assert phases(fleet) == {"stopped": Phase.INITIALIZED, "free": Phase.SUCCEEDED}
    assert first(fleet, "free", Phase.PROGRESSING) == 60 + 10 * 60


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "g", "h"]), st.booleans()), max_size=12))
def test_of_a_group_all_that_wait_are_picked_or_none(drawn: list[tuple[str, str, bool]]) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    places = [
        Place(f"{where}/{number}", under_way=begun, queued=None if begun else now, group=group)
        for number, (where, group, begun) in enumerate(drawn)
    ]
    picked = set(Queue(2, places).next_up())
    for unit in {each.unit for each in places}:
        waiting = {each.key for each in places if each.unit == unit and not each.under_way}
        assert waiting <= picked or not waiting & picked
        if any(each.under_way for each in places if each.unit == unit):
            assert waiting <= picked
