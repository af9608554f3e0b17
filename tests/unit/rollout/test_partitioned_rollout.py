"""A StatefulSet rolls out in place: a step a partition, the last pod being the promotion, and back the same way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from canary.api.analysis import HookType
from canary.api.canary import Canary
from canary.api.partitions import NO_POD
from canary.api.status import Outcome, Phase
from canary.api.traffic import Split
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Annotate,
    Change,
    Delete,
    Deploy,
    Drift,
    Edit,
    Kill,
    PodWorld,
    Reading,
    Remove,
    Reply,
    Scale,
    Scenario,
    Side,
    Timeline,
    Version,
    Window,
)
from canary.rollout.simulation.statefulset import StatefulSet

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]
Play = Callable[..., "Played"]

TARGET = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
V2 = (60, Deploy("v2"))
BAD = {"v2": Version(readings=(Reading(1.0, weight=50),))}
NEVER = {"v2": Version(ready_after=None, why_not="ImagePullBackOff")}


@dataclass
class Played:
    """What came of a story."""

    world: PodWorld
    line: Timeline = field(init=False)

    def __post_init__(self) -> None:
        self.line = self.world.run()

    @property
    def target(self) -> StatefulSet:
        target = self.world.cluster.target
        assert isinstance(target, StatefulSet)
        return target

    @property
    def pods(self) -> str:
        """What the pods run in the end."""
        return " ".join(self.target.pods[index].revision for index in sorted(self.target.pods))

    @property
    def full(self) -> list[str]:
        """What the pods ran, whenever all were there."""
        return [each for each in self.world.seen if len(each.split()) == self.world.scenario.replicas]


def specified(make: Make, spec: dict[str, Any] | None = None, **analysis: Any) -> Canary:
    return make(spec={**TARGET, **(spec or {})}, **{"maxWeight": 100, "stepWeight": 1, **analysis})


@pytest.fixture
def play(canary: Make, story: Story) -> Play:
    """Plays a story of three pods: `spec` and `fields` change the Canary and the scenario, the rest the analysis."""

    def played(
        *changes: tuple[float, Change], spec: dict[str, Any] | None = None, fields: Any = None, **analysis: Any
    ) -> Played:
        made = specified(canary, spec, **analysis)
        return Played(PodWorld(story(made, *changes, **{"in_place": True, "replicas": 3, **(fields or {})})))

    return played


class TestForward:
    def test_one_pod_a_step_the_highest_first(self, play: Play) -> None:
        played = play(V2)

        assert played.full == ["v1 v1 v1", "v1 v1 v2", "v1 v2 v2", "v2 v2 v2"]
        assert played.world.least == 2, "never more than one is missing"
        assert played.line.weights == (0, 34, 67, 100, 0)
        assert played.line.phases[1:] == (Phase.INITIALIZED, Phase.PROGRESSING, Phase.PROMOTING, Phase.SUCCEEDED)
        assert played.line.endings == (Ending.PROMOTED,)
        assert played.target.spec.partition == NO_POD
        assert played.line.status.last_promoted_spec == "v2"

    def test_every_step_is_looked_at_for_an_interval_once_its_pods_are_ready(self, play: Play) -> None:
        played = play(V2, fields={"versions": {"v2": Version(ready_after=timedelta(seconds=50))}})
        told = {each.events[-1].message: each.at for each in played.line.entries if each.events}

        first, second = told["Advance app.prod canary weight 34"], told["Advance app.prod canary weight 67"]
        assert first > timedelta(seconds=60 + 50)
        assert second > first + timedelta(seconds=60 + 50)

    @pytest.mark.parametrize(
        ("analysis", "pods"),
        [
            ({"stepWeight": 50}, [2, 3]),
            ({"stepWeight": 25, "maxWeight": 50}, [1, 2]),
            ({"stepWeight": 0, "stepWeights": [1, 60]}, [1, 3]),
            ({"stepWeight": 0, "maxWeight": 0}, [1, 2, 3]),
            ({"stepWeight": 100}, [3]),
        ],
    )
    def test_a_weight_is_a_share_of_the_pods(self, play: Play, analysis: dict[str, Any], pods: list[int]) -> None:
        """At least one, and never all: those that are left are the promotion, and nobody looks at them."""
        played = play(V2, fields={"replicas": 4}, **analysis)
        told = [each for each in played.line.events if each.startswith("Advance")]

        assert told == [f"Advance app.prod canary weight {25 * count}" for count in pods]
        assert played.pods == "v2 v2 v2 v2"

    def test_nothing_moves_before_the_rollout_is_confirmed(self, play: Play, hook: Hook) -> None:
        closed = (Reply(approved=False, type=HookType.CONFIRM_ROLLOUT, message="closed"),)
        played = play(V2, fields={"replies": closed, "limit": timedelta(hours=1)}, webhooks=[hook("confirm-rollout")])

        assert played.line.status.phase is Phase.WAITING
        assert played.world.seen == ["v1 v1 v1"]

    @pytest.mark.parametrize(
        ("kind", "pods"),
        [
            ("pre-rollout", ["v1 v1 v1"]),
            ("confirm-traffic-increase", ["v1 v1 v1"]),
            ("confirm-promotion", ["v1 v1 v1", "v1 v1 v2", "v1 v2 v2"]),
        ],
    )
    def test_each_gate_is_in_its_place(self, play: Play, hook: Hook, kind: str, pods: list[str]) -> None:
        """Before the first pod, before every step, and before the last pod."""
        closed = (Reply(approved=False, name="hook"),)
        fields = {"replies": closed, "limit": timedelta(minutes=30)}
        played = play(V2, fields=fields, webhooks=[hook(kind)], threshold=1000)

        assert played.full == pods

    def test_metrics_are_asked_about_what_came_after_the_pods(self, play: Play) -> None:
        """A pod of the version before had the same name."""
        played = play(V2, (150, Edit(specified_spec(play))), fields={"limit": timedelta(seconds=170)})
        status = played.line.status

        assert status.partition == 1
        assert status.analysis_start_time is not None
        assert played.world.now - status.analysis_start_time < timedelta(seconds=60)

    def test_without_analysis_all_pods_go_one_by_one(self, play: Play) -> None:
        played = play(V2, spec={"skipAnalysis": True})

        assert played.pods == "v2 v2 v2"
        assert played.world.least == 2
        assert played.line.lasted < timedelta(seconds=100)
        assert played.line.endings == (Ending.PROMOTED_UNCHECKED,)

    def test_one_pod_alone_is_left_as_it_is(self, play: Play) -> None:
        """Once it runs a version there is none to go back to, so that there would be nothing to judge."""
        assert play(V2, fields={"replicas": 1, "limit": timedelta(days=1)}).pods == "v1"
        assert play(V2, fields={"replicas": 1}, spec={"skipAnalysis": True}).pods == "v2"


def specified_spec(play: Play) -> Any:
    return play(fields={"limit": timedelta(0)}, interval="59s").world.canary.spec


class TestBack:
    def test_the_last_one_updated_goes_back_first_and_each_is_ready_before_the_next(self, play: Play) -> None:
        played = play(V2, fields={"versions": BAD}, threshold=1)

        assert played.full == ["v1 v1 v1", "v1 v1 v2", "v1 v2 v2", "v1 v1 v2", "v1 v1 v1"]
        assert played.world.least == 2
        assert played.line.weights == (0, 34, 67, 34, 0)
        status = played.line.status
        assert (status.phase, status.reason, status.partition) == (Phase.FAILED, "RolledBack", None)
        assert (played.target.revision, played.target.spec.partition) == ("v2", NO_POD), "the template is not touched"
        assert "Canary failed! Setting the pods of app.prod back" in played.line.events

    def test_a_pod_that_never_starts_is_deleted(self, play: Play) -> None:
        """Kubernetes would wait for it for ever."""
        played = play(V2, fields={"versions": NEVER})

        assert played.full == ["v1 v1 v1", "v1 v1 v2", "v1 v1 v1"]
        assert played.line.status.reason == "ProgressDeadlineExceeded"
        assert "ImagePullBackOff" in played.line.status.message

    def test_the_last_pod_too_is_taken_back_while_it_is_not_ready(self, play: Play) -> None:
        """Promotion ends with all pods ready; until then Kubernetes keeps the version before."""
        played = play(V2, fields={"versions": {"v2": Version(fits_primary=False)}})

        assert played.full == ["v1 v1 v1", "v1 v1 v2", "v1 v2 v2", "v2 v2 v2", "v1 v2 v2", "v1 v1 v2", "v1 v1 v1"]
        assert played.line.status.phase is Phase.FAILED

    def test_another_revision_begins_when_no_pod_is_left_of_the_one_before(self, play: Play) -> None:
        played = play(V2, (140, Deploy("v3")))

        assert played.full[:6] == ["v1 v1 v1", "v1 v1 v2", "v1 v2 v2", "v1 v1 v2", "v1 v1 v1", "v1 v1 v3"]
        assert played.pods == "v3 v3 v3"
        assert "New revision detected! Restarting analysis for app.prod" in played.line.events

    def test_a_mended_revision_is_not_held_up_by_a_pod_of_the_broken_one(self, play: Play) -> None:
        played = play(V2, (100, Deploy("v3")), fields={"versions": NEVER})

        assert played.pods == "v3 v3 v3"
        assert played.line.endings == (Ending.PROMOTED,)

    def test_setting_the_template_back_brings_the_pods_back(self, play: Play) -> None:
        played = play(V2, (140, Deploy("v1")))

        assert played.pods == "v1 v1 v1"
        assert (played.line.status.phase, played.line.status.canary_weight) == (Phase.SUCCEEDED, 0)
        assert "app.prod is back at the promoted revision" in played.line.events

    def test_the_way_back_waits_for_the_version_before_and_calls_somebody(self, play: Play) -> None:
        """A version before that can't start any more takes no further pod from requests."""
        changes = (V2, (193, Kill(Side.CANARY, timedelta(0))))
        versions = {"v1": Version(ready_after=None), **BAD}
        played = play(*changes, fields={"versions": versions}, threshold=1)

        assert played.line.status.message.endswith("waiting for all pods to be available before the next one goes back")
        assert played.line.status.canary_weight == 34
        assert any(alert.startswith("Rollback of app.prod is held") for alert in played.line.alerts)
        assert played.target.ready_by_revision(played.world.now) == {"v1": 1, "v2": 1}

    def test_what_comes_while_the_way_back_is_held_is_tried_and_fails_while_the_version_before_serves(
        self, play: Play
    ) -> None:
        """It says what is waited for; `skipAnalysis` has it go to all pods, whatever they are."""
        changes = (V2, (193, Kill(Side.CANARY, timedelta(0))), (900, Deploy("v3")))
        versions = {"v1": Version(ready_after=None), **BAD}
        played = play(*changes, fields={"versions": versions}, threshold=1)

        assert (played.line.status.phase, played.line.status.last_applied_spec) == (Phase.FAILED, "v3")
        assert any("before any is updated: 2 of 3 are" in event for event in played.line.events)
        assert played.target.ready_by_revision(played.world.now) == {"v1": 1, "v2": 1}

        at_all_costs = {"versions": versions, "limit": timedelta(hours=2)}
        assert play(*changes, fields=at_all_costs, threshold=1, spec={"skipAnalysis": True}).pods == "v3 v3 v3"

    def test_what_comes_when_the_version_before_serves_nobody_any_more_goes_to_all_pods(self, play: Play) -> None:
        """The only pod that serves is of a version that was taken back: it is the last to go."""
        versions = {"v1": Version(ready_after=None), "v2": Version(fits_primary=False)}
        held = play(V2, fields={"versions": versions, "replicas": 2})
        assert (held.pods, held.target.ready_by_revision(held.world.now)) == ("v1 v2", {"v2": 1})

        mended = play(V2, (1200, Deploy("v3")), fields={"versions": versions, "replicas": 2})
        assert mended.full[-3:] == ["v1 v2", "v3 v2", "v3 v3"]
        assert mended.line.lasted < timedelta(seconds=1260)
        assert mended.line.endings == (Ending.FAILED, Ending.PROMOTED)
        assert mended.world.least == 1

    def test_pods_that_lose_their_last_ready_one_count_as_a_failed_check(self, play: Play) -> None:
        played = play(V2, (100, Kill(Side.CANARY)), threshold=2)
        assert played.pods == "v2 v2 v2"
        assert "Halt app.prod advancement canary has no ready pods" in played.line.events

        assert play(V2, (100, Kill(Side.CANARY)), threshold=1).pods == "v1 v1 v1"

    def test_a_rollback_hook_is_asked_while_pods_are_updated_too(self, play: Play, hook: Hook) -> None:
        asked = (Reply(approved=True, type=HookType.ROLLBACK, start=timedelta(seconds=130)),)
        fields = {"versions": NEVER, "replies": asked}
        played = play(V2, fields=fields, webhooks=[hook("rollback")], spec={"progressDeadlineSeconds": 3600})

        assert played.pods == "v1 v1 v1"
        assert played.line.status.message == "manual webhook invoked: hook"

    def test_held_pods_stay_until_another_try_is_asked_for(self, play: Play) -> None:
        held = play(V2, fields={"versions": BAD, "limit": timedelta(hours=1)}, threshold=1, onFailure="hold")
        assert held.pods == "v1 v2 v2"
        assert (held.line.status.reason, held.line.status.canary_weight) == ("Held", 67)

        again = (600, Annotate("flagger.app/retry", "1"))
        fields = {"versions": BAD, "limit": timedelta(seconds=640)}
        assert play(V2, again, fields=fields, threshold=1, onFailure="hold").full[-1] == "v1 v1 v2"

    def test_a_version_that_failed_is_tried_again_on_demand(self, play: Play) -> None:
        mended = Version(readings=(Reading(1.0), Reading(100.0, after=timedelta(seconds=300))))
        again = (500, Annotate("flagger.app/retry", "1"))
        played = play(V2, again, fields={"versions": {"v2": mended}}, threshold=1)

        assert played.line.endings[0] is Ending.FAILED
        assert len(played.line.endings) == 2


