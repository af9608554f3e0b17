"""Requests that never end, by the thousand, are cut off, and others are served meanwhile."""

import http.client
import json
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from inbound.connections import MOST
from tests.unit.loadtest.test_any_request import request, running

CROWD, ASKED = 1500, 100
FILES = 2 * CROWD
GATE = json.dumps({"name": "app", "namespace": "test"}).encode()
AS_JSON = [(b"Content-Type", b"application/json")]
UNFINISHED = {
    "nothing": b"",
    "half a head": b"POST /gate/check HTTP/1.1\r\nHost: a\r\nX-Slow: x",
    "half a body": request("POST", "/gate/check", AS_JSON, GATE)[:-1],
    "half a task": request("POST", "/", AS_JSON, b'{"name": "app", "metadata": {}}')[:-1],
}


@pytest.fixture
def files() -> Iterator[None]:
    """More open files than shells allow."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, FILES), most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@contextmanager
def crowd(port: int, sends: bytes) -> Iterator[list[socket.socket]]:
    """Connections that send so much and then nothing."""
    with ExitStack() as stack:
        lines: list[socket.socket] = []
        for _ in range(CROWD):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            line.sendall(sends)
            lines.append(line)
        yield lines


def ended(lines: list[socket.socket]) -> int:
    """How many the server has ended."""
    poll = select.poll()
    for line in lines:
        poll.register(line, select.POLLIN)
    return len(poll.poll(0))


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("sends", UNFINISHED.values(), ids=UNFINISHED.keys())
def test_gates_are_answered_among_requests_that_never_end(sends: bytes) -> None:
    with running() as service, crowd(service.port, sends) as lines:
        for _ in range(ASKED):
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
            connection.request("POST", "/gate/check", GATE, {"Content-Type": "application/json"})
            assert connection.getresponse().status == 403, "it is closed"
            connection.close()
        assert ended(lines) >= CROWD - MOST, "there are so many at most"
