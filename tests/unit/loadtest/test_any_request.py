"""Whatever comes in, the load tester answers it, knows no 5xx for it, and grows by nothing."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import loadtest

ROOT = Path(loadtest.__file__).parents[1]
REQUESTS, AT_ONCE = 10_000, 20
PATHS = ["/", "/gate/check", "/gate/open", "/gate/close", "/gate/approve", "/gate/halt", "/rollback/check"]
PATHS += ["/rollback/open", "/rollback/close", "/healthz", "/readyz", "/none", "/%00", "/gate/open?a=b", "*"]
KEYS = ["name", "namespace", "type", "phase", "checksum", "metadata", "cmd", "logCmdOutput", "eventMessage"]
WORDS = ["app", "test", "rollout", "event", "pre-rollout", "cmd", "bash", "load", "helm", "Failed", "true", "\ud800"]
WORDS += ["hey -z 1m http://a/", "echo $(date)", "--rate 5 http://a/", "a | b && c; 'd", "A_b", "x" * 300]
GROWTH = 24 * 1024 * 1024
"""Bytes that its memory may grow by over 10,000 requests: less than 2.5 KiB for each. It has grown by 1 MiB."""


@dataclass
class Service:
    """The load tester, with a token or open to everybody."""

    port: int
    log: IO[str]
    statuses: Counter[int]

    def send(self, request: bytes) -> int:
        """Send the bytes of a request over a connection of its own; return the status of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(64 * 1024), b""))
        status = int(answer.split(b" ", 2)[1])
        self.statuses[status] += 1
        return status

    def memory(self) -> float:
        """Return the bytes of memory that it holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        return float(next(line for line in lines if line.startswith("process_resident_memory_bytes ")).split()[1])


@contextmanager
def running(*flags: str) -> Iterator[Service]:
    """Start it where no program can be found: what tasks do is for other tests."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "log"
        # Opened twice: who shares an open file with a process moves the place at which that process writes.
        written, log = stack.enter_context(path.open("w")), stack.enter_context(path.open())
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest", "--port=0", "--address=127.0.0.1", *flags],
            cwd=ROOT, stderr=written, env=os.environ | {"PATH": folder},
        )  # fmt: skip
        try:
            while not (line := log.readline()).endswith("\n"):
                assert process.poll() is None
                log.seek(0)
            yield Service(int(json.loads(line)["addresses"][0].rpartition(":")[2]), log, Counter())
        finally:
            process.terminate()
            assert process.wait() == 0


TEXT = st.sampled_from(WORDS) | st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | TEXT, inner, max_size=4),
    max_leaves=6,
)
METADATA = st.dictionaries(st.sampled_from(KEYS), TEXT, max_size=4)
CALLS = st.fixed_dictionaries(
    {}, optional={key: METADATA if key == "metadata" else st.sampled_from(WORDS) for key in KEYS[:6]}
)
BODIES = st.binary(max_size=300) | (VALUES | CALLS).map(lambda body: json.dumps(body).encode())
VALUE = st.binary(max_size=40).map(lambda text: bytes(each for each in text if each not in b"\r\n\0"))
NAMES = [
    b"Content-Type",
    b"Authorization",
    b"Origin",
    b"Sec-Fetch-Site",
    b"Cookie",
    b"Content-Encoding",
    b"X-A",
    b"Accept",
]
KNOWN = [b"application/json", b"Bearer known", b"Bearer x", b"gzip", b"none", b"application/x-www-form-urlencoded"]
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(KNOWN) | VALUE), max_size=4)
AS_JSON = st.just([(b"Content-Type", b"application/json"), (b"Authorization", b"Bearer known")])
METHODS = st.sampled_from(["POST"] * 6 + ["GET", "PUT", "HEAD", "OPTIONS", "TRACE", "BREW"])


def request(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: a", b"Connection: close"]
    lines += [b"Content-Length: %d" % len(body), *(name + b": " + value for name, value in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.mark.parametrize("flags", [(), ("--token-file",)], ids=["open", "token"])
def test_ten_thousand_requests_of_any_kind_are_answered_without_an_error_of_ours(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    (tmp_path / "token").write_text("known")
    with running(*(f"{flag}={tmp_path}/token" for flag in flags)) as service:
        memory = list[float]()

        @settings(max_examples=REQUESTS // AT_ONCE // 2, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.lists(st.tuples(METHODS, st.sampled_from(PATHS), HEADERS | AS_JSON, BODIES), min_size=20, max_size=20)
        )
        def ask(requests: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]]) -> None:
            for each in requests:
                assert service.send(request(*each)) < 500
            if service.statuses.total() >= REQUESTS // 20 and not memory:
                memory.append(service.memory())

        ask()
        memory.append(service.memory())
        service.log.seek(0)
        log = service.log.read()

    assert service.statuses.total() >= REQUESTS // 2
    assert service.statuses.keys() >= ({200, 202, 400, 403, 404} | ({401} if flags else set()))
    assert "Traceback" not in log
    assert '"level": "error"' not in log
    assert memory[1] - memory[0] < GROWTH
