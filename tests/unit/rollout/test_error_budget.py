"""While the error budget is spent no rollout begins or goes on, and no version fails for it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.rollout.facts import Answer, BudgetQuestion, Question
from canary.rollout.simulation import (
    Annotate,
    Deploy,
    PodWorld,
    Reading,
    SafeWorld,
    Scale,
    Scenario,
    Side,
    Timeline,
    Version,
)
from metrics import reading
from metrics.question import Empty, Number

START = datetime(2026, 1, 1, tzinfo=UTC)
V2 = (60, Deploy("v2"))
LEFT: dict[str, Any] = {
    "scheduling": {"errorBudget": {"query": "budget", "interval": "30m", "thresholdRange": {"min": 0.1}}}
}

Make = Callable[..., Canary]
Story = Callable[..., Scenario]


class Budgeted(SafeWorld):
    """A world in which the budget is spent between two seconds."""

    spent = (0.0, 0.0)
    said: reading.Said = Number(0.02)
    asked = 0

    def answer(self, question: Question) -> Answer:
        """What the metrics server says."""
        if not isinstance(question, BudgetQuestion):
            return super().answer(question)
        self.asked += 1
        begin, end = self.spent
        gone = begin <= (self.now - START).total_seconds() < end
        said = self.said if gone else Number(0.5)
        return reading.Reading(said=said, interval=timedelta(minutes=30), time=self.now, query="budget")


def budgeted(scenario: Scenario, begin: float, end: float, said: reading.Said | None = None) -> Budgeted:
    world = Budgeted(scenario)
    world.spent, world.said = (begin, end), said or world.said
    return world


def told(line: Timeline, words: str) -> int:
    return sum(words in event for event in line.events)


@pytest.mark.field(
    "spec.scheduling.errorBudget.thresholdRange.min",
    "spec.scheduling.errorBudget.interval",
)
def test_a_rollout_waits_for_it_to_begin_and_says_value_and_threshold_once(canary: Make, story: Story) -> None:
    world = budgeted(story(canary(spec=LEFT), V2), 0, 3600)
    world.run(timedelta(seconds=600))
    status = world.canary.status
    assert (status.phase, status.reason) == (Phase.WAITING, "ErrorBudgetSpent")
    assert status.message == "the error budget is spent: error-budget 0.02 is below 0.1 over 30m"
    passes = world.passes
    world.run(timedelta(minutes=40))
    assert world.passes < passes + 40 * 3
    line = world.run()
    began = line.when(Phase.PROGRESSING)
    assert began is not None
    assert timedelta(hours=1) <= began <= timedelta(hours=1, minutes=1, seconds=5)
    assert line.status.phase is Phase.SUCCEEDED
    assert told(line, "Waiting with app.prod: the error budget is spent") == 1


def test_one_that_is_spent_is_asked_for_once_an_interval_whatever_happens_meanwhile(canary: Make, story: Story) -> None:
    scaled = [(70 + 10 * each, Scale(Side.PRIMARY, 2 + each % 2)) for each in range(60)]
    world = budgeted(story(canary(spec=LEFT), V2, *scaled), 0, 3600)
    world.run(timedelta(seconds=670))
    assert 9 <= world.asked <= 11


@pytest.mark.field("spec.scheduling.errorBudget.thresholdRange.max")
def test_a_limit_may_be_of_how_fast_it_goes(canary: Make, story: Story) -> None:
    """A burn rate of 14 a day holds, and one of 0.5 does not."""
    spec = {"scheduling": {"errorBudget": {"query": "burn", "thresholdRange": {"max": 1}}}}
    world = budgeted(story(canary(spec=spec), V2), 0, 3600, Number(14.0))
    world.run(timedelta(seconds=600))
    assert world.canary.status.reason == "ErrorBudgetSpent"
    assert world.run().status.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("begin", [70, 200, 350])
def test_it_stays_at_its_step_however_long_and_fails_no_check(canary: Make, story: Story, begin: float) -> None:
    """Before the first step, on the way and before promotion; many times as long as a progress deadline."""
    line = budgeted(story(canary(spec=LEFT), V2), begin, begin + 5400).run()
    assert (line.status.phase, line.status.failed_checks) == (Phase.SUCCEEDED, 0)
    assert line.lasted > timedelta(seconds=begin + 5400)
    assert told(line, "Halt app.prod advancement the error budget is spent") == 1


def test_a_version_that_fails_is_taken_back_though_it_is_spent(canary: Make, story: Story) -> None:
    bad = Version(readings=(Reading(99.5), Reading(1.0, after=timedelta(seconds=300))))
    line = budgeted(story(canary(spec=LEFT), V2, versions={"v2": bad}), 200, 90_000).run()
    failed = line.when(Phase.FAILED)
    assert failed is not None
    assert failed < timedelta(seconds=700)


@pytest.mark.parametrize("said", [Empty(), reading.Unread(reading.Cause.UNREACHABLE, "connection refused")])
def test_a_budget_that_nobody_can_tell_holds_as_one_that_is_spent(
    canary: Make, story: Story, said: reading.Said
) -> None:
    world = budgeted(story(canary(spec=LEFT), V2), 0, 3600, said)
    world.run(timedelta(seconds=600))
    assert world.canary.status.message.startswith("nobody can tell the error budget: error-budget")
    assert world.run().status.phase is Phase.SUCCEEDED


def test_an_override_passes_by_it(canary: Make, story: Story) -> None:
    scenario = story(canary(spec=LEFT), V2, (600, Annotate("flagger.app/override", "by alice: a fix")))
    line = budgeted(scenario, 0, 90_000).run()
    assert (line.when(Phase.PROGRESSING), line.status.phase) == (timedelta(seconds=600), Phase.SUCCEEDED)


@pytest.mark.parametrize("begin", [0, 62])
def test_without_an_analysis_it_holds_start_and_promotion(canary: Make, story: Story, begin: float) -> None:
    late = Version(ready_after=timedelta(seconds=30))
    scenario = story(canary(spec={**LEFT, "skipAnalysis": True}), V2, versions={"v2": late})
    world = budgeted(scenario, begin, 3600)
    line = world.run()
    began = line.when(Phase.PROMOTING)
    assert began is not None
    assert timedelta(hours=1) <= began <= timedelta(hours=1, minutes=2)
    assert world.passes < 400


def test_a_bake_goes_on_and_what_is_new_waits_at_its_first_step(canary: Make, story: Story) -> None:
    scenario = story(canary(bake="2h", spec=LEFT), V2, (900, Deploy("v3")), versions={"v3": Version()})
    line = budgeted(scenario, 800, 7200).run()
    assert (line.status.phase, line.status.last_promoted_spec) == (Phase.SUCCEEDED, "v3")
    assert line.weights[-2:] != (0, 0)


def test_it_is_asked_for_a_target_that_is_rolled_out_in_place(canary: Make, story: Story) -> None:
    class Pods(Budgeted, PodWorld):
        """The same, pod by pod."""

    spec = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}, **LEFT}
    scenario = story(canary(stepWeights=[25, 50], spec=spec), V2, in_place=True, weighted=False, replicas=4)
    world = Pods(scenario)
    world.spent = (100, 3600)
    ended = world.run().when(Phase.SUCCEEDED)
    assert ended is not None
    assert timedelta(hours=1) <= ended <= timedelta(hours=1, minutes=10)
