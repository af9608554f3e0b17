"""What waits for somebody else, and would do so in silence, is told: a condition, an event, an alert under traffic."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.partitions import Partitions, PodState
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness, Split
from canary.rollout.decide import decide
from canary.rollout.facts import Facts, Workload
from canary.rollout.status_conditions import hindered

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
READY, UNREADY = Readiness(2, 2, 2, 2, 2), Readiness(2, 2, 0, 0, 2)

Make = Callable[..., Canary]


def stored(canary: Canary, phase: Phase, **fields: Any) -> Canary:
    given = {
        "observed_generation": 1,
        "last_applied_spec": "v2",
        "last_promoted_spec": "v1" if phase in (Phase.FAILED, Phase.PROGRESSING) else "v2",
        "last_progress_time": NOW,
        **fields,
    }
    return canary.replace(status=CanaryStatus(phase=phase, **given))


def facts(**fields: Any) -> Facts:
    given: dict[str, Any] = {
        "now": NOW,
        "target": Workload("v2", READY),
        "primary": Workload("v2", UNREADY),
        "split": Split(40),
        **fields,
    }
    return Facts(**given)


@pytest.mark.parametrize("phase", [Phase.FINALISING, Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING])
def test_traffic_that_nobody_can_take_back_from_the_canary_is_told_once_and_until_somebody_can(
    canary: Make, phase: Phase
) -> None:
    made = stored(canary(), phase)
    first = decide(made, facts())
    stalled = first.status.condition("Stalled")

    assert stalled is not None
    assert stalled.reason == "PrimaryNotReady"
    assert "no ready pods" in first.events[-1].message
    assert len(first.alerts) == 1
    again = decide(made.replace(status=first.status), facts(now=NOW + MINUTE))
    assert (again.events, again.alerts) == ((), ())
    mended = decide(made.replace(status=first.status), facts(primary=Workload("v2", READY)))
    assert hindered(mended.status) is None


def test_so_is_a_target_that_is_set_back_in_mid_rollout(canary: Make) -> None:
    made = stored(canary(), Phase.PROGRESSING, canary_weight=40, reason="Analysing", last_check_time=NOW)
    decision = decide(made, facts(target=Workload("v1", READY), primary=Workload("v1", UNREADY)))

    assert decision.status.phase is Phase.PROGRESSING
    assert len(decision.alerts) == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_initialization_that_does_not_get_on_is_told_after_the_deadline(canary: Make, *, in_place: bool) -> None:
    """Once, whatever becomes of the numbers of pods."""
    pods = tuple(PodState(f"app-{n}", str(n), n, "ab"[n], ready=True, available=True) for n in (0, 1))
    spec = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
    made = stored(canary(spec=spec if in_place else {}), Phase.INITIALIZING, reason="Initializing")
    seen = facts(split=ALL_PRIMARY, primary=Workload("v2", UNREADY))
    if in_place:
        seen = replace(seen, primary=None, split=None, partitions=Partitions(0, "a", "b", pods))
    before = decide(made, seen)
    at = decide(made, replace(seen, now=NOW + 5 * MINUTE))
    later = decide(made.replace(status=at.status), replace(seen, now=NOW + 60 * MINUTE))

    assert hindered(before.status) is None
    assert before.wake == NOW + 5 * MINUTE
    assert hindered(at.status) is not None
    assert len(at.events) == 1
    assert later.events == ()
    assert bool(at.alerts) is in_place, "people are called where two versions serve"
