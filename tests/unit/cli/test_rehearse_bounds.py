"""The shortest and the longest time that a rollout can take."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Verdict
from canary.cli.rehearse.bounds import bounds_of
from canary.cli.rehearse.builtin import BY_NAME, HEALTHY
from canary.cli.rehearse.play import Outcome, Rehearsal
from canary.cli.rehearse.reading import model_of
from canary.cli.rehearse.staging import BEGINNING, Stage, scenario_of
from canary.cli.rehearse.story import Story
from canary.rollout.decision import Ending
from canary.rollout.facts import Answer, MetricQuestion, Question
from canary.rollout.simulation import World, said_for
from metrics.reading import Reading

Make = Callable[..., Canary]
Play = Callable[..., Rehearsal]
Gate = Callable[..., dict[str, Any]]

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
STAGE = Stage(ready_after=5 * SECOND)
SETTLE = SECOND
RULE = settings(deadline=None, max_examples=25)

weights = st.lists(st.integers(1, 100), min_size=1, max_size=6, unique=True).map(
    lambda steps: {"stepWeights": sorted(steps)}
)
steps = st.builds(lambda step, top: {"stepWeight": step, "maxWeight": top}, st.integers(5, 60), st.integers(5, 100))
iterations = st.builds(lambda count: {"iterations": count}, st.integers(1, 6))
analyses = st.builds(
    lambda plan, interval, threshold, back, mirror: {
        **plan, "interval": f"{interval}s", "threshold": threshold, "stepWeightPromotion": back, "mirror": mirror
    },
    st.one_of(weights, steps, iterations),
    st.integers(30, 900),
    st.integers(1, 4),
    st.sampled_from([0, 7, 20, 100]),
    st.booleans(),
)  # fmt: skip


@RULE
@given(analysis=analyses, ready=st.integers(0, 60), weighted=st.booleans())
def test_a_healthy_version_takes_the_shortest_time(
    canary: Make, play: Play, analysis: dict[str, Any], ready: int, weighted: bool
) -> None:
    stage = Stage(weighted=weighted, ready_after=ready * SECOND)
    made = canary(**analysis)
    seen = play(made, BY_NAME[HEALTHY], stage)

    assert (seen.outcome, seen.took) == (Outcome.PROMOTED, bounds_of(made, stage).shortest)


@RULE
@given(analysis=weights, ready=st.integers(0, 60), replicas=st.integers(1, 8))
def test_steps_that_add_pods_wait_for_them(
    canary: Make, play: Play, analysis: dict[str, Any], ready: int, replicas: int
) -> None:
    stage = Stage(ready_after=ready * SECOND, replicas=replicas)
    made = canary(**analysis, replicaRatio=True, spec={"provider": "kubernetes"})
    seen = play(made, BY_NAME[HEALTHY], stage)

    assert (seen.outcome, seen.took) == (Outcome.PROMOTED, bounds_of(made, stage).shortest)


class Reader(World):
    """A world whose metrics say what comes to a verdict."""

    def read(self, question: MetricQuestion, verdict: Verdict) -> Reading:
        metric = self.canary.analysis.metrics[question.index]
        return Reading(said=said_for(metric, verdict), interval=metric.interval, time=self.now)


class Delaying(Reader):
    """A world in which each check comes as late as its hold lets it, and fails as often as the threshold does."""

    fails = 0

    def answer(self, question: Question) -> Answer:
        status = self.canary.status
        if not isinstance(question, MetricQuestion):
            return super().answer(question)
        since = status.held_since
        if since is None or self.now < since + self.canary.patience:
            return self.read(question, Verdict.UNAVAILABLE)
        return self.read(question, Verdict.FAIL if status.failed_checks < self.fails else Verdict.PASS)


@RULE
@given(analysis=analyses, deadline=st.integers(10, 2_000))
def test_a_version_that_uses_every_deadline_takes_the_longest_time(
    canary: Make, analysis: dict[str, Any], deadline: int
) -> None:
    """Pods and primary ready just in time, every check just in time, all failed checks but the last: promoted still."""
    made = canary(**analysis, spec={"progressDeadlineSeconds": deadline})
    late = model_of(Story, {"name": "late", "versions": {"new": {"readyAfter": f"{deadline}s"}}})
    world = Delaying(scenario_of(made, late, STAGE))
    world.fails = made.threshold - 1
    line = world.run()
    end = next(each.at for each in line.entries if each.ending is not None)

    assert line.endings == (Ending.PROMOTED,)
    assert end - BEGINNING == bounds_of(made, STAGE).longest


@RULE
@given(analysis=weights, deadline=st.integers(10, 2_000))
def test_by_numbers_of_pods_none_takes_longer_than_the_longest_time(
    canary: Make, analysis: dict[str, Any], deadline: int
) -> None:
    spec = {"progressDeadlineSeconds": deadline, "provider": "kubernetes"}
    made = canary(**analysis, replicaRatio=True, spec=spec)
    late = model_of(Story, {"name": "late", "versions": {"new": {"readyAfter": f"{deadline}s"}}})
    world = Delaying(scenario_of(made, late, STAGE))
    line = world.run()
    end = next(each.at for each in line.entries if each.ending is not None)
    longest = bounds_of(made, STAGE).longest

    assert longest is not None
    assert end - BEGINNING <= longest


class Whimsical(Reader):
    """A world in which each metric says what it is told to say."""

    said: list[Verdict]

    def answer(self, question: Question) -> Answer:
        if not isinstance(question, MetricQuestion):
            return super().answer(question)
        verdict = self.said.pop() if self.said else Verdict.PASS
        return self.read(question, verdict)


@RULE
@given(analysis=analyses, said=st.lists(st.sampled_from(Verdict), max_size=60), ready=st.integers(0, 300))
def test_no_rollout_that_is_promoted_takes_longer_than_the_longest_time(
    canary: Make, analysis: dict[str, Any], said: list[Verdict], ready: int
) -> None:
    made = canary(**analysis)
    slow = model_of(Story, {"name": "slow", "versions": {"new": {"readyAfter": f"{ready}s"}}})
    world = Whimsical(scenario_of(made, slow, STAGE))
    world.said = list(said)
    line = world.run()
    end = next(each.at for each in line.entries if each.ending is not None)

    if line.endings == (Ending.PROMOTED,):
        bounds = bounds_of(made, STAGE)
        assert bounds.longest is not None
        assert bounds.shortest - 10 * SECOND <= end - BEGINNING <= bounds.longest


def test_metrics_that_never_hold_leave_no_room_for_deadlines(canary: Make) -> None:
    """Where neither an empty answer nor an outage holds, a step lasts an interval: only pods have a deadline."""
    strict = {"noData": "Fail", "unavailable": "Fail", "thresholdRange": {"min": 99}}
    made = canary(metrics=[{"name": "request-success-rate", **strict}])

    assert bounds_of(made, STAGE).longest == 300 * SECOND + 5 * MINUTE + 300 * SECOND + 3 * SETTLE


def test_webhooks_that_take_their_time_are_counted(canary: Make, gate: Gate) -> None:
    """One try more, and the second between: 21 s for the test, and 5 s at each of five looks and at the first."""
    hooks = [gate("pre-rollout", "test", timeout="10s", retries=1), gate("rollout", "load", timeout="5s")]
    plain, slow = canary(metrics=[]), canary(metrics=[], webhooks=hooks)

    longest, before = bounds_of(slow, STAGE).longest, bounds_of(plain, STAGE).longest
    assert longest is not None
    assert before is not None
    assert longest - before == (21 + 5 + 5 * 5) * SECOND


def test_gates_are_named_in_the_order_in_which_they_are_asked(canary: Make, gate: Gate) -> None:
    hooks = [gate("confirm-promotion", "last"), gate("rollout", "load"), gate("confirm-rollout", "first")]

    assert bounds_of(canary(webhooks=hooks), STAGE).gates == ("first", "last")


def test_steps_that_a_person_resumes_are_told(canary: Make) -> None:
    """A pause with a duration waits for nobody, nor does an analysis that is skipped."""
    steps = [{"weight": 10}, {"pause": {}}, {"pause": {"duration": "10m"}}, {"weight": 20}, {"pause": {}}]
    made = {"steps": steps, "stepWeight": None, "maxWeight": None, "stepWeights": None}
    assert bounds_of(canary(**made), STAGE).resumed == (2, 5)
    assert bounds_of(canary(**made, spec={"skipAnalysis": True}), STAGE).resumed == ()


@pytest.mark.parametrize("how", [{"skipAnalysis": True}, {"analysis": None}])
def test_a_version_that_is_not_judged_waits_for_pods_only(canary: Make, play: Play, how: dict[str, Any]) -> None:
    made = canary(spec=how)
    seen = play(made, BY_NAME[HEALTHY])

    assert bounds_of(made, STAGE).shortest == 12 * SECOND == seen.took
    assert bounds_of(made, STAGE).longest == 602 * SECOND


def test_people_are_waited_for_as_long_as_their_approval_says(canary: Make) -> None:
    """One that ends by a timeout is no wait without a deadline."""
    people = [
        {"name": name, "type": "confirm-promotion", "gate": {"approval": approval}}
        for name, approval in (("ends", {"timeout": "5h", "onTimeout": "approve"}), ("waits", {}))
    ]
    alone = bounds_of(canary(), STAGE)
    bounds = bounds_of(canary(webhooks=people), STAGE)
    assert bounds.gates == ("waits",)
    assert alone.longest is not None
    assert bounds.longest is not None
    assert bounds.longest - alone.longest >= timedelta(hours=5)
