"""Whatever metrics say, or don't, and however late: a rollout ends, or says for whom it waits, and for how long."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import Phase, Verdict
from canary.rollout.decision import Decision, Ending
from canary.rollout.facts import Answer, Facts, MetricQuestion, Question
from canary.rollout.simulation import (
    Change,
    Deploy,
    Kill,
    PodWorld,
    Reply,
    SafeWorld,
    Scenario,
    Side,
    Version,
    Window,
    said_for,
)
from metrics.reading import Reading

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]
Said = Sequence[Verdict]

SECOND = timedelta(seconds=1)
DEPLOYED = (60, Deploy("v2"))
AT_ONCE = {"v2": Version(ready_after=timedelta(0))}
BEGUN = 60 * SECOND
JUDGED = {Phase.PROGRESSING, Phase.WAITING_PROMOTION}
STEPS, THRESHOLDS, LATENCY = 3, 5, 10 * SECOND
OUTAGES = timedelta(minutes=2)
QUICKLY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Stage.explicit, Stage.generate, Stage.shrink),
)


class SayingWorld(SafeWorld):
    """A world whose metrics say, look by look, what they are told to say, over and over again.

    It holds every pass of an analysis against the rule that it waits for nothing without a time.
    """

    said: Sequence[Said]

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.looks: dict[str, int] = {}

    def answer(self, question: Question) -> Answer:
        if not isinstance(question, MetricQuestion):
            return super().answer(question)
        look = self.looks.setdefault(question.look, len(self.looks))
        said = self.said[question.index]
        verdict = said[look % len(said)]
        metric = self.canary.analysis.metrics[question.index]
        return Reading(said=said_for(metric, verdict), interval=metric.interval, time=self.now)

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        super().before_store(canary, facts, decision)
        if decision.status.phase in JUDGED and not decision.asks:
            assert decision.wake is not None, f"{decision.reason}: nobody knows until when"
            assert decision.wake - facts.now <= longest_wait(canary), decision.reason
            assert decision.status.reason, "it says why it stands where it does"


class SayingPods(SayingWorld, PodWorld):
    """The same, rolled out in place."""


def longest_wait(canary: Canary) -> timedelta:
    return max(canary.analysis_interval, canary.patience)


def longest_rollout(canary: Canary) -> timedelta:
    """Each step is held for as long as may be, pods included, and so is each look that fails."""
    looks = STEPS + 2 + canary.threshold
    one = canary.analysis_interval + canary.patience + 2 * canary.progress_deadline + 5 * LATENCY
    return BEGUN + OUTAGES + looks * one


verdicts = st.lists(st.sampled_from(Verdict), min_size=1, max_size=6)
policies = st.fixed_dictionaries(
    {"noData": st.sampled_from(["Hold", "Hold", "Fail", "Pass"]), "unavailable": st.sampled_from(["Hold", "Fail"])}
)
canaries = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(["1s", "10s", "1m", "1h"]),
        "threshold": st.integers(0, THRESHOLDS),
        "plan": st.sampled_from([{"stepWeight": 20, "maxWeight": 60}, {"iterations": 2}, {"stepWeights": [1, 100]}]),
        "deadline": st.sampled_from([1, 60, 600]),
        "policies": st.lists(policies, min_size=1, max_size=2),
    }
)
outages = st.lists(st.integers(60, 2000), max_size=2).map(
    lambda starts: tuple(Window(at * SECOND, at * SECOND + OUTAGES / 2) for at in starts)
)
lost_pods = st.lists(
    st.tuples(st.integers(61, 4000), st.sampled_from([1, 30, 90, None])).map(
        lambda each: (each[0], Kill(Side.CANARY, None if each[1] is None else each[1] * SECOND))
    ),
    max_size=3,
)
latencies = st.sampled_from([0, 0.1, 1, 3, 10]).map(lambda seconds: seconds * SECOND)


def canary_of(make: Make, drawn: dict[str, Any], spec: dict[str, Any] | None = None, **fields: Any) -> Canary:
    metrics = [
        {"name": f"m{index}", "query": "q", "threshold": 1, **policy} for index, policy in enumerate(drawn["policies"])
    ]
    return make(
        **drawn["plan"],
        interval=drawn["interval"],
        threshold=drawn["threshold"],
        metrics=metrics,
        spec={"progressDeadlineSeconds": drawn["deadline"], **(spec or {})},
        **fields,
    )


@given(data=st.data())
@QUICKLY
def test_every_rollout_ends_whatever_metrics_say(canary: Make, story: Story, data: st.DataObject) -> None:
    """At weight 0, and promoted only where at least as many looks were good as it has steps."""
    made = canary_of(canary, data.draw(canaries))
    happening: list[tuple[float, Change]] = [DEPLOYED, *data.draw(lost_pods)]
    scenario = story(
        made,
        *happening,
        versions={"v2": Version(ready_after=data.draw(st.sampled_from([0, 0.5])) * made.progress_deadline)},
        api_down=data.draw(outages),
        latency=data.draw(latencies),
        limit=timedelta(days=30),
    )
    world = SayingWorld(scenario)
    world.said = data.draw(st.lists(verdicts, min_size=2, max_size=2))
    line = world.run()

    assert line.over
    assert line.status.phase in (Phase.SUCCEEDED, Phase.FAILED)
    assert line.status.canary_weight == 0
    assert world.cluster.split is not None
    assert world.cluster.split.canary == 0
    ended = next(entry.at for entry in line.entries if entry.ending is not None)
    assert ended <= longest_rollout(made) + 3 * (made.progress_deadline + longest_wait(made))


@given(drawn=canaries, latency=latencies, api_down=outages, first=st.booleans(), data=st.data())
@QUICKLY
def test_a_version_that_fails_all_its_checks_ends_at_weight_0(
    canary: Make,
    story: Story,
    data: st.DataObject,
    *,
    drawn: dict[str, Any],
    latency: timedelta,
    api_down: tuple[Window, ...],
    first: bool,
) -> None:
    """Whatever another metric says, and as soon as the threshold is reached: it is given no second step."""
    other = data.draw(verdicts)
    made = canary_of(canary, {**drawn, "policies": 2 * drawn["policies"][:1]})
    world = SayingWorld(
        story(made, DEPLOYED, versions=AT_ONCE, latency=latency, api_down=api_down, limit=timedelta(days=30))
    )
    world.said = [[Verdict.FAIL], other] if first else [other, [Verdict.FAIL]]
    line = world.run()

    assert line.endings == (Ending.FAILED,)
    assert line.status.phase is Phase.FAILED
    assert line.weights[-1] == 0
    assert len(line.weights) <= 3


@given(drawn=canaries, said=verdicts, latency=latencies)
@QUICKLY
def test_pod_by_pod_it_ends_too(
    canary: Make, story: Story, drawn: dict[str, Any], said: Said, latency: timedelta
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}
    made = canary_of(canary, {**drawn, "plan": {"stepWeight": 30}}, {"targetRef": target, "service": {}})
    world = SayingPods(story(made, DEPLOYED, in_place=True, replicas=4, latency=latency, limit=timedelta(days=30)))
    world.said = [said] * 2
    line = world.run()

    assert line.over
    assert line.status.phase in (Phase.SUCCEEDED, Phase.FAILED)


@pytest.mark.parametrize("kind", ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"])
@given(drawn=canaries, latency=latencies)
@settings(QUICKLY, max_examples=15)
def test_what_waits_for_people_says_for_whom(
    canary: Make, story: Story, hook: Hook, kind: str, drawn: dict[str, Any], latency: timedelta
) -> None:
    made = canary_of(canary, {**drawn, "plan": {"stepWeight": 20, "maxWeight": 60}}, webhooks=[hook(kind, "the-boss")])
    closed = (Reply(approved=False, name="the-boss", message="not yet"),)
    limit = BEGUN + OUTAGES + 10 * made.analysis_interval
    world = SayingWorld(story(made, DEPLOYED, versions=AT_ONCE, replies=closed, latency=latency, limit=limit))
    world.said = [[Verdict.PASS]] * 2
    line = world.run()

    assert (line.status.reason, line.status.message) == ("WaitingForApproval", "the-boss: not yet")
    assert sum("waiting" in alert for alert in line.alerts) == 1
