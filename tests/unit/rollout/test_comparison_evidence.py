"""What a comparison rests on stands in the status, for whoever judges several clusters together, rollout by rollout."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Evidence
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, PodWorld, Reading, Scenario, Timeline, Version
from metrics.judge.evidence import BETS, mixed

V2 = (60, Deploy("v2"))
RATE = "request-success-rate"
BAD = {"v2": Version(readings=(Reading(50.0, RATE),))}

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]


def compared(to: str = "primary", **fields: Any) -> dict[str, Any]:
    return {"metrics": [{"name": RATE, "compareTo": to, **fields}]}


def evidence(line: Timeline) -> Evidence:
    (check,) = line.status.checks
    assert check.evidence is not None
    return check.evidence


@pytest.mark.field(
    "status.checks[].evidence.bets",
    "status.checks[].evidence.canary.requests",
    "status.checks[].evidence.canary.bad",
    "status.checks[].evidence.promoted.requests",
    "status.checks[].evidence.promoted.bad",
)
def test_a_version_that_is_taken_back_leaves_the_bets_that_were_won_and_the_counts_of_both(
    canary: Make, play: Play
) -> None:
    line = play(canary(**compared()), V2, versions=BAD)
    found = evidence(line)
    assert line.endings == (Ending.FAILED,)
    assert len(found.bets) == BETS
    assert mixed(found.bets) >= math.log(20)  # 5 % were promised
    assert (found.canary.bad, found.promoted.bad) == (found.canary.requests / 2, 0)
    assert found.canary.requests == found.promoted.requests == line.status.checks[0].samples


def test_it_grows_from_look_to_look_and_stays_when_the_version_is_promoted(canary: Make, play: Play) -> None:
    early = evidence(play(canary(**compared()), V2, limit=timedelta(minutes=3)))
    line = play(canary(**compared()), V2)
    promoted = evidence(line)
    assert line.endings == (Ending.PROMOTED,)
    assert promoted.canary.requests > early.canary.requests > 0
    assert mixed(promoted.bets) < 0  # it has lost on a version that is as good


def test_another_rollout_begins_anew(canary: Make, play: Play) -> None:
    first = play(canary(**compared()), V2, versions=BAD)
    second = play(canary(**compared()), V2, (600, Deploy("v3")), versions={**BAD, "v3": Version()})
    assert second.endings == (Ending.FAILED, Ending.PROMOTED)
    assert evidence(second).canary.bad == 0
    assert first.status.analysis_start_time != second.status.analysis_start_time


def test_after_promotion_nothing_is_added(canary: Make, play: Play) -> None:
    """There it would be another process: of the promoted version, from its promotion on."""
    line = play(canary(**compared("previous", tolerance=1), bake="10m"), V2)
    assert line.endings[0] is Ending.PROMOTED
    assert [each.evidence for each in line.status.checks] == [None]


def test_where_each_step_is_judged_by_itself_there_is_none(canary: Make, story: Story) -> None:
    in_place = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
    made = canary(**compared("previous", tolerance=1), spec=in_place, stepWeights=[50, 100])
    line = PodWorld(story(made, V2, in_place=True, replicas=4)).run()
    assert line.endings == (Ending.PROMOTED,)
    assert {each.evidence for each in line.status.checks} == {None}


def test_of_a_metric_from_which_nothing_follows_there_is_none(canary: Make, play: Play) -> None:
    line = play(canary(**compared(dryRun=True)), V2, versions=BAD)
    assert [each.evidence for each in line.status.checks] == [None]


def test_other_metrics_have_none(canary: Make, play: Play) -> None:
    line = play(canary(metrics=[{"name": RATE, "thresholdRange": {"min": 99}}]), V2, versions=BAD)
    assert [each.evidence for each in line.status.checks] == [None]
