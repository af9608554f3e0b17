"""Connections are counted, not timed: how long a server takes hangs on the machine."""

import asyncio
from contextlib import ExitStack

import pytest

from inbound.connections import LONGEST_HEAD, Connections

pytestmark = pytest.mark.looptime


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Line(asyncio.Transport):
    """A connection without a wire; like a real one it tells its protocol of its end."""

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


def opened(connections: Connections, count: int) -> list[Line]:
    lines = [Line() for _ in range(count)]
    for line in lines:
        connections.over(asyncio.Protocol)().connection_made(line)
    return lines


async def test_for_each_that_is_too_many_the_quietest_is_closed() -> None:
    connections = Connections(most=3)
    first, second, *_ = opened(connections, 3)

    connections.touch(first)
    opened(connections, 1)

    assert (first.end, second.end) == ("", "closed")
    assert len(connections) == 3


async def test_two_thousand_that_say_nothing_leave_the_newest_its_place() -> None:
    connections = Connections(most=256)

    lines = opened(connections, 2001)

    assert len(connections) == 256
    assert [line.end for line in lines[-256:]] == [""] * 256
    assert {line.end for line in lines[:-256]} == {"closed"}


async def test_one_that_brings_no_request_in_time_is_closed() -> None:
    connections = Connections(patience=30)
    quiet, busy = opened(connections, 2)

    await asyncio.sleep(29)
    connections.touch(busy)
    await asyncio.sleep(2)

    assert (quiet.end, busy.end) == ("closed", "")
    await asyncio.sleep(30)
    assert busy.end == "closed"
    assert len(connections) == 0


async def test_one_that_waits_for_a_task_is_kept() -> None:
    connections = Connections(most=1, patience=30)
    (line,) = opened(connections, 1)

    with connections.held(line):
        assert connections.waiting == 1
        (other,) = opened(connections, 1)
        await asyncio.sleep(3600)
        assert (line.end, other.end) == ("", "closed")
    await asyncio.sleep(31)

    assert line.end == "closed"


async def test_one_that_does_not_take_its_answer_is_broken_off() -> None:
    connections = Connections(patience=30)
    line = Line(unsent=1)
    connections.made(line)

    await asyncio.sleep(31)

    assert line.end == "aborted"


async def test_one_that_has_ended_is_forgotten() -> None:
    connections = Connections(most=2)
    lines = [Line(), Line()]
    with ExitStack() as held:
        for line in lines:
            protocol = connections.over(asyncio.Protocol)()
            protocol.connection_made(line)
            held.enter_context(connections.held(line))
            protocol.connection_lost(None)

    assert (len(connections), connections.waiting) == (0, 0)


async def test_one_that_has_ended_is_not_ended_again() -> None:
    connections = Connections()
    line = Line()
    protocol = connections.over(asyncio.Protocol)()
    protocol.connection_made(line)

    protocol.connection_lost(None)
    await asyncio.sleep(60)

    assert (len(connections), line.end) == (0, "")


class Server(asyncio.Protocol):
    """Remembers what reaches it."""

    def __init__(self) -> None:
        self.got = b""
        self.made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True

    def data_received(self, data: bytes) -> None:
        self.got += data


@pytest.mark.parametrize("cut", range(1, len(HEAD)))
async def test_a_server_hears_of_a_connection_once_a_head_is_whole(cut: int) -> None:
    server = Server()
    protocol = Connections().over(lambda: server)()
    protocol.connection_made(Line())

    protocol.data_received(HEAD[:cut])
    assert not server.made
    protocol.data_received(HEAD[cut:])
    protocol.data_received(b"body")

    assert server.got == HEAD + b"body"


@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"A" * (LONGEST_HEAD + 1)])
async def test_what_is_no_http_is_for_the_server_to_refuse_at_once(data: bytes) -> None:
    server = Server()
    protocol = Connections().over(lambda: server)()
    protocol.connection_made(Line())

    protocol.data_received(data)

    assert server.got == data


async def test_one_that_never_said_anything_ends_without_a_server() -> None:
    protocol = Connections().over(Server)()
    protocol.connection_made(Line())

    assert not protocol.eof_received()
    protocol.connection_lost(None)
