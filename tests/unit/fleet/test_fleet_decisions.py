"""One release over many clusters: what the hub decides, by what it sees of members. Each test is a rule of the spec."""

from datetime import timedelta
from typing import Any

import pytest

from canary.api.fleet_status import FleetPhase
from canary.fleet.facts import GateAnswer
from canary.fleet.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.fleet.simulation import AnnotateFleet, EditFleet, Fate, Sketch
from canary.fleet.simulation.sketch import OLD
from tests.unit.fleet.fleets import DAY, MINUTE, START, events, fleet_of, names, play, serve, sketch, states

BAD = Fate(fails=9)
TURNS_BAD = Fate(turns_bad_after=7 * MINUTE)
PAIR: list[dict[str, Any]] = [{"name": "one", "count": 1}, {"name": "rest"}]


def six(**fates: Fate) -> list[Sketch]:
    """Six members, each with its fate by name."""
    return [sketch(name, fates.get(name, Fate())) for name in names(6)]


def order(text: str, at: timedelta = 7 * MINUTE) -> list[tuple[Any, AnnotateFleet]]:
    return [(START + at, AnnotateFleet(ORDER_ANNOTATION, text))]


class TestWaves:
    """Who gets the release, and when."""

    @pytest.mark.field(
        "CanaryFleet.spec.waves[].name",
        "CanaryFleet.spec.waves[].count",
        "CanaryFleet.spec.waves[].percent",
        "CanaryFleet.status.waves[].name",
        "CanaryFleet.status.waves[].members",
        "CanaryFleet.status.members[].name",
        "CanaryFleet.status.members[].wave",
    )
    def test_a_wave_has_a_number_or_a_part_of_the_members_and_the_last_one_all_that_are_left(self) -> None:
        world = play(fleet_of(), six())
        status = world.fleet.status
        assert [(each.name, each.members) for each in status.waves] == [("pilot", 1), ("some", 3), ("all", 2)]
        assert [each.wave for each in status.members] == [1, 2, 2, 2, 3, 3]

    @pytest.mark.field(
        "CanaryFleet.spec.waves[].selector.matchLabels",
        "CanaryFleet.spec.waves[].selector.matchExpressions[].key",
        "CanaryFleet.spec.waves[].selector.matchExpressions[].operator",
        "CanaryFleet.spec.waves[].selector.matchExpressions[].values",
    )
    @pytest.mark.parametrize(
        ("selector", "chosen"),
        [
            ({"matchLabels": {"env": "eu"}}, {"c001", "c003"}),
            (
                {"matchExpressions": [{"key": "env", "operator": "In", "values": ["eu", "us"]}]},
                {"c001", "c002", "c003"},
            ),
            ({"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["eu"]}]}, {"c002", "c004"}),
            ({"matchExpressions": [{"key": "env", "operator": "Exists"}]}, {"c001", "c002", "c003"}),
            ({"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}, {"c004"}),
        ],
    )
    def test_a_wave_takes_those_whose_labels_it_asks_for(self, selector: dict[str, Any], chosen: set[str]) -> None:
        labels: dict[str, dict[str, str]] = {
            "c001": {"env": "eu"},
            "c002": {"env": "us"},
            "c003": {"env": "eu"},
            "c004": {},
        }
        world = play(fleet_of([{"name": "w", "selector": selector}, {"name": "rest"}]), [
            sketch(name, labels=each) for name, each in labels.items()
        ])  # fmt: skip
        assert {each.name for each in world.fleet.status.members if each.wave == 1} == chosen

    @pytest.mark.field(
        "CanaryFleet.spec.members.selector.matchLabels",
        "CanaryFleet.spec.members.selector.matchExpressions[].key",
        "CanaryFleet.spec.members.selector.matchExpressions[].operator",
        "CanaryFleet.spec.members.selector.matchExpressions[].values",
    )
    @pytest.mark.parametrize(
        "selector",
        [{"matchLabels": {"env": "eu"}}, {"matchExpressions": [{"key": "env", "operator": "In", "values": ["eu"]}]}],
    )
    def test_members_are_the_clusters_whose_labels_are_asked_for(self, selector: dict[str, Any]) -> None:
        clusters = [sketch("c001", labels={"env": "eu"}), sketch("c002", labels={"env": "us"})]
        world = play(fleet_of(members={"selector": selector}), clusters)
        assert states(world) == {"c001": "Passed"}
        assert "vote" not in str(clusters[1].canary.metadata.annotations if clusters[1].canary else "")

    def test_no_wave_begins_before_the_one_before_has_passed(self) -> None:
        world = play(fleet_of(), six(c002=Fate(takes=50 * MINUTE)))
        at = {event: entry.at for entry in world.entries for event in entry.events}
        assert at["Wave some of release r2 begins: c002, c003, c004"] == 5 * MINUTE
        assert at["Wave all of release r2 begins: c005, c006"] == 55 * MINUTE

    @pytest.mark.field("CanaryFleet.spec.waves[].maxParallel")
    def test_so_many_members_of_a_wave_roll_out_at_once(self) -> None:
        world = play(fleet_of([{"name": "all", "maxParallel": 2}]), six())
        ends = [entry.at for entry in world.entries for event in entry.events if event.endswith("has passed")]
        assert ends == [5 * MINUTE] * 2 + [10 * MINUTE] * 2 + [15 * MINUTE] * 2

    @pytest.mark.field("CanaryFleet.spec.waves[].soak", "CanaryFleet.status.waves[].passedSince")
    def test_a_wave_must_have_passed_for_so_long(self) -> None:
        world = play(fleet_of([{"name": "one", "count": 1, "soak": "1h"}, {"name": "rest", "soak": "2h"}]), six())
        at = {event: entry.at for entry in world.entries for event in entry.events}
        assert at["Wave rest of release r2 begins: c002, c003, c004 and 2 more"] == 65 * MINUTE
        assert at["Release r2 is done: released"] == 190 * MINUTE

    def test_one_that_turns_bad_while_its_wave_soaks_keeps_the_next_wave_from_beginning(self) -> None:
        waves: list[dict[str, Any]] = [{"name": "one", "count": 1, "soak": "1h"}, {"name": "rest"}]
        world = play(fleet_of(waves), six(c001=TURNS_BAD))
        assert (world.fleet.status.phase, world.fleet.status.wave) == (FleetPhase.FAILED, 1)

    @pytest.mark.field(
        "CanaryFleet.spec.waves[].quorum",
        "CanaryFleet.status.waves[].required",
        "CanaryFleet.status.waves[].passed",
        "CanaryFleet.status.waves[].failed",
    )
    @pytest.mark.parametrize(("quorum", "phase"), [(66, "Succeeded"), (67, "Failed")])
    def test_so_many_percent_of_a_wave_must_pass(self, quorum: int, phase: str) -> None:
        world = play(fleet_of([{"name": "all", "quorum": quorum}]), six(c001=BAD, c002=BAD))
        (wave,) = world.fleet.status.waves
        assert (world.fleet.status.phase, wave.passed, wave.failed) == (phase, 4, 2)
        assert wave.required == (4 if quorum == 66 else 5)


class TestGates:
    """What a wave waits for before it begins."""

    @pytest.mark.field(
        "CanaryFleet.spec.waves[].gates[].name",
        "CanaryFleet.spec.waves[].gates[].url",
        "CanaryFleet.status.waves[].state",
    )
    def test_a_gate_that_is_closed_is_asked_again_and_named(self) -> None:
        waves: list[dict[str, Any]] = [
            PAIR[0],
            {"name": "rest", "gates": [{"name": "tests", "url": "https://gates.example.com/"}]},
        ]
        opens = START + 60 * MINUTE
        world = play(fleet_of(waves), six(), gates=lambda _, now: GateAnswer(now >= opens, "not yet"))
        assert "Release r2: wave rest waits for tests (not yet)" in events(world)
        begun = next(each.at for each in world.entries if each.wave == 2)
        assert timedelta(0) <= begun - 60 * MINUTE <= MINUTE
        assert world.fleet.status.phase is FleetPhase.SUCCEEDED

    @pytest.mark.field("CanaryFleet.status.resumed")
    def test_one_without_an_address_is_opened_by_a_person(self) -> None:
        waves: list[dict[str, Any]] = [PAIR[0], {"name": "rest", "gates": [{"name": "the-team"}]}]
        waiting = play(fleet_of(waves), six())
        assert waiting.fleet.status.reason == "WaitingForGate"
        assert waiting.fleet.status.message == "wave rest waits for the-team (until it is resumed)"
        assert waiting.fleet.status.waves[1].state == "Gated"
        resumed = play(fleet_of(waves), six(), changes=order("resume by=mia"))
        assert (resumed.fleet.status.phase, resumed.fleet.status.resumed) == (FleetPhase.SUCCEEDED, 2)


class TestFailure:
    """What becomes of the others."""

    @pytest.mark.field(
        "CanaryFleet.spec.onFailure",
        "CanaryFleet.status.cause",
        "CanaryFleet.status.members[].state",
        "CanaryFleet.status.members[].before",
    )
    @pytest.mark.parametrize(
        ("policy", "reason", "serving"),
        [
            ("hold", "Held", {"c001", "c002", "c003"}),
            ("rollbackWave", "RolledBack", {"c001"}),
            ("rollbackAll", "RolledBack", set()),
        ],
    )
    def test_they_stay_or_are_brought_back(self, policy: str, reason: str, serving: set[str]) -> None:
        world = play(fleet_of(onFailure=policy), six(c004=BAD))
        status = world.fleet.status
        assert (status.phase, status.reason, serve(world)) == (FleetPhase.FAILED, reason, serving)
        assert status.message == "wave some can't pass, 1 of 3 failed and 3 must pass: c004: it is bad"
        assert {name for name, each in states(world).items() if each == "Pending"} == {"c005", "c006"}

    def test_those_under_way_are_taken_back_and_not_waited_for(self) -> None:
        world = play(fleet_of(onFailure="rollbackAll"), six(c003=BAD, c004=Fate(takes=5 * DAY)))
        assert (world.fleet.status.reason, world.entries[-1].at) == ("RolledBack", 10 * MINUTE)

    def test_one_whose_bake_is_over_is_named_as_not_brought_back(self) -> None:
        waves: list[dict[str, Any]] = [{"name": "one", "count": 1}, {"name": "rest"}]
        clusters = [sketch("c001"), sketch("c002", Fate(fails=9, takes=60 * MINUTE))]
        world = play(fleet_of(waves, bake="10m", onFailure="rollbackAll"), clusters)
        status = world.fleet.status
        assert (status.reason, serve(world)) == ("NotAllBack", {"c001"})
        assert status.message.endswith("; c001 can't be brought back")
        assert "set its target back" in next(each.message for each in status.members if each.name == "c001")

    def test_a_member_that_is_away_is_waited_for_by_name(self) -> None:
        clusters = [sketch("c001"), sketch("c002", BAD), sketch("c003", away=[(7 * MINUTE, None)])]
        world = play(fleet_of([PAIR[0], PAIR[1]], onFailure="rollbackAll"), clusters)
        assert world.fleet.status.phase is FleetPhase.ROLLING_BACK
        assert world.fleet.status.message.endswith("; waits for c003 (unreachable since 2026-01-01T00:07:00Z)")


class TestUnreachable:
    """What can't be seen is neither good nor bad, until a deadline says so."""

    @pytest.mark.field("CanaryFleet.status.members[].unreachableSince", "CanaryFleet.status.members[].message")
    def test_it_is_named_with_its_time_and_waited_for(self) -> None:
        world = play(fleet_of(), [sketch("c001", away=[(2 * MINUTE, None)])])
        status = world.fleet.status
        assert status.message == "waits for c001 (unreachable since 2026-01-01T00:02:00Z)"
        assert status.members[0].message.startswith("unreachable since 2026-01-01T00:02:00Z: ")
        assert status.members[0].unreachable_since == START + 2 * MINUTE

    def test_a_minute_away_is_told_and_nothing_else(self) -> None:
        world = play(fleet_of(), [sketch("c001", away=[(2 * MINUTE, 3 * MINUTE)]), *six()[1:]])
        assert world.fleet.status.phase is FleetPhase.SUCCEEDED
        assert "Member c001 can be reached again" in events(world)

    @pytest.mark.field("CanaryFleet.spec.unreachableDeadline", "CanaryFleet.status.members[].reason")
    def test_after_its_deadline_it_counts_as_failed(self) -> None:
        world = play(fleet_of(unreachableDeadline="30m"), [sketch("c001", away=[(2 * MINUTE, None)])])
        assert (world.fleet.status.phase, world.fleet.status.members[0].reason) == (FleetPhase.FAILED, "Unreachable")
        assert world.entries[-1].at == 32 * MINUTE

    def test_one_whose_wave_has_not_begun_is_not_waited_for(self) -> None:
        clusters = [sketch("c001", Fate(takes=60 * MINUTE)), sketch("c002", away=[(timedelta(0), 50 * MINUTE)])]
        assert play(fleet_of(PAIR, unreachableDeadline="30m"), clusters).fleet.status.phase is FleetPhase.SUCCEEDED

    @pytest.mark.field(
        "CanaryFleet.spec.memberDeadline", "CanaryFleet.status.members[].opened", "CanaryFleet.status.members[].since"
    )
    def test_one_that_takes_longer_than_it_may_counts_as_failed(self) -> None:
        world = play(fleet_of(memberDeadline="30m"), [sketch("c001", Fate(comes_after=None))])
        (member,) = world.fleet.status.members
        assert (member.state, member.reason) == ("Failed", "MemberDeadlineExceeded")
        assert (member.opened, member.since) == (START, START + 30 * MINUTE)
        assert "no new revision has come to it" in member.message


class TestMembership:
    """Clusters come and go while a release is under way."""

    def test_one_that_goes_in_mid_wave_is_told_of_and_not_waited_for(self) -> None:
        clusters = [sketch("c001"), sketch("c002", Fate(takes=5 * DAY), removed=20 * MINUTE), sketch("c003")]
        world = play(fleet_of(PAIR), clusters)
        assert world.fleet.status.phase is FleetPhase.SUCCEEDED
        assert "Member c002 is gone, and its Canary left as it is" in events(world)

    def test_one_that_comes_in_mid_wave_joins_a_wave_that_is_not_over(self) -> None:
        clusters = [sketch("c002"), sketch("c003", Fate(takes=60 * MINUTE)), sketch("c001", added=20 * MINUTE)]
        world = play(fleet_of(PAIR), clusters)
        assert "Member c001 is new, and joins wave 2" in events(world)
        assert states(world) == dict.fromkeys(["c001", "c002", "c003"], "Passed")

    def test_one_that_comes_after_the_end_gets_its_canary_and_takes_part_from_the_next_release_on(self) -> None:
        world = play(fleet_of(PAIR), [sketch("c001"), sketch("c002", added=DAY, has_canary=False)])
        assert states(world)["c002"] == "Joined"
        assert world.clusters["c002"].canary is not None

    @pytest.mark.field("CanaryFleet.status.members[].applied")
    def test_a_canary_that_is_new_passes_once_it_is_set_up(self) -> None:
        world = play(fleet_of(PAIR), [sketch("c001", has_canary=False), sketch("c002")])
        assert states(world) == {"c001": "Passed", "c002": "Passed"}
        assert world.fleet.status.members[0].applied == ""

    def test_a_version_that_comes_to_a_new_canary_before_its_turn_waits_for_the_next_release(self) -> None:
        """Its Canary has passed with what it was set up with, and nothing tells the next version from that."""
        waves: list[dict[str, Any]] = [{"name": "one", "count": 1, "soak": "1h"}, {"name": "rest"}]
        late = sketch("c002", Fate(comes_after=7 * MINUTE), has_canary=False)
        world = play(fleet_of(waves), [sketch("c001"), late])
        assert states(world) == {"c001": "Passed", "c002": "Passed"}
        assert late.promoted == OLD


class TestOrders:
    """What people order, as of a Canary."""

    @pytest.mark.field("CanaryFleet.status.promoted", "CanaryFleet.status.lastOrder")
    def test_promote_goes_on_past_soaks_gates_and_failures(self) -> None:
        waves: list[dict[str, Any]] = [
            {"name": "one", "count": 1, "soak": "48h"},
            {"name": "rest", "gates": [{"name": "team"}]},
        ]
        world = play(fleet_of(waves), six(c005=BAD), changes=order("promote by=mia it is urgent"))
        status = world.fleet.status
        assert (status.phase, status.message) == (FleetPhase.SUCCEEDED, "released, but for c005, failed")
        assert world.entries[-1].at == 12 * MINUTE
        assert status.promoted == status.last_order == "promote by=mia it is urgent"

    def test_abort_brings_every_member_back(self) -> None:
        world = play(fleet_of(), six(), changes=order("abort by=mia"))
        assert (world.fleet.status.reason, serve(world)) == ("RolledBack", set())
        assert world.fleet.status.message == "aborted by mia"

    @pytest.mark.field("CanaryFleet.status.attempt", "CanaryFleet.status.members[].retry")
    def test_retry_asks_those_that_failed_to_try_again(self) -> None:
        world = play(fleet_of(), six(c001=Fate(fails=1)), changes=order("retry by=mia"))
        assert (world.fleet.status.phase, world.fleet.status.attempt) == (FleetPhase.SUCCEEDED, 1)
        assert world.fleet.status.members[0].retry == "r2-1-2026-01-01T00:07:00Z"
        assert serve(world) == set(names(6))

    def test_retry_after_all_were_brought_back_goes_from_wave_to_wave_again(self) -> None:
        world = play(fleet_of(onFailure="rollbackAll"), six(c004=Fate(fails=1)), changes=order("retry", 60 * MINUTE))
        assert serve(world) == set(names(6))
        begun = [event for event in events(world) if event.startswith("Wave")]
        assert [each.split()[1] for each in begun] == ["pilot", "some", "some", "all"]

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("destroy", "it is none of promote, abort, retry, resume"),
            ("abort revision=r1", "it is about release r1, and r2 is under way"),
            ("retry", "the release has not failed"),
        ],
    )
    def test_what_can_t_be_done_is_told_and_not_done_later(self, text: str, why: str) -> None:
        world = play(fleet_of(), six(), changes=order(text))
        verb, _, _ = text.partition(" ")
        assert f"Order to {verb} is not heeded, {why}" in events(world)
        assert world.fleet.status.phase is FleetPhase.SUCCEEDED

    @pytest.mark.field("CanaryFleet.status.paused")
    def test_a_pause_stops_members_under_way_and_begins_nothing(self) -> None:
        changes = [
            (START + 2 * MINUTE, AnnotateFleet(PAUSE_ANNOTATION, "by mia: lunch")),
            (START + 60 * MINUTE, AnnotateFleet(PAUSE_ANNOTATION, None)),
        ]
        paused = play(fleet_of(), six(), changes=changes[:1])
        assert paused.fleet.status.paused == "by mia: lunch"
        assert (paused.fleet.status.reason, serve(paused)) == ("Paused", set())
        ended = play(fleet_of(memberDeadline="30m"), six(), changes=changes)
        assert ended.fleet.status.phase is FleetPhase.SUCCEEDED
        assert all(
            "pause" not in str(each.canary.metadata.annotations) for each in ended.clusters.values() if each.canary
        )

    def test_who_ends_a_pause_is_told_and_opens_no_gate_by_that(self) -> None:
        """As of a Canary: an order to resume that ends a pause has not said that a wave may begin, too."""
        waves: list[dict[str, Any]] = [PAIR[0], {"name": "rest", "gates": [{"name": "the-team"}]}]
        end = START + 60 * MINUTE
        changes = [
            (START + 2 * MINUTE, AnnotateFleet(PAUSE_ANNOTATION, "by mia: lunch")),
            (end, AnnotateFleet(PAUSE_ANNOTATION, None)),
            (end, AnnotateFleet(ORDER_ANNOTATION, "resume revision=r2 by=joe at=noon lunch is over")),
        ]
        world = play(fleet_of(waves), six(), changes=changes)
        assert "Release r2: resume ordered by joe at noon: lunch is over" in events(world)
        assert (world.fleet.status.reason, world.fleet.status.resumed) == ("WaitingForGate", 0)
        opened = play(fleet_of(waves), six(), changes=[*changes, *order("resume by=mia", at=90 * MINUTE)])
        assert opened.fleet.status.phase is FleetPhase.SUCCEEDED

    def test_another_release_begins_anew(self) -> None:
        fleet = fleet_of(onFailure="hold")
        spec = fleet.spec.replace(release="r3")
        world = play(fleet, six(c001=Fate(fails=1)), changes=[(START + 60 * MINUTE, EditFleet(spec))])
        assert "Release r3 begins" in events(world)
        assert world.fleet.status.wave == 1
        assert world.fleet.status.message == "waits for c001"
