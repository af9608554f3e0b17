"""The server of admission, over TLS: what it takes in and for how long, and which certificate it shows."""

import asyncio
import io
import json
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.admission import server as server_module
from canary.admission.certificates import Pair, make
from canary.admission.server import LARGEST_BODY, AdmissionServer
from canary.controller.listening import ListenError
from canary.controller.telemetry import Telemetry
from canary.kube.types import Json
from inbound.given import GivenCertificate
from tests.unit.admission.conftest import OPTIONS, example, review

HOST = "canary-controller-admission.canary-system.svc"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def pair_of(days: int = 90) -> Pair:
    return make([HOST], datetime.now(UTC), timedelta(days=days))


class Site:
    """A server that runs, and a client that trusts its first certificate."""

    def __init__(self, server: AdmissionServer, port: int, pair: Pair) -> None:
        self.server = server
        self.port = port
        self.pair = pair

    async def post(self, path: str, body: bytes, trusted: Pair | None = None) -> tuple[int, str]:
        """Ask over a connection of its own."""
        context = ssl.create_default_context(cadata=(trusted or self.pair).certificate.decode())
        url = f"https://127.0.0.1:{self.port}{path}"
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            request = session.post(url, data=io.BytesIO(body), ssl=context, server_hostname=HOST)
            async with asyncio.timeout(30), request as answer:
                return answer.status, await answer.text()

    async def ask(self, new: Json) -> Json:
        status, text = await self.post("/validate", json.dumps(review(new)).encode())
        assert status == 200, text
        response: Json = json.loads(text)["response"]
        return response


@pytest.fixture(scope="module")
def pair() -> Pair:
    return pair_of()


@pytest_asyncio.fixture
async def site(pair: Pair) -> AsyncIterator[Site]:
    port = free_port()
    server = AdmissionServer("127.0.0.1", port, OPTIONS, Telemetry("1", "traefik"))
    await server.start()
    await server.serve(pair)
    yield Site(server, port, pair)
    await server.close()


