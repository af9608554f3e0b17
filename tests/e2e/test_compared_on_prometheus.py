"""Two versions are compared by what a real Prometheus has of them: histograms, classic and native, and values."""

import asyncio
import json
import math
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from canary.kube.types import Json
from canary.sandbox.binaries import ensure
from canary.sandbox.process import log_tail
from metrics.comparison import Subject, compare
from metrics.connections import QUESTIONS
from metrics.judge import Counts
from metrics.question import Question
from metrics.reading import Cause, Compared, Reading, Said, Sampled, Unread
from metrics.samples import Span
from metrics.sampling import Times, sample
from metrics.templates import Model
from metrics.threshold import Threshold
from metrics.versions import Versions
from outbound.connections import Connections

SERIES = "traefik_service_request_duration_seconds"
BOUNDS = (0.1, 0.3, 1.2, 5.0, float("inf"))
CANARY, PROMOTED = (f"test-app-{version}-80@kubernetescrd" for version in ("canary", "primary"))
FAST, SLOW = (95, 4, 1, 0, 0), (50, 20, 30, 0, 0)
"""Of a hundred requests, those in each bucket: the 99th percentile of the first lies at 0.3 s."""
DEADLINE = 40.0


class Gateway(BaseHTTPRequestHandler):
    """What a Traefik with its usual buckets exports; a version is there from its first request on."""

    counts: dict[str, list[int]]

    def do_GET(self) -> None:
        lines = [f"# TYPE {SERIES} histogram"]
        for service, buckets in list(self.counts.items()):
            total = 0
            for bound, count in zip(BOUNDS, buckets, strict=True):
                total += count
                le = "+Inf" if bound == float("inf") else f"{bound:g}"
                lines.append(f'{SERIES}_bucket{{service="{service}",code="200",le="{le}"}} {total}')
            lines += [f'{SERIES}_{name}{{service="{service}",code="200"}} {total}' for name in ("sum", "count")]
        body = "\n".join([*lines, ""]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nobody reads it."""

    @classmethod
    def answered(cls, service: str, buckets: tuple[int, ...]) -> None:
        before = cls.counts.get(service, [0] * len(BOUNDS))
        cls.counts[service] = [old + new for old, new in zip(before, buckets, strict=True)]


@contextmanager
def gateway() -> Iterator[str]:
    Gateway.counts = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def prometheus(folder: Path, *jobs: Json) -> Iterator[str]:
    """A Prometheus that scrapes every second; its own address stands in place of SELF."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{free.getsockname()[1]}"
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    timing = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    config.write_text(json.dumps({"global": timing, "scrape_configs": jobs}).replace("SELF", here))
    program = ensure(("prometheus",))["prometheus"]
    options = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={here}")
    with log.open("w") as lines, subprocess.Popen([program, *options], stdout=lines, stderr=lines) as process:
        try:
            until = time.monotonic() + DEADLINE
            while not answers(f"http://{here}/-/ready"):
                assert time.monotonic() < until, log_tail(log)
                time.sleep(0.1)
            yield f"http://{here}"
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def model() -> Model:
    name = "app"
    return Model(
        name=name,
        namespace="test",
        target=name,
        service=name,
        ingress=name,
        route=name,
        interval="1m",
        ports="(80|http)",
    )


def question(address: str, query: str = "") -> Question:
    return Question(name="", query=query, threshold=Threshold(), interval=timedelta(minutes=1), address=address)


async def compared(address: str, since: datetime, limit: float | None = None) -> Reading:
    subject = Subject(versions=Versions(provider="traefik", model=model()), slow=True, limit=limit)
    span = Span.of(since, datetime.now(UTC), timedelta(minutes=1))
    async with Connections(QUESTIONS) as clients:
        return await compare(question(address), subject, span, clients)


async def until_counted(address: str, since: datetime, requests: int, limit: float | None = None) -> Compared:
    """The comparison, as soon as so many requests of the canary are counted."""
    until = time.monotonic() + DEADLINE
    while True:
        reading = await compared(address, since, limit)
        if isinstance(reading.said, Compared) and whole(reading.said, "canary").requests >= requests:
            return reading.said
        assert time.monotonic() < until, reading
        await asyncio.sleep(0.5)


def whole(found: Compared, version: str) -> Counts:
    each = [getattr(look, version) for look in found.looks]
    return Counts(round(sum(one.requests for one in each), 6), round(sum(one.bad for one in each), 6))


def has_targets(address: str) -> bool:
    answer = httpx.get(f"{address}/api/v1/query", params={"query": "up"}, timeout=5, trust_env=False)
    return bool(answer.json()["data"]["result"])


async def scraped(address: str) -> None:
    """Wait until Prometheus has begun: it takes some seconds until it knows its targets."""
    until = time.monotonic() + DEADLINE
    while not await asyncio.to_thread(has_targets, address):
        assert time.monotonic() < until
        await asyncio.sleep(0.2)


async def traffic_of_the_promoted(seconds: int) -> None:
    for _ in range(seconds):
        Gateway.answered(PROMOTED, FAST)
        await asyncio.sleep(1)


@pytest.mark.parametrize("native", [False, True], ids=["classic", "custom buckets"])
async def test_the_slow_of_both_versions_are_counted_one_by_one(tmp_path: Path, *, native: bool) -> None:
    """Native histograms with custom buckets are what Prometheus 3 makes of classic ones where it is told to."""
    with gateway() as target:
        job = {"job_name": "gateway", "static_configs": [{"targets": [target]}]}
        with prometheus(tmp_path, {**job, "convert_classic_histograms_to_nhcb": native}) as address:
            await scraped(address)
            await traffic_of_the_promoted(11)
            since = datetime.now(UTC)
            for _ in range(4):
                Gateway.answered(CANARY, SLOW)
                await traffic_of_the_promoted(1)

            usual = await until_counted(address, since, 400)
            assert usual.bound == pytest.approx(300)
            assert whole(usual, "canary") == Counts(400, 120)
            promoted = whole(usual, "promoted")
            assert promoted.bad == pytest.approx(promoted.requests / 100)
            assert sum(each.bad for each in usual.usual) > 0

            for limit, bound, slow in ((90, 100, 200), (100, 100, 200), (500, 1200, 0), (1200, 1200, 0)):
                found = await until_counted(address, since, 400, limit)
                assert found.bound == pytest.approx(bound)
                assert whole(found, "canary").bad == slow, limit

            beyond = (await compared(address, since, 6000)).said
            # Of native buckets only those with requests are told.
            assert isinstance(beyond, Compared if native else Unread)


async def test_exponential_buckets_are_counted_by_the_server(tmp_path: Path) -> None:
    """Prometheus' own requests, which it times natively, stand in for a gateway's."""
    paths = {"/-/healthy": CANARY, "/-/ready": PROMOTED}
    names = [
        {"source_labels": ["__name__"], "regex": "prometheus_http_request_duration_seconds", "action": "keep"},
        {"source_labels": ["handler"], "regex": "|".join(paths), "action": "keep"},
        {"target_label": "__name__", "replacement": SERIES},
        *(
            {"source_labels": ["handler"], "regex": path, "target_label": "service", "replacement": service}
            for path, service in paths.items()
        ),
    ]
    job = {
        "job_name": "self",
        "static_configs": [{"targets": ["SELF"]}],
        "scrape_native_histograms": True,
        "metric_relabel_configs": names,
    }
    with prometheus(tmp_path, job) as address:
        await scraped(address)

        async def ask(path: str, times: int) -> None:
            for _ in range(times):
                assert await asyncio.to_thread(answers, address + path)

        for _ in range(4):
            await ask("/-/ready", 25)
            await asyncio.sleep(1)
        since = datetime.now(UTC)
        for _ in range(4):
            await ask("/-/ready", 25)
            await ask("/-/healthy", 25)
            await asyncio.sleep(1)

        found = await until_counted(address, since, 100)
        assert whole(found, "canary").requests == 100
        assert found.bound is not None
        none = await until_counted(address, since, 100, limit=5_000)
        assert (none.bound, whole(none, "canary"), whole(none, "promoted").bad) == (5_000, Counts(100, 0), 0)
        every = await until_counted(address, since, 100, limit=0.000_001)
        assert whole(every, "canary") == Counts(100, 100)


async def test_values_of_both_versions_are_taken_at_their_own_times(tmp_path: Path) -> None:
    since = datetime(2026, 3, 4, 5, 0, 0, tzinfo=UTC)
    times = Times.of(since, since + timedelta(seconds=65), timedelta(seconds=10), since - timedelta(minutes=5))
    now = datetime.now(UTC)
    last = since.timestamp() + 60

    with prometheus(tmp_path) as address:

        async def values(canary: str, promoted: str) -> Said:
            asked, other = (question(address, query) for query in (canary, promoted))
            async with Connections(QUESTIONS) as clients:
                return (await sample(clients, asked, other, times, now)).said

        said = await values(f"vector(time()) > {last - 25}", "vector(time())")
        assert isinstance(said, Sampled)
        assert [math.isnan(value) for value in said.canary] == [True, True, True, False, False, False]
        assert said.canary[3:] == (last - 20, last - 10, last)
        assert said.promoted == tuple(since.timestamp() - 300 - 10 * back for back in range(5, -1, -1))

        several = await values("vector(1)", 'vector(1) or label_replace(vector(2), "a", "b", "", "")')
        assert isinstance(several, Unread)
        assert several.cause is Cause.BAD_QUERY
        assert "2 series" in several.reason
