"""A rollout in place that only somebody else can end says so, and goes on by itself when they have."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.partitions import NO_POD, Partitions, PodState
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import Readiness
from canary.rollout.decide import decide
from canary.rollout.decision import Decision
from canary.rollout.facts import Facts, HookAnswer, Workload
from canary.rollout.simulation import Deploy, PodWorld, Reply, Scale, Scenario, Side

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
V2 = (60, Deploy("v2"))
TARGET = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Hook = Callable[..., dict[str, Any]]


def test_one_pod_alone_is_told_once_and_more_end_the_wait(canary: Make, story: Story) -> None:
    """Nobody has to guess for what it waits, and the pods that come have all of their deadline."""
    made, fields = canary(spec=TARGET), {"in_place": True, "replicas": 1}
    few = PodWorld(story(made, V2, **fields, limit=timedelta(days=1))).run()
    world = PodWorld(story(made, V2, (7200, Scale(Side.CANARY, 3)), **fields))
    more = world.run()

    assert few.status.reason == "TooFewPods"
    assert few.status.message.endswith("scale app, or set skipAnalysis")
    assert sum("nothing to judge" in event for event in few.events) == 1
    assert sum("nothing to judge" in alert for alert in few.alerts) == 1
    assert more.status.phase is Phase.SUCCEEDED
    assert world.seen[-1] == "v2 v2 v2"


def test_the_last_pod_is_the_last_increase_of_traffic(canary: Make, story: Story, hook: Hook) -> None:
    """And the promotion: both gates are asked before it."""
    made = canary(webhooks=[hook("confirm-traffic-increase")], threshold=1000, spec=TARGET)
    closed = (Reply(approved=False, name="hook", start=timedelta(seconds=150)),)
    world = PodWorld(story(made, V2, in_place=True, replicas=3, replies=closed, limit=30 * MINUTE))
    line = world.run()

    assert world.seen[-1] == "v1 v2 v2"
    assert line.status.reason == "WaitingForApproval"


def status(**fields: Any) -> CanaryStatus:
    given = {
        "observed_generation": 1,
        "last_applied_spec": "v2",
        "last_promoted_spec": "v1",
        "canary_weight": 50,
        "last_progress_time": NOW - 60 * MINUTE,
        **fields,
    }
    return CanaryStatus(**given)


def facts(now: datetime, *, observed: bool, partition: int) -> Facts:
    pods = tuple(
        PodState(f"app-{index}", str(index), index, revision, ready=True, available=True)
        for index, revision in enumerate(("a", "b"))
    )
    return Facts(
        now=now,
        target=Workload("v2", Readiness(2, 1, 2, 2, 2, observed=observed)),
        primary=None,
        split=None,
        partitions=Partitions(partition, "a", "b", pods),
    )


def passes(canary: Canary, moments: list[timedelta], **seen: Any) -> list[Decision]:
    """A decision at each moment, each over the status that the one before has stored."""
    made: list[Decision] = []
    for moment in moments:
        made.append(decide(canary, facts(NOW + moment, **seen)))
        canary = canary.replace(status=made[-1].status)
    return made


class TestUnseen:
    """Kubernetes' own controllers have not seen the target as it is now."""

    @pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.PROMOTING])
    def test_a_rollout_waits_for_as_long_as_its_deadline_and_then_says_so_once(
        self, canary: Make, phase: Phase
    ) -> None:
        """From when that is noticed on: the last progress may be an hour ago."""
        made = canary(spec=TARGET).replace(status=status(phase=phase, reason="Analysing", partition=1))
        moments = [minutes * MINUTE for minutes in (0, 4, 5, 60)]
        noticed, waiting, told, later = passes(made, moments, observed=False, partition=1)

        assert noticed.wake == waiting.wake == NOW + 5 * MINUTE
        assert [len(each.alerts) for each in (noticed, waiting, told, later)] == [0, 0, 1, 0]
        assert told.events[0].message.endswith("do its controllers work?")
        assert told.status.phase is phase
        again = decide(made.replace(status=told.status), facts(NOW + 61 * MINUTE, observed=True, partition=1))
        assert again.status.message == ""
        assert again.status.last_progress_time == NOW + 61 * MINUTE

    def test_pods_that_can_t_go_back_for_that_are_told_too(self, canary: Make) -> None:
        failed = status(phase=Phase.FAILED, reason="RolledBack", message="it broke", traffic_removed_time=NOW)
        made = canary(spec=TARGET).replace(status=failed)
        moments = [minutes * MINUTE for minutes in (1, 5, 60)]
        waiting, told, later = passes(made, moments, observed=False, partition=NO_POD)

        assert waiting.wake == NOW + 5 * MINUTE
        assert [len(each.alerts) for each in (waiting, told, later)] == [0, 1, 0]
        assert told.status.message.startswith("it broke; waiting for Kubernetes to see")
        assert later.status.message == told.status.message


def test_a_rollback_hook_is_asked_before_the_first_pod_is_updated(canary: Make, hook: Hook) -> None:
    """Whoever wants to roll back must not have to wait for pods that don't get well."""
    waiting = status(phase=Phase.PROGRESSING, reason="WaitingForPods", canary_weight=0, last_progress_time=NOW)
    made = canary(webhooks=[hook("rollback")], spec=TARGET).replace(status=waiting)
    pods = tuple(PodState(f"app-{n}", str(n), n, "a", ready=n == 0, available=n == 0) for n in (0, 1))
    seen = Facts(
        now=NOW + MINUTE,
        target=Workload("v2", Readiness(2, 0, 1, 1, 2)),
        primary=None,
        split=None,
        partitions=Partitions(NO_POD, "a", "b", pods),
    )
    asked = decide(made, seen).asks
    decision = decide(made, replace(seen, answers={each: HookAnswer(approved=True) for each in asked}))

    assert len(asked) == 1
    assert decision.status.phase is Phase.FAILED
    assert decision.status.message == "manual webhook invoked: hook"
