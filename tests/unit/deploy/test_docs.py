"""What the pages on installing, on taking over from Flagger and on metrics say is so."""

import argparse
import json
import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from canary.cli import run_command
from canary.controller.telemetry import Telemetry
from outbound.destinations import REFUSED


@pytest.fixture(scope="module", params=["from-flagger", "install", "metrics"])
def page(request: pytest.FixtureRequest, root: Path) -> str:
    return (root / f"docs/{request.param}.md").read_text()


def test_every_path_that_a_page_names_is_there(page: str, root: Path) -> None:
    paths = set(re.findall(r"\bdeploy/[\w./-]+\w", page))
    assert paths
    assert sorted(path for path in paths if not (root / path).exists()) == []


@pytest.fixture(scope="module")
def defaults() -> dict[str, object]:
    """The flags of `canary run` and their defaults."""
    parser = argparse.ArgumentParser()
    run_command.add(parser.add_subparsers())
    return vars(parser.parse_args(["run"]))


def test_every_flag_that_stands_for_a_value_of_flaggers_chart_exists(root: Path, defaults: dict[str, object]) -> None:
    page = (root / "docs/from-flagger.md").read_text()
    cells = re.findall(r"^\| `[^|]+ \|([^|]*)\|", page.partition("| value | by kustomize |")[2], re.MULTILINE)
    flags = re.findall(r"`--([\w-]+)", "".join(cells))
    assert len(flags) > 10
    assert [flag for flag in flags if flag.replace("-", "_") not in defaults] == []


def test_our_chart_knows_the_values_of_flaggers_that_are_said_to_be_the_same(root: Path) -> None:
    schema = json.loads((root / "deploy/chart/values.schema.json").read_text())
    rows = re.findall(r"^\| (`[^|]+) \|[^|]*\| the same", (root / "docs/from-flagger.md").read_text(), re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]
    assert len(names) > 20
    for name in names:
        known = schema
        for part in name.split("."):
            known = known["properties"][part]


def test_every_variable_that_is_read_is_told_of(root: Path) -> None:
    page = (root / "docs/install.md").read_text()
    assert [name for name in run_command.ENVIRONMENT.values() if f"`{name}`" not in page] == []


def test_every_flag_that_the_installation_page_lists_exists_with_that_default(
    root: Path, defaults: dict[str, object]
) -> None:
    rows = re.findall(r"^\| (`--[^|]+) \| ([^|]+) \|", (root / "docs/install.md").read_text(), re.MULTILINE)
    assert rows
    for flags, default in rows:
        for flag in re.findall(r"--([\w-]+)", flags):
            value = defaults[flag.replace("-", "_")]
            assert default.strip("`") == (str(value).lower() if isinstance(value, bool) else value or default)


def test_every_line_of_the_page_on_security_names_a_test_that_shows_it(root: Path) -> None:
    page = (root / "docs/security.md").read_text()
    rows = [row for row in page.partition("| shown by |")[2].partition("\n\n")[0].splitlines() if " | " in row]
    assert len(rows) > 15
    assert [row for row in rows if not re.fullmatch(r"\| [^|]+ \|( `[^`|]+\.py`,?)+ \|", row)] == []
    named = re.findall(r"`((?:unit|cluster|e2e)/[\w/]+\.py)`", page)
    assert [
        each for each in named if not re.search(r"^\s*(async )?def test_", text_of(root / "tests" / each), re.MULTILINE)
    ] == []


def text_of(path: Path) -> str:
    """Empty where there is no such file."""
    return path.read_text() if path.exists() else ""


def test_every_network_that_is_denied_by_default_is_told(root: Path) -> None:
    page = (root / "docs/security.md").read_text()
    names = [str(each[0]) if each.num_addresses == 1 else str(each) for each in REFUSED]
    assert [each for each in names if f"`{each}`" not in page] == []


def test_the_metrics_page_lists_exactly_what_is_exported_with_its_labels(root: Path) -> None:
    text = (root / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (gauge|counter|histogram) \|([^|]*)\|", text, re.MULTILINE)
    of_controller = (each for each in rows if not each[0].startswith("canary_hub"))
    listed = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in of_controller}
    exported = {
        collector._name + ("_total" if collector._type == "counter" else ""): (
            collector._type,
            frozenset(collector._labelnames),
        )
        for collector in Telemetry("1.2.3", "traefik").registry._collector_to_names
        if isinstance(collector, MetricWrapperBase)
    }
    assert listed == exported
