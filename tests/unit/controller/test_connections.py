import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from canary.controller.connections import LONGEST_HEAD, MOST, Connections
from canary.controller.server import Server
from canary.controller.telemetry import Telemetry

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Line(asyncio.Transport):
    """A connection without a wire."""

    def __init__(self, *, unsent: int = 0) -> None:
        super().__init__()
        self.unsent = unsent
        self.end = ""

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.end = "closed"

    def abort(self) -> None:
        self.end = "aborted"


@pytest.mark.looptime
async def test_for_each_that_is_too_many_the_quietest_is_closed() -> None:
    connections = Connections(most=3)
    lines = [Line() for _ in range(4)]
    for line in lines[:3]:
        connections.over(asyncio.Protocol)().connection_made(line)

    connections.touch(lines[0])
    connections.over(asyncio.Protocol)().connection_made(lines[3])

    assert [line.end for line in lines] == ["", "closed", "", ""]
    assert len(connections) == 3


@pytest.mark.looptime
@pytest.mark.parametrize(("unsent", "end"), [(0, "closed"), (1, "aborted")])
async def test_one_that_brings_no_request_in_time_is_ended(unsent: int, end: str) -> None:
    connections = Connections(patience=30)
    quiet, busy = Line(unsent=unsent), Line()
    connections.touch(quiet)
    connections.touch(busy)

    await asyncio.sleep(29)
    connections.touch(busy)
    await asyncio.sleep(2)

    assert (quiet.end, busy.end) == (end, "")
    assert len(connections) == 1


@pytest.mark.looptime
async def test_one_that_has_ended_is_forgotten() -> None:
    connections = Connections()
    line = Line()
    protocol = connections.over(asyncio.Protocol)()
    protocol.connection_made(line)

    protocol.connection_lost(None)
    await asyncio.sleep(60)

    assert (len(connections), line.end) == (0, "")


async def test_the_controller_answers_beside_more_unfinished_requests_than_it_keeps(unused_tcp_port: int) -> None:
    server = Server("127.0.0.1", unused_tcp_port, Telemetry("0", "traefik"), ready=lambda: True, refresh=lambda: None)
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.close)
        for _ in range(MOST + 20):
            _, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
            stack.callback(writer.close)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{unused_tcp_port}/healthz")
            assert answer.status == 200
        assert len(server.connections) <= MOST


class Inner(asyncio.Protocol):
    """Remembers what reaches it."""

    def __init__(self) -> None:
        self.got = b""
        self.made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True

    def data_received(self, data: bytes) -> None:
        self.got += data


@pytest.mark.looptime
@pytest.mark.parametrize("cut", range(1, len(HEAD)))
async def test_a_server_hears_of_a_connection_once_a_head_is_whole(cut: int) -> None:
    server = Inner()
    protocol = Connections().over(lambda: server)()
    protocol.connection_made(Line())

    protocol.data_received(HEAD[:cut])
    assert not server.made
    protocol.data_received(HEAD[cut:])
    protocol.data_received(b"body")

    assert server.got == HEAD + b"body"


@pytest.mark.looptime
@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"A" * (LONGEST_HEAD + 1)])
async def test_what_is_no_http_is_for_the_server_to_refuse_at_once(data: bytes) -> None:
    server = Inner()
    protocol = Connections().over(lambda: server)()
    protocol.connection_made(Line())

    protocol.data_received(data)

    assert server.got == data


@pytest.mark.looptime
async def test_one_that_never_said_anything_ends_without_a_server() -> None:
    protocol = Connections().over(Inner)()
    protocol.connection_made(Line())

    assert not protocol.eof_received()
    protocol.connection_lost(None)
