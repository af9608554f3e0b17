"""Steps `experiment`: for a time fresh pods of the promoted version get as much as the canary, and are compared."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.plan import plan_of
from canary.rollout.simulation import Reading, Scenario, Timeline, Version
from tests.unit.rollout.faulty_world import V2
from tests.unit.rollout.test_rollout_baseline import play
from tests.unit.rollout.test_steps import told

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Play = Callable[..., Timeline]

RATE = "request-success-rate"
STEPS: list[dict[str, Any]] = [
    {"weight": 10},
    {"experiment": {"duration": "5m", "checks": [RATE]}},
    {"weight": 40},
]
SPEC: dict[str, Any] = {"metrics": [{"name": RATE, "compareTo": "baseline"}], "steps": STEPS}


@pytest.mark.field("spec.analysis.steps[].experiment.duration")
def test_it_lasts_as_long_as_it_says_and_canary_and_baseline_get_as_much(canary: Make, story: Story) -> None:
    world = play(story(canary(**SPEC), V2, replicas=3))

    assert world.splits == [(0, 0), (10, 10), (40, 40), (40, 0), (0, 0)]
    assert world.sizes == [0, 3, 0], "as many pods as the canary's, and none that is left"
    assert world.canary.status.phase is Phase.SUCCEEDED
    assert world.is_gone()


def test_it_goes_on_with_the_first_good_look_after_its_time(canary: Make, play: Play) -> None:
    line = play(canary(**SPEC), V2)

    assert told(line, "canary weight 40") - told(line, "canary weight 10") == timedelta(minutes=5)
    assert any("step 2 of 3 compares until" in event for event in line.events)


@pytest.mark.field("spec.analysis.steps[].experiment.checks")
def test_what_it_names_is_looked_at_there_alone(canary: Make) -> None:
    metrics = [*SPEC["metrics"], {"name": "request-duration", "threshold": 500}]
    plan = plan_of(canary(steps=STEPS, metrics=metrics), weighted=True)

    assert [each.off for each in plan.steps] == [frozenset(), {RATE}]


def test_a_version_that_is_worse_is_taken_back_in_it(canary: Make, play: Play) -> None:
    line = play(canary(**SPEC), V2, versions={"v2": Version(readings=(Reading(1.0),))})

    assert line.status.phase is Phase.FAILED
    assert max(line.weights) == 10
    assert told(line, "Rolling back") - told(line, "canary weight 10") < timedelta(minutes=5)
