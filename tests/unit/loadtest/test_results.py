"""What loads have shown is told to Prometheus."""

import asyncio
import json

import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from loadtest.family import Family
from loadtest.jobs import Finished, Jobs
from loadtest.limits import Limits
from loadtest.load.histogram import BOUNDS
from loadtest.load.openloop import Report
from loadtest.load.results import MARK, LoadOutput, Results
from loadtest.processes import Output, run
from loadtest.tasks import Call, Powers, Task, plan
from loadtest.telemetry import Telemetry
from tests.unit.loadtest.conftest import Target


def page(results: Results) -> str:
    registry = CollectorRegistry()
    registry.register(results)
    return generate_latest(registry).decode()


def report(*latencies: float, **codes: int) -> bytes:
    made = Report(latencies=list(latencies), late=0.25)
    made.codes.update({code.removeprefix("_"): count for code, count in codes.items()})
    return json.dumps(made.as_json()).encode()


def test_reports_add_up_by_canary() -> None:
    results = Results()
    results.add("app", "shop", report(0.002, 0.3, _200=2))
    results.add("app", "shop", report(0.3, _503=1, error=4))
    results.add("app", "other", report(_200=1))

    told = page(results)

    labels = 'canary="app",canary_namespace="shop"'
    assert f'loadtest_load_requests_total{{{labels},code="200"}} 2.0' in told
    assert f'loadtest_load_requests_total{{{labels},code="error"}} 4.0' in told
    assert f'loadtest_load_request_duration_seconds_bucket{{{labels},le="0.0025"}} 1.0' in told
    assert f'loadtest_load_request_duration_seconds_bucket{{{labels},le="0.5"}} 3.0' in told
    assert f'loadtest_load_request_duration_seconds_bucket{{{labels},le="+Inf"}} 3.0' in told
    assert f"loadtest_load_request_duration_seconds_sum{{{labels}}} 0.602" in told
    assert f"loadtest_load_late_seconds{{{labels}}} 0.25" in told
    assert 'canary_namespace="other",code="200"} 1.0' in told


def test_numbers_of_so_many_canaries_are_kept_those_with_the_last_loads() -> None:
    results = Results(most=2)
    for name in ("a", "b", "a", "c"):
        results.add(name, "shop", report(_200=1))

    told = page(results)

    assert 'canary="a"' in told
    assert 'canary="c"' in told
    assert 'canary="b"' not in told


@given(st.binary() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(lambda x: json.dumps(x).encode()))
def test_what_is_no_report_changes_nothing(told: bytes) -> None:
    results = Results()
    before = page(results)

    results.add("app", "shop", told)

    assert page(results) == before


@given(st.lists(st.integers(1, 50), max_size=40))
def test_reports_are_taken_out_of_the_output_however_it_comes_in_pieces(sizes: list[int]) -> None:
    text = f"begun\n{MARK}one\nmiddle\n{MARK}two\nend".encode()

    async def feed() -> tuple[list[bytes], str]:
        found = list[bytes]()
        output = LoadOutput(found.append, Limits())
        rest = text
        for size in sizes:
            if rest:
                output.data_received(rest[:size])
                rest = rest[size:]
        output.data_received(rest)
        output.connection_lost(None)
        return found, output.text

    with asyncio.Runner() as runner:
        assert runner.run(feed()) == ([b"one", b"two"], "begun\nmiddle\nend")


async def test_what_a_load_has_seen_is_a_metric_when_it_has_ended(target: Target) -> None:
    """The whole way: from a hook's call over a process and its reports to Prometheus' page."""
    telemetry, family = Telemetry(structlog.get_logger()), Family()

    async def execute(task: Task, output: Output) -> int:
        return await run(task.script, output, family)

    metadata = {"type": "load", "cmd": f"--rate 50 --duration 200ms --timeout 30s {target.url}"}
    task = plan(Call("app", "shop", "pre-rollout", metadata), Powers())
    assert isinstance(task, Task)
    jobs = Jobs(execute, telemetry, limits=Limits(), most=1, outputs=telemetry.output)

    with structlog.testing.capture_logs():
        async with asyncio.timeout(60):
            outcome = await jobs.wait(task)

    assert isinstance(outcome, Finished)
    assert outcome.status == 0
    assert outcome.output.startswith("10 requests in ")
    told = generate_latest(telemetry.registry).decode()
    assert 'loadtest_load_requests_total{canary="app",canary_namespace="shop",code="200"} 10.0' in told
    assert 'loadtest_load_request_duration_seconds_count{canary="app",canary_namespace="shop"} 10.0' in told


def test_the_last_bucket_has_no_bound() -> None:
    results = Results()
    results.add("app", "shop", report(BOUNDS[-1] * 2, _200=1))

    assert 'le="30.0"} 0.0' in page(results)
    assert 'le="+Inf"} 1.0' in page(results)
