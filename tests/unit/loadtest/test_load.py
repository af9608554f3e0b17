"""Our own load: at a constant rate, honest about what the server makes wait."""

import asyncio
import contextlib
import json
import math
import random
import sys
from collections.abc import Callable
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.load.__main__ import main
from loadtest.load.arguments import Arguments, WrongArgumentsError, read
from loadtest.load.histogram import BOUNDS, Histogram, in_buckets
from loadtest.load.openloop import ERROR, TIMEOUT, Load, NoAnswerError, Plan, Report
from loadtest.load.results import MARK
from tests.unit.loadtest.conftest import Target

PERCENTILES = (50, 75, 90, 99)


async def load_of(plan: Plan, latency: Callable[[int], float]) -> tuple[Load, list[Report], list[float]]:
    """Make a load on a server whose n-th answer takes so long; in virtual time."""
    sent, reports, loop = list[float](), list[Report](), asyncio.get_running_loop()

    async def send() -> int:
        sent.append(loop.time())
        await asyncio.sleep(latency(len(sent) - 1))
        return 200

    load = Load(plan, send, reports.append)
    await load.run()
    return load, reports, sent


# --- Open loop, in virtual time --------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_requests_go_out_at_the_rate_whatever_the_server_does() -> None:
    load, _, sent = await load_of(Plan(50, 10, 60), lambda n: 20.0)

    assert len(sent) == 500
    assert sent == pytest.approx([n / 50 for n in range(500)], abs=1e-6)
    assert load.codes == {"200": 500}
    assert load.late == pytest.approx(0, abs=1e-6)
    assert load.seconds == pytest.approx(10)


@pytest.mark.looptime
async def test_percentiles_are_those_of_the_servers_distribution() -> None:
    """Within 1 %: what the buckets of the histogram are worth, and the few samples beyond p99."""
    shape = NormalDist(math.log(0.04), 0.5)
    times = [math.exp(shape.inv_cdf((n + 0.5) / 10_000)) for n in range(10_000)]
    random.Random(7).shuffle(times)  # noqa: S311 - the same order each time

    load, _, _ = await load_of(Plan(500, 20, 10), lambda n: times[n])

    for percent in PERCENTILES:
        assert load.latencies.percentile(percent) == pytest.approx(math.exp(shape.inv_cdf(percent / 100)), rel=0.01)


@pytest.mark.looptime
async def test_a_server_that_stands_still_for_a_while_is_seen_by_all_who_would_have_waited() -> None:
    """Who waits for an answer before the next request would have sent one in that second, and called the rest fast."""
    begin, end = 5.0, 6.0
    loop = asyncio.get_running_loop()

    def latency(n: int) -> float:
        return max(0.0, end - loop.time()) + 0.001 if loop.time() >= begin else 0.001

    load, _, _ = await load_of(Plan(100, 10, 30), latency)

    assert load.latencies.percentile(90) == pytest.approx(0.001, rel=0.02)
    assert load.latencies.percentile(95) == pytest.approx(0.5, rel=0.05)
    assert load.latencies.longest == pytest.approx(1.001, rel=0.01)


@pytest.mark.looptime
async def test_latency_runs_from_when_a_request_was_due_though_it_had_to_wait_for_a_connection() -> None:
    """One connection, answers of 0.1 s, requests every 0.05 s: each waits longer than the one before."""
    one = asyncio.Lock()
    loop = asyncio.get_running_loop()

    async def send() -> int:
        async with one:
            await asyncio.sleep(0.1)
        return 200

    load = Load(Plan(20, 2, 10), send, lambda report: None)
    await load.run()

    assert loop.time() == pytest.approx(4.0)
    assert load.latencies.longest == pytest.approx(40 * 0.1 - 39 * 0.05)
    assert load.latencies.percentile(50) == pytest.approx(20 * 0.1 - 19 * 0.05, rel=0.06)


@pytest.mark.looptime
async def test_what_is_not_answered_in_time_is_given_up_and_counts_with_its_time() -> None:
    load, _, _ = await load_of(Plan(10, 1, 2), lambda n: 60.0 if n == 3 else 0.1)

    assert load.codes == {"200": 9, TIMEOUT: 1}
    assert load.latencies.longest == pytest.approx(2)


@pytest.mark.looptime
async def test_what_is_not_answered_at_all_counts_without_a_latency() -> None:
    async def send() -> int:
        raise NoAnswerError

    load = Load(Plan(10, 1, 2), send, lambda report: None)
    await load.run()

    assert (load.codes, load.latencies.total) == ({ERROR: 10}, 0)
    assert math.isnan(load.latencies.percentile(50))


@pytest.mark.looptime
async def test_reports_come_every_second_and_add_up() -> None:
    load, reports, _ = await load_of(Plan(10, 5, 2), lambda n: 0.15)

    assert len(reports) == 6
    assert sum(report.codes.total() for report in reports) == 50
    assert sum(len(report.latencies) for report in reports) == load.latencies.total
    assert sum(map(sum, (in_buckets(report.latencies) for report in reports))) == 50


