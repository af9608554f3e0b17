"""Checks go on after promotion; a version that turns bad is replaced by the last good one, by itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import BakeStatus, CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness
from canary.rollout.decide import decide
from canary.rollout.decision import Ending, RestorePrimary
from canary.rollout.facts import Facts, Workload
from canary.rollout.simulation import (
    Annotate,
    Deploy,
    Drift,
    Edit,
    Forget,
    Kill,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    Side,
    Timeline,
    Version,
    Window,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
V2 = (60, Deploy("v2"))
QUICK: dict[str, Any] = {"stepWeight": 50, "maxWeight": 50, "bake": "10m"}
PROMOTED = timedelta(seconds=133)
"""When the promotion of a quick rollout is completed, as the test of a good one shows."""

AT_ONCE = timedelta(0)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


NOTHING = "request-success-rate has no data over 1m, wanted >= 99%: no values found"


def turning_bad(after: float = 180, value: float | None = 90.0) -> Version:
    """A version that is bad once it has been in the primary for so many seconds."""
    return Version(readings=(Reading(value, side=Side.PRIMARY, after=timedelta(seconds=after)),))


def at_rest(canary: Canary, **status: Any) -> Canary:
    given = {"phase": Phase.SUCCEEDED, "observed_generation": 1, "last_applied_spec": "v2", **status}
    return canary.replace(status=CanaryStatus(**given))


def facts_of(target: str, primary: str, now: datetime) -> Facts:
    pods = Readiness(2, 2, 2, 2, 2)
    return Facts(now=now, target=Workload(target, pods), primary=Workload(primary, pods), split=ALL_PRIMARY)


def primary_of(world: SafeWorld) -> str:
    return world.cluster.primary.revision if world.cluster.primary is not None else ""


class TestGood:
    @pytest.mark.field("status.bake.lastGoodSpec", "status.bake.startTime")
    def test_a_promotion_is_told_as_ever_and_the_checks_go_on(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**QUICK), V2, latency=AT_ONCE))
        line = world.run(PROMOTED)

        assert (line.status.phase, line.status.reason) == (Phase.SUCCEEDED, "Baking")
        assert line.endings == (Ending.PROMOTED,)
        assert line.events[-2:] == ("Promotion completed! Scaling down app.prod", "Baking app.prod for 10m")
        assert line.status.bake == BakeStatus(last_good_spec="v1", start_time=world.now)
        assert world.cluster.target is not None
        assert world.cluster.target.desired == 0

    def test_when_its_time_is_over_the_version_is_the_last_good_one(self, canary: Make, play: Play) -> None:
        line = play(canary(**QUICK), V2, latency=AT_ONCE)

        assert (line.status.phase, line.status.reason, line.status.bake) == (Phase.SUCCEEDED, "Succeeded", None)
        assert line.events[-1] == "Bake of app.prod completed"
        assert line.entries[-1].at == PROMOTED + 10 * MINUTE
        assert line.endings == (Ending.PROMOTED,)

    @pytest.mark.parametrize("bake", ["20s", "90s"])
    def test_it_ends_with_a_look_however_long_the_interval_is(self, canary: Make, play: Play, bake: str) -> None:
        line = play(canary(**{**QUICK, "bake": bake}), V2, versions={"v2": turning_bad(0)}, limit=timedelta(minutes=30))

        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "BakeFailed")

    def test_without_it_nobody_looks_after_a_promotion(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=50), V2, versions={"v2": turning_bad(0)})

        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.bake is None

    @pytest.mark.parametrize("at", [200, 400])
    def test_a_spec_without_it_ends_it_at_once(self, canary: Make, play: Play, at: float) -> None:
        """The field may be taken out, or the analysis skipped as a whole."""
        for edited in (canary(stepWeight=50), canary(**QUICK, spec={"skipAnalysis": True})):
            line = play(canary(**QUICK), V2, (at, Edit(edited.spec)), versions={"v2": turning_bad(300)})

            assert (line.status.phase, line.status.reason) == (Phase.SUCCEEDED, "Succeeded")
            assert line.entries[-1].at == timedelta(seconds=at)

    def test_a_promotion_without_analysis_is_not_looked_after_either(self, canary: Make, play: Play) -> None:
        line = play(canary(**QUICK, spec={"skipAnalysis": True}), V2, versions={"v2": turning_bad(0)})

        assert (line.status.phase, line.status.reason) == (Phase.SUCCEEDED, "Succeeded")


class TestBad:
    @pytest.mark.field("spec.analysis.bake")
    def test_the_last_good_version_is_put_back(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**QUICK), V2, versions={"v2": turning_bad()}))
        line = world.run()

        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "BakeFailed")
        assert primary_of(world) == "v1"
        assert (line.status.last_promoted_spec, line.status.last_applied_spec) == ("v1", "v2")
        assert line.endings == (Ending.PROMOTED, Ending.FAILED)
        assert line.status.bake is None
        assert "" not in line.served

    def test_it_is_told_and_why(self, canary: Make, play: Play) -> None:
        line = play(canary(**QUICK), V2, versions={"v2": turning_bad()})

        why = "failed checks threshold reached 2"
        assert "Halt bake of app.prod success rate 90.00% < 99%" in line.events
        assert f"Rolling back app.prod {why}; the last good version is put back" in line.events
        assert line.events[-1] == "app-primary.prod is back at the last good version"
        assert line.alerts[-1] == f"Bake failed, the last good version is put back: {why}"
        assert line.status.message == why
        assert line.status.checks[0].value == 90.0

    def test_failures_are_counted_from_the_promotion_on(self, canary: Make, play: Play) -> None:
        """One failed check before it and one after it are not two."""
        once = (
            Reading(90.0, metric="request-success-rate", side=Side.CANARY, weight=50),
            Reading(99.5, metric="request-success-rate", side=Side.CANARY, weight=50, after=timedelta(seconds=90)),
            Reading(90.0, metric="request-success-rate", side=Side.PRIMARY, after=timedelta(seconds=100)),
            Reading(99.5, metric="request-success-rate", side=Side.PRIMARY, after=timedelta(seconds=150)),
        )
        line = play(canary(**QUICK), V2, versions={"v2": Version(readings=once)})

        assert sum("success rate 90.00%" in each for each in line.events) == 2
        assert line.status.phase is Phase.SUCCEEDED

    def test_the_target_stays_as_it_is_and_is_not_rolled_out_again(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**QUICK), V2, versions={"v2": turning_bad()}))
        line = world.run(timedelta(days=1))

        assert world.cluster.target is not None
        assert (world.cluster.target.revision, world.cluster.target.desired) == ("v2", 0)
        assert line.endings == (Ending.PROMOTED, Ending.FAILED)

    def test_another_try_takes_it_through_everything_again(self, canary: Make, play: Play) -> None:
        retry = (1000, Annotate("flagger.app/retry", "1"))
        line = play(canary(**QUICK), V2, retry, versions={"v2": turning_bad()})

        assert line.endings == (Ending.PROMOTED, Ending.FAILED) * 2
        assert line.status.last_promoted_spec == "v1"

    def test_a_target_that_is_set_back_to_it_has_nothing_to_roll_out(self, canary: Make, play: Play) -> None:
        line = play(canary(**QUICK), V2, (1000, Deploy("v1")), versions={"v2": turning_bad()})

        assert (line.status.phase, line.status.reason) == (Phase.SUCCEEDED, "Reverted")
        assert line.endings == (Ending.PROMOTED, Ending.FAILED)

    def test_a_new_revision_is_rolled_out_as_ever(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**QUICK), V2, (1000, Deploy("v3")), versions={"v2": turning_bad()}))
        line = world.run()

        assert line.status.phase is Phase.SUCCEEDED
        assert primary_of(world) == "v3"

    def test_a_primary_without_a_ready_pod_is_a_failed_check(self, canary: Make, story: Story) -> None:
        """Whatever metrics say: nobody may be counting any more."""
        world = SafeWorld(story(canary(**QUICK), V2, (300, Kill(Side.PRIMARY, None))))
        line = world.run()

        assert "Halt bake of app.prod the primary has no ready pods" in line.events
        assert primary_of(world) == "v1"
        assert line.status.phase is Phase.FAILED

    def test_without_a_version_to_put_back_the_promoted_one_stays_and_somebody_is_called(
        self, canary: Make, story: Story
    ) -> None:
        world = SafeWorld(story(canary(**QUICK), V2, (200, Forget()), versions={"v2": turning_bad()}))
        line = world.run()

        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "BakeFailed")
        assert primary_of(world) == "v2"
        assert line.status.last_promoted_spec == "v2"
        assert line.alerts[-1].startswith("Bake failed, no earlier version is kept to put back")

    def test_a_version_that_does_not_get_ready_any_more_is_told_of(self, canary: Make, story: Story) -> None:
        versions = {"v1": Version(fits_primary=True), "v2": turning_bad()}
        world = SafeWorld(story(canary(**QUICK), V2, versions=versions))
        world.run(timedelta(seconds=300))
        # What it was ready with is gone by now.
        world.scenario = world.cluster.scenario = story(
            world.canary, versions={"v1": Version(fits_primary=False), "v2": turning_bad()}
        )
        for side in (Side.PRIMARY, Side.CANARY):
            workload = world.cluster.side(side)
            assert workload is not None
            workload.scenario = world.scenario
        line = world.run()

        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "PrimaryNotReady")
        assert sum("is not ready" in each for each in line.alerts) == 1

    def test_people_hear_of_a_good_version_that_can_t_be_put_back(self, canary: Make) -> None:
        """Whatever keeps the primary from carrying it, such as somebody who undoes it."""
        failed = at_rest(
            canary(**QUICK), phase=Phase.FAILED, reason="Restoring", last_promoted_spec="v1", last_progress_time=NOW
        )
        seen = replace(facts_of("v2", "v2", NOW + 6 * MINUTE), kept=frozenset({"v1"}))
        before, after = decide(failed, replace(seen, now=NOW)), decide(failed, seen)
        again = decide(failed.replace(status=after.status), seen)

        assert (before.alerts, before.wake) == ((), NOW + 5 * MINUTE)
        assert RestorePrimary("v1") in before.actions
        assert len(after.alerts) == 1
        assert RestorePrimary("v1") in again.actions
        assert again.alerts == ()


class TestDoubt:
    """No data and no metrics server: neither good nor bad."""

    @pytest.mark.field("status.bake.failedChecks", "status.bake.heldSince")
    def test_the_status_tells_what_has_failed_and_since_when_nothing_tells(self, canary: Make, story: Story) -> None:
        said = (
            Reading(90.0, side=Side.PRIMARY),
            Reading(None, side=Side.PRIMARY, after=timedelta(seconds=90)),
        )
        world = SafeWorld(story(canary(**QUICK), V2, versions={"v2": Version(readings=said)}, latency=AT_ONCE))
        line = world.run(PROMOTED + 4 * MINUTE)

        assert line.status.bake is not None
        assert line.status.bake.failed_checks == 1
        assert line.status.bake.held_since == world.scenario.start + PROMOTED + 2 * MINUTE

    def test_its_time_is_not_over_before_something_tells(self, canary: Make, play: Play) -> None:
        down = (Window(timedelta(seconds=200), timedelta(seconds=900)),)
        line = play(canary(**QUICK, spec={"progressDeadlineSeconds": 3600}), V2, metrics_down=down)

        assert line.events[-1] == "Bake of app.prod completed"
        assert line.entries[-1].at > timedelta(seconds=900)
        assert sum("Bake is held, metrics are unavailable" in each for each in line.alerts) == 1
        assert line.status.phase is Phase.SUCCEEDED

    def test_silence_proves_nothing_against_a_promoted_version(self, canary: Make, play: Play) -> None:
        """After the progress deadline, and not before its time is over, the bake ends, and says so."""
        line = play(canary(**QUICK), V2, versions={"v2": turning_bad(0, None)}, latency=AT_ONCE)

        assert (line.status.phase, line.status.reason) == (Phase.SUCCEEDED, "Succeeded")
        assert line.events[-1] == f"Bake of app.prod ended without an answer: {NOTHING}"
        assert line.entries[-1].at == PROMOTED + 10 * MINUTE

    def test_silence_ends_no_bake_sooner_than_failed_checks_would(self, canary: Make, play: Play) -> None:
        """The progress deadline is for pods, here as in the analysis."""
        made = canary(**{**QUICK, "bake": "2m"}, threshold=5, spec={"progressDeadlineSeconds": 60})
        line = play(made, V2, versions={"v2": turning_bad(0, None)}, latency=AT_ONCE)

        assert line.events[-1] == f"Bake of app.prod ended without an answer: {NOTHING}"
        assert line.entries[-1].at == PROMOTED + 6 * MINUTE

    def test_a_primary_that_somebody_has_set_to_something_else_is_not_waited_for_in_silence(self, canary: Make) -> None:
        bake = BakeStatus(last_good_spec="v1", start_time=NOW)
        promoted = at_rest(canary(**QUICK), reason="Baking", last_promoted_spec="v2", bake=bake)
        before, after = (
            decide(promoted, facts_of("v2", "v7", NOW + later)) for later in (MINUTE, timedelta(minutes=15))
        )

        assert before.wake == NOW + timedelta(minutes=15)
        assert after.status.bake is None
        assert after.events[-1].message.endswith("the primary does not carry what was promoted")

    @pytest.mark.parametrize(("policy", "phase"), [("Fail", Phase.FAILED), ("Pass", Phase.SUCCEEDED)])
    def test_the_policy_of_a_metric_counts_as_in_the_analysis(
        self, canary: Make, play: Play, policy: str, phase: Phase
    ) -> None:
        metrics = [{"name": "request-success-rate", "threshold": 99, "noData": policy}]
        line = play(canary(**QUICK, metrics=metrics), V2, versions={"v2": turning_bad(100, None)})

        assert line.status.phase is phase


class TestPeople:
    def test_a_rollback_hook_brings_the_last_good_version_back(self, canary: Make, story: Story, hook: Hook) -> None:
        made = canary(**QUICK, webhooks=[hook("rollback")])
        world = SafeWorld(story(made, V2, replies=(Reply(approved=True, start=timedelta(seconds=300)),)))
        line = world.run()

        assert line.status.phase is Phase.FAILED
        assert primary_of(world) == "v1"
        assert "Rollback check hook passed" in line.events

    def test_other_hooks_are_not_called_any_more(self, canary: Make, play: Play, hook: Hook) -> None:
        """They are about the canary, which has no pods by now."""
        refused = (Reply(approved=False, start=PROMOTED),)
        line = play(canary(**QUICK, webhooks=[hook("rollout")]), V2, replies=refused)

        assert line.status.phase is Phase.SUCCEEDED

    def test_a_failed_version_is_held_where_the_spec_asks_for_it(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**QUICK, onFailure="hold"), V2, versions={"v2": turning_bad()}))
        line = world.run()

        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "Held")
        assert primary_of(world) == "v2"
        assert sum("held" in each for each in line.alerts) == 1
        assert line.over

    def test_a_held_version_is_taken_back_when_the_spec_no_longer_holds(self, canary: Make, story: Story) -> None:
        change = (1000, Edit(canary(**QUICK).spec))
        world = SafeWorld(story(canary(**QUICK, onFailure="hold"), V2, change, versions={"v2": turning_bad()}))
        line = world.run()

        assert line.status.reason == "BakeFailed"
        assert primary_of(world) == "v1"

    def test_a_held_version_is_taken_back_when_a_hook_says_so(self, canary: Make, story: Story, hook: Hook) -> None:
        made = canary(**QUICK, onFailure="hold", webhooks=[hook("rollback")])
        later = (Reply(approved=True, start=timedelta(seconds=1000)),)
        world = SafeWorld(story(made, V2, versions={"v2": turning_bad()}, replies=later))
        line = world.run()

        assert line.status.reason == "BakeFailed"
        assert primary_of(world) == "v1"

    def test_a_suspended_canary_is_left_alone(self, canary: Make, story: Story) -> None:
        made = canary(**QUICK)
        stop = (200, Edit(made.spec.replace(suspend=True)))
        world = SafeWorld(story(made, V2, stop, (5000, Edit(made.spec)), versions={"v2": turning_bad()}))
        world.run(timedelta(seconds=4999))
        assert primary_of(world) == "v2"

        world.run()
        assert primary_of(world) == "v1"


class TestSuperseded:
    """The last good version is the last one that did well for as long as it was looked at."""

    def test_a_new_revision_does_not_wait_for_the_end(self, canary: Make, play: Play) -> None:
        line = play(canary(**QUICK), V2, (200, Deploy("v3")))

        assert line.endings == (Ending.PROMOTED,) * 2
        assert (line.status.last_promoted_spec, line.status.reason) == ("v3", "Succeeded")

    def test_what_was_superseded_before_its_time_is_not_what_is_put_back(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**QUICK), V2, (200, Deploy("v3")), versions={"v3": turning_bad()}))
        world.run()

        assert primary_of(world) == "v1"

    def test_what_has_done_well_is_what_is_put_back_next_time(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(**QUICK), V2, (1000, Deploy("v3")), versions={"v3": turning_bad()}))
        world.run()

        assert primary_of(world) == "v2"

    def test_after_a_revision_that_failed_the_one_before_is_looked_at_again(self, canary: Make, story: Story) -> None:
        """What is said of the failed one stays."""
        versions = {"v2": Version(), "v3": Version(readings=(Reading(1.0),))}
        world = SafeWorld(story(canary(**QUICK), V2, (200, Deploy("v3")), versions=versions))
        line = world.run()

        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "RolledBack")
        assert line.events[-1] == "Bake of app.prod completed"
        assert line.status.bake is None

    def test_and_may_turn_bad_then(self, canary: Make, story: Story) -> None:
        versions = {"v2": turning_bad(300), "v3": Version(readings=(Reading(1.0),))}
        world = SafeWorld(story(canary(**QUICK), V2, (200, Deploy("v3")), versions=versions))
        line = world.run()

        assert line.endings == (Ending.PROMOTED, Ending.FAILED, Ending.FAILED)
        assert primary_of(world) == "v1"
        assert world.cluster.target is not None
        assert world.cluster.target.revision == "v3"

    def test_a_route_that_somebody_changes_is_put_right_meanwhile(self, canary: Make, play: Play) -> None:
        line = play(canary(**QUICK), V2, (300, Drift(None)), (400, Kill(Side.CANARY)))

        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights[-1] == 0


GATED: dict[str, Any] = {
    **QUICK,
    "webhooks": [{"name": "qa", "type": "confirm-rollout", "url": "http://gate.test/"}],
}


class TestWhileTheNextOneWaits:
    """What serves everybody is looked at to its end, whatever a newer revision waits for."""

    def closed_for_v3(self, story: Story, made: Canary, **more: Any) -> SafeWorld:
        replies = (Reply(approved=False, start=timedelta(seconds=250)),)
        return SafeWorld(story(made, V2, (250, Deploy("v3")), replies=replies, latency=AT_ONCE, **more))

    def test_a_version_that_turns_bad_is_put_back_though_the_next_waits_for_approval(
        self, canary: Make, story: Story
    ) -> None:
        world = self.closed_for_v3(story, canary(**GATED), versions={"v2": turning_bad(200)})
        line = world.run(timedelta(hours=1))
        assert primary_of(world) == "v1"
        assert (line.status.phase, line.status.reason) == (Phase.WAITING, "WaitingForApproval")
        assert line.status.rollout is not None
        assert line.status.rollout.revision == "v3"
        assert [(each.revision, each.outcome.value) for each in line.status.history] == [("v2", "BakeFailed")]

    def test_its_bake_ends_as_ever_and_the_next_one_waits_on(self, canary: Make, story: Story) -> None:
        world = self.closed_for_v3(story, canary(**GATED))
        line = world.run(timedelta(hours=1))
        assert line.status.bake is None
        assert (line.status.phase, line.status.message.partition(":")[0]) == (Phase.WAITING, "qa")
        told = [event.message for entry in line.entries for event in entry.events]
        assert told.count("Bake of app.prod completed") == 1

    @pytest.mark.field("status.bake.lastCheckTime")
    def test_both_are_asked_at_their_own_intervals(self, canary: Make, story: Story) -> None:
        """Neither look puts the other off, and nothing is looked at more often for there being two."""
        world = self.closed_for_v3(story, canary(**GATED))
        line = world.run(timedelta(minutes=11))
        seconds = [each.at.total_seconds() for each in line.entries if each.reason.startswith("the promoted version:")]
        assert [later - earlier for earlier, later in pairwise(seconds)] == [60.0] * (len(seconds) - 1)
        assert len(seconds) >= 7
        assert line.passes < 100
