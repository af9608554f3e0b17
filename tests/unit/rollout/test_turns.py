"""Only so many rollouts go on at once, and each namespace gets its turn."""

import gc
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.status import Phase
from canary.rollout.simulation import Deploy, Edit, Scenario, Scheduled, Version
from canary.rollout.turns import Place, Queue
from tests.unit.rollout.fleet import Fleet, canary_of, story_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNDER_WAY = {Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING}


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


PLACES = st.lists(
    st.builds(
        Place,
        key=st.builds("{}/{}".format, st.sampled_from("abc"), st.integers(0, 30)),
        priority=st.integers(-2, 2),
        under_way=st.booleans(),
        queued=st.none() | st.integers(0, 5).map(at),
        began=st.none() | st.integers(0, 5).map(at),
    ),
    unique_by=lambda each: each.key,
    max_size=20,
)


@given(PLACES, st.integers(1, 6))
def test_every_slot_is_given_away_while_anybody_waits_and_none_twice(places: list[Place], limit: int) -> None:
    """None waits in vain: what is free is filled, whatever stands where."""
    waiting = [each for each in places if each.queued is not None and not each.under_way]
    free = max(0, limit - sum(each.under_way for each in places))
    picked = Queue(limit, places).next_up()
    assert len(set(picked)) == len(picked) == min(free, len(waiting))
    assert set(picked) <= {each.key for each in waiting}


@given(PLACES, st.integers(1, 6))
def test_of_one_namespace_none_goes_before_another_of_a_higher_priority(places: list[Place], limit: int) -> None:
    by_key, picked = {each.key: each for each in places}, Queue(limit, places).next_up()
    for each in picked:
        passed = [other for other in places if other.queued and not other.under_way and other.key not in picked]
        mine = by_key[each]
        assert all(other.priority <= mine.priority for other in passed if other.namespace == mine.namespace)


@given(st.integers(1, 4), st.lists(st.integers(1, 60), min_size=30, max_size=30), st.integers(0, 25))
def test_two_hundred_of_one_namespace_keep_another_ones_waiting_for_one_rollout_at_most(
    limit: int, lengths: list[int], comes: int
) -> None:
    """Whenever the other comes, and however long rollouts take, it begins as soon as the next of them ends."""
    places = {f"a/{number}": Place(f"a/{number}", priority=9, queued=at(0)) for number in range(200)}
    ends: dict[str, int] = {}
    minute, durations, ended_since = 0, iter(lengths), 0
    while comes >= minute or "b/one" not in ends:
        if comes <= minute and "b/one" not in places:
            places["b/one"] = Place("b/one", queued=at(minute))
        for key in Queue(limit, places.values()).next_up():
            places[key] = Place(key, under_way=True, began=at(minute))
            ends[key] = minute + next(durations, 1)
        if "b/one" in ends:
            break
        minute = min(ends[key] for key, each in places.items() if each.under_way)
        for key in [key for key, each in places.items() if each.under_way and ends[key] == minute]:
            places[key] = Place(key, began=places[key].began)
            ended_since += "b/one" in places
    assert ended_since <= limit


def test_a_namespace_that_was_just_served_gives_way_though_it_waits_longer() -> None:
    places = [Place("a/1", queued=at(0)), Place("a/2", began=at(5)), Place("b/1", queued=at(9), began=at(3))]
    assert Queue(1, places).next_up() == ("b/1",)


def test_one_that_comes_when_all_slots_are_taken_is_told_by_whom() -> None:
    turn = Queue(2, [Place("a/2", under_way=True), Place("a/1", under_way=True)]).turn("b/1", NOW)
    assert (turn.granted, turn.under_way) == (False, ("a/1", "a/2"))


MOVES = st.lists(
    st.tuples(
        st.sampled_from([f"{where}/{number}" for where in "ab" for number in range(4)]),
        st.none()
        | st.builds(
            Place,
            key=st.just(""),
            priority=st.integers(-1, 1),
            under_way=st.booleans(),
            queued=st.none() | st.integers(0, 3).map(at),
            began=st.none() | st.integers(0, 3).map(at),
            group=st.sampled_from(["", "g"]),
        ),
    ),
    max_size=20,
)


