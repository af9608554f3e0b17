"""Where people, orders, failures and groups meet."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import ApprovalState, Phase
from canary.rollout.simulation import (
    Annotate,
    Change,
    Deploy,
    Edit,
    Forget,
    Kill,
    Reading,
    Remove,
    Reply,
    Scale,
    Scenario,
    Side,
    Version,
)
from canary.rollout.votes import Vote
from canary.rollout.voting import waiting
from tests.unit.rollout.fleet import Fleet, story_of
from tests.unit.rollout.test_approvals import NOBODY, Ballot, all_of, gated, says, told
from tests.unit.rollout.test_freezes import scheduling, window
from tests.unit.rollout.test_groups import grouped, phases

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
V2 = (60, Deploy("v2"))
BAD = {"v2": Version(readings=(Reading(1.0),))}
HOUR = timedelta(hours=1)


def asked(name: str, kind: str) -> Scenario:
    """A member of the group that waits for people."""
    one = story_of(grouped(name, webhooks=[{"name": "qa", "type": kind, "gate": {"approval": {}}}]))
    return Scenario(canary=one.canary, versions=one.versions, changes=one.changes, replies=NOBODY)


def vote(fleet: Fleet, name: str, *, yes: bool) -> None:
    world = fleet.worlds[f"shop/{name}"]
    (entry,) = [each for each in world.canary.status.approvals if each.state is ApprovalState.WAITING]
    said = Vote("alice", yes, entry.gate, entry.moment)
    world.now = fleet.now
    world.change(Annotate(said.key, said.text()))


def test_a_version_of_a_group_that_people_refuse_takes_the_others_back() -> None:
    fleet = Fleet([asked("asked", "confirm-promotion"), story_of(grouped("free"))])
    fleet.run(timedelta(minutes=10))
    vote(fleet, "asked", yes=False)
    fleet.run(HOUR)
    assert phases(fleet) == {"asked": Phase.FAILED, "free": Phase.FAILED}
    words = "its group is taken back, failed: shop/asked"
    assert fleet.worlds["shop/free"].canary.status.message.startswith(words)


def test_one_that_people_refuse_before_it_begins_keeps_the_others_no_longer_and_takes_none_back() -> None:
    fleet = Fleet([asked("asked", "confirm-rollout"), story_of(grouped("free"))])
    fleet.run(timedelta(minutes=5))
    vote(fleet, "asked", yes=False)
    fleet.run(HOUR)
    assert phases(fleet) == {"asked": Phase.FAILED, "free": Phase.SUCCEEDED}


@pytest.mark.parametrize("how", ["refused", "aborted"])
def test_another_try_that_is_not_begun_as_people_say_so_is_not_asked_for_again(
    canary: Make, story: Story, how: str
) -> None:
    """`flagger.app/retry` stands there still: it has been answered."""
    retry, abort = Annotate("flagger.app/retry", "once"), Annotate("flagger.app/order", "abort")
    changes = (V2, (1000, retry), *([(1400, abort)] if how == "aborted" else []))
    made = canary(**gated("confirm-rollout"))
    answers = iter([True, False])
    closed = (Reply(approved=False),)
    world = Ballot(
        story(made, *changes, replies=closed, versions=BAD, limit=HOUR),
        lambda entry: [says("alice", True)(entry)] if next(answers, None) else [],
    )
    world.run(timedelta(seconds=1200))
    (entry,) = world.canary.status.approvals
    if how == "refused":
        no = says("alice", False)(entry)
        world.change(Annotate(no.key, no.text()))
    line = world.run()
    assert (line.status.phase, line.status.reason) == (Phase.FAILED, "Rejected" if how == "refused" else "Aborted")
    assert sum("is not rolled out" in each for each in told(line)) == 1


def test_a_no_takes_back_a_version_that_has_failed_and_is_held(canary: Make, story: Story) -> None:
    bad = Version(readings=(Reading(1.0, weight=50, after=timedelta(minutes=4)),))
    made = canary(**gated("confirm-promotion"), onFailure="hold")
    world = Ballot(story(made, V2, replies=NOBODY, versions={"v2": bad}, limit=HOUR), all_of())
    world.run(timedelta(minutes=20))
    assert (world.canary.status.reason, world.canary.status.canary_weight) == ("Held", 50)
    (entry,) = world.canary.status.approvals
    no = says("bob", False)(entry)
    world.change(Annotate(no.key, no.text()))
    line = world.run()
    assert (line.status.phase, line.status.reason) == (Phase.FAILED, "Rejected")


@pytest.mark.parametrize("how", ["refused", "aborted"])
@pytest.mark.parametrize("fields", [{"stepWeightRollback": 10}, {}])
@pytest.mark.parametrize("scaled", [True, False])
def test_what_people_take_back_is_not_held_half_way(
    canary: Make, story: Story, how: str, fields: dict[str, Any], scaled: bool
) -> None:
    """`onFailure: hold` is for what fails by itself; requests go back in steps where spec or pods want that."""
    made = canary(**gated("confirm-promotion"), onFailure="hold", **fields)
    world = Ballot(story(made, V2, replies=NOBODY, limit=HOUR, replicas=4), all_of())
    world.run(timedelta(minutes=20))
    if scaled:
        world.change(Scale(Side.PRIMARY, 1))
    (entry,) = world.canary.status.approvals
    no = says("bob", False)(entry)
    world.change(Annotate(no.key, no.text()) if how == "refused" else Annotate("flagger.app/order", "abort"))
    line = world.run()
    expected = (Phase.FAILED, "Rejected" if how == "refused" else "RolledBack", 0)
    assert (line.status.phase, line.status.reason, line.status.canary_weight) == expected


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_a_primary_that_is_lost_while_a_version_waits_is_made_again(
    canary: Make, story: Story, gate: bool, kept: bool
) -> None:
    """A freeze may last for days, and people be asked for weeks: nobody would serve meanwhile."""
    frozen = scheduling(window(30, 36_000))
    made = canary(**gated("confirm-rollout")) if gate else canary(spec=frozen)
    lost: list[tuple[float, Change]] = [*([] if kept else [(299.0, Forget())]), (300, Remove(Side.PRIMARY))]
    world = Ballot(story(made, V2, *lost, replies=NOBODY, limit=HOUR), all_of())
    world.run(timedelta(seconds=400))
    assert world.cluster.primary is not None
    assert world.cluster.primary.serving(world.now)


@pytest.mark.parametrize("how", ["refused", "aborted"])
def test_the_override_of_a_version_that_is_not_begun_counts_for_no_other_one(
    canary: Make, story: Story, how: str
) -> None:
    made = canary(**gated("confirm-rollout"), spec=scheduling(window(3000, 9000)))
    override, later = Annotate("flagger.app/override", "by=alice a fix"), (4000, Deploy("v3"))
    world = Ballot(story(made, V2, (300, override), later, replies=NOBODY, limit=HOUR), all_of())
    world.run(timedelta(seconds=600))
    (entry,) = world.canary.status.approvals
    no = says("bob", False)(entry)
    world.change(Annotate(no.key, no.text()) if how == "refused" else Annotate("flagger.app/order", "abort"))
    assert world.run(timedelta(seconds=5000)).status.reason == "Frozen"


@pytest.mark.parametrize("what", ["pods", "spec"])
def test_nobody_is_asked_any_more_at_a_step_that_was_left_nor_by_a_gate_that_is_gone(
    canary: Make, story: Story, what: str
) -> None:
    """Whoever votes on it would be told that it counts."""
    made = canary(**gated("confirm-promotion"), threshold=5)
    world = Ballot(story(made, V2, replies=NOBODY, limit=HOUR), all_of())
    world.run(timedelta(seconds=900))
    (before,) = waiting(world.canary)
    other = canary(stepWeight=50, webhooks=[{"name": "ops", "type": "confirm-promotion", "gate": {"approval": {}}}])
    world.change(Kill(Side.CANARY, timedelta(seconds=30)) if what == "pods" else Edit(other.spec))
    world.run(timedelta(seconds=915))
    assert before not in waiting(world.canary)
    world.run(timedelta(seconds=1800))
    assert [each.gate for each in waiting(world.canary)] == ["qa" if what == "pods" else "ops"]


def test_until_when_people_are_asked_is_as_the_spec_says_by_now(canary: Make, story: Story) -> None:
    world = Ballot(story(canary(**gated("confirm-promotion", timeout="10h")), V2, replies=NOBODY), all_of())
    world.run(timedelta(seconds=900))
    world.change(Edit(canary(**gated("confirm-promotion", timeout="20h")).spec))
    status = world.run(HOUR).status
    assert status.message == "qa: has 0 of 1 approvals; rejected at 2026-01-01T20:02:06Z without"
    world.change(Edit(canary(**gated("confirm-promotion", timeout="90m")).spec))
    assert world.run(2 * HOUR).status.reason == "Rejected"


def test_that_a_gate_is_open_is_told_once_while_the_group_is_waited_for() -> None:
    """Told at each pass, it would be stored at each, which leads to the next one at once."""
    gates = [
        {"name": "qa", "type": "confirm-rollout", "gate": {"approval": {}}},
        {"name": "ci", "type": "confirm-rollout", "url": "http://hooks.test/"},
    ]
    fleet = Fleet([story_of(grouped("open", webhooks=gates)), asked("asked", "confirm-rollout")])
    fleet.run(timedelta(minutes=30))
    world = fleet.worlds["shop/open"]
    assert phases(fleet) == {"open": Phase.SUCCEEDED, "asked": Phase.WAITING}
    events = [each.message for entry in world.entries for each in entry.events]
    assert [events.count(f"Confirm-rollout check {each} passed") for each in ("qa", "ci")] == [1, 1]
