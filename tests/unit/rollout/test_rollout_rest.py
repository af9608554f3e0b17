"""Before a rollout, after it, and while somebody has stopped it: little happens, and what does is right."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.analysis import HookType
from canary.api.canary import Canary
from canary.api.meta import ConditionStatus
from canary.api.status import Phase
from canary.rollout.decide import decide
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Deploy,
    Edit,
    Kill,
    Reading,
    Remove,
    Reply,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Timeline,
    Version,
)
from canary.rollout.status_conditions import hindered

V2 = (60, Deploy("v2"))
MINUTE = timedelta(minutes=1)

Make = Callable[..., Canary]
Hook = Callable[..., dict[str, Any]]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]


class TestInitialization:
    """A Canary is applied to a target that serves."""

    def test_users_are_moved_to_a_primary_that_is_ready_and_nobody_notices(self, canary: Make, play: Play) -> None:
        line = play(canary(), versions={"v1": Version(ready_after=timedelta(minutes=3))})

        assert line.phases == (Phase.INITIALIZING, Phase.INITIALIZED)
        assert line.served.keys() == {"v1"}
        assert line.when(Phase.INITIALIZED) == timedelta(seconds=182)

    def test_the_primary_gets_as_many_pods_as_the_target_has(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(), replicas=4))
        world.run()

        assert world.cluster.primary is not None
        assert world.cluster.primary.desired == 4
        assert world.cluster.target is not None
        assert world.cluster.target.desired == 0

    def test_a_primary_that_never_becomes_ready_leaves_users_where_they_are(self, canary: Make, play: Play) -> None:
        line = play(canary(), versions={"v1": Version(ready_after=None)})

        assert line.status.phase is Phase.INITIALIZING
        assert line.served.keys() <= {"v1"}

    def test_it_says_when_it_is_done(self, canary: Make, play: Play) -> None:
        line = play(canary())
        promoted = line.status.condition("Promoted")

        assert line.events == ("Initialization done! app.prod",)
        assert line.alerts == ("New Deployment detected, initialization completed.",)
        assert promoted is not None
        assert (promoted.status, promoted.reason, promoted.message) == (
            ConditionStatus.TRUE,
            "Initialized",
            "Deployment initialization completed.",
        )

    def test_a_target_that_changes_meanwhile_is_what_the_primary_gets(self, canary: Make, play: Play) -> None:
        """Nothing was promoted yet that it could be held against."""
        line = play(canary(), (2, Deploy("v2")))

        assert line.status.phase is Phase.INITIALIZED
        assert line.status.last_promoted_spec == "v2"
        assert "" not in line.served

    def test_a_revision_that_mends_a_stuck_initialization_is_taken(self, canary: Make, play: Play) -> None:
        """The old pods of the half-made primary serve nobody yet: they are no reason to keep it."""
        line = play(canary(), (3, Deploy("v2")), (1000, Deploy("v3")), versions={"v2": Version(ready_after=None)})

        assert line.status.phase is Phase.INITIALIZED
        assert line.status.last_promoted_spec == "v3"

    def test_a_target_that_is_missing_is_a_problem_that_goes_by_itself(self, canary: Make, play: Play) -> None:
        line = play(canary(), (0, Remove(Side.CANARY)), (100, Deploy("v1")))

        assert "spec.targetRef: the target does not exist; create it" in line.events
        assert line.status.phase is Phase.INITIALIZED
        assert hindered(line.status) is None

    def test_a_primary_made_again_starts_with_a_pod_though_the_target_sleeps(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(), (100, Remove(Side.PRIMARY))))
        line = world.run()

        assert line.phases == (Phase.INITIALIZING, Phase.INITIALIZED, Phase.INITIALIZING, Phase.INITIALIZED)
        assert world.cluster.primary is not None
        assert world.cluster.primary.desired >= 1

    def test_a_primary_scaled_to_nothing_while_it_is_made_is_scaled_up(self, canary: Make, play: Play) -> None:
        line = play(canary(), (100, Remove(Side.PRIMARY)), (101, Scale(Side.PRIMARY, 0)))

        assert line.status.phase is Phase.INITIALIZED


class TestSettled:
    """A settled Canary costs nothing."""

    @pytest.mark.parametrize(
        ("versions", "phase"),
        [({}, Phase.SUCCEEDED), ({"v2": Version(readings=(Reading(1.0),))}, Phase.FAILED)],
    )
    def test_it_decides_nothing(self, canary: Make, story: Story, versions: dict[str, Version], phase: Phase) -> None:
        world = SafeWorld(story(canary(), V2, versions=versions))
        world.run()
        decision = decide(world.canary, world.facts())

        assert world.canary.status.phase is phase
        assert decision.status == world.canary.status
        assert (decision.asks, decision.events, decision.alerts, decision.wake) == ((), (), (), None)
        assert not world.pass_once()

    def test_the_passing_of_time_changes_nothing(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(), V2))
        world.run()
        before = world.canary
        world.now += timedelta(days=365)
        world.settle()

        assert world.canary == before

    def test_an_edit_of_the_spec_is_taken_note_of_and_nothing_else(self, canary: Make, story: Story) -> None:
        """What has not moved has no new transition time."""
        made = canary()
        world = SafeWorld(story(made, (100, Edit(made.spec.replace(progress_deadline_seconds=60)))))
        world.run(timedelta(seconds=50))
        before = world.canary.status
        line = world.run()

        assert line.status.observed_generation == 2
        assert line.status.last_transition_time == before.last_transition_time
        assert line.status.conditions == before.conditions


class TestTimes:
    """lastTransitionTime: when the phase, the weight or a counter changed."""

    def test_it_moves_with_phase_weight_and_counters_only(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(), V2, versions={"v2": Version(readings=(Reading(None),))}))
        world.run(timedelta(seconds=66))
        begun = world.canary.status.last_transition_time
        world.run(timedelta(seconds=300))

        assert world.canary.status.reason == "NoData"
        assert world.canary.status.last_transition_time == begun

    def test_a_condition_moves_with_its_status_and_is_updated_with_its_reason(self, canary: Make, story: Story) -> None:
        world = SafeWorld(story(canary(), V2))
        world.run(timedelta(seconds=70))
        progressing = world.canary.status.condition("Promoted")
        world.run()
        succeeded = world.canary.status.condition("Promoted")

        assert progressing is not None
        assert succeeded is not None
        assert (progressing.status, succeeded.status) == (ConditionStatus.UNKNOWN, ConditionStatus.TRUE)
        assert progressing.last_transition_time == world.scenario.start + MINUTE
        assert succeeded.last_transition_time == succeeded.last_update_time

    @pytest.mark.parametrize(
        ("phase", "at", "message"),
        [
            (Phase.INITIALIZING, 1, "New Deployment detected, starting initialization."),
            (Phase.PROGRESSING, 100, "New revision detected, progressing canary analysis."),
            (Phase.PROMOTING, 367.5, "Canary analysis completed, starting primary rolling update."),
            (Phase.FINALISING, 373, "Canary analysis completed, routing all traffic to primary."),
        ],
    )
    def test_the_condition_of_every_phase_on_the_way_is_unknown_and_says_where_it_is(
        self, canary: Make, story: Story, phase: Phase, at: float, message: str
    ) -> None:
        world = SafeWorld(story(canary(), V2))
        world.run(timedelta(seconds=at))
        condition = world.canary.status.condition("Promoted")

        assert world.canary.status.phase is phase
        assert condition is not None
        assert (condition.status, condition.reason, condition.message) == (
            ConditionStatus.UNKNOWN,
            phase.value,
            message,
        )


class TestInvalid:
    """A spec that can't work is told once, touches nothing, and starts by itself when it is mended."""

    def test_it_touches_nothing(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=0), V2)

        assert line.status.phase is Phase.EMPTY
        assert line.served.keys() == {"v1", "v2"}, "the target serves its users by itself, as if there were no Canary"
        assert line.passes < 10

    def test_it_is_told_once_with_the_field_and_the_remedy(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=0), V2, (100, Scale(Side.CANARY, 3)))
        stalled = line.status.condition("Stalled")

        assert len(line.events) == 1
        assert line.events[0].startswith("spec.analysis.stepWeight: is missing")
        assert "set stepWeight (such as 10)" in line.events[0]
        assert stalled is not None
        assert (stalled.status, stalled.reason, stalled.message) == (
            ConditionStatus.TRUE,
            "InvalidSpec",
            line.events[0],
        )

    def test_another_mistake_is_told_too(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=0), (100, Edit(canary(stepWeight=200).spec)))

        assert len(line.events) == 2
        assert "200 is no percentage" in line.events[1]

    def test_it_starts_by_itself_when_it_is_mended(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=0), (100, Edit(canary().spec)), (200, Deploy("v2")))

        assert line.status.phase is Phase.SUCCEEDED
        assert hindered(line.status) is None
        assert line.status.observed_generation == 2

    def test_a_rollout_under_way_stays_where_it_is_and_goes_on(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Edit(canary(stepWeight=0).spec)), (400, Edit(canary().spec)))

        assert line.weights == (0, 10, 20, 30, 40, 50, 0)
        steps = {weight: at for at, weight in line.weight_changes}
        assert steps[40] >= timedelta(seconds=400)
        assert line.status.phase is Phase.SUCCEEDED

    def test_one_that_is_not_mended_in_time_takes_the_version_back(self, canary: Make, play: Play) -> None:
        """Nobody judges it any more: it must not keep its traffic for good, and people are called at once."""
        line = play(canary(), V2, (200, Edit(canary(stepWeight=0).spec)))

        assert line.status.phase is Phase.FAILED
        assert line.weight_changes[-1] == (timedelta(seconds=500), 0)
        called = [(entry.at, alert.message) for entry in line.entries for alert in entry.alerts]
        assert any(at == timedelta(seconds=200) and "Canary is stalled" in message for at, message in called)

    def test_rollback_hooks_are_asked_meanwhile(self, canary: Make, play: Play, hook: Hook) -> None:
        asked = canary(webhooks=[hook("rollback")])
        broken = canary(stepWeight=0, webhooks=[hook("rollback")])
        line = play(
            asked,
            V2,
            (200, Edit(broken.spec)),
            replies=(Reply(True, type=HookType.ROLLBACK, start=timedelta(seconds=300)),),
        )

        assert line.status.phase is Phase.FAILED
        assert timedelta(seconds=300) <= line.weight_changes[-1][0] <= timedelta(seconds=361)

    def test_the_time_until_it_is_mended_does_not_count_for_the_deadline(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(ready_after=timedelta(seconds=600))}
        line = play(
            canary(),
            V2,
            (200, Edit(canary(stepWeight=0).spec)),
            (400, Edit(canary().spec)),
            versions=versions,
        )

        assert line.status.phase is Phase.SUCCEEDED

    def test_pods_that_die_meanwhile_lose_their_traffic(self, canary: Make, play: Play) -> None:
        """Whatever is wrong with the spec."""
        line = play(canary(), V2, (200, Edit(canary(stepWeight=0).spec)), (300, Kill(Side.CANARY, None)))

        assert line.weight_changes[-1] == (timedelta(seconds=300), 0)
        assert line.status.canary_weight == 0
        assert "" not in line.served


