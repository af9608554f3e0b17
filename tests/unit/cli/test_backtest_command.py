"""The whole command, with a Prometheus that answers by the words of a query."""

import argparse
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree as ET

import pytest
import yaml

from canary.cli import backtest_command
from canary.cli.backtest import run
from canary.cli.main import main
from metrics.errors import (
    EmptyRangeError,
    QueryError,
    ServerError,
    TimedOutError,
    UnauthorizedError,
    UnreachableError,
)
from metrics.question import Question
from metrics.ranges import Point, Series

START = datetime(2026, 3, 2, tzinfo=UTC)
LOOKS = 2 * 24 * 60
FROM_TO = ("--from", "2026-03-02", "--to", "2026-03-04")

SPEC = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: app, namespace: shop}
spec:
  provider: traefik
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  service: {port: 80}
  analysis:
    interval: 1m
    threshold: 3
    stepWeights: [5, 20, 50]
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}
    - {name: request-duration, thresholdRange: {max: 500}, interval: 1m}
    - {name: lag, templateRef: {name: lag}, thresholdRange: {max: 40}, interval: 1m}
"""
TEMPLATE = """
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: lag, namespace: shop}
spec:
  provider: {type: prometheus, address: "http://in-cluster:9090", headers: {X-Scope-OrgID: [shop]}}
  query: max(lag{app="{{ target }}"})
"""


class Backtest(Protocol):
    def __call__(self, *arguments: str) -> int: ...


Value = Callable[[int], float | None]


def healthy(query: str) -> Value:
    """The primary's two days: a bad quarter of an hour, a slow one, and three hours without any record."""

    def value(look: int) -> float | None:
        if 600 <= look < 780:
            return None
        if "last_over_time" in query:
            return 4.0
        if "-canary-" in query or ("-primary-" not in query and "lag" not in query):
            return None
        if query.startswith("round(100"):
            return 90.0 if 1000 <= look < 1015 else 99.95
        if "histogram_quantile" in query:
            return math.inf if 2000 <= look < 2015 else 100.0 + look % 50
        return 20.0 if "lag" in query else 50.0

    return value


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    return serve(monkeypatch, healthy)


