"""Metrics of which one failed check is enough, and metrics from which nothing follows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.rules import problems
from canary.api.status import Phase, Verdict
from canary.rollout.decision import Ending
from canary.rollout.simulation import Deploy, Reading, Side, Timeline, Version, Window

V2 = (60, Deploy("v2"))
RATE = {"name": "request-success-rate", "threshold": 99}
SLOW = {"v2": Version(readings=(Reading(900.0, "request-duration"),))}

Make = Callable[..., Canary]
Play = Callable[..., Timeline]


def metrics(**fields: Any) -> list[dict[str, Any]]:
    return [RATE, {"name": "request-duration", "threshold": 500, **fields}]


def test_one_failed_check_of_a_critical_metric_is_enough(canary: Make, play: Play) -> None:
    line = play(canary(metrics=metrics(critical=True), threshold=5), V2, versions=SLOW)

    assert (line.weights, line.endings, line.status.failed_checks) == ((0, 10, 0), (Ending.FAILED,), 1)
    assert line.events[-2] == "Rolling back app.prod request-duration 900 ms is above 500 ms over 1m"


def test_where_it_could_not_be_asked_a_critical_metric_is_like_any_other(canary: Make, play: Play) -> None:
    down = (Window(timedelta(seconds=100), timedelta(seconds=200)),)
    line = play(canary(metrics=metrics(critical=True, unavailable="Fail"), threshold=5), V2, metrics_down=down)

    assert line.endings == (Ending.PROMOTED,)


def test_it_ends_a_bake_as_well(canary: Make, play: Play) -> None:
    bad = Version(readings=(Reading(900.0, "request-duration", side=Side.PRIMARY, after=timedelta(seconds=60)),))
    line = play(canary(metrics=metrics(critical=True), threshold=5, bake="10m"), V2, versions={"v2": bad})

    assert line.status.phase is Phase.FAILED
    assert line.status.failed_checks == 1


@pytest.mark.parametrize("reading", [900.0, None])
def test_of_a_dry_run_nothing_follows_but_the_status_has_it(canary: Make, play: Play, reading: float | None) -> None:
    versions = {"v2": Version(readings=(Reading(reading, "request-duration"),))}
    line = play(canary(metrics=metrics(dryRun=True)), V2, versions=versions)

    assert line.endings == (Ending.PROMOTED,)
    verdicts = {each.name: each.verdict for each in line.status.checks}
    assert verdicts["request-duration"] is (Verdict.FAIL if reading else Verdict.NO_DATA)


def test_a_dry_run_of_a_comparison_neither_rolls_back_nor_holds_up_evidence(canary: Make, play: Play) -> None:
    compared = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 1}
    alone = canary(metrics=[{**compared, "dryRun": True}])
    bad = {"v2": Version(readings=(Reading(50.0, "request-success-rate"),))}

    assert play(alone, V2, versions=bad).endings == (Ending.PROMOTED,)


def test_both_together_are_refused(canary: Make) -> None:
    (found,) = problems(canary(metrics=metrics(dryRun=True, critical=True)), "traefik")

    assert found.field == "spec.analysis.metrics[1].critical"
