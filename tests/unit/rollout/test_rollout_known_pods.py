"""Pods get requests once the data plane has had the time to learn of them, which is after they are ready.

Kubernetes' own controller of EndpointSlices (1.36.3) is a second late where two pods become ready within the time that
its own last write takes to come back to it (`findings/endpoints_a_second_late.sh`), and Traefik (3.7) takes two more.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness, Split
from canary.rollout.decide import decide
from canary.rollout.decision import Action, HandBack, Route
from canary.rollout.deletion import FINALIZER
from canary.rollout.facts import Facts, Workload
from canary.rollout.ready_since import Part, ReadySince
from canary.rollout.simulation import Deploy, Kill, SafeWorld, Scenario, Scheduled, Side, Timeline, Version

Make = Callable[..., Canary]
Story = Callable[..., Scenario]
Play = Callable[..., Timeline]

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SETTLE = 5 * SECOND
READY = Readiness(desired=2, updated=2, ready=2, available=2, total=2)
STARTS = Readiness(desired=2, updated=2, ready=1, available=1, total=2)


def at(seconds: float) -> datetime:
    return START + seconds * SECOND


def seen(now: float, *, target: float | None = None, primary: float | None = None, split: Split = ALL_PRIMARY) -> Facts:
    """Two versions that are ready since these seconds."""

    def workload(revision: str, since: float | None) -> Workload:
        return Workload(revision, READY, ready_since=None if since is None else at(since))

    return Facts(at(now), workload("v2", target), workload("v1", primary), split, settle=SETTLE)


def in_phase(canary: Canary, phase: Phase, weight: int = 0) -> Canary:
    status = CanaryStatus(
        phase=phase,
        observed_generation=1,
        canary_weight=weight,
        last_applied_spec="v2",
        last_promoted_spec="v1",
        last_progress_time=START,
        reason="WaitingForPods" if phase is Phase.PROGRESSING else "",
    )
    return canary.replace(status=status)


def test_the_first_requests_wait_until_the_pods_of_the_canary_are_known(canary: Make) -> None:
    made = in_phase(canary(metrics=[]), Phase.PROGRESSING)
    early = decide(made, seen(4.9, target=0))
    assert (early.status.canary_weight, early.wake) == (0, at(5))
    assert early.reason == "the routers learn of the canary's pods"
    assert Route(Split(10)) in decide(made, seen(5, target=0)).actions


def test_a_canary_that_has_requests_already_is_looked_at_when_it_is_due(canary: Make) -> None:
    """One of its pods was replaced: the others are known."""
    made = in_phase(canary(metrics=[]), Phase.PROGRESSING, weight=10)
    assert Route(Split(20)) in decide(made, seen(1, target=0, split=Split(10))).actions


def test_the_primary_gets_the_requests_back_once_its_new_pods_are_known(canary: Make) -> None:
    made = in_phase(canary(), Phase.PROMOTING, weight=50)
    promoted = replace(seen(4.9, primary=0, split=Split(50)), primary=Workload("v2", READY, ready_since=START))
    early = decide(made, promoted)
    assert Route(ALL_PRIMARY) not in early.actions
    assert early.wake == at(5)
    assert Route(ALL_PRIMARY) in decide(made, replace(promoted, now=at(5))).actions


def test_a_primary_that_has_all_requests_is_waited_for_no_longer(canary: Make) -> None:
    made = in_phase(canary(), Phase.PROMOTING)
    promoted = replace(seen(1, primary=0), primary=Workload("v2", READY, ready_since=START))
    assert decide(made, promoted).status.phase is Phase.FINALISING


def test_a_canary_that_fails_leaves_its_share_at_once(canary: Make) -> None:
    """Users of a version without pods are worse off than those of one that may be unknown for a moment."""
    made = in_phase(canary(), Phase.PROMOTING, weight=50)
    promoted = replace(seen(1, split=Split(50)), primary=Workload("v2", READY, ready_since=START))
    lost = replace(promoted, target=Workload("v2", Readiness(2, 2, 0, 0, 2)))
    assert Route(ALL_PRIMARY) in decide(made, lost).actions


def test_a_new_primary_takes_over_once_its_pods_are_known(canary: Make) -> None:
    made = canary().replace(status=CanaryStatus(phase=Phase.INITIALIZING, last_progress_time=START))
    first = replace(seen(4.9, target=-60, primary=0), primary=Workload("v2", READY, ready_since=START), split=None)
    assert Route(ALL_PRIMARY) not in decide(made, first).actions
    assert Route(ALL_PRIMARY) in decide(made, replace(first, now=at(5))).actions


def test_a_target_gets_its_traffic_back_once_its_pods_are_known(canary: Make) -> None:
    made = in_phase(canary(spec={"revertOnDeletion": True}), Phase.TERMINATING)
    leaving = made.replace(metadata=made.metadata.replace(deletion_timestamp=START, finalizers=(FINALIZER,)))
    early = decide(leaving, seen(4.9, target=0, primary=-60))
    assert (HandBack() in early.actions, early.wake) == (False, at(5))
    assert HandBack() in decide(leaving, seen(5, target=0, primary=-60)).actions


@pytest.mark.parametrize(
    ("looks", "since"),
    [
        pytest.param([(0, "v2", READY), (9, "v2", READY)], 0, id="from the first look on"),
        pytest.param([(0, "v2", STARTS), (1, "v2", READY), (9, "v2", READY)], 1, id="not before all are ready"),
        pytest.param([(0, "v2", READY), (1, "v2", STARTS), (2, "v2", READY)], 2, id="anew after a break"),
        pytest.param([(0, "v1", READY), (1, "v2", READY)], 1, id="anew as another revision"),
        pytest.param([(0, "v2", READY), (1, "v2", STARTS)], None, id="not while one is missing"),
    ],
)
def test_a_workload_is_ready_since(
    canary: Make, looks: list[tuple[float, str, Readiness]], since: float | None
) -> None:
    ready, analysis = ReadySince(), canary().analysis
    told = [ready.told(Part.TARGET, Workload(revision, pods), analysis, at(now)) for now, revision, pods in looks]
    assert told[-1].ready_since == (None if since is None else at(since))


def test_pods_are_ready_in_part_where_that_is_enough(canary: Make) -> None:
    analysis = canary(primaryReadyThreshold=50).analysis
    assert ReadySince().told(Part.PRIMARY, Workload("v2", STARTS), analysis, START).ready_since == START


def test_a_controller_that_starts_anew_leads_nobody_there_earlier(canary: Make) -> None:
    """What it remembered is lost: it counts from its own first look."""
    made = in_phase(canary(metrics=[]), Phase.PROGRESSING)
    fresh = ReadySince().told(Part.TARGET, seen(60).target, made.analysis, at(60))
    assert Route(Split(10)) not in decide(made, replace(seen(60), target=fresh)).actions


GAINS = {Phase.PROGRESSING: Side.CANARY, Phase.PROMOTING: Side.PRIMARY}
"""Who is led more requests in a phase where all goes well."""


class Knowing(SafeWorld):
    """A world that takes down who is led requests too soon after it was seen ready."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.hasty: list[str] = []

    def before_action(self, action: Action, index: int) -> None:
        super().before_action(action, index)
        before, facts = self.cluster.split, self.facts()
        if not isinstance(action, Route) or before is None or action.split == before:
            return
        side = Side.CANARY if action.split.canary > before.canary else Side.PRIMARY
        gains, other = (facts.target, facts.primary) if side is Side.CANARY else (facts.primary, facts.target)
        first = side is Side.PRIMARY or not before.canary
        if side is GAINS.get(self.canary.status.phase) and first and gains and other and other.serving:
            age = None if gains.ready_since is None else facts.now - gains.ready_since
            if age is None or age < self.scenario.settle:
                self.hasty.append(f"{side}, ready for {age}")


