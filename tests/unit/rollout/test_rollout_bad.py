"""A version that is bad comes back by itself, and reaches as few users as can be."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.meta import ConditionStatus
from canary.api.status import Phase, Verdict
from canary.rollout.decision import Ending
from canary.rollout.simulation import (
    Deploy,
    Kill,
    Reading,
    Remove,
    Reply,
    Side,
    Timeline,
    Version,
)

V2 = (60, Deploy("v2"))
ANSWERS = timedelta(seconds=1)
SLOW = Reading(900.0, metric="request-duration")
FAILING = Reading(90.0, metric="request-success-rate")

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Hook = Callable[..., dict[str, Any]]


def bad(*readings: Reading, **fields: Any) -> dict[str, Version]:
    return {"v2": Version(readings=readings, **fields)}


def assert_rolled_back(line: Timeline) -> None:
    assert line.status.phase is Phase.FAILED
    assert line.status.canary_weight == 0
    assert line.weights[-1] == 0
    assert line.endings == (Ending.FAILED,)
    assert line.over


def test_it_is_taken_back_in_the_look_that_reaches_the_threshold(canary: Make, play: Play) -> None:
    """At 10 % it fails twice: one interval after the other, and at the second it is out at once."""
    line = play(canary(threshold=2), V2, versions=bad(FAILING))

    assert_rolled_back(line)
    assert line.weights == (0, 10, 0)
    begun, out = (at for at, _ in line.weight_changes[1:])
    assert timedelta(minutes=2) <= out - begun <= timedelta(minutes=2) + ANSWERS


def test_with_threshold_1_the_first_bad_look_is_the_last(canary: Make, play: Play) -> None:
    line = play(canary(threshold=1), V2, versions=bad(FAILING))

    begun, out = (at for at, _ in line.weight_changes[1:])
    assert_rolled_back(line)
    assert timedelta(minutes=1) <= out - begun <= timedelta(minutes=1) + ANSWERS


def test_without_a_threshold_the_first_bad_look_is_the_last(canary: Make, play: Play) -> None:
    """A threshold of 0 is none, not one that is reached before anything has failed."""
    assert play(canary(threshold=0), V2).status.phase is Phase.SUCCEEDED
    assert play(canary(threshold=0), V2, versions=bad(FAILING)).weights == (0, 10, 0)


def test_it_reaches_no_user_beyond_the_weight_at_which_it_was_found(canary: Make, play: Play) -> None:
    line = play(canary(), V2, versions=bad(Reading(90.0, weight=20)))

    assert_rolled_back(line)
    assert line.weights == (0, 10, 20, 0)


def test_its_pods_go_once_traffic_has_left_them(canary: Make, play: Play) -> None:
    """Not with it: routers follow a moment later."""
    line = play(canary(), V2, versions=bad(FAILING))
    out = next(each for each in line.entries if each.phase is Phase.FAILED)

    assert line.entries[-1].reason == "the canary's pods are let go"
    assert line.entries[-1].at == out.at + timedelta(seconds=1)
    assert "" not in line.served


def test_events_say_what_broke_the_threshold_and_that_it_is_taken_back(canary: Make, play: Play) -> None:
    line = play(canary(threshold=2), V2, versions=bad(FAILING))

    assert line.events[4:] == (
        "Halt app.prod advancement success rate 90.00% < 99%",
        "Halt app.prod advancement success rate 90.00% < 99%",
        "Rolling back app.prod failed checks threshold reached 2",
        "Canary failed! Scaling down app.prod",
    )


def test_people_are_called_as_flagger_calls_them(canary: Make, play: Play, hook: Hook) -> None:
    """One alert for the end of a rollout, in the words that filters look for."""
    failed = play(canary(threshold=2), V2, versions=bad(FAILING))
    stuck = play(canary(), V2, versions=bad(ready_after=None))
    asked = play(canary(webhooks=[hook("rollback")]), V2, replies=(Reply(approved=True, start=timedelta(minutes=2)),))

    assert failed.alerts[2:] == ("Failed checks threshold reached 2",)
    assert stuck.alerts[2].startswith("Progress deadline exceeded ")
    assert asked.alerts[2:] == ("Rolling back manual webhook invoked",)


@pytest.mark.parametrize(
    ("readings", "told"),
    [
        ((SLOW,), "Halt app.prod advancement request duration 900ms > 500ms"),
        ((FAILING, SLOW), "Halt app.prod advancement success rate 90.00% < 99%"),
    ],
)
def test_any_metric_can_break_it(canary: Make, play: Play, readings: tuple[Reading, ...], told: str) -> None:
    """Two that fail in one look are one failed check."""
    line = play(canary(threshold=2), V2, versions=bad(*readings))

    assert_rolled_back(line)
    assert told in line.events
    assert line.status.failed_checks == 2


def test_the_status_says_why(canary: Make, play: Play) -> None:
    status = play(canary(threshold=2), V2, versions=bad(FAILING)).status
    promoted = status.condition("Promoted")

    assert (status.reason, status.message) == ("RolledBack", "failed checks threshold reached 2")
    assert (status.checks[0].verdict, status.checks[0].value) == (Verdict.FAIL, 90.0)
    assert promoted is not None
    assert (promoted.status, promoted.reason) == (ConditionStatus.FALSE, "Failed")
    assert (status.last_applied_spec, status.last_promoted_spec) == ("v2", "v1")


def test_a_failed_look_that_the_threshold_forgives_holds_the_weight(canary: Make, play: Play) -> None:
    """The step is looked at again an interval later, and the count stays."""
    once = (Reading(90.0, weight=20), Reading(99.9, weight=20, after=timedelta(seconds=150)))
    line = play(canary(threshold=2), V2, versions=bad(*once))

    assert line.weights == (0, 10, 20, 30, 40, 50, 0)
    assert line.status.phase is Phase.SUCCEEDED
    steps = {weight: at for at, weight in line.weight_changes}
    assert steps[30] - steps[20] >= timedelta(minutes=2)


def test_a_failed_version_is_not_tried_again(canary: Make, play: Play) -> None:
    line = play(canary(), V2, versions=bad(FAILING))

    assert line.over
    assert line.events.count("New revision detected! Scaling up app.prod") == 1


def test_the_version_after_a_failed_one_is_rolled_out(canary: Make, play: Play) -> None:
    line = play(canary(), V2, (1000, Deploy("v3")), versions=bad(FAILING))

    assert line.status.phase is Phase.SUCCEEDED
    assert line.status.failed_checks == 0
    assert line.status.last_promoted_spec == "v3"


def test_going_back_after_a_failure_is_no_rollout(canary: Make, play: Play) -> None:
    """Setting the target back to what the primary serves ends the failed state, with nothing to roll out."""
    line = play(canary(), V2, (1000, Deploy("v1")), versions=bad(FAILING))

    assert line.weights == (0, 10, 0)
    assert line.status.phase is Phase.SUCCEEDED
    assert line.events[-1] == "app.prod is back at the promoted revision"


class TestHooks:
    """What hooks of the spec can do to a rollout."""

    def test_a_failing_pre_rollout_check_lets_no_user_near_it(self, canary: Make, play: Play, hook: Hook) -> None:
        line = play(
            canary(webhooks=[hook("pre-rollout", "acceptance")]), V2, replies=(Reply(approved=False, message="boom"),)
        )

        assert_rolled_back(line)
        assert line.weights == (0,)
        assert line.events[2:] == (
            "Halt app.prod advancement pre-rollout check acceptance failed boom",
            "Halt app.prod advancement pre-rollout check acceptance failed boom",
            "Rolling back app.prod failed checks threshold reached 2",
            "Canary failed! Scaling down app.prod",
        )

    def test_a_pre_rollout_check_is_not_asked_before_pods_are_ready(self, canary: Make, play: Play, hook: Hook) -> None:
        """What it looks at is not there yet."""
        line = play(
            canary(threshold=1, webhooks=[hook("pre-rollout")]),
            V2,
            versions=bad(ready_after=timedelta(seconds=60)),
            replies=(Reply(approved=False, end=timedelta(seconds=119)),),
        )

        assert line.status.phase is Phase.SUCCEEDED

    def test_a_failing_rollout_check_counts_as_failed(self, canary: Make, play: Play, hook: Hook) -> None:
        line = play(
            canary(webhooks=[hook("rollout", "load")]),
            V2,
            replies=(Reply(approved=False, start=timedelta(seconds=150), message="no load"),),
        )

        assert_rolled_back(line)
        assert "Halt app.prod advancement external check load failed no load" in line.events

    def test_a_rollback_hook_takes_a_healthy_version_back(self, canary: Make, play: Play, hook: Hook) -> None:
        line = play(
            canary(webhooks=[hook("rollback", "panic")]),
            V2,
            replies=(Reply(approved=True, start=timedelta(minutes=3)),),
        )

        assert_rolled_back(line)
        assert line.weights == (0, 10, 20, 0)
        assert line.events[-3:] == (
            "Rollback check panic passed",
            "Rolling back app.prod manual webhook invoked",
            "Canary failed! Scaling down app.prod",
        )

    def test_a_rollback_hook_is_heard_while_pods_are_not_ready(self, canary: Make, play: Play, hook: Hook) -> None:
        line = play(
            canary(webhooks=[hook("rollback")]),
            V2,
            versions=bad(ready_after=None),
            replies=(Reply(approved=True, start=timedelta(minutes=2)),),
        )

        assert_rolled_back(line)
        assert line.lasted < timedelta(minutes=4)

    def test_a_rollback_hook_is_heard_while_a_gate_is_closed(self, canary: Make, play: Play, hook: Hook) -> None:
        line = play(
            canary(stepWeight=50, webhooks=[hook("confirm-promotion", "gate"), hook("rollback", "panic")]),
            V2,
            replies=(
                Reply(approved=False, name="gate"),
                Reply(approved=True, name="panic", start=timedelta(minutes=9)),
            ),
        )

        assert_rolled_back(line)
        assert Phase.WAITING_PROMOTION in line.phases

    def test_post_rollout_hooks_hear_of_the_failure(self, canary: Make, play: Play, hook: Hook) -> None:
        line = play(canary(webhooks=[hook("post-rollout", "tell")]), V2, versions=bad(FAILING))

        assert line.events[-1] == "Post-rollout check tell passed"


class TestDeadline:
    """Pods that don't become ready."""

    def test_pods_that_never_come_end_the_rollout_at_the_deadline(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, versions=bad(ready_after=None, why_not="container app: ImagePullBackOff"))

        assert_rolled_back(line)
        assert line.weights == (0,)
        failed = line.when(Phase.FAILED)
        assert failed is not None
        assert timedelta(seconds=360) <= failed <= timedelta(seconds=360) + ANSWERS

    def test_the_reason_reaches_status_event_and_alert(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, versions=bad(ready_after=None, why_not="container app: ImagePullBackOff"))
        why = (
            "progress deadline exceeded waiting for rollout to finish: 0 of 2 updated replicas are available: "
            "container app: ImagePullBackOff"
        )

        assert line.status.reason == "ProgressDeadlineExceeded"
        assert line.status.message == why
        assert f"Rolling back app.prod {why}" in line.events
        assert f"P{why[1:]}" in line.alerts

    def test_the_deadline_counts_from_the_last_progress(self, canary: Make, play: Play) -> None:
        """A rollout that moves may take longer than the deadline as a whole."""
        line = play(canary(spec={"progressDeadlineSeconds": 70}), V2)

        assert line.status.phase is Phase.SUCCEEDED


