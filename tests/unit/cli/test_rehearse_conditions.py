"""Rehearsals of conditions: the numbers of each story judge them, and what a good version can't meet is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.cli.rehearse.play import Outcome
from canary.cli.rehearse.programme import Report, Settings, rehearse

OWN: list[dict[str, Any]] = [
    {"name": name, "templateRef": {"name": name}, "dryRun": True} for name in ("error-rate", "requests")
]


def report(folder: Path, expression: str, metrics: list[dict[str, Any]] = OWN, **condition: Any) -> Report:
    analysis = {"interval": "1m", "threshold": 3, "stepWeight": 10, "maxWeight": 50, "metrics": metrics}
    conditions = [{"name": "few", "expression": expression, **condition}]
    spec = {
        "provider": "traefik",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
        "analysis": {**analysis, "conditions": conditions},
    }
    kind = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop"}}
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump({**kind, "spec": spec}))
    (found,) = rehearse([str(path)], Settings())
    assert isinstance(found, Report)
    return found


def outcomes(found: Report) -> dict[str, tuple[Outcome, str]]:
    return {each.rehearsal.story.name: (each.rehearsal.outcome, each.rehearsal.why) for each in found.seen}


def test_a_condition_takes_bad_versions_back_and_good_ones_pass(tmp_path: Path) -> None:
    found = report(tmp_path, 'metrics["error-rate"].value < 1 || metrics["requests"].value > 50')
    played = outcomes(found)

    assert played["healthy"][0] is Outcome.PROMOTED
    assert played["dead-on-arrival"] == (Outcome.ROLLED_BACK, "failed checks threshold reached 3")
    assert played["no-traffic"][0] is Outcome.ROLLED_BACK
    assert found.notes == ()


def test_one_that_no_good_version_would_meet_is_left_out_and_told(tmp_path: Path) -> None:
    found = report(tmp_path, "metrics.requests.value > 50")

    assert {each for each, _ in outcomes(found).values()} >= {Outcome.PROMOTED}
    (note,) = found.notes
    assert note.startswith("condition few is left out: it is not true of a version that is taken for good, of which")


def test_the_limits_of_a_metric_say_what_a_good_version_has(tmp_path: Path) -> None:
    metrics = [OWN[0], {**OWN[1], "thresholdRange": {"min": 60}}]
    found = report(tmp_path, "metrics.requests.value > 50", metrics)

    assert found.notes == ()
    assert outcomes(found)["dead-on-arrival"][0] is Outcome.ROLLED_BACK


@pytest.mark.parametrize("expression", ["metrics.requests.samples > 50", "metrics.requests.samples > 50 && 1 < 2"])
def test_samples_are_not_played(tmp_path: Path, expression: str) -> None:
    (note,) = report(tmp_path, expression).notes

    assert "it hangs on samples" in note


def test_what_is_no_expression_can_not_run(tmp_path: Path) -> None:
    (found,) = report(tmp_path, "metrics.requests.value >").problems

    assert found.problem.field == "spec.analysis.conditions[0].expression"
    assert found.where.startswith(f"{tmp_path}/shop.yaml:")