@given(MOVES, st.integers(1, 4), st.sampled_from(["a/0", "b/3", "c/new"]))
def test_whose_turn_it_is_hangs_on_where_canaries_stand_and_not_on_how_they_came_there(
    moves: list[tuple[str, Place | None]], limit: int, asks: str
) -> None:
    """Places change, groups come and go, Canaries are deleted: a process that has just begun finds the same."""
    queue, places = Queue(limit), dict[str, Place]()
    for key, drawn in moves:
        place = replace(drawn, key=key) if drawn is not None else None
        queue.put(key, place)
        places.pop(key, None)
        if place is not None:
            places[key] = place
        anew = Queue(limit, places.values())
        assert queue.next_up() == anew.next_up()
        assert queue.turn(asks, NOW) == anew.turn(asks, NOW)
        assert queue.next_up() == anew.next_up()


def work_of(count: int, *, waiting: bool) -> int:
    """How many functions are called for the turn of one Canary, and after a change of another one."""
    queue = Queue(3, (Place(f"{number % 10}/{number}", began=at(number)) for number in range(count)))
    for number in range(count):
        if waiting or number < 3:
            queue.put(f"{number % 10}/{number}", Place(f"{number % 10}/{number}", under_way=number < 3, queued=NOW))
    called: list[str] = []
    gc.disable()  # hypothesis has itself called back by each collection
    sys.setprofile(lambda _frame, event, _what: called.append(event) if event in {"call", "c_call"} else None)
    try:
        queue.turn("0/0", NOW)
        queue.turn("new/one", NOW)
        queue.put("1/1", Place("1/1", began=NOW))
        queue.next_up()
    finally:
        sys.setprofile(None)
        gc.enable()
    return len(called)


@pytest.mark.parametrize("waiting", [False, True], ids=["all the others are settled", "all the others wait"])
def test_a_turn_among_two_thousand_is_no_more_work_than_among_twenty(*, waiting: bool) -> None:
    assert work_of(2000, waiting=waiting) <= work_of(20, waiting=waiting)


def under_way(fleet: Fleet) -> list[str]:
    return [key for key, each in fleet.worlds.items() if each.canary.status.phase in UNDER_WAY]


@pytest.mark.parametrize("limit", [1, 3])
def test_a_change_of_a_config_map_that_twenty_share_does_not_start_twenty_at_once(limit: int) -> None:
    most: list[int] = []
    fleet = Fleet(
        [story_of(canary_of("shop", f"app{number}"), bad=number % 5 == 0) for number in range(20)],
        limit,
        watch=lambda fleet: most.append(len(under_way(fleet))),
    )
    fleet.run(timedelta(hours=4))
    assert max(most) == limit
    phases = [each.canary.status.phase for each in fleet.worlds.values()]
    assert (phases.count(Phase.SUCCEEDED), phases.count(Phase.FAILED)) == (16, 4)


def test_the_limit_holds_across_restarts_of_the_controller() -> None:
    """Who is rolled out stands in the statuses, and nowhere else."""
    most: list[int] = []
    stories = [story_of(canary_of("shop", f"app{number}")) for number in range(8)]
    fleet = Fleet(stories, 2, watch=lambda fleet: most.append(len(under_way(fleet))))
    for _ in range(60):
        fleet.run(timedelta(seconds=31))
        fleet.restart()
    assert max(most) == 2
    assert {each.canary.status.phase for each in fleet.worlds.values()} == {Phase.SUCCEEDED}


