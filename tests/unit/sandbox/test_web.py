"""The sample web service: what it answers, and the faults that can be switched on."""

import asyncio
import json
import os
import signal
from collections.abc import Callable

import httpx
import pytest

from canary.sandbox.samples.web import Service, serve


async def get(service: Service, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    status, _, content = await service.answer(method, path, {"content-type": "text/x"}, body)
    return status, content


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("VERSION", "1.2")
    monkeypatch.setenv("POD_NAME", "web-1")
    return Service()


async def test_it_says_its_version_and_pod(service: Service) -> None:
    status, content = await get(service, "/?a=b")
    assert status == 200
    assert json.loads(content) == {"message": "hello", "version": "1.2", "hostname": "web-1"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/status/418", 418),
        ("/status/x", 400),
        ("/none", 404),
        ("//version", 200),
    ],
)
async def test_pages(service: Service, path: str, status: int) -> None:
    assert (await get(service, path))[0] == status


async def test_it_gives_back_what_it_is_sent(service: Service) -> None:
    assert await get(service, "/echo", "POST", b"body") == (200, b"body")


async def test_it_gives_a_token_as_podinfo_does(service: Service) -> None:
    """Acceptance tests of many Canaries ask for one, and look for the word in the answer."""
    status, content = await get(service, "/token", "POST", b"somebody")
    assert status == 200
    assert json.loads(content)["token"]


async def test_metrics_have_a_port_of_their_own_where_podinfos_option_names_one(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port_factory: Callable[[], int]
) -> None:
    port, metrics = unused_tcp_port_factory(), unused_tcp_port_factory()
    monkeypatch.setenv("TERM_SECONDS", "0")
    serving = asyncio.create_task(serve([f"--port={port}", f"--port-metrics={metrics}"]))
    transport = httpx.AsyncHTTPTransport(retries=5)
    async with httpx.AsyncClient(transport=transport) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/version")).status_code == 200
        page = (await client.get(f"http://127.0.0.1:{metrics}/metrics")).text
    assert 'http_requests_total{status="200"} 1' in page.splitlines()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await serving == 0


async def test_faults_spare_health_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_ERROR_RATE", "1")
    monkeypatch.setenv("FAULT_STATUS", "503")
    service = Service()
    assert (await get(service, "/"))[0] == 503
    assert (await get(service, "/health"))[0] == 200
    assert (await get(service, "/readyz"))[0] == 200
    _, content = await get(service, "/metrics")
    assert 'http_requests_total{status="503"} 1' in content.decode().splitlines()


async def test_faults_can_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT_ERROR_RATE", "1")
    monkeypatch.setenv("FAULT_AFTER", "1000")
    assert (await get(Service(), "/"))[0] == 200


@pytest.mark.parametrize("delay", ["1000", "never"])
async def test_it_can_be_late_to_be_ready(monkeypatch: pytest.MonkeyPatch, delay: str) -> None:
    monkeypatch.setenv("READY_DELAY", delay)
    service = Service()
    assert (await get(service, "/readyz"))[0] == 503
    assert (await get(service, "/healthz"))[0] == 200
