"""Pods that are replaced in place, while writes are refused, answers lost and kinds not to be seen."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.canary import parse_canary
from canary.api.status import Phase
from canary.rollout.simulation import Blind, Deny, Deploy, Reading, Scenario, Scheduled, Version, Window
from canary.rollout.status_conditions import hindered
from tests.unit.rollout.test_rollout_hindered import AFTER, QUICKLY, HearingWorld, blindness, delays, windows

CANARY = parse_canary(
    {
        "metadata": {"name": "app", "namespace": "prod", "generation": 1, "uid": "1"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"},
            "progressDeadlineSeconds": 300,
            "analysis": {
                "interval": "1m",
                "threshold": 2,
                "metrics": [{"name": "m", "templateRef": {"name": "m"}, "thresholdRange": {"min": 99}}],
            },
        },
    }
)
BAD = Version(readings=(Reading(99.5), Reading(50.0, after=timedelta(seconds=90))))

actions = st.sets(st.sampled_from(["SetPartition", "DeletePod", "HoldFinalizer"]), min_size=1).map(frozenset)
denials = st.builds(Deny, actions, windows, st.booleans())


@settings(max_examples=100, phases=QUICKLY, suppress_health_check=[HealthCheck.too_slow])
@given(
    bad=st.booleans(),
    refused=st.lists(denials, max_size=3),
    unseen=st.lists(blindness, max_size=2),
    lost=st.lists(windows, max_size=2),
    latency=delays,
)
def test_whatever_is_refused_unseen_or_lost_ends_as_it_would_have(
    bad: bool, refused: list[Deny], unseen: list[Blind], lost: list[Window], latency: timedelta
) -> None:
    """A bad version is on no pod in the end; a good one is on all, or on none for a reason that is told."""
    scenario = Scenario(
        canary=CANARY,
        versions={"v1": Version(), "v2": BAD if bad else Version()},
        changes=(Scheduled(timedelta(seconds=60), Deploy("v2")),),
        denied=tuple(refused),
        blind=tuple(unseen),
        answers_lost=tuple(lost),
        latency=latency,
        limit=AFTER,
        in_place=True,
        replicas=3,
    )
    line = HearingWorld(scenario).run()

    assert line.status.phase in (Phase.SUCCEEDED, Phase.FAILED)
    assert line.status.canary_weight == 0
    assert hindered(line.status) is None
    assert line.status.phase is Phase.FAILED or not bad
    assert sum(entry.ending is not None for entry in line.entries) == 1
