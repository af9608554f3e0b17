"""The target changes while a rollout is under way, or things break while it is promoted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Deploy,
    Drift,
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

V2 = (60, Deploy("v2"))
FAILING = Reading(90.0, metric="request-success-rate")

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


class TestNewRevision:
    """Another revision comes in mid-rollout."""

    def test_it_starts_again_with_no_traffic_on_what_nobody_has_looked_at(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Deploy("v3")))

        assert line.weights == (0, 10, 20, 30, 0, 10, 20, 30, 40, 50, 0)
        assert (timedelta(seconds=200), 0) in line.weight_changes
        assert line.status.last_promoted_spec == "v3"

    def test_it_is_told_in_the_words_that_scripts_look_for(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Deploy("v3")))

        assert "New revision detected! Restarting analysis for app.prod" in line.events
        assert line.endings == (Ending.PROMOTED,)

    def test_failed_checks_of_the_one_before_are_not_held_against_it(self, canary: Make, play: Play) -> None:
        line = play(canary(threshold=2), V2, (150, Deploy("v3")), versions={"v2": Version(readings=(FAILING,))})

        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.failed_checks == 0

    def test_a_bad_one_after_a_good_one_comes_back_to_the_promoted(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Deploy("v3")), versions={"v3": Version(readings=(FAILING,))})

        assert line.status.phase is Phase.FAILED
        assert (line.status.last_applied_spec, line.status.last_promoted_spec) == ("v3", "v1")

    def test_metrics_are_asked_about_its_own_time_alone(self, canary: Make, story: Story) -> None:
        scenario = story(canary(), V2, (200, Deploy("v3")))
        line = SafeWorld(scenario).run()
        _, first_step = [at for at, weight in line.weight_changes if weight == 10]

        assert line.status.analysis_start_time == scenario.start + first_step

    def test_its_pods_have_a_deadline_of_their_own(self, canary: Make, play: Play) -> None:
        never = Version(ready_after=None)
        line = play(canary(), V2, (300, Deploy("v3")), versions={"v2": never, "v3": never})

        assert line.when(Phase.FAILED) == pytest.approx(timedelta(seconds=600), abs=timedelta(seconds=1))

    def test_it_comes_while_a_gate_keeps_the_one_before_from_starting(
        self, canary: Make, play: Play, hook: Hook
    ) -> None:
        line = play(
            canary(webhooks=[hook("confirm-rollout")]),
            V2,
            (200, Deploy("v3")),
            replies=(Reply(approved=False, end=timedelta(seconds=400)),),
        )

        assert line.status.last_promoted_spec == "v3"
        assert line.endings == (Ending.PROMOTED,)

    def test_it_comes_while_promotion_waits_for_its_gate(self, canary: Make, play: Play, hook: Hook) -> None:
        """The approval that people give then is for the new one, once it has been looked at."""
        line = play(
            canary(stepWeight=50, webhooks=[hook("confirm-promotion")]),
            V2,
            (300, Deploy("v3")),
            replies=(Reply(approved=False, end=timedelta(seconds=400)),),
        )

        assert line.weights == (0, 50, 0, 50, 0)
        assert line.status.last_promoted_spec == "v3"

    def test_a_rollout_restarts_only_once_the_primary_can_take_the_traffic(self, canary: Make, play: Play) -> None:
        """What users have is better than nothing at all."""
        line = play(canary(), V2, (200, Kill(Side.PRIMARY, timedelta(seconds=30))), (201, Deploy("v3")))

        assert (timedelta(seconds=230), 0) in line.weight_changes
        assert line.status.last_promoted_spec == "v3"


class TestRevert:
    """The target is set back to what the primary serves."""

    @pytest.mark.parametrize("at", [61, 100, 200, 360])
    def test_it_cancels_the_rollout(self, canary: Make, play: Play, at: int) -> None:
        line = play(canary(), V2, (at, Deploy("v1")))

        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights[-1] == 0
        assert (line.status.canary_weight, line.status.iterations) == (0, 0)
        assert line.status.last_applied_spec == "v1"
        assert line.endings == ()
        assert line.lasted < timedelta(seconds=at + 5)

    def test_it_says_so(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Deploy("v1")))

        assert line.events[-1] == "app.prod is back at the promoted revision"
        assert line.status.reason == "Reverted"

    def test_failed_checks_are_forgotten_with_it(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(readings=(FAILING,))}
        line = play(canary(threshold=5), V2, (200, Deploy("v1")), versions=versions)

        assert line.status.failed_checks == 0

    def test_traffic_waits_for_a_primary_that_can_take_it(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Kill(Side.PRIMARY, timedelta(seconds=30))), (201, Deploy("v1")))

        assert (timedelta(seconds=230), 0) in line.weight_changes
        assert line.status.phase is Phase.SUCCEEDED

    def test_it_cancels_what_waits_for_its_approval(self, canary: Make, play: Play, hook: Hook) -> None:
        line = play(
            canary(webhooks=[hook("confirm-rollout")]), V2, (200, Deploy("v1")), replies=(Reply(approved=False),)
        )

        assert line.phases[-2:] == (Phase.WAITING, Phase.SUCCEEDED)
        assert line.over

    def test_it_cancels_a_promotion_that_has_not_begun(self, canary: Make, story: Story) -> None:
        """The copy fails while the API server is away; meanwhile the target is set back."""

        class Slow(SafeWorld):
            def before_action(self, action: object, index: int) -> None:
                if self.canary.status.phase is Phase.PROMOTING and not index and self.cluster.target is not None:
                    self.cluster.target.deploy("v1", self.now)
                super().before_action(action, index)  # type: ignore[arg-type]  # any action

        line = Slow(story(canary(), V2)).run()

        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.reason == "Reverted"
        assert line.endings == ()


class TestPromotion:
    """From the last step until the primary serves everybody."""

    def test_the_canary_serves_on_while_the_primary_takes_the_version_over(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(ready_after=timedelta(seconds=100))}
        line = play(canary(stepWeight=50), V2, versions=versions)
        promoting, done = line.when(Phase.PROMOTING), line.when(Phase.FINALISING)

        assert promoting is not None
        assert done is not None
        assert done - promoting >= timedelta(seconds=100)
        assert line.weight_changes[-1] == (done, 0)
        assert "" not in line.served

    def test_a_primary_that_does_not_become_ready_holds_and_says_so(self, canary: Make, play: Play) -> None:
        """The healthy copy goes on serving; people are called once."""
        versions = {"v2": Version(fits_primary=False)}
        line = play(canary(stepWeight=50), V2, versions=versions, limit=timedelta(hours=1))

        assert line.status.phase is Phase.PROMOTING
        assert line.status.reason == "PrimaryNotReady"
        assert line.weights == (0, 50)
        told = [event for event in line.events if event.startswith("Promotion of app.prod is held, primary not ready")]
        assert len(told) == 1
        assert len([alert for alert in line.alerts if alert.startswith("Promotion of app.prod is held")]) == 1

    @pytest.mark.parametrize("mend", ["v1", "v3"])
    def test_a_new_revision_mends_a_promotion_that_is_stuck(self, canary: Make, play: Play, mend: str) -> None:
        """The primary never becomes ready with what it was given: what mends it must not wait for that."""
        versions = {"v2": Version(fits_primary=False)}
        line = play(canary(stepWeight=50), V2, (1000, Deploy(mend)), versions=versions)

        assert line.weights == (0, 50, 0, 50, 0)
        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.last_promoted_spec == mend

    def test_while_the_primary_has_no_pods_at_all_the_promoted_version_serves_everybody(
        self, canary: Make, play: Play
    ) -> None:
        """It has passed all its looks, and nobody else is there to serve."""
        line = play(canary(stepWeight=50), V2, (127, Kill(Side.PRIMARY, timedelta(seconds=60))))

        assert line.weight_changes[-2:] == ((timedelta(seconds=127), 100), (timedelta(seconds=188), 0))
        assert line.status.phase is Phase.SUCCEEDED
        assert "" not in line.served

    def test_a_primary_that_was_scaled_to_nothing_gets_pods_before_it_gets_traffic(
        self, canary: Make, play: Play
    ) -> None:
        line = play(canary(stepWeight=50), (50, Scale(Side.PRIMARY, 0)), V2)

        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.last_promoted_spec == "v2"

    def test_a_new_revision_mends_a_primary_that_lost_all_its_pods(self, canary: Make, play: Play) -> None:
        """Traffic can't leave the canary then, so the new one is looked at where it stands."""
        line = play(canary(stepWeight=50), V2, (127, Kill(Side.PRIMARY, None)), (1000, Deploy("v3")))

        assert line.status.phase is Phase.SUCCEEDED
        assert line.status.last_promoted_spec == "v3"
        assert "" not in line.served

    def test_a_new_revision_before_the_copy_starts_again(self, canary: Make, story: Story) -> None:
        """The primary never sees the one that was good, nor the one that nobody has looked at."""

        class Racing(SafeWorld):
            def before_action(self, action: object, index: int) -> None:
                if self.canary.status.phase is Phase.PROMOTING and self.canary.status.last_applied_spec == "v2":
                    self.cluster.target.deploy("v3", self.now)  # type: ignore[union-attr]  # it is there
                super().before_action(action, index)  # type: ignore[arg-type]  # any action

        line = Racing(story(canary(stepWeight=50), V2)).run()

        assert line.weights == (0, 50, 0, 50, 0)
        assert line.phases.count(Phase.PROMOTING) == 2
        assert line.status.last_promoted_spec == "v3"

    def test_a_new_revision_after_the_copy_waits_for_the_end_without_traffic(self, canary: Make, play: Play) -> None:
        """What was good is promoted; what came after gets no request before its own rollout."""
        line = play(canary(stepWeight=50), V2, (127, Deploy("v3")))

        assert line.weights == (0, 50, 0, 50, 0)
        assert (timedelta(seconds=127), 0) in line.weight_changes
        assert line.endings == (Ending.PROMOTED, Ending.PROMOTED)
        assert line.status.last_promoted_spec == "v3"

    def test_a_new_revision_while_traffic_settles_is_rolled_out_after_it(self, canary: Make, play: Play) -> None:
        line = play(canary(stepWeight=50), V2, (130.6, Deploy("v3")))

        assert line.endings == (Ending.PROMOTED, Ending.PROMOTED)
        assert line.status.last_promoted_spec == "v3"

    def test_a_canary_that_dies_while_the_primary_rolls_hands_its_share_over(self, canary: Make, play: Play) -> None:
        versions = {"v2": Version(ready_after=timedelta(seconds=60))}
        line = play(canary(stepWeight=50), V2, (190, Kill(Side.CANARY, None)), versions=versions)

        assert line.status.phase is Phase.SUCCEEDED
        assert "" not in line.served

    def test_a_target_that_is_deleted_after_the_copy_does_not_stop_the_promotion(
        self, canary: Make, play: Play
    ) -> None:
        line = play(canary(stepWeight=50), V2, (127, Remove(Side.CANARY)))

        assert line.phases[-1] is Phase.SUCCEEDED
        assert line.weights[-1] == 0
        assert "" not in line.served

    def test_a_target_that_is_deleted_before_the_copy_ends_the_rollout(self, canary: Make, story: Story) -> None:
        class Racing(SafeWorld):
            def before_action(self, action: object, index: int) -> None:
                if self.canary.status.phase is Phase.PROMOTING:
                    self.cluster.target = None
                super().before_action(action, index)  # type: ignore[arg-type]  # any action

        line = Racing(story(canary(stepWeight=50), V2)).run()

        assert line.phases[-1] is Phase.FAILED
        assert line.weights[-1] == 0


