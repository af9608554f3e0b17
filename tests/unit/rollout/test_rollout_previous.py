"""A version that is compared with the time before its rollout, where nothing comparable stands beside it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase, Verdict
from canary.api.traffic import Readiness
from canary.rollout import comparisons
from canary.rollout.decision import Ending
from canary.rollout.facts import Facts, Workload
from canary.rollout.in_place import InPlaceSituation
from canary.rollout.simulation import Deploy, PodWorld, Reading, Scenario, Side, Timeline, Version
from metrics import reading
from metrics.judge import Counts, Look

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
V2 = (60, Deploy("v2"))
RATE = "request-success-rate"
METRICS: dict[str, Any] = {"metrics": [{"name": RATE, "compareTo": "previous", "tolerance": 1}]}
IN_PLACE: dict[str, Any] = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"},
    "service": {},
}
A_B: dict[str, Any] = {"iterations": 3, "match": [{"headers": {"x-user": {"exact": "insider"}}}]}

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]


def failing(percent: float, **when: Any) -> dict[str, Version]:
    return {"v2": Version(readings=(Reading(100 - percent, RATE, **when),))}


@pytest.mark.parametrize("strategy", [{}, A_B], ids=["weights", "A/B"])
@pytest.mark.parametrize(("percent", "ending"), [(0, Ending.PROMOTED), (0.5, Ending.PROMOTED), (20, Ending.FAILED)])
def test_it_is_judged_as_beside_a_primary(
    canary: Make, play: Play, strategy: dict[str, Any], percent: float, ending: Ending
) -> None:
    line = play(canary(**METRICS, **strategy), V2, versions=failing(percent))

    assert line.endings == (ending,)
    assert line.status.checks[0].threshold == "previous 100 less 1"


@pytest.mark.parametrize(("percent", "ending"), [(0, Ending.PROMOTED), (20, Ending.FAILED)])
def test_in_place_each_step_is_held_against_it(canary: Make, story: Story, percent: float, ending: Ending) -> None:
    made = canary(**METRICS, spec=IN_PLACE, stepWeights=[50, 100])
    world = PodWorld(story(made, V2, in_place=True, replicas=4, versions=failing(percent)))
    line = world.run()

    assert line.endings == (ending,)
    if ending is Ending.FAILED:
        assert all(each.split().count("v2") <= 2 for each in world.seen)


@pytest.mark.parametrize(("percent", "phase"), [(0, Phase.SUCCEEDED), (20, Phase.FAILED)])
def test_after_promotion_it_goes_on(canary: Make, play: Play, percent: float, phase: Phase) -> None:
    """The primary's own requests of before are there still, when nobody is beside it any more."""
    versions = failing(percent, side=Side.PRIMARY, after=2 * MINUTE)
    line = play(canary(**METRICS, bake="10m"), V2, versions=versions)

    assert line.endings[0] is Ending.PROMOTED
    assert line.status.phase is phase
    assert line.status.checks[0].verdict is (Verdict.FAIL if percent else Verdict.PASS)


def test_the_time_before_ends_where_the_first_of_several_rollouts_began(canary: Make, play: Play) -> None:
    """What failed half-way may still run when the next version comes."""
    one = play(canary(**METRICS), V2, limit=3 * MINUTE).status
    another = play(canary(**METRICS), V2, (120, Deploy("v3")), versions={"v3": Version()}, limit=4 * MINUTE).status

    assert one.rollout_start_time == another.rollout_start_time == NOW + MINUTE
    assert another.last_applied_spec == "v3"
    assert one.analysis_start_time != another.analysis_start_time


@pytest.mark.parametrize(("pods", "found"), [(2, True), (3, True), (11, False)])
def test_in_place_the_steps_share_the_promise(canary: Make, pods: int, *, found: bool) -> None:
    """What is seen of one step is no evidence in the next: each may err by its part only. There is a step a pod."""
    made = canary(**METRICS, spec=IN_PLACE, maxWeight=100, stepWeight=1).replace(status=CanaryStatus())
    target = Workload("v2", Readiness(desired=pods, updated=pods, ready=pods, available=pods, total=pods))
    looks = (Look(Counts(100, 5), Counts(1000, 10)),) * 4
    said = reading.Reading(said=reading.Compared(looks, (), NOW), interval=MINUTE, time=NOW)
    situation = InPlaceSituation(made, Facts(now=NOW, target=target, primary=None, split=None))

    compared = comparisons.compared(situation, {0: said})
    assert (compared[0].outcome == "Worse") is found, compared[0]
