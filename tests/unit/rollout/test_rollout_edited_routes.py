"""The spec names other routes: those of before lead to the primary alone before the canary loses its pods."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness, Split
from canary.rollout.decide import decide
from canary.rollout.decision import Decision, LeaveRoutes, Route, ScaleTarget
from canary.rollout.facts import Facts, Workload
from canary.rollout.simulation import Deploy, Edit, Reading, SafeWorld, Scenario, Scheduled, UnsafeError, Version
from canary.rollout.simulation.world import World

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
READY, GONE = Readiness(2, 2, 2, 2, 2), Readiness(2, 2, 0, 0, 2)
EDITS = {"name": {"service": {"port": 80, "name": "web"}}, "provider": {"provider": "traefik"}}
FAILS = Version(readings=(Reading(0.0, "request-success-rate", after=30 * SECOND),))


def at(canary: Canary, phase: Phase, **status: Any) -> Canary:
    known: dict[str, Any] = {"observed_generation": 1, "last_applied_spec": "v2", "last_promoted_spec": "v1", **status}
    return canary.replace(status=CanaryStatus(phase=phase, **known))


def facts(*, left: int = 50, target: Readiness = READY, primary: Readiness = READY, **known: Any) -> Facts:
    seen = Facts(NOW, Workload("v2", target), Workload("v1", primary), None, left=left)
    return replace(seen, **known)


def leaves(decision: Decision) -> bool:
    return LeaveRoutes() in decision.actions


@pytest.mark.parametrize("edit", sorted(EDITS))
@pytest.mark.parametrize("version", [Version(), FAILS], ids=["promotion", "rollback"])
def test_pods_stay_for_those_who_go_by_the_route_of_before(
    canary: Make, story: Story, edit: str, version: Version
) -> None:
    analysis: dict[str, Any] = {"interval": "10s", "threshold": 1, "stepWeights": [50]}
    made, edited = canary(**analysis), canary(**analysis, spec=EDITS[edit])
    changes = (Scheduled(20 * SECOND, Deploy("v2")), Scheduled(30 * SECOND, Edit(edited.spec)))
    told = story(made, settle=5 * SECOND, lag=3 * SECOND, versions={"v2": version}, limit=timedelta(hours=1))
    line = SafeWorld(replace(told, changes=changes)).run()
    assert line.status.phase in (Phase.SUCCEEDED, Phase.FAILED)
    assert "" not in line.served, "all requests are answered"


def test_the_simulation_sees_pods_go_from_a_route_of_before(
    canary: Make, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the controller doesn't know of it."""
    seen = World.facts
    monkeypatch.setattr(World, "facts", lambda world: replace(seen(world), left=0))
    made, edited = (
        canary(interval="10s", stepWeights=[50]),
        canary(interval="10s", stepWeights=[50], spec=EDITS["name"]),
    )
    changes = (Scheduled(20 * SECOND, Deploy("v2")), Scheduled(30 * SECOND, Edit(edited.spec)))
    with pytest.raises(UnsafeError, match="takes the pods of the canary from requests"):
        SafeWorld(replace(story(made, limit=timedelta(hours=1)), changes=changes)).run()


def test_they_go_once_the_data_plane_has_left_it(canary: Make) -> None:
    resting = at(canary(), Phase.FAILED, traffic_removed_time=NOW - 60 * SECOND)
    decision = decide(resting, facts())
    assert leaves(decision)
    assert ScaleTarget(0) not in decision.actions
    assert decision.status.traffic_removed_time == NOW + SECOND


@pytest.mark.parametrize(
    ("target", "primary", "left"),
    [(READY, READY, True), (READY, GONE, False), (GONE, GONE, True)],
    ids=["both serve", "only the canary serves", "nobody serves"],
)
def test_nobody_is_led_away_from_the_only_pods_that_serve(
    canary: Make, target: Readiness, primary: Readiness, left: bool
) -> None:
    under_way = at(canary(), Phase.PROMOTING, canary_weight=50, last_progress_time=NOW)
    assert leaves(decide(under_way, facts(target=target, primary=primary))) is left


@pytest.mark.parametrize("why", ["suspended", "refused"])
@pytest.mark.parametrize("serving", [True, False])
def test_a_canary_that_stands_still_leaves_them_once_its_pods_are_lost(canary: Make, why: str, serving: bool) -> None:
    problems = (Problem("spec.provider", "is none", "write another"),) if why == "refused" else ()
    stands = at(canary(spec={"suspend": why == "suspended"}), Phase.PROGRESSING, canary_weight=50)
    # What is refused is told first.
    told = decide(stands, facts(target=READY, problems=problems)).status
    decision = decide(stands.replace(status=told), facts(target=READY if serving else GONE, problems=problems))
    assert leaves(decision) is not serving
    assert Route(ALL_PRIMARY) not in decision.actions
    assert serving or decision.status.canary_weight == 0


def test_nothing_is_left_alone_that_nobody_has_left(canary: Make) -> None:
    resting = at(canary(), Phase.FAILED, traffic_removed_time=NOW - 60 * SECOND)
    decision = decide(resting, facts(left=0, split=Split(0)))
    assert not leaves(decision)
    assert ScaleTarget(0) in decision.actions
