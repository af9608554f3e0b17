"""In which order a pass acts: what is behind a Service may have changed since users were sent there."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness, Split
from canary.rollout.decide import decide
from canary.rollout.decision import KeepVersionServices, Route, ScaleTarget
from canary.rollout.deletion import FINALIZER
from canary.rollout.facts import Facts, Workload

NOW = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
READY = Readiness(desired=1, updated=1, ready=1, available=1, total=1)


@pytest.mark.parametrize(
    ("target", "failed_checks"), [("v3", 0), ("v1", 0), ("v2", 2)], ids=["changed", "set back", "failed"]
)
def test_traffic_leaves_the_canary_before_its_service_follows_the_target(
    canary: Callable[..., Canary], target: str, failed_checks: int
) -> None:
    """A Service as target leads to something else at once; nobody has looked at that yet."""
    status = CanaryStatus(
        phase=Phase.PROGRESSING,
        observed_generation=1,
        canary_weight=30,
        failed_checks=failed_checks,
        last_applied_spec="v2",
        last_promoted_spec="v1",
        last_check_time=NOW,
        reason="Analysing",
    )
    facts = Facts(NOW, Workload(target, READY), Workload("v1", READY), Split(canary=30))
    actions = decide(canary().replace(status=status), facts).actions
    assert actions.index(Route(ALL_PRIMARY)) < actions.index(KeepVersionServices())


@pytest.mark.parametrize(("left", "woken"), [(2, False), (0, True)])
@pytest.mark.parametrize("deleted", [False, True])
def test_a_target_gets_pods_once_those_it_had_are_gone(
    canary: Callable[..., Canary], left: int, woken: bool, deleted: bool
) -> None:
    """For a moment a Deployment counts pods that are going as ready, also once it is to have some again."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    status = CanaryStatus(
        phase=Phase.TERMINATING if deleted else Phase.PROGRESSING,
        observed_generation=1,
        last_applied_spec="v2",
        last_promoted_spec="v2" if deleted else "v1",
        last_progress_time=moment,
    )
    made = canary().replace(status=status)
    if deleted:
        metadata = made.metadata.replace(deletion_timestamp=moment, finalizers=(FINALIZER,))
        made = made.replace(metadata=metadata)
    asleep = Workload("v2", Readiness(desired=0, updated=left, ready=left, available=left, total=left))
    facts = Facts(moment, asleep, Workload("v2" if deleted else "v1", READY), ALL_PRIMARY)
    assert (ScaleTarget(1) in decide(made, facts).actions) is woken