class TestPods:
    """Pods that go in mid-rollout."""

    def test_a_canary_that_loses_its_pods_loses_its_traffic_at_once(self, canary: Make, play: Play) -> None:
        line = play(canary(threshold=3), V2, (200, Kill(Side.CANARY, timedelta(seconds=10))))

        assert (timedelta(seconds=200), 0) in line.weight_changes
        assert "" not in line.served
        assert line.status.phase is Phase.SUCCEEDED
        assert line.weights == (0, 10, 20, 30, 0, 10, 20, 30, 40, 50, 0)

    def test_its_loss_counts_as_failed(self, canary: Make, play: Play) -> None:
        line = play(canary(threshold=1), V2, (200, Kill(Side.CANARY, timedelta(seconds=10))))

        assert_rolled_back(line)
        assert "Rolling back app.prod canary has no ready pods" in line.events

    def test_pods_that_stay_away_end_the_rollout_at_the_deadline(self, canary: Make, play: Play) -> None:
        line = play(canary(threshold=3), V2, (200, Kill(Side.CANARY, None)))

        assert_rolled_back(line)
        assert line.status.reason == "ProgressDeadlineExceeded"

    def test_a_rollback_waits_for_a_primary_that_can_take_the_traffic(self, canary: Make, play: Play) -> None:
        """Users of a bad version are better off than users of none."""
        line = play(
            canary(threshold=1),
            V2,
            (110, Kill(Side.PRIMARY, timedelta(seconds=60))),
            versions=bad(FAILING),
        )

        assert_rolled_back(line)
        assert (timedelta(seconds=170), 0) in line.weight_changes
        assert any(event.startswith("Halt app.prod rollback failed checks threshold") for event in line.events)
        assert line.status.message == "failed checks threshold reached 1"

    def test_a_target_that_is_deleted_ends_the_rollout(self, canary: Make, play: Play) -> None:
        line = play(canary(), V2, (200, Remove(Side.CANARY)))

        assert line.status.phase is Phase.FAILED
        assert line.weights[-1] == 0
        assert "Rolling back app.prod Deployment app.prod does not exist any more" in line.events
