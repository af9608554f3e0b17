"""Whatever numbers Prometheus has recorded, a backtest says something about them, or that it can't."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.cli.backtest import run
from canary.cli.main import main
from metrics.errors import EmptyRangeError
from metrics.question import Question
from metrics.ranges import Point, Series

START = datetime(2026, 3, 2, tzinfo=UTC)
FROM_TO = ("--from", "2026-03-02", "--to", "2026-03-02T00:30:00Z")

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
    threshold: 2
    stepWeights: [5, 50]
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}
    - {name: lag, query: max(lag), thresholdRange: {min: 1, max: 40}, interval: 1m}
"""

ODD = (0.0, -0.0, 5e-324, 1e-300, 99.5, 1e15, 1e308, 1.7976931348623157e308, -1e308, math.inf, -math.inf, None)
"""What PromQL can say: nothing, least and greatest, infinities by dividing by nothing."""

Values = Sequence[float | None]


def play(
    monkeypatch: pytest.MonkeyPatch, path: Path, arguments: Sequence[str], *values: Values, scraped: Values = (1.0,)
) -> int:
    """Run a backtest over success rate, lag and requests, each of which goes through its values over and over."""
    rate, lag, requests = values

    async def query_range(
        _: object, question: Question, *, start: datetime, end: datetime, step: timedelta, deadline: float
    ) -> list[Series]:
        told: Values = lag if "lag" in question.query else rate if "5.." in question.query else requests
        if "up[" in question.query:
            told = scraped
        moments = (start + step * index for index in range((end - start) // step + 1))
        looks = ((moment, round((moment - START).total_seconds() / 60)) for moment in moments)
        points = tuple(Point(moment, value) for moment, look in looks if (value := told[look % len(told)]) is not None)
        if not points:
            raise EmptyRangeError
        return [Series({}, points)]

    monkeypatch.setattr(run, "query_range", query_range)
    path.write_text(SPEC)
    return main(["backtest", "-q", "-f", str(path), "--prometheus", "http://prom:9090", *FROM_TO, *arguments])


numbers = st.lists(st.sampled_from(ODD), min_size=1, max_size=5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers, numbers, numbers, st.sampled_from(["table", "json", "yaml", "svg"]))
def test_no_number_is_too_large_too_small_or_missing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rate: Values,
    lag: Values,
    requests: Values,
    output: str,
) -> None:
    code = play(monkeypatch, tmp_path / "spec.yaml", ("-o", output, "--fail-above", "100"), rate, lag, requests)
    said = capsys.readouterr()
    if code:
        assert (code, said.err.count("\n")) == (2, 1)
        return
    if output == "json":
        json.loads(said.out, parse_constant=pytest.fail)
    if output == "svg":
        ET.fromstring(said.out)  # noqa: S314 - our own


@pytest.mark.parametrize("requests", [[math.inf], [1e308], [-1.0], [1e308, math.inf]])
def test_what_can_t_be_a_rate_of_requests_is_not_reckoned_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], requests: Values
) -> None:
    assert play(monkeypatch, tmp_path / "spec.yaml", (), [99.5], [5.0], requests) == 0
    assert "Not known: no request is recorded." in capsys.readouterr().out


def test_odd_rates_beside_others_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(monkeypatch, tmp_path / "spec.yaml", (), [99.5], [5.0], [50.0, math.inf, 50.0]) == 0
    assert "Traffic: 50 requests a second" in capsys.readouterr().out


def test_a_window_that_would_fill_the_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(monkeypatch, tmp_path / "spec.yaml", ("--from", "0001-01-01"), [99.5], [5.0], [1.0]) == 2
    assert "looks, and 2,000,000 are the most; write a later one" in capsys.readouterr().err


def test_a_gate_that_found_nothing_to_judge_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a gate, so little data that no rollout fits is no error."""
    once: Values = [*[None] * 15, 99.5, *[None] * 15]
    assert play(monkeypatch, tmp_path / "spec.yaml", (), once, once, once, scraped=once) == 0
    assert "No rollout fits into what is recorded." in capsys.readouterr().out
    assert play(monkeypatch, tmp_path / "spec.yaml", ("--fail-above", "50"), once, once, once, scraped=once) == 2
    said = capsys.readouterr()
    assert "No rollout fits into what is recorded." in said.out
    assert said.err == "canary backtest: --fail-above: no rollout could be judged; look at a longer time: --from\n"
