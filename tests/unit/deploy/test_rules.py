"""The Prometheus rules; what they alert on is tested with promtool in `tests/cluster`."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]


@pytest.fixture(scope="module")
def alerts(deploy: Path) -> list[Json]:
    document = yaml.safe_load((deploy / "prometheus/rules.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_alerts_look_at_series_that_controller_and_hub_export(
    alerts: list[Json], exported: frozenset[str], exported_by_hub: frozenset[str]
) -> None:
    named = {name for each in alerts for name in re.findall(r"\b(?:flagger|canary)_\w+", each["expr"])}
    assert named
    assert named <= exported | exported_by_hub


def test_every_alert_says_how_grave_it_is_and_what_it_means(alerts: list[Json]) -> None:
    for each in alerts:
        assert each["labels"]["severity"] in {"warning", "critical"}
        assert set(each["annotations"]) == {"summary", "description"}


def test_every_alert_has_a_test(alerts: list[Json], deploy: Path) -> None:
    tests = (deploy / "prometheus/rules_test.yaml").read_text()
    assert [each["alert"] for each in alerts if each["alert"] not in tests] == []
