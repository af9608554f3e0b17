"""What a hub writes into members, stores and tells, and what not."""

from typing import Any

import pytest

from canary.api import strict
from canary.api.canary import parse_canary
from canary.api.fleet_rules import canary_in
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState, MemberStatus
from canary.api.problems import Problem
from canary.api.status import Outcome, PastRollout, Phase, RolloutStatus
from canary.fleet.decide import decide
from canary.fleet.decision import Apply
from canary.fleet.facts import Facts, Reachable
from canary.fleet.shifts import is_awaited
from canary.fleet.simulation import EditFleet, Fate, Sketch
from canary.fleet.standing import returned, stands
from canary.fleet.waves import named
from canary.fleet.writes import wanted_canary
from tests.unit.fleet.fleets import MINUTE, START, fleet_of, names, play, sketch

BAD = Fate(fails=9)
PAIR: list[dict[str, Any]] = [{"name": "one", "count": 1}, {"name": "rest"}]


def six(**fates: Fate) -> list[Sketch]:
    """Six members, each with its fate by name."""
    return [sketch(name, fates.get(name, Fate())) for name in names(6)]


class TestWrites:
    """What is written, and what is not."""

    @pytest.mark.field(
        "CanaryFleet.spec.template.metadata.name",
        "CanaryFleet.spec.template.metadata.namespace",
        "CanaryFleet.spec.template.metadata.labels",
        "CanaryFleet.spec.template.metadata.annotations",
        "CanaryFleet.spec.template.spec",
    )
    def test_the_canary_of_the_template_with_the_gate_of_the_fleet(self) -> None:
        metadata = {"name": "web", "namespace": "shop", "labels": {"a": "b"}, "annotations": {"c": "d"}}
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        fleet = fleet_of(template={"metadata": metadata, "spec": {"targetRef": target, "skipAnalysis": True}})
        canary = wanted_canary(fleet)
        assert (canary["metadata"]["name"], canary["metadata"]["namespace"]) == ("web", "shop")
        assert canary["metadata"]["labels"] == {"a": "b"}
        assert canary["metadata"]["annotations"] | {"c": "d"} == canary["metadata"]["annotations"]
        gate = {"name": "fleet", "type": "confirm-rollout", "gate": {"approval": {}}}
        assert canary["spec"]["analysis"]["webhooks"] == [gate]
        assert list(strict.problems(canary)) == []

    @pytest.mark.field("CanaryFleet.spec.mode")
    def test_nothing_where_it_only_watches(self) -> None:
        clusters = six()
        world = play(fleet_of(mode="watch"), clusters)
        assert all("fleet" not in str(each.canary.metadata.annotations) for each in clusters if each.canary)
        assert world.fleet.status.message.startswith("waits for c001")

    def test_one_that_watches_judges_what_members_do_by_themselves(self) -> None:
        clusters = six()
        for each in clusters:
            each.gated = False
        world = play(fleet_of(mode="watch"), clusters)
        assert (world.fleet.status.phase, world.fleet.status.progress) == (FleetPhase.SUCCEEDED, "6/6")

    @pytest.mark.field("CanaryFleet.spec.images", "CanaryFleet.status.members[].revision")
    @pytest.mark.parametrize(("image", "phase"), [("shop:2", "Succeeded"), ("shop:3", "Progressing")])
    def test_only_a_revision_with_the_images_of_the_release_may_begin(self, image: str, phase: str) -> None:
        clusters = [sketch(name, images={"app": "shop:2"}) for name in names(2)]
        world = play(fleet_of(PAIR, images={"app": image}), clusters)
        assert world.fleet.status.phase == phase
        assert world.fleet.status.members[0].revision == "v2"

    @pytest.mark.field("CanaryFleet.spec.release", "CanaryFleet.status.release")
    def test_a_vote_says_for_which_release(self) -> None:
        world = play(fleet_of(release="2026.1"), six())
        canary = world.clusters["c001"].canary
        assert canary is not None
        assert "release 2026.1, wave 1" in str(canary.metadata.annotations)
        assert world.fleet.status.release == "2026.1"

    def test_a_template_that_changes_goes_with_the_waves(self) -> None:
        fleet = fleet_of(PAIR)
        changed = {**fleet.spec.template.spec, "progressDeadlineSeconds": 42}
        spec = fleet.spec.replace(release="r3", template=fleet.spec.template.replace(spec=changed))
        clusters = [sketch("c001"), sketch("c002")]
        play(fleet, clusters, changes=[(START + 60 * MINUTE, EditFleet(spec))])
        changed_in = [each.canary.spec.progress_deadline_seconds == 42 for each in clusters if each.canary]
        assert changed_in == [True, False]

    def test_a_fleet_that_is_deleted_leaves_its_canaries(self) -> None:
        fleet = fleet_of()
        gone = fleet.replace(metadata=fleet.metadata.replace(deletion_timestamp=START))
        assert decide(gone, Facts(START, tuple(each.seen(START) for each in six()))).writes == ()

    def test_a_canary_is_made_once_it_is_noted_that_there_was_none(self) -> None:
        """A hub that dies after the first write still knows that the Canary is new."""
        fleet, facts = fleet_of(), Facts(START, (sketch("c001", has_canary=False).seen(START),))
        first = decide(fleet, facts)
        second = decide(fleet.replace(status=first.status), facts)
        assert (first.writes, [type(each) for each in second.writes]) == ((), [Apply])

    def test_a_person_s_pause_of_one_member_is_left_to_them(self) -> None:
        cluster = sketch("c001")
        cluster.annotate({"flagger.app/pause": "by joe"}, START)
        world = play(fleet_of(), [cluster])
        assert cluster.canary is not None
        assert cluster.canary.metadata.annotations["flagger.app/pause"] == "by joe"
        assert world.fleet.status.message == "waits for c001"