class TestWhatElseHappens:
    def test_what_mends_pods_of_which_none_is_ready_goes_to_all_of_them(self, play: Play) -> None:
        """There is nothing to lose, and Kubernetes updates no pod above one that is not ready."""
        played = play((30, Kill(Side.CANARY, None)), V2)

        assert played.pods == "v2 v2 v2"
        assert played.line.lasted < timedelta(seconds=100)

    def test_pods_that_are_not_all_well_are_waited_for_and_not_the_new_versions_fault(self, play: Play) -> None:
        played = play((59, Kill(Side.CANARY, timedelta(seconds=30))), V2)

        assert played.pods == "v2 v2 v2"

    def test_scaling_adds_pods_of_the_promoted_version_at_rest(self, play: Play) -> None:
        """Also after a version has failed whose template is still there."""
        played = play(V2, (900, Scale(Side.CANARY, 5)), fields={"versions": BAD}, threshold=1)

        assert played.pods == "v1 v1 v1 v1 v1"

    def test_scaling_in_mid_rollout_moves_no_pod_below_the_partition(self, play: Play) -> None:
        """What it adds is of the new version, and the weight says so."""
        limit = {"limit": timedelta(seconds=125)}
        played = play(V2, (100, Scale(Side.CANARY, 5)), fields=limit)
        assert played.pods == "v1 v1 v2 v2 v2"
        assert played.line.status.canary_weight == 60

        assert play(V2, (100, Scale(Side.CANARY, 5))).pods == "v2 v2 v2 v2 v2"

    def test_pods_that_scaling_takes_are_followed_by_the_highest_that_are_left(self, play: Play) -> None:
        played = play(V2, (100, Scale(Side.CANARY, 2)))

        assert played.pods == "v2 v2"
        assert played.line.endings == (Ending.PROMOTED,)

    def test_a_version_that_failed_is_all_there_is_once_there_were_no_pods(self, play: Play) -> None:
        """Kubernetes forgets the version before; the status must not deny it."""
        changes = (V2, (900, Scale(Side.CANARY, 0)), (960, Scale(Side.CANARY, 3)))
        played = play(*changes, fields={"versions": BAD}, threshold=1)

        assert played.pods == "v2 v2 v2"
        assert (played.line.status.phase, played.line.status.reason) == (Phase.SUCCEEDED, "NoWayBack")
        (entry,) = played.line.status.history
        assert entry.outcome is Outcome.PROMOTED_UNCHECKED
        assert "; all pods of app.prod run the revision that failed" in entry.cause

    def test_a_suspended_rollout_stands_still_and_goes_on(self, play: Play, canary: Make) -> None:
        suspended = specified(canary, {"suspend": True}).spec
        resumed = specified(canary).spec
        still = play(V2, (61, Edit(suspended)), fields={"limit": timedelta(hours=1)})
        assert still.full[-1] == "v1 v1 v2"

        assert play(V2, (61, Edit(suspended)), (900, Edit(resumed)), threshold=1).pods == "v2 v2 v2"

    def test_a_rollout_that_is_under_way_already_comes_to_its_end_first(self, play: Play) -> None:
        """Nobody keeps a partition from what it was set to before there was a Canary."""
        away = (Window(timedelta(0), timedelta(seconds=3)),)
        played = play((0, Deploy("v2")), fields={"api_down": away})

        assert played.pods == "v2 v2 v2"
        assert played.line.phases == (Phase.EMPTY, Phase.INITIALIZING, Phase.INITIALIZED)

    def test_a_partition_that_somebody_else_sets_is_set_back_and_told(self, play: Play) -> None:
        played = play((60, Drift(Split(100))))

        assert played.target.spec.partition == NO_POD
        assert "somebody else has set the partition of app.prod to 0: it is set back" in played.line.events

    def test_a_target_that_disappears_ends_the_rollout(self, play: Play) -> None:
        played = play(V2, (100, Remove(Side.CANARY)))

        assert played.line.status.phase is Phase.FAILED
        assert "does not exist any more" in played.line.status.message


class TestLeaving:
    @pytest.mark.parametrize("revert", [False, True])
    def test_a_promoted_target_is_its_authors_again(self, play: Play, *, revert: bool) -> None:
        """From then on it updates its pods by itself, as it did before there was a Canary."""
        played = play((60, Delete()), (90, Deploy("v2")), spec={"revertOnDeletion": revert})

        assert played.world.gone
        assert (played.target.spec.partition, played.pods) == (0, "v2 v2 v2")

    def test_in_mid_rollout_pods_come_back_and_the_template_goes_no_further(self, play: Play) -> None:
        played = play(V2, (140, Delete()))

        assert played.world.gone
        assert (played.target.spec.partition, played.pods) == (NO_POD, "v1 v1 v1")
        assert any("is left with a partition above all its pods" in each for each in played.line.events)

    def test_with_revert_on_deletion_the_template_goes_out(self, play: Play) -> None:
        played = play(V2, (140, Delete()), spec={"revertOnDeletion": True})

        assert played.world.gone
        assert (played.target.spec.partition, played.pods) == (0, "v2 v2 v2")

    def test_without_target_nothing_is_waited_for(self, play: Play) -> None:
        assert play((60, Remove(Side.CANARY)), (61, Delete())).world.gone
