"""Spans reach a collector as OTLP says; one that is away costs no rollout anything."""

import asyncio
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from canary.controller import otlp
from canary.controller.otlp import CLOSE_SECONDS, Exporter, traces_url
from canary.rollout.spans import Moment, Span
from tests.tools.collector import collector

NOW = datetime(2026, 1, 1, 12, 0, 0, 123457, tzinfo=UTC)
ROOT = Span(0xABC, 0x1, 0, "rollout of app.shop", NOW, NOW + timedelta(seconds=90), {"canary.images": ("a=b", "c=d")})
CHECK = Span(
    trace=0xABC,
    id=0x2,
    parent=0x1,
    name="check latency",
    start=NOW,
    end=NOW + timedelta(milliseconds=1),
    attributes={"check.value": 1.5, "check.passed": False, "canary.weight": 10},
    moments=(Moment("told", NOW, {"a": "b"}),),
    error="no answer within 5 s",
    outward=True,
)


async def test_a_span_comes_with_its_ids_its_times_and_all_that_is_told_with_it() -> None:
    async with collector() as there:
        exporter = Exporter(f"{there.url}/v1/traces", "1.2.3")
        exporter(CHECK)
        exporter(ROOT)
        await exporter.close()
    (check,), (root,) = there.named("check latency"), there.named("rollout of app.shop")
    assert (check.trace, check.id, check.parent) == (f"{0xABC:032x}", f"{2:016x}", f"{1:016x}")
    assert (root.trace, root.id, root.parent) == (check.trace, check.parent, "")
    nanoseconds = int(NOW.timestamp()) * 10**9 + 123_457_000
    assert (check.span.start_time_unix_nano, check.span.end_time_unix_nano) == (nanoseconds, nanoseconds + 10**6)
    assert check.attributes == {"check.value": 1.5, "check.passed": False, "canary.weight": 10}
    assert root.attributes == {"canary.images": ["a=b", "c=d"]}
    (event,) = check.span.events
    assert (event.name, event.time_unix_nano) == ("told", nanoseconds)
    assert (check.span.status.code, check.span.status.message) == (Status.STATUS_CODE_ERROR, CHECK.error)
    assert root.span.status.code == Status.STATUS_CODE_UNSET
    assert (check.span.kind, root.span.kind) == (Sent.SPAN_KIND_CLIENT, Sent.SPAN_KIND_INTERNAL)
    assert check.resource["service.name"] == "canary-controller"
    assert check.resource["service.version"] == "1.2.3"


async def test_opentelemetrys_own_variables_say_who_we_are_and_what_lets_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "canary-eu")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    async with collector() as there:
        exporter = Exporter(f"{there.url}/v1/traces", "1")
        exporter(ROOT)
        await exporter.close()
    assert (
        there.spans[0].resource.items()
        >= {
            "service.name": "canary-eu",
            "deployment.environment.name": "prod",
        }.items()
    )
    assert there.headers[0]["authorization"] == "Bearer abc"


async def test_what_waits_goes_out_at_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    async with collector() as there:
        exporter = Exporter(f"{there.url}/v1/traces", "1")
        for number in range(1, 701):
            exporter(replace(ROOT, id=number))
        await exporter.close()
    assert {each.span.span_id[-2:] for each in there.spans} == {number.to_bytes(2, "big") for number in range(1, 701)}


async def test_a_collector_that_is_away_keeps_nobody_waiting_and_the_newest_spans_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its queue is bounded: whoever comes back late has the last ones."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "4")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections wait there for ever
        exporter = Exporter(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces", "1")
        for number in range(1, 5001):
            exporter(replace(ROOT, id=number))
        waiting = exporter._processor._batch_processor._queue
        assert len(waiting) <= 100
        assert waiting[0].context.span_id == 5000
        async with asyncio.timeout(CLOSE_SECONDS + 10):
            await exporter.close()
    # What it is left to tries again at random intervals, and nobody else's test is to meet that.
    for thread in [each for each in threading.enumerate() if each.name == "close traces"]:
        await asyncio.to_thread(thread.join, 60)


@pytest.mark.parametrize(
    ("flag", "variables", "url"),
    [
        ("", {}, ""),
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/base/", {}, "http://c:4318/base/v1/traces"),
        ("", {"ENDPOINT": "http://d:4318"}, "http://d:4318/v1/traces"),
        ("http://c:4318", {"ENDPOINT": "http://d:4318", "TRACES_ENDPOINT": "http://e/x"}, "http://c:4318/v1/traces"),
        ("", {"ENDPOINT": "http://d:4318", "TRACES_ENDPOINT": "http://e/x"}, "http://e/x"),
        ("", {"ENDPOINT": "collector:4317"}, ""),
    ],
)
def test_where_spans_go(flag: str, variables: dict[str, str], url: str) -> None:
    environment = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}
    assert traces_url(flag, environment) == url
    assert traces_url(flag, {**environment, "OTEL_SDK_DISABLED": "true"}) == ""


def test_its_words_stand_in_the_controllers_own_log(capsys: pytest.CaptureFixture[str]) -> None:
    import logging  # noqa: PLC0415 - as the exporter does

    otlp._words_into_the_log()
    otlp._words_into_the_log()
    logging.getLogger("opentelemetry.sdk._shared_internal").warning("Queue full, dropping %s.", "Span")
    said = capsys.readouterr()
    assert (said.out + said.err).count("Queue full, dropping Span.") == 1