@given(
    settle=st.integers(0, 10_000),
    ready=st.integers(0, 20_000),
    plan=st.sampled_from([{}, {"stepWeights": [50, 100]}, {"iterations": 2}, {"stepWeightPromotion": 20}]),
    kills=st.lists(st.tuples(st.integers(40, 100), st.sampled_from([Side.CANARY, Side.PRIMARY])), max_size=2),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Stage.explicit, Stage.generate, Stage.shrink),
)
def test_whoever_is_led_more_requests_was_ready_for_that_long(
    canary: Make, story: Story, settle: int, ready: int, plan: dict[str, object], kills: list[tuple[int, Side]]
) -> None:
    """Pods start when they like and are lost meanwhile: each share waits for the routers."""
    late = Version(ready_after=timedelta(milliseconds=ready))
    told = story(
        canary(**{"interval": "5s", "metrics": [], **plan}),
        settle=timedelta(milliseconds=settle),
        versions={"v2": late},
        limit=timedelta(hours=1),
    )
    changes = [Scheduled(40 * SECOND, Deploy("v2"))]
    changes += [Scheduled(second * SECOND, Kill(side, 3 * SECOND)) for second, side in sorted(kills)]
    world = Knowing(replace(told, changes=tuple(changes)))
    ended = world.run()
    assert world.hasty == []
    assert ended.endings