def test_who_waits_says_for_whom_once_and_makes_no_pass_meanwhile() -> None:
    slow = {"interval": "1h", "threshold": 2, "stepWeight": 50}
    stories = [story_of(canary_of("shop", "first", analysis=slow)), story_of(canary_of("shop", "second"), at=65)]
    fleet = Fleet(stories, 1)
    fleet.run(timedelta(seconds=100))
    second = fleet.worlds["shop/second"]
    status = second.canary.status
    assert (status.phase, status.reason) == (Phase.WAITING, "Queued")
    assert status.message == "1 rollout goes on at once, at most; shop/first went on when it came"
    ready = status.condition("Ready")
    assert ready is not None
    assert ready.message == "a new revision waits to begin"
    fleet.run(timedelta(minutes=5))
    passes = second.passes
    fleet.run(timedelta(minutes=90))
    assert second.passes == passes
    fleet.run(timedelta(hours=3))
    told = [event.message for entry in second.entries for event in entry.events]
    assert sum(each.startswith("Waiting with second.shop") for each in told) == 1
    assert second.canary.status.phase is Phase.SUCCEEDED
    assert second.canary.status.queued_since is None


@pytest.mark.field("spec.scheduling.priority")
def test_within_a_namespace_the_highest_priority_begins_first() -> None:
    stories = [story_of(canary_of("shop", "first"))]
    stories += [story_of(canary_of("shop", f"app{n}", scheduling={"priority": n}), at=61 + n) for n in range(3)]
    fleet = Fleet(stories, 1)
    fleet.run(timedelta(hours=2))
    began = {key: each.canary.status.rollout_start_time for key, each in fleet.worlds.items()}
    order = sorted((time, key) for key, time in began.items() if time is not None)
    assert [key for _, key in order] == ["shop/first", "shop/app2", "shop/app1", "shop/app0"]


@pytest.mark.parametrize("stops", [{"suspend": True}, {"analysis": {"threshold": 1}}])
def test_one_that_can_not_take_its_turn_keeps_nobody_from_theirs(stops: dict[str, Any]) -> None:
    """It waits first in the queue when somebody suspends it, or breaks its spec."""
    stuck = story_of(canary_of("shop", "stuck"), at=61)
    broken = canary_of("shop", "stuck", **stops).spec
    stuck = Scenario(
        canary=stuck.canary,
        versions=stuck.versions,
        changes=(*stuck.changes, Scheduled(timedelta(seconds=70), Edit(broken))),
    )
    fleet = Fleet([story_of(canary_of("shop", "first")), stuck, story_of(canary_of("shop", "last"), at=80)], 1)
    fleet.run(timedelta(hours=2))
    assert fleet.worlds["shop/last"].canary.status.phase is Phase.SUCCEEDED
    assert fleet.worlds["shop/stuck"].canary.status.phase is Phase.WAITING


@pytest.mark.field("status.queuedSince")
def test_a_newer_revision_keeps_the_place_of_the_one_that_waits() -> None:
    """However often somebody deploys, the wait is counted from the first of them."""
    long = {"interval": "10m", "threshold": 2, "stepWeight": 50, "maxWeight": 50}
    often = story_of(canary_of("shop", "often"), at=70)
    more = tuple(Scheduled(timedelta(seconds=at), Deploy(f"v{at}")) for at in (100, 200, 300))
    often = Scenario(
        canary=often.canary,
        versions={**often.versions, **{f"v{at}": Version() for at in (100, 200, 300)}},
        changes=(*often.changes, *more),
    )
    stories = [story_of(canary_of("shop", "first", analysis=long)), often, story_of(canary_of("shop", "once"), at=90)]
    fleet = Fleet(stories, 1)
    fleet.run(timedelta(minutes=6))
    assert fleet.worlds["shop/often"].canary.status.queued_since == stories[0].start + timedelta(seconds=70)
    fleet.run(timedelta(hours=2))
    began = [fleet.worlds[key].canary.status.rollout_start_time for key in ("shop/often", "shop/once")]
    assert began[0] is not None
    assert began[1] is not None
    assert began[0] < began[1]
    assert fleet.worlds["shop/often"].canary.status.last_promoted_spec == "v300"
