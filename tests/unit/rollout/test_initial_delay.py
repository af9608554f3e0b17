"""Checks that are first looked at some time after the rollout's first step."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.controller.problems import of_spec
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, Reading, Side, Timeline, Version

V2 = (60, Deploy("v2"))
RATE = {"name": "request-success-rate", "threshold": 99}
WARM = timedelta(seconds=150)
COLD = Version(readings=(Reading(900.0, "request-duration"), Reading(100.0, "request-duration", after=WARM)))
"""Slow for its first two and a half minutes."""

Make = Callable[..., Canary]
Play = Callable[..., Timeline]


def metrics(**fields: Any) -> list[dict[str, Any]]:
    return [RATE, {"name": "request-duration", "threshold": 500, **fields}]


def test_what_a_version_does_before_is_not_held_against_it(canary: Make, play: Play) -> None:
    assert play(canary(metrics=metrics()), V2, versions={"v2": COLD}).endings == (Ending.FAILED,)
    late = play(canary(metrics=metrics(initialDelay="3m")), V2, versions={"v2": COLD})
    assert late.endings == (Ending.PROMOTED,)
    assert late.status.failed_checks == 0


def test_steps_go_on_meanwhile_and_other_checks_count(canary: Make, play: Play) -> None:
    plain, late = (play(canary(metrics=metrics(**each)), V2) for each in ({}, {"initialDelay": "3m"}))
    assert late.weight_changes == plain.weight_changes

    failing = Version(readings=(*COLD.readings, Reading(10.0, "request-success-rate")))
    line = play(canary(metrics=metrics(initialDelay="3m")), V2, versions={"v2": failing})
    assert (line.endings, line.status.failed_checks) == ((Ending.FAILED,), 2)


def test_it_is_looked_at_from_then_on(canary: Make, play: Play) -> None:
    bad = {"v2": Version(readings=(Reading(900.0, "request-duration"),))}
    line = play(canary(metrics=metrics(initialDelay="3m"), threshold=1), V2, versions=bad)

    assert line.weights == (0, 10, 20, 30, 0)


def test_a_condition_waits_for_itself_and_for_the_metrics_that_it_names(canary: Make, play: Play) -> None:
    condition = {"name": "quick", "expression": 'metrics["request-duration"].value < 300'}
    slow = {"v2": Version(readings=(Reading(400.0, "request-duration"),))}
    for late in (
        {"metrics": metrics(initialDelay="3m"), "conditions": [condition]},
        {"metrics": metrics(), "conditions": [{**condition, "initialDelay": "3m"}]},
    ):
        line = play(canary(**late, threshold=1), V2, versions=slow)
        assert line.weights == (0, 10, 20, 30, 0)


def test_a_promoted_version_warms_up_again(canary: Make, play: Play) -> None:
    cold = Version(
        readings=(
            Reading(900.0, "request-duration", side=Side.PRIMARY),
            Reading(100.0, "request-duration", side=Side.PRIMARY, after=timedelta(seconds=200)),
        )
    )
    line = play(canary(metrics=metrics(initialDelay="4m"), threshold=1, bake="10m"), V2, versions={"v2": cold})

    assert line.endings == (Ending.PROMOTED,)


def test_no_step_ends_on_evidence_before_every_check_was_looked_at(canary: Make, play: Play) -> None:
    compared = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 1}
    slow = {"name": "request-duration", "threshold": 500, "initialDelay": "3m"}
    bad = {"v2": Version(readings=(Reading(900.0, "request-duration"),))}
    line = play(canary(metrics=[compared, slow], advance="onEvidence", threshold=1), V2, versions=bad)

    assert line.endings == (Ending.FAILED,)
    assert line.weights == (0, 10, 20, 30, 0)


@pytest.mark.parametrize(
    ("delay", "analysis", "refused"),
    [
        ("5m", {}, False),
        ("5m1s", {}, True),
        ("11m", {"iterations": 10}, False),
        ("11m1s", {"iterations": 10}, True),
        ("2m", {"stepWeights": [10, 50]}, False),
        ("3m", {"stepWeights": [10, 50]}, True),
    ],
)
def test_a_delay_that_is_not_over_at_the_last_look_is_refused(
    canary: Make, delay: str, analysis: dict[str, Any], refused: bool
) -> None:
    found = list(of_spec(canary(metrics=metrics(initialDelay=delay), **analysis), "traefik"))

    assert [each.field for each in found] == (["spec.analysis.metrics[1].initialDelay"] if refused else [])


def test_pods_that_are_replaced_in_place_begin_anew_at_each_step(canary: Make) -> None:
    target = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
    for delay, refused in (("1m", []), ("2m", ["spec.analysis.metrics[1].initialDelay"])):
        spec = canary(spec=target, metrics=metrics(initialDelay=delay))
        assert [each.field for each in of_spec(spec, "kubernetes") if "initialDelay" in each.field] == refused


def test_of_a_spec_without_a_plan_nothing_is_said_of_its_last_look(canary: Make) -> None:
    spec = canary(metrics=metrics(initialDelay="99m"), mirror=True, mirrorWeight=101)

    assert [each.field for each in of_spec(spec, "istio")][:1] == ["spec.analysis.mirrorWeight"]
    assert not [each for each in of_spec(spec, "istio") if each.field.endswith("initialDelay")]
