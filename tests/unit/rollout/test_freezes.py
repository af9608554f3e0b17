"""A freeze keeps rollouts from beginning, or from going on; never from being taken back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.freezes import FreezeWindow
from canary.api.status import Outcome, Phase
from canary.api.traffic import ALL_PRIMARY
from canary.rollout.facts import Facts
from canary.rollout.simulation import (
    Annotate,
    Deploy,
    PodWorld,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    Timeline,
    Version,
    Window,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
V2 = (60, Deploy("v2"))
BAD = Version(readings=(Reading(1.0),))
OVERRIDE = "flagger.app/override"
SIGNED = "by alice at 2026-01-01T00:00:00Z: fixes a CVE"

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


def window(start: float, end: float, **fields: Any) -> dict[str, Any]:
    """A freeze window between two seconds of a story."""
    begin = (START + timedelta(seconds=start)).strftime("%Y-%m-%dT%H:%M:%S")
    return {"name": "holidays", "start": begin, "duration": f"{end - start}s", **fields}


def scheduling(*windows: dict[str, Any]) -> dict[str, Any]:
    return {"scheduling": {"freezeWindows": list(windows)}}


def told(line: Timeline, words: str) -> int:
    return sum(words in event for event in line.events)


class TestStarts:
    """What keeps rollouts from beginning."""

    @pytest.mark.field(
        "spec.scheduling.freezeWindows[].name",
        "spec.scheduling.freezeWindows[].start",
        "spec.scheduling.freezeWindows[].duration",
    )
    def test_a_new_revision_waits_until_the_window_ends_and_is_told_once(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(spec=scheduling(window(30, 7200))), V2))
        world.run(timedelta(seconds=600))
        status = world.canary.status
        assert (status.phase, status.reason) == (Phase.WAITING, "Frozen")
        assert status.message == "frozen by holidays until 2026-01-01T02:00:00Z"
        passes = world.passes
        world.run(timedelta(seconds=7100))
        assert world.passes == passes + 1, "it is looked at while nothing happens, but for the one of this run"
        line = world.run()
        assert line.status.phase is Phase.SUCCEEDED
        assert line.when(Phase.PROGRESSING) == timedelta(hours=2)
        assert told(line, "Waiting with app.prod: frozen by holidays until") == 1

    def test_it_is_everybodys_freeze_that_the_controller_is_given(self, canary: Make, story: Story) -> None:
        freeze = FreezeWindow.model_validate(window(0, 3600))

        class Frozen(SafeWorld):
            def facts(self) -> Facts:
                return replace(super().facts(), freezes=(freeze,))

        line = Frozen(story(canary(), V2)).run()
        assert (line.when(Phase.PROGRESSING), line.status.phase) == (timedelta(hours=1), Phase.SUCCEEDED)

    def test_initialization_and_what_is_under_way_go_on(self, canary: Make, story: Story) -> None:
        line = SafeWorld(story(canary(spec=scheduling(window(0, 30), window(90, 1e6, name="long"))), V2)).run()
        assert line.when(Phase.INITIALIZED) is not None
        assert line.status.phase is Phase.SUCCEEDED

    def test_a_revision_that_comes_in_mid_rollout_ends_that_and_waits(self, canary: Make, story: Story) -> None:
        """What was rolled out has no requests from then on, and no pods."""
        scenario = story(
            canary(spec=scheduling(window(200, 7200))), V2, (300, Deploy("v3")), versions={"v3": Version()}
        )
        world = SafeWorld(scenario)
        world.run(timedelta(seconds=700))
        status = world.canary.status
        assert (status.phase, status.reason, world.cluster.split) == (Phase.WAITING, "Frozen", ALL_PRIMARY)
        assert world.cluster.target is not None
        assert world.cluster.target.observe(world.now).readiness.total == 0
        line = world.run()
        assert line.status.last_promoted_spec == "v3"
        assert [each.outcome for each in line.status.history] == [Outcome.PROMOTED, Outcome.SUPERSEDED]

    def test_the_revision_that_it_ended_begins_as_any_other_when_it_comes_again(
        self, canary: Make, story: Story
    ) -> None:
        changes = (V2, (300, Deploy("v3")), (900, Deploy("v2")))
        scenario = story(canary(spec=scheduling(window(200, 7200))), *changes, versions={"v3": Version()})
        line = SafeWorld(scenario).run()
        assert (line.status.phase, line.status.last_promoted_spec) == (Phase.SUCCEEDED, "v2")

    def test_a_revision_that_is_taken_back_while_it_waits_leaves_nothing(self, canary: Make, story: Story) -> None:
        line = SafeWorld(story(canary(spec=scheduling(window(30, 7200))), V2, (300, Deploy("v1")))).run()
        assert (line.status.phase, line.status.reason) == (Phase.SUCCEEDED, "Reverted")

    def test_a_promoted_version_is_looked_at_though_the_next_one_waits(self, canary: Make, story: Story) -> None:
        """One that turns bad in its bake is taken back in the freeze."""
        turns = Version(readings=(Reading(99.5), Reading(1.0, after=timedelta(seconds=700))))
        scenario = story(
            canary(bake="1h", spec=scheduling(window(600, 90_000))),
            V2,
            (650, Deploy("v3")),
            versions={"v2": turns, "v3": Version()},
            limit=timedelta(hours=3),
        )
        line = SafeWorld(scenario).run()
        assert told(line, "Rolling back app.prod") == 1
        assert line.status.last_promoted_spec == "v1"
        assert line.status.reason == "Frozen"

    @pytest.mark.parametrize("gate", ["confirm-rollout"])
    def test_gates_are_asked_when_it_is_over(self, canary: Make, story: Story, hook: Hook, gate: str) -> None:
        closed = (Reply(approved=False, end=timedelta(seconds=4000)),)
        scenario = story(canary(webhooks=[hook(gate)], spec=scheduling(window(30, 3600))), V2, replies=closed)
        line = SafeWorld(scenario).run()
        began = line.when(Phase.PROGRESSING)
        assert began is not None
        assert timedelta(seconds=4000) <= began <= timedelta(seconds=4080)
        assert told(line, "waiting for approval") == 1


class TestSteps:
    """What keeps those under way where they are."""

    @pytest.mark.field("spec.scheduling.freezeWindows[].stops")
    def test_a_rollout_stays_at_its_step_and_is_told_once(self, canary: Make, story: Story) -> None:
        line = SafeWorld(story(canary(spec=scheduling(window(200, 3600, stops="steps"))), V2)).run()
        at = {weight: moment for moment, weight in line.weight_changes}
        assert at[30] < timedelta(seconds=200)
        assert timedelta(hours=1) <= at[40] <= timedelta(hours=1, minutes=1)
        assert line.status.phase is Phase.SUCCEEDED
        assert told(line, "advancement frozen by holidays until 2026-01-01T01:00:00Z") == 1

    def test_a_version_that_fails_is_taken_back_at_once(self, canary: Make, story: Story) -> None:
        turns = Version(readings=(Reading(99.5), Reading(1.0, after=timedelta(seconds=300))))
        scenario = story(canary(spec=scheduling(window(200, 86_400, stops="steps"))), V2, versions={"v2": turns})
        line = SafeWorld(scenario).run()
        failed = line.when(Phase.FAILED)
        assert failed is not None
        assert failed < timedelta(seconds=600)

    def test_no_promotion_goes_through(self, canary: Make, story: Story) -> None:
        one = canary(stepWeights=[50], spec=scheduling(window(100, 3600, stops="steps")))
        line = SafeWorld(story(one, V2)).run()
        began = line.when(Phase.PROMOTING)
        assert began is not None
        assert timedelta(hours=1) <= began <= timedelta(hours=1, minutes=1)

    def test_nor_one_without_an_analysis(self, canary: Make, story: Story) -> None:
        spec = {"skipAnalysis": True, **scheduling(window(62, 3600, stops="steps"))}
        late = Version(ready_after=timedelta(seconds=30))
        world = SafeWorld(story(canary(spec=spec), V2, versions={"v2": late}))
        line = world.run()
        began = line.when(Phase.PROMOTING)
        assert began is not None
        assert timedelta(hours=1) <= began <= timedelta(hours=1, minutes=1)
        assert world.passes < 200

    def test_nor_a_step_in_place(self, canary: Make, story: Story) -> None:
        spec = {
            "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"},
            "service": {},
            **scheduling(window(120, 3600, stops="steps")),
        }
        scenario = story(canary(stepWeights=[25, 50], spec=spec), V2, in_place=True, weighted=False, replicas=4)
        line = PodWorld(scenario).run()
        ended = line.when(Phase.SUCCEEDED)
        assert ended is not None
        assert timedelta(hours=1) <= ended <= timedelta(hours=1, minutes=10)


class TestOverride:
    """Somebody lets a rollout go on all the same, and that is kept."""

    @pytest.mark.field("status.lastOverride", "status.history[].override")
    def test_one_rollout_begins_in_spite_of_the_freeze_and_its_history_says_by_whom(
        self, canary: Make, story: Story
    ) -> None:
        changes = (V2, (600, Annotate(OVERRIDE, SIGNED)), (3000, Deploy("v3")))
        scenario = story(canary(spec=scheduling(window(30, 90_000))), *changes, limit=timedelta(hours=5))
        world = SafeWorld(replace(scenario, versions={**scenario.versions, "v3": Version()}))
        line = world.run()
        assert line.when(Phase.PROGRESSING) == timedelta(seconds=600)
        words = f"Override for app.prod {SIGNED}, it goes on in spite of this: frozen by holidays until"
        assert told(line, words) == 1
        (past,) = line.status.history
        assert (past.revision, past.outcome, past.override) == ("v2", Outcome.PROMOTED, SIGNED)
        assert (line.status.phase, line.status.reason, line.status.last_override) == (Phase.WAITING, "Frozen", SIGNED)

    @pytest.mark.field("status.rollout.override")
    def test_it_counts_for_the_steps_of_its_rollout_too(self, canary: Make, story: Story) -> None:
        frozen = scheduling(window(30, 90_000, stops="steps"))
        world = SafeWorld(story(canary(spec=frozen), V2, (0, Annotate(OVERRIDE, SIGNED)), limit=timedelta(hours=2)))
        world.run(timedelta(seconds=200))
        rollout = world.canary.status.rollout
        assert rollout is not None
        assert rollout.override == SIGNED
        assert world.run().status.phase is Phase.SUCCEEDED

    def test_it_may_come_while_the_rollout_stays_at_a_step(self, canary: Make, story: Story) -> None:
        frozen = scheduling(window(200, 90_000, stops="steps"))
        line = SafeWorld(story(canary(spec=frozen), V2, (900, Annotate(OVERRIDE, SIGNED)))).run()
        assert (line.status.phase, told(line, "in spite of this: frozen by holidays")) == (Phase.SUCCEEDED, 1)

    def test_gates_are_asked_all_the_same(self, canary: Make, story: Story, hook: Hook) -> None:
        closed = (Reply(approved=False, end=timedelta(seconds=900)),)
        one = canary(webhooks=[hook("confirm-rollout")], spec=scheduling(window(30, 90_000)))
        line = SafeWorld(story(one, V2, (600, Annotate(OVERRIDE, SIGNED)), replies=closed)).run()
        began = line.when(Phase.PROGRESSING)
        assert began is not None
        assert began >= timedelta(seconds=900)


@pytest.mark.field("spec.scheduling.freezeWindows[].rrule", "spec.scheduling.freezeWindows[].timeZone")
def test_windows_come_again_by_the_clocks_of_their_zone(canary: Make, story: Story) -> None:
    """At midnight in UTC it is half past five in Kolkata, and the window that began at five goes on."""
    nights = {
        "name": "n",
        "start": "2025-12-30T05:00",
        "duration": "1h",
        "rrule": "FREQ=DAILY",
        "timeZone": "Asia/Kolkata",
    }
    line = SafeWorld(story(canary(spec=scheduling(nights)), V2)).run()
    assert line.when(Phase.PROGRESSING) == timedelta(minutes=30)


def test_an_outage_of_the_metrics_server_in_a_freeze_counts_as_ever(canary: Make, story: Story) -> None:
    """A rollout that is frozen is held by what says nothing of it for no longer than another."""
    down = (Window(timedelta(seconds=300), timedelta(hours=9)),)
    frozen = scheduling(window(200, 90_000, stops="steps"))
    line = SafeWorld(story(canary(spec=frozen), V2, metrics_down=down)).run()
    assert line.status.phase is Phase.FAILED