# --- Counting --------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-5, 100), min_size=1, max_size=200), st.sampled_from(PERCENTILES))
def test_a_percentile_is_off_by_half_a_bucket_at_most(latencies: list[float], percent: int) -> None:
    histogram = Histogram()
    for each in latencies:
        histogram.add(each)

    exact = sorted(latencies)[math.ceil(len(latencies) * percent / 100) - 1]

    assert histogram.percentile(percent) == pytest.approx(exact, rel=0.0051)
    assert histogram.percentile(percent) <= histogram.longest


def test_buckets_hold_what_does_not_exceed_their_bound() -> None:
    assert in_buckets([0.0005, BOUNDS[0], BOUNDS[0] * 1.01, 31.0]) == [2, 1, *[0] * (len(BOUNDS) - 2), 1]


# --- Command line ----------------------------------------------------------------------------------------------


def test_a_load_is_read_from_its_arguments() -> None:
    words = [
        "--rate",
        "20",
        "--duration",
        "1m30s",
        "--timeout",
        "2s",
        "--connections",
        "5",
        "--header",
        "A:b",
        "--header",
    ]
    found = read([*words, "X-Team: shop, and more", "--body", "x=1", "http://app-canary.test:9898/a?b"])

    assert found == Arguments(
        url="http://app-canary.test:9898/a?b",
        plan=Plan(20, 90, 2),
        method="POST",
        headers=(("A", "b"), ("X-Team", "shop, and more")),
        body="x=1",
        connections=5,
        insecure=False,
    )
    assert read(["--rate", "0.5", "--duration", "1s", "--insecure", "--method", "HEAD", "https://a"]).method == "HEAD"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("", "--rate"),
        ("--rate 5 http://a/", "--duration"),
        ("--rate 5 --duration 1m", "url"),
        ("--rate 5000 --duration 1m http://a/", "no rate"),
        ("--rate nan --duration 1m http://a/", "no rate"),
        ("--rate 5 --duration soon http://a/", "not a duration"),
        ("--rate 5 --duration 0s http://a/", "nothing"),
        ("--rate 2000 --duration 1m --timeout 11s http://a/", "shorter --timeout"),
        ("--rate 5 --duration 1m --connections 501 http://a/", "connections"),
        ("--rate 5 --duration 1m --header x http://a/", "no header"),
        ("--rate 5 --duration 1m --header A:\x01 http://a/", "no header"),
        ("--rate 5 --duration 1m --method get http://a/", "no method"),
        ("--rate 5 --duration 1m ftp://a/", "no address"),
        ("--rate 5 --duration 1m http://", "no address"),
        ("--rate 5 --duration 1m http://[", "no address"),
        ("--rate 5 --duration 1m http://shop..test/", "no address"),  # no resolver can be asked for it
        ("--rate 5 --duration 1m http://\u2028/", "no address"),
        ("--rate 5 --duration 1m http://a/ http://b/", "unrecognized"),
        ("--rate 5 --duration 1m --help http://a/", "unrecognized"),
    ],
)
def test_what_is_wrong_is_named(line: str, word: str) -> None:
    with pytest.raises(WrongArgumentsError) as error:
        read(line.split(" ") if line else [])

    assert word in str(error.value)


@given(st.lists(st.text(max_size=8) | st.sampled_from(["--rate", "5", "--duration", "1m", "--header", "http://a/"])))
def test_any_words_are_a_load_or_wrong(words: list[str]) -> None:
    with contextlib.suppress(WrongArgumentsError):
        read(words)


# --- Over HTTP -------------------------------------------------------------------------------------------------


async def run(*words: str) -> tuple[int, list[dict[str, object]], str]:
    """Make a load in a process of its own; return its status, its reports and its other words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.load", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    lines = said.decode().splitlines()
    reports = [json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]
    return process.returncode or 0, reports, "\n".join(line for line in lines if not line.startswith(MARK))


async def test_a_real_server_gets_each_request_and_their_answers_are_counted(target: Target) -> None:
    words = ("--rate", "50", "--duration", "1s", "--timeout", "30s", "--header", "X-Team: shop", "--body", "x=1")
    status, reports, said = await run(*words, target.url)

    assert (status, len(target.requests)) == (0, 50)
    assert {(each.method, each.headers["X-Team"]) for each in target.requests} == {("POST", "shop")}
    assert set(target.bodies) == {b"x=1"}
    assert "50 requests in" in said
    assert "by status: 200 50" in said
    assert len(reports) >= 1


@pytest.mark.parametrize(
    ("path", "word"),
    [("broken", "500 3"), ("elsewhere", "302 3"), ("hang", "timeout 3"), ("cut", "error 3"), ("drip", "timeout 3")],
)
async def test_every_end_of_a_request_is_counted(target: Target, path: str, word: str) -> None:
    status, _, said = await run("--rate", "100", "--duration", "30ms", "--timeout", "2s", f"{target.url}{path}")

    assert f"by status: {word}" in said
    assert status == (0 if word[0].isdigit() else 1)


async def test_where_nobody_listens_it_fails() -> None:
    status, _, said = await run("--rate", "100", "--duration", "30ms", "http://127.0.0.1:1/")

    assert (status, "error 3" in said) == (1, True)


def test_a_wrong_command_line_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rate"]) == 2
    assert "--rate" in capsys.readouterr().err


async def test_only_so_many_connections_are_made(target: Target) -> None:
    await run("--rate", "100", "--duration", "300ms", "--connections", "2", "--timeout", "30s", target.url)

    assert 1 <= len(target.connections) <= 2