async def test_a_question_is_answered(site: Site) -> None:
    assert (await site.ask(example("my-app")))["allowed"]
    broken = example("my-app")
    broken["spec"]["service"]["port"] = 70_000
    assert not (await site.ask(broken))["allowed"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/validate", b"", 400),
        ("/validate", b"{", 400),
        ("/validate", b"\xff\xfe", 400),
        ("/validate", b"[]", 400),
        ("/validate", b"{}", 400),
        ("/validate", b"1" * 5000, 400),
        ("/validate", json.dumps(review({"a": 1}, uid=5)).encode(), 400),
        ("/validate", b'{"kind":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        ("/validate", b'{"kind":' + b"[" * 300 + b"]" * 300 + b"}", 400),
        ("/validate", b" " * (LARGEST_BODY + 1), 413),
        ("/nothing", b"{}", 404),
        ("/default", json.dumps(review({"a": 1})).encode(), 200),
    ],
)
async def test_what_is_no_question_is_told_so(site: Site, path: str, body: bytes, status: int) -> None:
    assert (await site.post(path, body))[0] == status


async def test_whoever_takes_too_long_is_told_so_and_the_others_are_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are slow take no place for longer than that."""
    monkeypatch.setattr(server_module, "SLOWEST_BODY", 0.5)
    context = ssl.create_default_context(cadata=site.pair.certificate.decode())
    head = b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"
    slow = []
    for _ in range(2 * server_module.AT_ONCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=context, server_hostname=HOST)
        writer.write(head)
        slow.append((reader, writer))
    assert [await reader.read(12) for reader, _ in slow] == [b"HTTP/1.1 408"] * len(slow)
    for _, writer in slow:
        writer.close()
    assert (await site.ask(example("my-app")))["allowed"]


async def test_another_certificate_is_shown_to_the_next_that_comes(site: Site) -> None:
    body = json.dumps(review(example("my-app"))).encode()
    new = pair_of()
    await site.server.serve(new)
    assert (await site.post("/validate", body, trusted=new))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await site.post("/validate", body, trusted=site.pair)


async def test_what_is_no_certificate_takes_none_away(site: Site) -> None:
    for bad in (Pair(b"", b""), Pair(b"x", b"y"), Pair(pair_of().certificate, site.pair.key)):
        with pytest.raises(ssl.SSLError):
            await site.server.serve(bad)
    assert (await site.ask(example("my-app")))["allowed"]


async def test_without_a_certificate_nobody_is_answered_and_nobody_waits() -> None:
    port = free_port()
    server = AdmissionServer("127.0.0.1", port, OPTIONS, Telemetry("1", "traefik"))
    await server.start()
    try:
        assert not server.is_ready
        context = ssl.create_default_context()
        with pytest.raises(OSError):  # noqa: PT011 - which one hangs on who is quicker
            await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
    finally:
        await server.close()


async def test_connections_that_never_speak_tls_are_counted_and_closed(site: Site) -> None:
    """A crowd of them pushes out none that has a question."""
    silent = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(server_module.MOST + 20)]
    plain = await asyncio.open_connection("127.0.0.1", site.port)
    plain[1].write(b"GET / HTTP/1.1\r\n\r\n")
    assert (await site.ask(example("my-app")))["allowed"]
    assert len(site.server.connections) <= server_module.MOST
    for _, writer in (*silent, plain):
        writer.close()


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = AdmissionServer("127.0.0.1", port, OPTIONS, Telemetry("1", "traefik"))
        with pytest.raises(ListenError, match="in use") as caught:
            await server.start()
    assert caught.value.flags == f"--admission-port {port}"


async def test_files_of_others_are_served_as_they_change(tmp_path: Path, site: Site) -> None:
    """Those of cert-manager, in a Secret that is mounted; what is half written takes nothing away."""
    given_ = GivenCertificate(tmp_path, lambda *pair: site.server.serve(Pair(*pair)), "admission")
    await given_.look()
    assert (await site.ask(example("my-app")))["allowed"], "there are none yet"
    for half in (False, True):
        new = pair_of()
        (tmp_path / "tls.crt").write_bytes(new.certificate)
        (tmp_path / "tls.key").write_bytes(b"-----BEGIN" if half else new.key)
        await given_.look()
        site.pair = site.pair if half else new
        assert (await site.ask(example("my-app")))["allowed"]


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
reviews = st.builds(
    lambda kind, name, spec, metadata, old, operation: json.dumps(
        review(
            {"apiVersion": "flagger.app/v1beta1", "kind": kind, "metadata": metadata, **({name: spec} if name else {})},
            old,
            operation=operation,
        )
    ).encode(),
    st.sampled_from(["Canary", "MetricTemplate", "AlertProvider", "Other"]) | json_values,
    st.sampled_from(["spec", "status", ""]),
    json_values,
    json_values,
    json_values,
    st.sampled_from(["CREATE", "UPDATE", "DELETE"]) | json_values,
)


async def test_no_body_is_a_fault_of_the_server(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever comes is answered with what it is, and nothing is logged of it."""
    answered = 0

    @settings(max_examples=400, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=200) | reviews | json_values.map(lambda value: json.dumps(value).encode()))
    def bodies(body: bytes) -> None:
        collected.append(body)

    collected: list[bytes] = []
    await asyncio.to_thread(bodies)
    context = ssl.create_default_context(cadata=site.pair.certificate.decode())
    async with aiohttp.ClientSession() as session:
        for body in collected:
            for path in ("/validate", "/default"):
                url = f"https://127.0.0.1:{site.port}{path}"
                async with session.post(url, data=body, ssl=context, server_hostname=HOST) as answer:
                    assert answer.status in (200, 400)
                    answered += 1
    assert answered >= 2 * len(collected) > 0
    assert caplog.records == []