def serve(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], Value]) -> list[Question]:
    """Answer the command's queries so; they gather in the list that comes back."""
    asked: list[Question] = []

    async def query_range(
        _: object, question: Question, *, start: datetime, end: datetime, step: timedelta, deadline: float
    ) -> list[Series]:
        asked.append(question)
        value = answer(question.query)
        moments = (start + step * index for index in range((end - start) // step + 1))
        looks = ((moment, round((moment - START).total_seconds() / 60)) for moment in moments)
        points = tuple(
            Point(moment, found) for moment, look in looks if (found := value(look)) is not None and look <= LOOKS
        )
        if not points:
            raise EmptyRangeError
        return [Series({}, points)]

    monkeypatch.setattr(run, "query_range", query_range)
    return asked


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def query_range(*_: object, **__: object) -> list[Series]:
        raise error

    monkeypatch.setattr(run, "query_range", query_range)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "canary.yaml"
    path.write_text(f"{SPEC}---\n{TEMPLATE}")
    return path


@pytest.fixture
def backtest(spec: Path) -> Backtest:
    def call(*arguments: str) -> int:
        return main(["backtest", "-f", str(spec), "--prometheus", "http://user:secret@prom:9090/x", *arguments])

    return call


@pytest.mark.usefixtures("asked")
def test_the_table_says_how_often_when_why_and_what_follows(
    backtest: Backtest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(*FROM_TO) == 0
    said = capsys.readouterr()
    text = said.out
    assert "app.shop, Mon 2026-03-02 00:00 to Wed 2026-03-04 00:00 UTC, a look every 1m" in text
    assert (
        "Looked at the primary's requests (they have the data; --workload chooses others), at http://prom:9090." in text
    )
    assert "Mon 2026-03-02 10:00 for 3h" in text
    assert re.search(r"Of 2,\d\d\d rollouts, one begun at every look, \d+ would have been rolled back", text)
    assert re.search(r"Mon 2026-03-02 16:\d\d +\d+m +\d+ +request-success-rate 90%", text)
    assert re.search(r"Tue 2026-03-03 09:\d\d +\d+m +\d+ +request-duration inf ms", text)
    assert re.search(r"Mon 2026-03-02 09:\d\d +2h5\dm +\d+ +nothing is recorded", text)
    assert re.search(r"request-duration +<= 500 ms +none|request-duration +<= 500 ms", text)
    assert "NIST/SEMATECH" in text
    assert "Wilks 1941" in text
    assert "secret" not in text + said.err
    assert "request-success-rate: 2,881 of 2,881" in said.err


@pytest.mark.usefixtures("asked")
def test_json_and_yaml_say_the_same_and_are_valid(backtest: Backtest, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(*FROM_TO, "-o", "json", "-q") == 0
    said = capsys.readouterr()
    assert said.err == ""
    found = json.loads(said.out, parse_constant=pytest.fail)
    assert backtest(*FROM_TO, "-o", "yaml", "-q") == 0
    assert yaml.safe_load(capsys.readouterr().out) == found
    assert found["workload"] == "primary"
    assert found["rolledBack"] == sum(each["starts"] for each in found["failures"])
    assert found["share"] == found["rolledBack"] / found["starts"]
    assert found["interval"] == "1m0s"
    assert found["coverage"]["recorded"] == LOOKS + 1 - 180
    assert found["coverage"]["gaps"] == [{"start": "2026-03-02T10:00:00Z", "end": "2026-03-02T12:59:00Z"}]
    rate, duration, lag = found["metrics"]
    assert (rate["looks"], rate["failing"], rate["series"]) == (LOOKS + 1 - 180, 15, 1)
    assert (duration["quantiles"]["0.5"], duration["quantiles"]["1"]) == (125, None)
    assert lag["blame"] == {"part": 0, "alone": 0}
    assert [each["allowed"] for each in found["suggestions"]] == [0, 0.01, 0.05]
    assert found["suggestions"][0]["thresholds"][0] == {"min": 90, "max": None}
    assert found["suggestions"][0]["thresholds"][2] == {"min": None, "max": 20}
    assert [each["weight"] for each in found["traffic"]["shares"]] == [5, 20, 50]
    assert found["traffic"]["shares"][0]["requests"] == pytest.approx(50 * 60 * 0.05)


@pytest.mark.usefixtures("asked")
def test_steps_that_are_written_out_are_gone_through(
    backtest: Backtest, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = "steps: [{weight: 5}, {pause: {duration: 10m}}, {pause: {}}, {header: {}}, {weight: 50}]"
    spec.write_text(spec.read_text().replace("stepWeights: [5, 20, 50]", steps))
    assert backtest(*FROM_TO, "-o", "json", "-q") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 12
    assert [each["weight"] for each in found["traffic"]["shares"]] == [5, 5, 50]
    assert found["starts"] > 0
    assert any("people as resuming" in each for each in found["notes"])


@pytest.mark.usefixtures("asked")
def test_the_picture_shows_every_metric_its_threshold_and_what_failed(
    backtest: Backtest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "picture.svg"
    assert backtest(*FROM_TO, "-o", "svg", "-q", "--picture", str(path)) == 0
    text = capsys.readouterr().out
    assert path.read_text() == text
    words = [node.text for node in ET.fromstring(text).iter() if node.text]  # noqa: S314 - our own
    for said in ("request-success-rate", "request-duration", "lag", ">= 99%", "<= 500 ms", "requests a second"):
        assert said in words
    assert {"rolled back", "not recorded", "03-03 00:00"} <= {*words}
    assert any("request-success-rate 90%" in each for each in words)


def test_the_queries_go_to_the_given_server_with_what_lets_us_in(
    backtest: Backtest, asked: list[Question], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    assert backtest(*FROM_TO, "-q", "--token-file", str(token), "--header", "X-Team: shop", "--insecure") == 0
    assert {each.address for each in asked} == {"http://user:secret@prom:9090/x"}
    assert all(each.credentials == {"token": "t0ken"} and each.insecure for each in asked)
    assert {each.headers for each in asked if each.name == "lag"} == {(("X-Scope-OrgID", "shop"), ("X-Team", "shop"))}


def test_the_workload_can_be_chosen(
    backtest: Backtest, asked: list[Question], capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(*FROM_TO, "-q", "--workload", "canary") == 0
    assert not any("-primary" in each.query for each in asked)
    text = capsys.readouterr().out
    assert "Looked at the canary's requests, as the spec asks for them, at" in text
    assert "request-success-rate without data" in text


@pytest.mark.usefixtures("asked")
def test_a_pipeline_can_fail_on_too_many_rollbacks(backtest: Backtest) -> None:
    assert backtest(*FROM_TO, "-q", "--fail-above", "50") == 0
    assert backtest(*FROM_TO, "-q", "--fail-above", "0") == 1


def test_a_healthy_time_is_told_in_one_sentence(
    backtest: Backtest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fine(query: str) -> Value:
        return lambda _: None if "-canary-" in query else 99.5 if query.startswith("round(100") else 7.0

    serve(monkeypatch, fine)
    assert backtest(*FROM_TO, "-q", "--fail-above", "0") == 0
    text = capsys.readouterr().out
    assert "The whole window is recorded." in text
    assert "None of 2,876 rollouts, one begun at every look, would have been rolled back." in text
    assert "\nROLLED BACK\n" not in text


def test_a_fresh_prometheus_has_little_to_say_and_says_so(
    backtest: Backtest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its eight minutes lie between two of the samples that look for data, and are the canary's."""

    def fresh(query: str) -> Value:
        gone = "-primary-" in query or ("-canary-" not in query and "lag" not in query and "up[" not in query)
        return lambda look: 99.5 if 2871 <= look < 2879 and not gone else None

    serve(monkeypatch, fresh)
    assert backtest(*FROM_TO, "-q") == 0
    text = capsys.readouterr().out
    assert "Looked at the canary's requests" in text
    assert "Of the window, 99.72 % is not recorded at all:" in text
    assert "Less than a day is recorded" in text


def test_a_template_does_not_switch_off_the_check_of_the_server_that_is_given(
    spec: Path, backtest: Backtest, asked: list[Question]
) -> None:
    """A spec in a pull request must not show the pipeline's token to whoever answers."""
    spec.write_text(spec.read_text().replace("type: prometheus,", "type: prometheus, insecureSkipVerify: true,"))
    assert backtest(*FROM_TO, "-q") == 0
    assert not any(each.insecure for each in asked)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            UnreachableError("the connection failed (HTTPConnectionPool(host='prom', port=9090): Max retries)"),
            "Prometheus at http://prom:9090 can't be reached: the connection failed",
        ),
        (UnauthorizedError("HTTP 401: who?"), "Prometheus at http://prom:9090 does not let us in: HTTP 401: who?; see"),
        (
            QueryError("1:5: parse error:\n unclosed left parenthesis"),
            "refuses the query of metric request-success-rate: 1:5: parse error: unclosed left parenthesis",
        ),
        (
            TimedOutError("no answer within 60 s"),
            "gives no answer for request-success-rate: no answer within 60 s; see",
        ),
        (ServerError("HTTP 503: busy"), "gives no usable answer for request-success-rate: HTTP 503: busy"),
        (EmptyRangeError(), "has no value of the spec's metrics"),
    ],
)
def test_what_is_wrong_with_prometheus_is_one_line_and_exit_code_2(
    error: Exception,
    line: str,
    backtest: Backtest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refuse(monkeypatch, error)
    assert backtest(*FROM_TO, "-q") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("canary backtest: ")
    assert line in said.err
    assert "secret" not in said.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--from", "yesterday"), "--from: 'yesterday' is no moment; write now, 7d"),
        (("--from", "1d", "--to", "2d"), "--from 1d is not before --to 2d"),
        (("--from", "1d", "--to", "2999-01-01"), "--to 2999-01-01 is in the future"),
        (("--prometheus", "prom:9090"), "--prometheus: the address 'prom:9090' is not an http:// or https:// URL"),
        (("--header", "x"), "--header: it has no name, or no value"),
        (("--username", "me"), "--username: its password is missing"),
        (("--token-file", "/nowhere/token"), "/nowhere/token: it can't be read: No such file or directory"),
        (("-f", "/nowhere/spec.yaml"), "/nowhere/spec.yaml: it can't be read: No such file or directory"),
        (("--canary", "other"), "there is no Canary other in the files, only app"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], line: str, backtest: Backtest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(*FROM_TO, *arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"canary backtest: {line}")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("stepWeights: [5, 20, 50]", "stepWeights: [50, 20]", "spec.analysis.stepWeights[1]: 20 is not more than"),
        ("provider: traefik", "provider: smoke", "spec.provider: traffic provider smoke is not supported"),
        ("threshold: 3", "threshold: many", "spec.analysis.threshold: 'many' can't be read"),
        (
            "name: lag, templateRef: {name: lag}",
            "name: lag, templateRef: {name: log}",
            "MetricTemplate log of namespace",
        ),
        ("{{ target }}", "{{ targte }}", "spec.analysis.metrics[2], lag: line 1, column 17: targte isn't defined"),
        ("  analysis:", "  skipAnalysis: true\n  analysis:", "spec.skipAnalysis: new versions are promoted without"),
        ("kind: Deployment", "kind: StatefulSet", "spec.targetRef.kind: pods of a StatefulSet have the same names"),
        ("kind: Canary", "kind: Deployment", "there is no Canary in the files"),
        ("metadata: {name: app", "metadata: {name: app}\n---\n# {", "spec: is missing; set spec"),
        ("kind: Canary", "kind: [Canary", "line "),
    ],
)
def test_a_spec_that_can_t_run_is_explained(
    old: str, new: str, line: str, spec: Path, backtest: Backtest, capsys: pytest.CaptureFixture[str]
) -> None:
    text = spec.read_text()
    assert old in text
    spec.write_text(text.replace(old, new))
    assert backtest(*FROM_TO) == 2
    assert line in capsys.readouterr().err


def test_metrics_of_another_kind_of_server_are_left_out_and_named(
    spec: Path, backtest: Backtest, asked: list[Question], capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(spec.read_text().replace("type: prometheus", "type: datadog"))
    assert backtest(*FROM_TO, "-q") == 0
    assert "lag" in capsys.readouterr().out
    assert not any("lag" in each.query for each in asked)
    assert backtest(*FROM_TO, "-q", "-o", "json") == 0
    lag = json.loads(capsys.readouterr().out)["metrics"][2]
    assert lag["skipped"] == "it asks datadog, not Prometheus: taken as passing"


def test_comparisons_are_left_out_and_named(
    spec: Path, backtest: Backtest, asked: list[Question], capsys: pytest.CaptureFixture[str]
) -> None:
    limited = "{name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}"
    spec.write_text(spec.read_text().replace(limited, "{name: request-success-rate, compareTo: primary}"))
    assert backtest(*FROM_TO, "-q", "-o", "json") == 0
    rate = json.loads(capsys.readouterr().out)["metrics"][0]
    assert rate["skipped"] == "it is compared with the primary's at the time: taken as passing here, see the judge"
    assert asked


@pytest.mark.usefixtures("asked")
def test_templates_may_be_in_files_of_their_own(
    spec: Path, tmp_path: Path, backtest: Backtest, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC)
    assert backtest(*FROM_TO, "-q") == 2
    assert "is in no file; name its file too" in capsys.readouterr().err
    other = tmp_path / "templates.yaml"
    other.write_text(TEMPLATE)
    assert backtest(*FROM_TO, "-q", "-f", str(other)) == 0


def test_the_page_on_backtests_lists_every_option() -> None:
    parser = argparse.ArgumentParser()
    backtest_command.add(parser.add_subparsers())
    known = set(vars(parser.parse_args(["backtest", "-f", "x", "--prometheus", "http://x"])))
    text = (Path(__file__).parents[3] / "docs/backtest.md").read_text()
    rows = re.findall(r"^\| (`-[^|]+) \|", text, re.MULTILINE)
    listed = {flag for row in rows for flag in re.findall(r"`--?([\w-]+)", row)}
    named = {"f": "filename", "from": "start", "to": "end"}
    assert {named.get(flag, flag).replace("-", "_") for flag in listed} == known - {"run"}


@pytest.mark.usefixtures("asked")
def test_looks_that_overlap_are_told_of(spec: Path, backtest: Backtest, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(*FROM_TO, "-q") == 0
    assert "overlap" not in capsys.readouterr().out
    spec.write_text(spec.read_text().replace("{max: 40}, interval: 1m", "{max: 40}, interval: 5m"))
    assert backtest(*FROM_TO, "-q") == 0
    assert "Looks at lag overlap: each goes back 5m, a new one comes every 1m." in capsys.readouterr().out
