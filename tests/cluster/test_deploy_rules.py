"""The Prometheus rules, judged by Prometheus's own tool."""

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import yaml

from canary.api.fleet_status import JointStatus
from canary.api.fleet_traffic import ShareStatus
from canary.api.status import Verdict
from canary.controller.outcome import Kind
from canary.hub.telemetry import Telemetry
from canary.sandbox import binaries
from deploy.grafana.queries import dashboard, queries
from tests.unit.fleet.fleets import MINUTE, fleet_of, play, sketch

FOLDER = Path(__file__).parents[2] / "deploy/prometheus"


def promtool(*arguments: str) -> None:
    program = binaries.ensure(("promtool",))["promtool"]
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "rules_test.yaml")


def test_every_query_of_the_dashboard_of_releases_has_a_number(tmp_path: Path) -> None:
    """Over what a hub shows of a release under way."""
    asked = queries(dashboard("releases.json"), {"namespace": ".+", "__rate_interval": "2m"})
    expected = [{"expr": f"sgn(count({each}))", "eval_time": "5m", "exp_samples": [{"value": 1}]} for _, each in asked]
    series = [{"series": name, "values": f"{float(value)}x10"} for name, value in shown_by_a_hub()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": expected}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(file))


def shown_by_a_hub() -> Iterator[tuple[str, float]]:
    """The series of a hub, as Prometheus knows them, with their values."""
    telemetry = Telemetry("1.2.3")
    telemetry.leader.set(1)
    telemetry.passed(Kind.DONE, timedelta(seconds=1))
    fleet = play(fleet_of(), [sketch("c1"), sketch("c2")], limit=7 * MINUTE).fleet
    numbers = {"value": 1.5, "threshold": "1 and 0.1", "samples": 300, "p_value": 0.2, "members": 2}
    joint = JointStatus(name="request-success-rate", verdict=Verdict.PASS, message="undecided", **numbers)
    shares = (ShareStatus(name="c1", weight=60), ShareStatus(name="c2", weight=40))
    telemetry.observe(fleet, fleet.status.replace(joint=(joint,), traffic=shares))
    for family in telemetry.registry.collect():
        for sample in family.samples:
            labels = {**sample.labels, "job": "hub", "instance": "a"}
            written = ",".join(f'{name}="{value}"' for name, value in labels.items())
            yield f"{sample.name}{{{written}}}", sample.value
