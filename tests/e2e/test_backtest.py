"""Backtests on the real Prometheus, with a week of data made up for it, incidents planted."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from canary.sandbox.binaries import ensure
from canary.sandbox.process import log_tail

pytestmark = pytest.mark.long

MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=7)
WEEK = ("--from", "2026-03-02", "--to", "2026-03-09")

ERRORS = range(3_000, 3_012)
"""Minutes in which the primary fails 4 % of its requests."""
SLOW = range(5_000, 5_030)
"""Minutes in which it is slow."""
DOWN = range(7_000, 7_180)
"""Minutes in which Prometheus records nothing."""

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

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
    threshold: 5
    maxWeight: 50
    stepWeight: 10
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}, interval: 2m}
    - {name: request-duration, thresholdRange: {max: 500}, interval: 2m}
    - {name: saturation, query: 'max(saturation{app="{{ target }}"})', thresholdRange: {min: 0.05, max: 0.95}}
    - {name: lag, templateRef: {name: lag}, thresholdRange: {max: 100}}
    - {name: restarts, query: 'max_over_time(restarts{app="{{ target }}"}[{{ interval }}])', thresholdRange: {max: 0}}
---
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: lag, namespace: shop}
spec:
  provider: {type: prometheus, address: "http://in-cluster:9090"}
  query: max(lag{app="{{ target }}"})
"""

# The password is "test": the example of Prometheus's own documentation.
WEB = "basic_auth_users: {admin: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay}\n"


def openmetrics() -> Iterator[str]:
    """A week of the primary of `app` in `shop` behind Traefik, scraped every minute."""
    chance = random.Random(1)  # noqa: S311 - numbers, no secrets
    service = 'service="shop-app-primary-80@kubernetescrd"'
    counts = {"200": 0, "500": 0}
    buckets = [0] * (len(BOUNDS) + 1)
    lines: dict[str, list[str]] = {}
    for minute in range(7 * 24 * 60 + 1):
        if minute in DOWN:
            continue
        requests = chance.randint(1_100, 1_300)
        failed = round(requests * (0.04 if minute in ERRORS else 0.001))
        counts["200"] += requests - failed
        counts["500"] += failed
        for index in range(len(buckets)):
            share = (0, 0, 0, 0, 0.5, 0.5, 0) if minute in SLOW else (0.6, 0.3, 0.095, 0.005, 0, 0, 0)
            buckets[index] += round(requests * share[index])
        seconds = int(START.timestamp()) + minute * 60
        for code, count in counts.items():
            name = f'traefik_service_requests_total{{{service},code="{code}"}}'
            lines.setdefault(name, []).append(f"{name} {count} {seconds}")
        for index, bound in enumerate((*BOUNDS, "+Inf")):
            name = f'traefik_service_request_duration_seconds_bucket{{{service},le="{bound}"}}'
            lines.setdefault(name, []).append(f"{name} {sum(buckets[: index + 1])} {seconds}")
        gauges = {
            'saturation{app="app-primary"}': chance.uniform(0.2, 0.8),
            'lag{app="app-primary"}': chance.uniform(10, 50),
            'restarts{app="app-primary"}': 0,
            'up{job="traefik"}': 1,
        }
        for name, value in gauges.items():
            lines.setdefault(name, []).append(f"{name} {value:.4f} {seconds}")
    family = ""
    for name, samples in lines.items():
        whole = name.partition("{")[0].removesuffix("_total").removesuffix("_bucket")
        if whole != family:
            family = whole
            kind = "counter" if "_total" in name else "histogram" if "_bucket" in name else "gauge"
            yield f"# TYPE {family} {kind}"
        yield from samples
    yield "# EOF"


@dataclass(frozen=True, slots=True)
class Backtest:
    """One run of the command."""

    code: int
    out: str
    err: str
    mebibytes: float


class Bench:
    """Runs the command against one Prometheus."""

    def __init__(self, url: str, spec: Path) -> None:
        self.url = url
        self.spec = spec

    def __call__(self, *arguments: str, url: str = "") -> Backtest:
        command = [sys.executable, "-m", "canary", "backtest", "-f", str(self.spec), "--prometheus", url or self.url]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen([*command, *arguments], stdout=out, stderr=err)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            return Backtest(process.returncode, out.read(), err.read(), usage.ru_maxrss / 1024)


@pytest.fixture(scope="module")
def programs() -> dict[str, Path]:
    return ensure(("prometheus", "promtool"))


