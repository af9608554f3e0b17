"""Files with Canaries of v1beta2: linted, rehearsed and converted as those of v1beta1 are."""

import json
import re
from pathlib import Path

import pytest
import yaml

from canary.api.v1beta2.convert import to_v1beta1, to_v1beta2
from canary.api.v1beta2.table import CALL, METRIC, SPEC
from canary.cli.main import main
from tests.unit.cli.specs import CANARY

Out = pytest.CaptureFixture[str]

NEWER = """\
apiVersion: flagger.app/v1beta2
kind: Canary
metadata: {name: shop, namespace: prod}
spec:
  target: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80}
  traffic: {provider: traefik}
  rollout:
    interval: 1m
    failureThreshold: 3
    steps:
    - {weight: 50}
    - analysis: {checks: [request-duration], looks: 2}
  checks:
  - {name: smoke, when: pre-rollout, webhook: {url: "http://smoke.test/"}}
  - {name: request-success-rate, range: {min: 99}}
  - {name: request-duration, range: {max: 500}}
"""


def lint(folder: Path, text: str, capsys: Out) -> tuple[int, list[str]]:
    (folder / "all.yaml").write_text(text)
    code = main(["lint", str(folder / "all.yaml")])
    seen = capsys.readouterr()
    return code, [line.removeprefix(f"{folder}/all.yaml:") for line in (seen.out + seen.err).splitlines()]


def test_what_is_right_in_v1beta2_is_right(tmp_path: Path, capsys: Out) -> None:
    assert lint(tmp_path, NEWER, capsys) == (0, ["1 object, nothing is wrong"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("failureThreshold: 3", "failureTreshold: 3\n    failureThreshold: 3"),
            "10:5: Canary prod/shop: spec.rollout.failureTreshold: unknown field; did you mean failureThreshold?",
        ),
        (
            ("  target:", "  targetRef: {}\n  target:"),
            "5:3: Canary prod/shop: spec.targetRef: unknown field; in v1beta2 it is spec.target",
        ),
        (
            ("provider: traefik", "provider: traefik, hosts: [a.example.com]"),
            "7:32: Canary prod/shop: spec.traffic.hosts: the provider traefik can't honour it; take it out, or choose",
        ),
        (
            ("range: {min: 99}", "range: {min: 99, max: 1}"),
            "16:34: Canary prod/shop: spec.checks[1].range: min 99 is more than max 1; write min that is at most max",
        ),
        (
            ("checks: [request-duration]", "checks: [errors]"),
            "13:27: Canary prod/shop: spec.rollout.steps[1].analysis.checks[0]: there is no metric, condition or",
        ),
        (
            ("webhook: {url:", "critical: true, webhook: {url:"),
            "15:38: Canary prod/shop: spec.checks[0].critical: does not go with a webhook or a gate, which this check",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands_by_the_names_that_were_written(
    tmp_path: Path, capsys: Out, change: tuple[str, str], told: str
) -> None:
    code, lines = lint(tmp_path, NEWER.replace(*change), capsys)
    assert code == 1
    assert [line for line in lines if line.startswith(told)], lines


def test_other_kinds_have_one_version(tmp_path: Path, capsys: Out) -> None:
    text = (
        "apiVersion: flagger.app/v1beta2\nkind: AlertProvider\nspec: {type: slack, address: 'https://a.example.com'}\n"
    )
    code, lines = lint(tmp_path, text, capsys)
    assert code == 1
    assert "no server knows flagger.app/v1beta2; write flagger.app/v1beta1" in lines[0]


def test_a_spec_of_v1beta2_is_rehearsed(tmp_path: Path, capsys: Out) -> None:
    (tmp_path / "all.yaml").write_text(NEWER)
    assert main(["rehearse", "-f", str(tmp_path / "all.yaml")]) == 0, capsys.readouterr()
    assert "prod/shop" in capsys.readouterr().out


def test_it_is_printed_in_the_other_version_and_back(tmp_path: Path, capsys: Out) -> None:
    """All else of the files as it is."""
    other = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}}
    file = tmp_path / "all.yaml"
    file.write_text(f"{NEWER}---\n{yaml.safe_dump(other)}")
    assert main(["convert", "--to", "v1beta1", str(file)]) == 0
    text = capsys.readouterr().out
    canary, service = yaml.safe_load_all(text)
    assert canary["apiVersion"] == "flagger.app/v1beta1"
    assert service == other
    file.write_text(text)
    assert main(["convert", "--to", "v1beta2", str(file), "-o", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == [yaml.safe_load(NEWER), other]
    assert list(again[0]["spec"]) == ["target", "service", "traffic", "rollout", "checks"]


def test_without_a_canary_there_is_nothing_to_print(tmp_path: Path, capsys: Out) -> None:
    (tmp_path / "all.yaml").write_text("kind: Service\n")
    assert main(["convert", "--to", "v1beta2", str(tmp_path / "all.yaml")]) == 2
    assert "there is no Canary of flagger.app" in capsys.readouterr().err


def test_that_of_v1beta1_is_linted_the_same_in_both(tmp_path: Path, capsys: Out) -> None:
    (tmp_path / "old.yaml").write_text(CANARY)
    assert main(["convert", "--to", "v1beta2", str(tmp_path / "old.yaml")]) == 0
    text = capsys.readouterr().out
    assert "v1beta2" in text
    assert lint(tmp_path, text, capsys) == (0, ["1 object, nothing is wrong"])


def test_the_page_shows_the_same_canary_in_both_versions() -> None:
    page = (Path(__file__).parents[3] / "docs/v1beta2.md").read_text()
    newer, older = (yaml.safe_load(page.split(f"```{fence}\n")[1].split("```")[0]) for fence in ("yml", "yaml"))
    assert to_v1beta1(newer) == older
    assert to_v1beta2(older) == newer


def test_the_page_says_of_every_field_where_it_stands() -> None:
    page = (Path(__file__).parents[3] / "docs/v1beta2.md").read_text()
    moved = [
        name for pairs in (SPEC, METRIC, CALL) for old, new in pairs for name in (old, new) if "errorBudget" not in name
    ]
    assert [name for name in moved if not re.search(rf"`[\w.]*\b{name.rpartition('.')[2]}`", page)] == []
