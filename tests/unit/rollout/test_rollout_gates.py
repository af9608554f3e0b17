"""People hold a rollout by gates."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.meta import ConditionStatus
from canary.api.status import Phase
from canary.rollout.facts import HookQuestion
from canary.rollout.simulation import Deploy, Reading, Reply, SafeWorld, Scenario, Timeline, Version
from tests.unit.rollout.counting_world import CountingWorld

V2 = (60, Deploy("v2"))
MINUTE = timedelta(minutes=1)
MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


def closed(end: float | None = None, name: str = "") -> tuple[Reply, ...]:
    until = None if end is None else timedelta(seconds=end)
    return (Reply(approved=False, name=name, end=until, message="not yet"),)


GATES = [
    ("confirm-rollout", Phase.WAITING, (0,), "Halt app.prod advancement waiting for approval hook"),
    (
        "confirm-traffic-increase",
        Phase.PROGRESSING,
        (0,),
        "Halt app.prod advancement waiting for traffic increase approval hook",
    ),
    (
        "confirm-promotion",
        Phase.WAITING_PROMOTION,
        (0, 25, 50),
        "Halt app.prod advancement waiting for promotion approval hook",
    ),
]
ALERTS = {
    "confirm-rollout": "Canary is waiting for approval.",
    "confirm-traffic-increase": "Canary traffic increase is waiting for approval.",
    "confirm-promotion": "Canary promotion is waiting for approval.",
}


@pytest.mark.parametrize(("kind", "phase", "weights", "told"), GATES)
class TestGate:
    """What all gates have in common."""

    def test_it_holds_without_a_deadline_while_it_is_closed(
        self, canary: Make, play: Play, hook: Hook, kind: str, phase: Phase, weights: tuple[int, ...], told: str
    ) -> None:
        line = play(canary(stepWeight=25, webhooks=[hook(kind)]), V2, replies=closed(), limit=timedelta(hours=2))

        assert line.lasted == timedelta(hours=2)
        assert line.status.phase is phase
        assert line.weights == weights
        assert (line.status.reason, line.status.message) == ("WaitingForApproval", "hook: not yet")

    def test_it_is_told_once_and_people_are_called_once(
        self, canary: Make, play: Play, hook: Hook, kind: str, phase: Phase, weights: tuple[int, ...], told: str
    ) -> None:
        line = play(canary(stepWeight=25, webhooks=[hook(kind)]), V2, replies=closed(), limit=timedelta(hours=1))

        assert line.events.count(told) == 1
        assert line.alerts.count(ALERTS[kind]) == 1

    def test_a_muted_one_calls_nobody(
        self, canary: Make, play: Play, hook: Hook, kind: str, phase: Phase, weights: tuple[int, ...], told: str
    ) -> None:
        muted = hook(kind, muteAlert=True)
        line = play(canary(stepWeight=25, webhooks=[muted]), V2, replies=closed(), limit=timedelta(hours=1))

        assert ALERTS[kind] not in line.alerts

    def test_it_is_asked_again_every_interval(
        self, canary: Make, story: Story, hook: Hook, kind: str, phase: Phase, weights: tuple[int, ...], told: str
    ) -> None:
        asked: list[timedelta] = []

        class Counting(SafeWorld):
            def answer(self, question: Any) -> Any:
                if isinstance(question, HookQuestion):
                    asked.append(self.now - self.scenario.start)
                return super().answer(question)

        world = Counting(story(canary(stepWeight=25, metrics=[], webhooks=[hook(kind)]), V2, replies=closed(end=1000)))
        world.run(timedelta(seconds=900))
        gaps = [after - before for before, after in itertools.pairwise(asked)]

        assert len(gaps) > 8
        assert all(MINUTE <= gap <= MINUTE + timedelta(seconds=1) for gap in gaps)

    def test_the_rollout_goes_on_in_the_same_moment_in_which_it_opens(
        self, canary: Make, play: Play, hook: Hook, kind: str, phase: Phase, weights: tuple[int, ...], told: str
    ) -> None:
        line = play(canary(stepWeight=25, webhooks=[hook(kind)]), V2, replies=closed(end=600))

        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 25, 50, 0)
        passed = next(each.at for each in line.entries if any("passed" in event.message for event in each.events))
        assert timedelta(seconds=600) <= passed < timedelta(seconds=661)

    def test_nothing_is_told_twice_for_having_waited(
        self, canary: Make, play: Play, hook: Hook, kind: str, phase: Phase, weights: tuple[int, ...], told: str
    ) -> None:
        line = play(canary(stepWeight=25, webhooks=[hook(kind)]), V2, replies=closed(end=600))

        assert line.events.count("Starting canary analysis for app.prod") == 1
        assert line.events.count("New revision detected! Scaling up app.prod") == 1


def test_a_rollout_that_waits_has_no_pods(canary: Make, story: Story, hook: Hook) -> None:
    """Nothing starts before it may."""
    world = SafeWorld(story(canary(webhooks=[hook("confirm-rollout")]), V2, replies=closed()))
    world.run(timedelta(hours=1))

    assert world.cluster.target is not None
    assert world.cluster.target.desired == 0
    promoted = world.canary.status.condition("Promoted")
    assert promoted is not None
    assert (promoted.status, promoted.reason, promoted.message) == (
        ConditionStatus.UNKNOWN,
        "Waiting",
        "Waiting for approval.",
    )


class Counted(CountingWorld, SafeWorld):
    """Held against the rules of safety, too."""


AT_THE_START = {"name": "hook", "type": "confirm-rollout"}
FLUX = {"flux": {"kind": "HelmRelease", "name": "app"}}


@pytest.mark.parametrize("gate", [{"url": "http://hook"}, {"gate": FLUX}], ids=["a webhook", "what others do"])
def test_a_gate_that_is_closed_for_a_day_is_asked_each_interval_and_nothing_is_written_for_it(
    canary: Make, story: Story, gate: dict[str, Any]
) -> None:
    made = canary(webhooks=[AT_THE_START | gate])
    world = Counted(story(made, V2, replies=closed(), limit=timedelta(days=1)))
    world.run(timedelta(hours=1))
    before = world.stored
    world.run(timedelta(hours=24))
    assert (world.stored, world.canary.status.phase) == (before, Phase.WAITING)
    assert 24 * 60 - 3 <= world.asked <= 24 * 60


def test_what_a_closed_gate_says_is_stored_when_it_says_something_else(canary: Make, play: Play, hook: Hook) -> None:
    later = Reply(approved=False, start=timedelta(minutes=30), message="tests are red")
    line = play(
        canary(webhooks=[hook("confirm-rollout")]), V2, replies=(*closed(1800), later), limit=timedelta(hours=1)
    )
    assert line.status.message == "hook: tests are red"


def test_another_controller_asks_a_gate_that_is_closed_at_once(canary: Make, story: Story, hook: Hook) -> None:
    """What it does not know it finds out."""
    world = CountingWorld(
        story(canary(webhooks=[hook("confirm-rollout")]), V2, replies=closed(), limit=timedelta(days=1))
    )
    world.run(timedelta(minutes=30))
    before = world.asked
    world.restart()
    world.settle()
    world.advance(world.now + timedelta(seconds=1))
    world.settle()
    assert world.asked == before + 1


def test_a_gate_may_open_and_close_between_steps(canary: Make, play: Play, hook: Hook) -> None:
    replies = (
        Reply(approved=False),
        Reply(approved=True, start=timedelta(seconds=100), end=timedelta(seconds=200)),
        Reply(approved=True, start=timedelta(seconds=400)),
    )
    line = play(canary(stepWeight=25, webhooks=[hook("confirm-traffic-increase")]), V2, replies=replies)

    assert line.weights == (0, 25, 50, 0)
    steps = {weight: at for at, weight in line.weight_changes}
    assert timedelta(seconds=100) <= steps[25] < timedelta(seconds=200)


class TestBeforePromotion:
    """From the last weight to everybody is the largest increase of all."""

    def test_traffic_grows_to_everybody_only_if_the_gate_of_traffic_is_open(
        self, canary: Make, play: Play, hook: Hook
    ) -> None:
        closed_late = (Reply(approved=False, start=timedelta(seconds=150), end=timedelta(hours=2), message="not yet"),)
        made = canary(stepWeight=25, webhooks=[hook("confirm-traffic-increase")])
        waiting = play(made, V2, replies=closed_late, limit=timedelta(hours=1))
        line = play(made, V2, replies=closed_late)

        assert waiting.weights == (0, 25, 50)
        assert (waiting.status.phase, waiting.status.reason) == (Phase.PROGRESSING, "WaitingForApproval")
        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 25, 50, 0)
        assert timedelta(hours=2) < line.lasted < timedelta(hours=2, minutes=2)

    def test_who_confirms_promotions_is_asked_once_traffic_may_grow_and_then_alone(
        self, canary: Make, story: Story, hook: Hook
    ) -> None:
        asked: list[tuple[timedelta, str]] = []

        class Noting(SafeWorld):
            def answer(self, question: Any) -> Any:
                if isinstance(question, HookQuestion):
                    asked.append((self.now - self.scenario.start, self.canary.analysis.webhooks[question.index].name))
                return super().answer(question)

        hooks = [hook("confirm-promotion", "boss"), hook("confirm-traffic-increase", "more")]
        replies = (
            Reply(approved=False, name="more", start=timedelta(seconds=100), end=timedelta(seconds=400)),
            Reply(approved=False, name="more", start=timedelta(seconds=470)),
            Reply(approved=False, name="boss", end=timedelta(seconds=700)),
        )
        line = Noting(story(canary(stepWeight=50, webhooks=hooks), V2, replies=replies)).run()
        first = min(at for at, name in asked if name == "boss")

        assert line.status.phase is Phase.SUCCEEDED
        assert timedelta(seconds=400) < first < timedelta(seconds=460)
        assert not [at for at, name in asked if name == "more" and at > first]

    @pytest.mark.parametrize("analysis", [{"iterations": 2}, {"iterations": 2, "match": MATCH}])
    def test_without_weights_no_traffic_grows(
        self, canary: Make, play: Play, hook: Hook, analysis: dict[str, Any]
    ) -> None:
        line = play(canary(**analysis, webhooks=[hook("confirm-traffic-increase")]), V2, replies=closed())

        assert line.status.phase is Phase.SUCCEEDED


def test_all_gates_of_a_kind_must_open(canary: Make, play: Play, hook: Hook) -> None:
    gates = [hook("confirm-promotion", "qa"), hook("confirm-promotion", "boss")]
    line = play(canary(stepWeight=50, webhooks=gates), V2, replies=closed(end=900, name="boss"))

    assert line.status.phase is Phase.SUCCEEDED
    assert line.status.last_promoted_spec == "v2"
    assert "Halt app.prod advancement waiting for promotion approval boss" in line.events
    assert line.lasted > timedelta(seconds=900)


@pytest.mark.parametrize("kind", ["confirm-rollout", "confirm-promotion"])
def test_the_first_of_the_spec_that_is_closed_is_waited_for_and_told(
    canary: Make, play: Play, hook: Hook, kind: str
) -> None:
    """Whoever opens the next one is called when it is that one which is waited for."""
    replies = closed(end=900, name="qa") + closed(end=1800, name="boss")
    line = play(canary(stepWeight=50, webhooks=[hook(kind, "qa"), hook(kind, "boss")]), V2, replies=replies)

    halts = [event for event in line.events if event.startswith("Halt")]
    assert [event.rpartition(" ")[2] for event in halts] == ["qa", "boss"]
    assert line.alerts.count(ALERTS[kind]) == 2
    assert line.status.phase is Phase.SUCCEEDED


def test_checks_go_on_while_promotion_waits(canary: Make, play: Play, hook: Hook) -> None:
    """A version that goes bad while people make up their minds is taken back."""
    versions = {"v2": Version(readings=(Reading(90.0, after=timedelta(minutes=10)),))}
    line = play(canary(stepWeight=50, webhooks=[hook("confirm-promotion")]), V2, versions=versions, replies=closed())

    assert Phase.WAITING_PROMOTION in line.phases
    assert line.status.phase is Phase.FAILED
    assert line.weights == (0, 50, 0)


def test_an_outage_of_metrics_holds_while_promotion_waits(canary: Make, play: Play, hook: Hook) -> None:
    """The gate's opening in an outage promotes nothing: the last look must be good."""
    versions = {"v2": Version(readings=(Reading(99.5), Reading(None, after=timedelta(minutes=5))))}
    line = play(
        canary(stepWeight=50, webhooks=[hook("confirm-promotion")]), V2, versions=versions, replies=closed(end=500)
    )

    assert line.status.phase is Phase.FAILED
    assert line.status.reason == "ProgressDeadlineExceeded"
