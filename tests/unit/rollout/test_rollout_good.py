"""A version that is good reaches everybody, step by step."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.meta import ConditionStatus
from canary.api.status import Phase, Verdict
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, SafeWorld, Scenario, Timeline, Version

V2 = (60, Deploy("v2"))
MINUTE = timedelta(minutes=1)
ANSWERS = timedelta(seconds=1)
"""What the answers to the questions of one look may take."""

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Play = Callable[..., Timeline]
Hook = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def good(canary: Make, play: Play) -> Timeline:
    return play(canary(), V2)


def test_weights_go_up_by_the_step_to_the_greatest_and_back_to_none(good: Timeline) -> None:
    """0, 10, 20, 30, 40, 50, 0: in order, none skipped, none repeated."""
    assert good.weights == (0, 10, 20, 30, 40, 50, 0)


def test_every_step_lasts_one_interval(good: Timeline) -> None:
    """The next step begins an interval after the one before, and the time that the answers take."""
    steps = [at for at, weight in good.weight_changes if weight]
    lengths = [after - before for before, after in pairwise(steps)]

    assert all(MINUTE <= length <= MINUTE + ANSWERS for length in lengths)


def test_the_first_step_begins_as_soon_as_the_pods_are_ready(good: Timeline) -> None:
    """Nothing waits for an interval that has no reason to."""
    first = next(at for at, weight in good.weight_changes if weight)

    assert timedelta(seconds=65) <= first <= timedelta(seconds=65) + ANSWERS


def test_a_rollout_takes_hardly_more_than_its_steps_and_its_pods(good: Timeline) -> None:
    """At most 1.05 of steps x interval and what the pods take to be ready, here and in the primary."""
    took = good.lasted - timedelta(seconds=60)

    assert took <= 1.05 * (5 * MINUTE + timedelta(seconds=10))


def test_phases_come_in_order(good: Timeline) -> None:
    """From nothing to a promoted version."""
    assert good.phases == (
        Phase.INITIALIZING,
        Phase.INITIALIZED,
        Phase.PROGRESSING,
        Phase.PROMOTING,
        Phase.FINALISING,
        Phase.SUCCEEDED,
    )


def test_events_say_what_dashboards_look_for(good: Timeline) -> None:
    """The wording is a contract."""
    assert good.events == (
        "Initialization done! app.prod",
        "New revision detected! Scaling up app.prod",
        "Starting canary analysis for app.prod",
        "Advance app.prod canary weight 10",
        "Advance app.prod canary weight 20",
        "Advance app.prod canary weight 30",
        "Advance app.prod canary weight 40",
        "Advance app.prod canary weight 50",
        "Copying app.prod template spec to app-primary.prod",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down app.prod",
    )


def test_people_are_called_at_the_start_and_at_the_end(good: Timeline) -> None:
    assert good.alerts == (
        "New Deployment detected, initialization completed.",
        "New revision detected, progressing canary analysis.",
        "Canary analysis completed successfully, promotion finished.",
    )
    assert good.endings == (Ending.PROMOTED,)


def test_the_status_at_the_end_is_that_of_a_promoted_version(good: Timeline) -> None:
    status = good.status
    promoted = status.condition("Promoted")

    assert (status.canary_weight, status.iterations, status.failed_checks) == (0, 0, 0)
    assert (status.last_applied_spec, status.last_promoted_spec) == ("v2", "v2")
    assert promoted is not None
    assert (promoted.status, promoted.reason) == (ConditionStatus.TRUE, "Succeeded")
    assert promoted.message == "Canary analysis completed successfully, promotion finished."


def test_the_status_keeps_the_last_verdict_of_every_metric(good: Timeline) -> None:
    assert [(check.name, check.verdict) for check in good.status.checks] == [
        ("request-success-rate", Verdict.PASS),
        ("request-duration", Verdict.PASS),
    ]


def test_users_meet_the_new_version_no_more_than_the_steps_say(good: Timeline) -> None:
    """The share that it answered until its promotion is the sum of the steps."""
    before = good.served["v2"]

    assert before == pytest.approx(timedelta(seconds=60 * 1.5), abs=timedelta(seconds=5))
    assert "" not in good.served


def test_every_version_gets_its_turn(canary: Make, play: Play) -> None:
    """A settled Canary takes the next revision, and the one after."""
    line = play(canary(), V2, (1000, Deploy("v3")), (2000, Deploy("v1")))

    assert line.weights == (0, *(10, 20, 30, 40, 50, 0) * 3)
    assert line.status.last_promoted_spec == "v1"


def test_hooks_are_told_as_they_pass(canary: Make, play: Play, hook: Hook) -> None:
    """Each kind in its own words; rollout hooks pass at every look and are not told."""
    kinds = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion",
             "post-rollout", "rollback")  # fmt: skip
    line = play(canary(stepWeight=50, webhooks=[hook(kind, name=kind) for kind in kinds]), V2)

    assert line.events == (
        "Initialization done! app.prod",
        "Confirm-rollout check confirm-rollout passed",
        "New revision detected! Scaling up app.prod",
        "Starting canary analysis for app.prod",
        "Pre-rollout check pre-rollout passed",
        "Confirm-traffic-increase check confirm-traffic-increase passed",
        "Advance app.prod canary weight 50",
        "Confirm-traffic-increase check confirm-traffic-increase passed",
        "Confirm-promotion check confirm-promotion passed",
        "Copying app.prod template spec to app-primary.prod",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down app.prod",
        "Post-rollout check post-rollout passed",
    )


def test_the_canary_gets_as_many_pods_as_the_primary_and_loses_them_at_the_end(canary: Make, play: Play) -> None:
    line = play(canary(stepWeight=50), V2, replicas=3)

    assert line.status.phase is Phase.SUCCEEDED
    assert "" not in line.served


@pytest.mark.parametrize("latency", [0, 0.1, 20, 90])
def test_slow_answers_make_steps_longer_and_change_nothing_else(canary: Make, play: Play, latency: float) -> None:
    line = play(canary(), V2, latency=timedelta(seconds=latency))

    assert line.weights == (0, 10, 20, 30, 40, 50, 0)
    assert line.status.phase is Phase.SUCCEEDED


def test_the_status_says_what_a_new_version_is_waiting_for(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(), V2, versions={"v2": Version(ready_after=timedelta(seconds=290))}))
    world.run(timedelta(seconds=340))
    waiting = world.canary.status
    world.run(timedelta(seconds=360))

    assert (waiting.reason, waiting.message) == ("WaitingForPods", "the pods of the new version are not ready yet")
    assert (world.canary.status.reason, world.canary.status.message) == ("Analysing", "")


def test_slow_pods_within_the_deadline_are_waited_for(canary: Make, play: Play) -> None:
    line = play(canary(), V2, versions={"v2": Version(ready_after=timedelta(seconds=290))})

    assert line.weights == (0, 10, 20, 30, 40, 50, 0)
