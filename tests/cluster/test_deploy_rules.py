"""The Prometheus rules, judged by Prometheus's own tool."""

import subprocess
from pathlib import Path

from canary.sandbox import binaries

FOLDER = Path(__file__).parents[2] / "deploy/prometheus"


def promtool(*arguments: str) -> None:
    program = binaries.ensure(("promtool",))["promtool"]
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "rules_test.yaml")