class TestDrift:
    """Somebody else changes what is ours."""

    @pytest.mark.parametrize("split", [None, Split(0), Split(100)])
    def test_a_route_that_was_changed_is_put_right_at_once(self, canary: Make, play: Play, split: Split | None) -> None:
        line = play(canary(), V2, (200, Drift(split)))

        assert line.status.phase is Phase.SUCCEEDED
        assert (timedelta(seconds=200), 30) in line.weight_changes

    def test_a_route_is_put_right_at_rest(self, canary: Make, play: Play) -> None:
        line = play(canary(), (100, Drift(Split(70))))

        assert line.weight_changes[-1] == (timedelta(seconds=100), 0)

    def test_pods_that_were_scaled_away_are_brought_back(self, canary: Make, play: Play) -> None:
        line = play(canary(threshold=3), V2, (200, Scale(Side.CANARY, 0)))

        assert line.status.phase is Phase.SUCCEEDED
        assert (timedelta(seconds=200), 0) in line.weight_changes

    def test_a_primary_that_was_deleted_at_rest_is_made_again(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (1000, Remove(Side.PRIMARY)))

        assert line.phases[-3:] == (Phase.SUCCEEDED, Phase.INITIALIZING, Phase.INITIALIZED)
        assert line.status.last_promoted_spec == "v2"