class TestStatus:
    """What is stored, and told."""

    @pytest.mark.field(
        "CanaryFleet.status.phase",
        "CanaryFleet.status.reason",
        "CanaryFleet.status.message",
        "CanaryFleet.status.progress",
        "CanaryFleet.status.started",
        "CanaryFleet.status.ended",
        "CanaryFleet.status.wave",
        "CanaryFleet.status.observedGeneration",
    )
    def test_it_says_where_a_release_stands(self) -> None:
        status = play(fleet_of(), six()).fleet.status
        assert (status.phase, status.reason, status.message) == (FleetPhase.SUCCEEDED, "Passed", "released")
        assert (status.progress, status.wave, status.observed_generation) == ("6/6", 3, 1)
        assert (status.started, status.ended) == (START, START + 15 * MINUTE)

    @pytest.mark.field(
        "CanaryFleet.status.conditions[].type",
        "CanaryFleet.status.conditions[].status",
        "CanaryFleet.status.conditions[].reason",
        "CanaryFleet.status.conditions[].message",
        "CanaryFleet.status.conditions[].lastUpdateTime",
        "CanaryFleet.status.conditions[].lastTransitionTime",
    )
    @pytest.mark.parametrize(("fate", "held"), [(Fate(), "True"), (BAD, "False"), (Fate(comes_after=None), "Unknown")])
    def test_the_condition_ready_says_how_it_ended(self, fate: Fate, held: str) -> None:
        (ready,) = play(fleet_of(), [sketch("c001", fate)]).fleet.status.conditions
        assert (ready.type, ready.status) == ("Ready", held)
        assert ready.reason
        assert ready.message
        assert ready.last_transition_time is not None
        assert ready.last_update_time is not None

    @pytest.mark.field(
        "CanaryFleet.status.outbox[].number",
        "CanaryFleet.status.outbox[].time",
        "CanaryFleet.status.outbox[].events[].message",
        "CanaryFleet.status.outbox[].events[].type",
        "CanaryFleet.status.outbox[].events[].evidence",
        "CanaryFleet.status.told",
    )
    def test_what_is_to_be_told_stands_there_until_it_was_told(self) -> None:
        fleet, facts = fleet_of(), Facts(START, (sketch("c001").seen(START),))
        first = decide(fleet, facts).status
        (notice,) = first.outbox
        assert (notice.number, notice.time, notice.events[0].type) == (1, START, "Normal")
        assert (notice.events[0].message, notice.events[0].evidence) == ("Release r2 begins", None)
        untold = decide(fleet.replace(status=first), Facts(START + MINUTE, facts.members)).status
        assert untold.outbox[0] == notice
        told = decide(fleet.replace(status=first), Facts(START + MINUTE, facts.members, told=1)).status
        assert (told.outbox, told.told) == ((), 1)

    def test_it_survives_being_stored(self) -> None:
        status = play(fleet_of(), six(c004=BAD)).fleet.status
        assert FleetStatus.model_validate(status.to_json()) == status

    def test_a_fleet_without_members_says_so(self) -> None:
        assert play(fleet_of(), []).fleet.status.message == "no cluster is a member"

    def test_names_are_bounded(self) -> None:
        assert named(names(5)) == "c001, c002, c003 and 2 more"