@pytest.fixture(scope="module")
def data(programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("week")
    text = folder / "week.om"
    text.write_text("\n".join([*openmetrics(), ""]))
    blocks = folder / "data"
    command = [
        str(programs["promtool"]),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--quiet",
        str(text),
        str(blocks),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    text.unlink()
    return blocks


@contextmanager
def prometheus(program: Path, data: Path, folder: Path, *flags: str) -> Iterator[str]:
    """Prometheus on a port of its own, scraping nothing; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text("{}")
    command = [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=20y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *flags,
    ]
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while not _ready(url):
            assert process.poll() is None, log_tail(log)
            assert time.monotonic() < deadline, log_tail(log)
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", auth=("admin", "test"), trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def bench(programs: dict[str, Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("prometheus")
    spec = folder / "canary.yaml"
    spec.write_text(SPEC)
    with prometheus(programs["prometheus"], data, folder) as url:
        yield Bench(url, spec)


def at(minute: int) -> str:
    return (START + minute * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute_of(text: str) -> int:
    return (datetime.fromisoformat(text) - START) // MINUTE


def test_a_week_of_five_metrics_takes_little_memory_and_shows_progress(bench: Bench) -> None:
    found = bench(*WEEK)
    assert found.code == 0, found.err
    assert found.mebibytes < 300
    for metric in ("request-success-rate", "request-duration", "saturation", "lag", "restarts"):
        assert f"{metric}: 10,081 of 10,081" in found.err
    assert "Looked at the primary's requests (they have the data" in found.out


def test_what_was_planted_is_what_is_found(bench: Bench) -> None:
    found = bench(*WEEK, "-q", "-o", "json")
    assert found.code == 0, found.err
    report: dict[str, Any] = json.loads(found.out)
    gap = report["coverage"]["gaps"]
    assert len(gap) == 1
    # Two minutes after the last scrape the last value is still the newest.
    assert abs(minute_of(gap[0]["start"]) - DOWN.start) <= 5
    assert minute_of(gap[0]["end"]) == DOWN.stop - 1
    errors, slow = (each for each in report["failures"] if any(each["metrics"].values()))
    without = [each for each in report["failures"] if not any(each["metrics"].values())]
    # A look goes two minutes back; the fifth failed check rolls back, and of nine looks five must fail.
    assert [*errors["metrics"]] == ["request-success-rate"]
    assert errors["metrics"]["request-success-rate"] == pytest.approx(96, abs=0.2)
    assert ERRORS.start - 9 <= minute_of(errors["first"]) <= ERRORS.start
    assert minute_of(errors["until"]) in range(ERRORS.stop - 1, ERRORS.stop + 3)
    assert [*slow["metrics"]] == ["request-duration"]
    assert slow["metrics"]["request-duration"] == pytest.approx(2_470, abs=30)
    assert minute_of(slow["until"]) in range(SLOW.stop - 1, SLOW.stop + 3)
    assert any(each["metrics"] == {} for each in without)
    assert all(DOWN.start - 10 < minute_of(each["first"]) and minute_of(each["last"]) in DOWN for each in without)
    assert report["rolledBack"] == sum(each["starts"] for each in report["failures"])
    assert report["failed"] == errors["starts"] + slow["starts"]
    rate, duration, *others = report["metrics"]
    assert (rate["blame"]["alone"], duration["blame"]["alone"]) == (errors["starts"], slow["starts"])
    assert all(each["failing"] == 0 for each in others)
    assert rate["quantiles"]["0.5"] == pytest.approx(99.9, abs=0.02)
    assert report["traffic"]["perSecond"] == pytest.approx(20, abs=0.5)
    assert report["traffic"]["health"]["rate"] == pytest.approx(1 / 1200 + 0.04 * 12 / 10_080, rel=0.02)


def test_the_values_are_those_that_the_controller_would_have_got(bench: Bench) -> None:
    """A range query's value at a moment is the instant query's."""
    minute = SLOW.start + 10
    window = ("--from", at(minute), "--to", at(minute + 10), "-q", "-o", "json")
    report = json.loads(bench(*window).out)
    for metric in report["metrics"]:
        parameters = {"query": metric["query"], "time": at(minute)}
        answer = httpx.get(f"{bench.url}/api/v1/query", params=parameters, trust_env=False).json()
        value = float(answer["data"]["result"][0]["value"][1])
        quantiles = metric["quantiles"]
        assert quantiles["0"] <= value <= quantiles["1"], metric["name"]
        if metric["name"] == "request-duration":
            assert quantiles["0"] == pytest.approx(value, rel=0.02)


def test_the_suggested_thresholds_do_what_they_say(bench: Bench, tmp_path: Path) -> None:
    report = json.loads(bench(*WEEK, "-q", "-o", "json").out)
    for suggestion in report["suggestions"]:
        spec = SPEC
        for metric, limits in zip(report["metrics"], suggestion["thresholds"], strict=True):
            old = next(line for line in spec.splitlines() if f"name: {metric['name']}," in line)
            kept = json.dumps({side: bound for side, bound in limits.items() if bound is not None})
            head, _, _ = old.partition("thresholdRange: ")
            interval = ", interval: 2m" if "interval: 2m" in old else ""
            spec = spec.replace(old, f"{head}thresholdRange: {kept}{interval}}}")
        path = tmp_path / "suggested.yaml"
        path.write_text(spec)
        played = json.loads(Bench(bench.url, path)(*WEEK, "-q", "-o", "json").out)
        share = played["failed"] / played["starts"]
        assert share == pytest.approx(suggestion["share"])
        assert share <= suggestion["allowed"]


def test_what_the_judge_would_have_done_with_what_is_recorded(bench: Bench, tmp_path: Path) -> None:
    """A thousandth of the requests fails by nothing but the time, the planted quarter of an hour apart."""
    compared = "{name: request-success-rate, compareTo: primary, tolerance: 0.5}"
    path = tmp_path / "compared.yaml"
    path.write_text(SPEC.replace("{name: request-success-rate, thresholdRange: {min: 99}, interval: 2m}", compared))
    found = Bench(bench.url, path)(*WEEK, "-o", "json")
    assert found.code == 0, found.err
    assert "pretend rollouts: " in found.err
    said = json.loads(found.out)["judged"]
    assert said["perSecond"] == pytest.approx(20, rel=0.05)
    assert said["rate"] == pytest.approx(1 / 1200 + 0.04 * 12 / 10_080, rel=0.05)
    # With an error of 5 % more than 45 of 400 come less than once in a million times.
    assert [each["rolledBack"] <= 45 for each in said["healthy"]] == [True, True]
    assert said["worse"][-1]["found"] == 100
    assert said["worse"][-2]["found"] >= 90


def test_a_prometheus_that_cannot_be_used_is_one_line_and_exit_code_2(bench: Bench) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        found = bench(*WEEK, "-q", url=closed)
    assert (found.code, found.out) == (2, "")
    assert found.err == (
        f"canary backtest: Prometheus at {closed} can't be reached: the connection failed "
        f"([Errno 111] Connect call failed ('127.0.0.1', {closed.rpartition(':')[2]})); is --prometheus right?\n"
    )
    empty = bench("--from", "2026-02-01", "--to", "2026-02-02", "-q")
    assert (empty.code, empty.out, empty.err.count("\n")) == (2, "", 1)
    assert "has no value of the spec's metrics" in empty.err


def test_a_query_error_names_the_metric(bench: Bench, tmp_path: Path) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text(SPEC.replace("max(saturation{", "max(saturation{{"))
    found = Bench(bench.url, spec)(*WEEK, "-q")
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    spec.write_text(SPEC.replace("max(saturation{", "maximum(saturation{"))
    found = Bench(bench.url, spec)(*WEEK, "-q")
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert "refuses the query of metric saturation" in found.err
    assert "unknown function" in found.err


def test_a_prometheus_that_wants_a_password_gets_it_or_is_told_of(
    bench: Bench, programs: dict[str, Path], tmp_path: Path
) -> None:
    """It is fresh too: nothing is in it."""
    web, right, wrong = tmp_path / "web.yml", tmp_path / "right", tmp_path / "wrong"
    web.write_text(WEB)
    right.write_text("test\n")
    wrong.write_text("tset\n")
    with prometheus(programs["prometheus"], tmp_path / "data", tmp_path, f"--web.config.file={web}") as url:
        for credentials in ((), ("--username", "admin", "--password-file", str(wrong))):
            refused = bench(*WEEK, "-q", *credentials, url=url)
            assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
            assert f"Prometheus at {url} does not let us in" in refused.err
        let_in = bench(*WEEK, "-q", "--username", "admin", "--password-file", str(right), url=url)
        assert let_in.code == 2
        assert "has no value of the spec's metrics" in let_in.err