class TestEdits:
    """The spec of the analysis changes in mid-rollout."""

    @pytest.mark.parametrize(
        ("analysis", "weights"),
        [
            ({"stepWeight": 25, "maxWeight": 50}, (0, 10, 20, 30, 50, 0)),
            ({"stepWeights": [15, 35, 80]}, (0, 10, 20, 30, 35, 80, 0)),
            ({"stepWeight": 5, "maxWeight": 20}, (0, 10, 20, 30, 0)),
        ],
    )
    def test_weights_go_on_at_the_first_step_beyond_what_was_reached(
        self, canary: Make, play: Play, analysis: dict[str, Any], weights: tuple[int, ...]
    ) -> None:
        line = play(canary(), V2, (200, Edit(canary(**analysis).spec)))

        assert line.weights == weights
        assert line.status.phase is Phase.SUCCEEDED

    def test_from_weights_to_blue_green_starts_anew(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Edit(canary(iterations=2).spec)))

        assert line.weights == (0, 10, 20, 30, 0, 100, 0)
        assert line.status.phase is Phase.SUCCEEDED

    def test_from_ab_testing_to_weights_starts_anew(self, canary: Make, play: Play) -> None:
        """All of the matched is not all of everybody."""
        match = [{"headers": {"x-canary": {"exact": "yes"}}}]
        line = play(canary(iterations=9, match=match), V2, (200, Edit(canary().spec)))
        after = [each.split for each in line.entries if each.at > timedelta(seconds=200) and each.split]

        assert max(split.canary for split in after) == 50
        assert not any(split.matched for split in after[1:])

    def test_fewer_iterations_do_not_leave_out_the_look_at_everybody(self, canary: Make, play: Play) -> None:
        line = play(canary(iterations=9), V2, (300, Edit(canary(iterations=2).spec)))
        whole = [at for at, weight in line.weight_changes[1:]]

        assert line.weights == (0, 100, 0)
        assert whole[1] - whole[0] >= MINUTE

    def test_a_lower_threshold_counts_at_once(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(readings=(Reading(1.0, metric="request-success-rate"),))}
        line = play(canary(threshold=9), V2, (280, Edit(canary(threshold=2).spec)), versions=versions)

        assert line.when(Phase.FAILED) == timedelta(seconds=280)

    def test_an_analysis_that_is_skipped_from_now_on_promotes_at_once(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Edit(canary(spec={"skipAnalysis": True}).spec)))

        assert line.when(Phase.PROMOTING) == timedelta(seconds=200)
        assert line.endings == (Ending.PROMOTED_UNCHECKED,)

    def test_an_analysis_that_is_taken_away_promotes_too(self, canary: Make, play: Play) -> None:
        """With steps back to take, and no step left that says from where."""
        bare = canary(stepWeight=0, stepWeights=[], stepWeightPromotion=10, spec={"skipAnalysis": True})
        line = play(canary(stepWeightPromotion=10), V2, (200, Edit(bare.spec)))

        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 10, 20, 30, 20, 10, 0)