def test_a_spec_that_can_t_work_writes_nothing_and_says_why() -> None:
    world = play(fleet_of([]), six())
    assert (world.fleet.status.reason, world.entries) == ("Invalid", [])
    assert world.fleet.status.message.startswith("spec.waves: is empty")


def test_a_wave_s_vote_is_written_once() -> None:
    """No write where nothing changes."""
    clusters = six()
    world = play(fleet_of(), clusters)
    assert decide(world.fleet, world.facts()).writes == ()
    assert all(each.canary is not None and each.canary.status.phase is Phase.SUCCEEDED for each in clusters)


def test_what_is_wrong_with_the_spec_of_a_release_that_has_ended_leaves_how_it_did() -> None:
    """An order to abort asks whether it is held; the condition says what is wrong."""
    world = play(fleet_of(), six())
    before = world.fleet.status
    decision = decide(world.fleet, Facts(world.now, problems=(Problem("spec.members", "can't be known", "mend it"),)))
    assert (decision.status.phase, decision.status.reason) == (before.phase, before.reason)
    assert decision.status.conditions[0].reason == "Invalid"
    assert decision.status.conditions[0].message == "spec.members: can't be known; mend it"

    (again,) = decide(world.fleet.replace(status=decision.status), world.facts()).status.conditions
    assert again.reason == before.reason


def test_a_rollout_that_was_under_way_when_it_was_first_seen_and_fails_since_has_failed() -> None:
    """A fleet that watches sees most of them so: it gives no rollout its turn."""
    canary = parse_canary(canary_in(fleet_of()))
    past = PastRollout(revision="v2", started=START - MINUTE, ended=START + MINUTE, outcome=Outcome.ROLLED_BACK)
    member = MemberStatus(name="a", wave=1, state=MemberState.OPEN, opened=START, before="v1", applied="v2")
    failed = canary.status.replace(phase=Phase.FAILED, last_promoted_spec="v1", last_applied_spec="v2")
    found = (failed.replace(history=history) for history in ((past.replace(ended=START - MINUTE),), (past,)))
    stand = [stands(member, Reachable(canary.replace(status=each)), fleet_of().spec, START) for each in found]
    assert [each.state for each in stand] == [MemberState.OPEN, MemberState.FAILED]


def test_no_member_is_voted_for_before_what_it_had_done_is_noted_down() -> None:
    """A hub that died in between could not tell any more whether what fails was tried by then."""
    fleet, canary = fleet_of(), parse_canary(canary_in(fleet_of()))
    waiting = canary.status.replace(
        phase=Phase.WAITING, last_promoted_spec="v1", rollout=RolloutStatus(revision="v2", started=START)
    )
    status = fleet.status.replace(phase=FleetPhase.PROGRESSING)
    member = MemberStatus(name="a", wave=1, state=MemberState.OPEN, opened=START)
    assert not is_awaited(fleet, status, member, waiting)
    assert is_awaited(fleet, status, member.replace(before="v1", applied="v1"), waiting)


class TestRefused:
    """What a member does not let a hub write stands in its message, whatever it waits for."""

    @pytest.mark.parametrize("state", [MemberState.PENDING, MemberState.JOINED])
    def test_of_one_that_waits_for_its_turn_until_it_is_done(self, state: MemberState) -> None:
        member = MemberStatus(name="a", wave=1, state=state)
        refused = stands(member, Reachable(refused="forbidden"), fleet_of().spec, START)
        assert refused.message == "its Canary can't be written: forbidden"
        assert stands(refused, Reachable(), fleet_of().spec, START).message == ""

    def test_of_one_that_may_begin(self) -> None:
        member = MemberStatus(name="a", wave=1, state=MemberState.OPEN, opened=START)
        assert stands(member, Reachable(refused="no answer"), fleet_of().spec, START).message.endswith(": no answer")

    def test_of_one_that_is_to_be_brought_back(self) -> None:
        canary = parse_canary(canary_in(fleet_of()))
        status = canary.status.replace(phase=Phase.PROGRESSING, last_promoted_spec="v2")
        member = MemberStatus(name="a", wave=1, state=MemberState.ROLLING_BACK, before="v1")
        seen = Reachable(canary.replace(status=status), "no answer")
        assert returned(member, seen, "").message == "its Canary can't be written: no answer"
