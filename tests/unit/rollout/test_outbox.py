"""What is to be told stands in the status from the write that makes it true until it was told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.rollout.decide import decide
from canary.rollout.facts import Facts
from canary.rollout.outbox import KEPT, MOST, alerts_of, events_of
from canary.rollout.simulation import Deploy, Reading, SafeWorld, Scenario, Timeline, Version, Window

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]

V2 = (60, Deploy("v2"))
BAD = Version(readings=(Reading(50.0),))


class DeafWorld(SafeWorld):
    """A world in which nothing is told: what stands in the outbox stays there."""

    def facts(self) -> Facts:
        return replace(super().facts(), told=0)


@pytest.mark.field(
    "status.outbox[].number",
    "status.outbox[].time",
    "status.outbox[].phase",
    "status.outbox[].events[].message",
    "status.outbox[].events[].type",
    "status.outbox[].alerts[].message",
    "status.outbox[].alerts[].severity",
    "status.outbox[].alerts[].details",
    "status.outbox[].ending",
)
def test_what_nobody_was_told_stays_in_the_order_in_which_it_happened(canary: Make, story: Story) -> None:
    world = DeafWorld(story(canary(), V2, versions={"v2": BAD}))
    outbox = world.run().status.to_json()["outbox"]

    assert [each["number"] for each in outbox] == list(range(1, len(outbox) + 1))
    assert [each["phase"] for each in outbox] == ["Initialized", "Progressing", "Progressing", "Progressing", "Failed"]
    begun, ended = outbox[1], outbox[-1]
    assert begun["time"] == "2026-01-01T00:01:00.000000Z"
    assert begun["events"] == [{"message": "New revision detected! Scaling up app.prod", "type": "Normal"}]
    message = "New revision detected, progressing canary analysis."
    assert begun["alerts"] == [{"message": message, "severity": "info", "details": True}]
    assert ended["events"][-1] == {"message": "Canary failed! Scaling down app.prod", "type": "Warning"}
    assert ended["ending"] == "failed"


@pytest.mark.field("status.told")
def test_what_was_told_goes_with_the_next_write(canary: Make, play: Play) -> None:
    line = play(canary(), V2, versions={"v2": BAD})

    assert line.status.outbox == ()
    assert line.status.told == 5


def test_what_people_were_called_for_goes_at_once(canary: Make, story: Story) -> None:
    """A controller that starts again would call them again."""
    world = SafeWorld(story(canary(), V2))
    world.run(timedelta(seconds=60))

    assert not world.canary.status.outbox


def test_what_was_only_an_event_waits_for_the_next_write(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(), V2))
    world.run(timedelta(seconds=70))
    (left,) = world.canary.status.outbox

    assert [each.message for each in events_of(left)][-1] == "Advance app.prod canary weight 10"
    assert alerts_of(left) == ()


def test_at_rest_it_goes_after_a_while(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(stepWeight=0)))
    world.run(timedelta(seconds=1))
    assert len(world.canary.status.outbox) == 1

    world.run(KEPT + timedelta(seconds=1))
    assert not world.canary.status.outbox


class UncalledWorld(SafeWorld):
    """Nobody wants alerts."""

    def facts(self) -> Facts:
        return replace(super().facts(), called=False)


def test_what_called_nobody_costs_no_write_of_its_own(canary: Make, story: Story) -> None:
    world = UncalledWorld(story(canary(), V2))
    world.run(timedelta(seconds=60))
    outbox = world.canary.status.outbox

    assert [bool(alerts_of(notice)) for notice in outbox] == [True]
    world.run(KEPT + timedelta(minutes=10))
    assert not world.canary.status.outbox


def test_numbers_go_on_where_the_status_was_lost(canary: Make, story: Story) -> None:
    """The controller remembers the last one that it has told: what is new must not pass for that."""
    world = SafeWorld(story(canary(stepWeight=0)))
    facts = replace(world.facts(), told=7)

    (notice,) = decide(world.canary, facts).status.outbox
    assert notice.number == 8


def test_it_never_grows_without_end(canary: Make, story: Story) -> None:
    world = DeafWorld(story(canary(threshold=MOST + 20), V2, versions={"v2": BAD}))
    outbox = world.run().status.outbox

    assert len(outbox) == MOST
    assert outbox[-1].ending == "failed"


def test_it_survives_the_controller(canary: Make, story: Story, play: Play) -> None:
    """Stored, and dead before anybody was told: the next one tells it."""
    calm = play(canary(), V2, versions={"v2": BAD})
    failed = next(entry.at for entry in calm.entries if entry.phase is Phase.FAILED)
    lost = (Window(failed, failed + timedelta(milliseconds=1)),)
    world = SafeWorld(story(canary(), V2, versions={"v2": BAD}, answers_lost=lost))
    world.run(failed)
    world.restart()
    line = world.run()

    assert [each.message for entry in line.entries for each in entry.alerts] == [
        each.message for entry in calm.entries for each in entry.alerts
    ]


def test_a_status_of_before_there_was_an_outbox_is_as_good() -> None:
    status = CanaryStatus.model_validate({"phase": "Succeeded", "canaryWeight": 0})
    assert (status.outbox, status.told) == ((), None)
