"""What is done with a version that has failed: held where it is, where the spec asks for it; tried again when asked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.decision import Ending
from canary.rollout.simulation import Annotate, Deploy, Edit, Reading, Reply, Timeline, Version

V2 = (60, Deploy("v2"))
FAILING = {"v2": Version(readings=(Reading(90.0, weight=20),))}
RETRY = "flagger.app/retry"

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Hook = Callable[..., dict[str, Any]]


def test_a_failed_version_is_held_at_its_weight_where_the_spec_asks_for_it(canary: Make, play: Play) -> None:
    line = play(canary(onFailure="hold"), V2, versions=FAILING)

    assert (line.status.phase, line.status.reason) == (Phase.PROGRESSING, "Held")
    assert line.weights == (0, 10, 20)
    assert line.status.canary_weight == 20
    assert line.endings == ()


def test_a_held_version_alerts_once_and_says_what_failed(canary: Make, play: Play) -> None:
    line = play(canary(onFailure="hold"), V2, versions=FAILING)

    alerts = [alert.message for entry in line.entries for alert in entry.alerts]
    assert alerts[-1] == "Canary failed and is held at its weight: failed checks threshold reached 2"
    assert sum("held" in alert for alert in alerts) == 1
    told = [event.message for entry in line.entries for event in entry.events]
    assert told[-1] == "Holding app.prod at canary weight 20 failed checks threshold reached 2"


def test_a_held_version_is_taken_back_when_a_rollback_hook_says_so(canary: Make, play: Play, hook: Hook) -> None:
    later = (Reply(False), Reply(True, start=timedelta(minutes=20)))
    line = play(canary(onFailure="hold", webhooks=[hook("rollback")]), V2, versions=FAILING, replies=later)

    assert line.status.phase is Phase.FAILED
    assert line.weights == (0, 10, 20, 0)
    assert line.endings == (Ending.FAILED,)


def test_a_held_version_is_taken_back_when_the_spec_no_longer_holds(canary: Make, play: Play) -> None:
    holding = canary(onFailure="hold")
    line = play(holding, V2, (1500, Edit(canary().spec)), versions=FAILING)

    assert line.status.phase is Phase.FAILED
    assert line.weights == (0, 10, 20, 0)


def test_a_new_revision_ends_a_hold_and_is_rolled_out_from_the_start(canary: Make, play: Play) -> None:
    versions = {**FAILING, "v3": Version()}
    line = play(canary(onFailure="hold"), V2, (1500, Deploy("v3")), versions=versions)

    assert line.status.phase is Phase.SUCCEEDED
    assert line.weights == (0, 10, 20, 0, 10, 20, 30, 40, 50, 0)


def test_setting_the_target_back_ends_a_hold(canary: Make, play: Play) -> None:
    line = play(canary(onFailure="hold"), V2, (1500, Deploy("v1")), versions=FAILING)

    assert line.status.phase is Phase.SUCCEEDED
    assert line.weights == (0, 10, 20, 0)


def test_a_failed_revision_is_tried_again_when_the_annotation_gets_a_new_value(
    canary: Make, play: Play, hook: Hook
) -> None:
    """Without any change of the target: what was wrong may have been somebody else's."""
    mended = (Reply(False, end=timedelta(minutes=15)), Reply(True, start=timedelta(minutes=15)))
    line = play(canary(webhooks=[hook("pre-rollout")]), V2, (1200, Annotate(RETRY, "1")), replies=mended)

    assert line.endings == (Ending.FAILED, Ending.PROMOTED)
    assert line.status.phase is Phase.SUCCEEDED


def test_each_new_value_is_one_more_try(canary: Make, play: Play) -> None:
    line = play(canary(), V2, (1200, Annotate(RETRY, "1")), (2400, Annotate(RETRY, "2")), versions=FAILING)

    assert line.endings == (Ending.FAILED,) * 3
    assert line.status.last_retry == "2"


def test_a_held_revision_is_tried_again_from_the_first_step(canary: Make, play: Play) -> None:
    line = play(canary(onFailure="hold"), V2, (1500, Annotate(RETRY, "1")), versions=FAILING)

    assert line.weights == (0, 10, 20, 0, 10, 20)


def test_there_is_nothing_to_try_again_when_the_primary_serves_the_target(canary: Make, play: Play) -> None:
    line = play(canary(), V2, (1200, Annotate(RETRY, "1")))

    assert line.endings == (Ending.PROMOTED,)
    assert line.weights == (0, 10, 20, 30, 40, 50, 0)
