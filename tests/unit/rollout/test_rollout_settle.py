"""Pods stay for as long as a data plane may send them requests, which follows its route late."""

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
from canary.rollout.decision import DropFinalizer, HandBack, Route, ScaleTarget
from canary.rollout.deletion import FINALIZER
from canary.rollout.facts import Facts, Workload
from canary.rollout.simulation import (
    Delete,
    Deploy,
    Drift,
    Kill,
    Reading,
    SafeWorld,
    Scenario,
    Scheduled,
    Side,
    UnsafeError,
    Version,
)

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

MOVED = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
READY = Readiness(desired=2, updated=2, ready=2, available=2, total=2)
SETTLE, AT_MOST = 5 * SECOND, 30 * SECOND
FAILS = Version(readings=(Reading(0.0, "request-success-rate"),))


def failed(canary: Canary) -> Canary:
    """A version that was taken back at `MOVED`."""
    status = CanaryStatus(
        phase=Phase.FAILED,
        observed_generation=1,
        last_applied_spec="v2",
        last_promoted_spec="v1",
        traffic_removed_time=MOVED,
    )
    return canary.replace(status=status)


def facts(seconds: float, split: Split = ALL_PRIMARY) -> Facts:
    return Facts(MOVED + seconds * SECOND, Workload("v2", READY), Workload("v1", READY), split, settle=SETTLE)


@pytest.mark.parametrize(
    ("unsettled", "caught_up", "kept"),
    [
        pytest.param("", None, 5, id="it never tells"),
        pytest.param("not yet seen", None, 30, id="it tells that it has not followed, for ever"),
        pytest.param("", 0.02, 5.02, id="it told at once"),
        pytest.param("", 20, 25, id="it told late: from then on it takes as long as ever"),
    ],
)
def test_pods_are_kept_until_the_data_plane_has_followed(
    canary: Make, unsettled: str, caught_up: float | None, kept: float
) -> None:
    told = None if caught_up is None else MOVED + caught_up * SECOND

    def gone(seconds: float) -> bool:
        seen = replace(facts(seconds), unsettled=unsettled, caught_up=told)
        return ScaleTarget(0) in decide(failed(canary()), seen).actions

    assert not gone(kept - 0.01)
    assert gone(kept)


def test_requests_that_are_led_back_in_the_meantime_are_waited_for_anew(canary: Make) -> None:
    """Somebody has written the route a moment before the pods would have gone."""
    decision = decide(failed(canary()), facts(5, Split(50)))
    assert Route(ALL_PRIMARY) in decision.actions
    assert ScaleTarget(0) not in decision.actions
    assert decision.status.traffic_removed_time == MOVED + SETTLE + SECOND
    assert decision.wake == MOVED + 2 * SETTLE + SECOND


def test_somebody_who_leads_them_back_each_time_is_not_answered_by_a_status_each_time(canary: Make) -> None:
    made = failed(canary())
    undone = decide(made, facts(5, Split(50)))
    again = decide(made.replace(status=undone.status), facts(5.1, Split(50)))
    assert Route(ALL_PRIMARY) in again.actions
    assert ScaleTarget(0) not in again.actions
    assert again.status == undone.status


def test_a_target_that_is_weak_gets_its_traffic_back_before_anything_goes(canary: Make) -> None:
    """The Services of the versions go with the Canary, and the data plane still leads to them."""
    made = canary(spec={"revertOnDeletion": True})
    metadata = made.metadata.replace(deletion_timestamp=MOVED, finalizers=(FINALIZER,))
    status = CanaryStatus(phase=Phase.TERMINATING, observed_generation=1, last_progress_time=MOVED - 600 * SECOND)
    weak = Workload("v1", Readiness(desired=2, updated=2, ready=1, available=1, total=2))
    seen = Facts(MOVED, weak, Workload("v1", Readiness(2, 2, 0, 0, 2)), ALL_PRIMARY, settle=SETTLE)
    leaving = made.replace(metadata=metadata, status=status)
    decision = decide(leaving, seen)
    assert decision.actions == (HandBack(),)
    later = replace(seen, now=MOVED + SETTLE, split=None)
    assert decide(leaving.replace(status=decision.status), later).actions[-1] == DropFinalizer()


STORIES = {
    "promotion": (Deploy("v2"),),
    "rollback": (Deploy("bad"),),
    "taken back": (Deploy("v2"), Deploy("v1")),
    "restart": (Deploy("v2"), Deploy("v3")),
    "deletion": (Deploy("v2"), Delete()),
    "drift": (Deploy("bad"), Drift(Split(40)), Drift(Split(60))),
    "drift without a route": (Deploy("v2"), Drift(None), Drift(Split(100))),
    "lost pods": (Deploy("v2"), Kill(Side.CANARY, SECOND), Kill(Side.PRIMARY, 3 * SECOND)),
}
spans = st.integers(0, 10_000).map(lambda value: timedelta(milliseconds=value))


@st.composite
def late(draw: st.DrawFn, make: Make, story: Story) -> Scenario:
    """A rollout on a data plane that follows within the time that its provider names, or that after it has told."""
    settle, tells = draw(spans), draw(st.one_of(st.none(), spans))
    lag = draw(st.integers(0, 100)) / 100 * (settle + (tells or timedelta(0)))
    plans: list[dict[str, object]] = [{}, {"stepWeights": [100]}, {"iterations": 2}, {"bake": "20s"}]
    plan = draw(st.sampled_from(plans))
    spec = {"revertOnDeletion": draw(st.booleans())}
    made = make(**{"interval": "5s", "threshold": 1, **plan}, spec=spec)
    changes = draw(st.sampled_from(sorted(STORIES)).map(STORIES.__getitem__))
    moments = sorted(draw(st.lists(st.integers(10, 80), min_size=len(changes), max_size=len(changes))))
    scheduled = tuple(Scheduled(at * SECOND, change) for at, change in zip(moments, changes, strict=True))
    told = story(made, settle=settle, lag=lag, tells=tells, versions={"bad": FAILS}, limit=timedelta(hours=2))
    return replace(told, changes=scheduled)


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Stage.explicit, Stage.generate, Stage.shrink),
)
def test_no_pods_are_taken_from_a_version_that_the_data_plane_still_sends_requests_to(
    canary: Make, story: Story, data: st.DataObject
) -> None:
    SafeWorld(data.draw(late(canary, story))).run()


@pytest.mark.parametrize("name", ["promotion", "rollback", "deletion"])
def test_a_data_plane_that_is_slower_than_its_provider_says_is_noticed(canary: Make, story: Story, name: str) -> None:
    """The rule of the simulation sees what it is for."""
    made = canary(interval="5s", threshold=1, spec={"revertOnDeletion": True})
    changes = tuple(Scheduled((20 + 60 * index) * SECOND, change) for index, change in enumerate(STORIES[name]))
    told = story(made, settle=SECOND, lag=2 * SECOND, versions={"bad": FAILS}, limit=timedelta(hours=2))
    with pytest.raises(UnsafeError, match="from requests"):
        SafeWorld(replace(told, changes=changes)).run()
