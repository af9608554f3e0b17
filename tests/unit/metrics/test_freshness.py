"""What is old decides nothing: neither what was measured before the rollout, nor what ended two intervals ago."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from metrics.providers import PROVIDERS
from metrics.providers.prometheus import PROMETHEUS
from metrics.question import Empty, Number, Question, Sample, Span
from metrics.wire import Response

MINUTE = 60.0
NOW = 10_000.0

STALE = {540: 50.0, **dict.fromkeys(range(480, -1, -60), None)}
"""Half of the requests failed nine minutes ago, of the version before; since then there were none."""


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


def parse(provider: str, width: int, values: Mapping[int, float | None], span: Span) -> Sample:
    """Read one series of buckets, given by how many seconds ago each began."""
    body = answer(provider, width, sorted(values.items(), reverse=True))
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return PROVIDERS[provider].parse(Response(200, data), span)


def answer(provider: str, width: int, buckets: list[tuple[int, float | None]]) -> object:
    if provider == "datadog":
        points = [[(NOW - ago) * 1000, value] for ago, value in buckets]
        return {"status": "ok", "series": [{"pointlist": points, "interval": width}]}
    if provider == "graphite":
        return [{"target": "t", "datapoints": [[value, NOW - ago] for ago, value in buckets]}]
    rows = [
        f",,0,{datetime.fromtimestamp(NOW - ago, UTC).isoformat()},{'' if value is None else value}\r\n"
        for ago, value in buckets
    ]
    return "".join([",result,table,_time,_value\r\n", *rows])


@pytest.mark.parametrize("provider", ["datadog", "graphite", "influxdb"])
def test_what_was_measured_longer_than_two_intervals_ago_decides_nothing(provider: str) -> None:
    span = Span(since=NOW - 3600, now=NOW, interval=MINUTE)
    assert isinstance(parse(provider, 60, STALE, span), Empty)
    assert parse(provider, 60, {540: 50.0, 90: 99.0, 30: None}, span) == Number(99.0, 1)


@pytest.mark.parametrize("provider", ["datadog", "graphite", "influxdb"])
def test_what_was_measured_before_the_rollout_decides_nothing(provider: str) -> None:
    """A bucket that began before it holds answers of the version before."""
    buckets = {119: 50.0, 60: 50.0, 0: None}
    assert isinstance(parse(provider, 60, buckets, Span(since=NOW - 50, now=NOW, interval=MINUTE)), Empty)
    assert parse(provider, 60, buckets, Span(since=NOW - 60, now=NOW, interval=MINUTE)) == Number(50.0, 1)


@pytest.mark.parametrize(("provider", "value"), [("datadog", 1.0), ("graphite", 2.0)])
def test_buckets_wider_than_the_interval_are_not_too_old_for_their_width(provider: str, value: float) -> None:
    span = Span(since=0, now=NOW, interval=10)
    assert parse(provider, 300, {599: 1.0, 299: 2.0}, span) == Number(value, 1)


@pytest.mark.parametrize(("values", "value"), [({60: 1.0, 25: 2.0}, 2.0), ({60: 1.0, 15: 2.0}, 1.0), ({15: 2.0}, 2.0)])
def test_datadog_s_last_bucket_counts_once_it_is_full_or_where_there_is_no_other(
    values: dict[int, float | None], value: float
) -> None:
    assert parse("datadog", 20, values, Span(since=0, now=NOW, interval=MINUTE)) == Number(value, 1)


def test_a_row_of_influxdb_without_a_time_is_what_the_query_made_of_its_own_range() -> None:
    body = b",result,table,_time,_value\r\n,,0,,12\r\n"
    span = Span(since=NOW, now=NOW, interval=1)
    assert PROVIDERS["influxdb"].parse(Response(200, body), span) == Number(12.0, 1)


@pytest.mark.parametrize(
    ("interval", "began", "seconds"),
    [(60, None, 180), (300, None, 600), (300, 90.5, 90), (300, 0, 1), (300, 9000, 600)],
)
def test_dynatrace_s_value_is_of_two_intervals_and_of_nothing_before_the_rollout(
    interval: int, began: float | None, seconds: int, ask: Ask, now: datetime
) -> None:
    """Its metrics come by the minute, so that three minutes are the least."""
    question = ask(
        provider="dynatrace",
        credentials={"dynatrace_token": "t"},
        interval=timedelta(seconds=interval),
        since=None if began is None else now - timedelta(seconds=began),
    )
    parameters = parse_qs(urlsplit(PROVIDERS["dynatrace"].build(question, now).url).query)
    assert int(parameters["to"][0]) - int(parameters["from"][0]) == seconds * 1000


@pytest.mark.parametrize(
    ("interval", "began", "back"),
    [
        (60, None, "120"),
        (10, None, "60"),  # it looks at its targets once a minute by itself
        (150, None, None),  # and back on five minutes
        (3600, None, None),
        (60, 20, "20"),
        (3600, 20.5, "21"),
        (60, 0, "1"),
        (60, -5, "1"),
        (60, 500, "120"),
    ],
)
def test_prometheus_looks_back_on_no_sample_of_before_the_rollout_or_older_than_two_intervals(
    interval: int, began: float | None, back: str | None, ask: Ask, now: datetime
) -> None:
    since = None if began is None else now - timedelta(seconds=began)
    request = PROMETHEUS.build(replace(ask(), interval=timedelta(seconds=interval), since=since), now)
    assert parse_qs(urlsplit(request.url).query).get("lookback_delta") == (None if back is None else [back])
