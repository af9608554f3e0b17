"""What goes out and what comes back, on a real network: within limits, to nobody else, and without telling a secret."""

import asyncio
import gzip
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from outbound.connections import Connections, Manner
from outbound.errors import (
    CannotAskError,
    CrowdedError,
    NoConnectionError,
    PackedError,
    TooLargeError,
    TooLateError,
)
from outbound.message import Request, Response
from outbound.trace import TRACEPARENT
from tests.unit.outbound.servers import OK, Play, answer, saying, serving

LIMIT = 1000
READING = Manner(total=8, per_host=8, largest=LIMIT, again=True, idle=60)
TELLING = Manner(total=8, per_host=8, largest=LIMIT, cut=True)
LONG = 30.0
"""Seconds: never waited for."""


def get(url: str, *headers: tuple[str, str]) -> Request:
    return Request("GET", url, headers)


def post(url: str, *headers: tuple[str, str]) -> Request:
    return Request("POST", url, headers, b'{"a":1}')


async def ask(play: Play, manner: Manner = READING, deadline: float = LONG) -> Response:
    async with serving(play) as server, Connections(manner) as connections:
        return await connections.send(get(server.url), deadline)


# --- Time ---------------------------------------------------------------------------------------------------


def dripping(begin: bytes, drop: bytes) -> Play:
    async def play(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(begin)
        while True:
            await asyncio.sleep(0.01)
            writer.write(drop)
            await writer.drain()

    return play


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["silence", "head", "interim", "no-body", "body", "chunks"],
)
@pytest.mark.parametrize("manner", [READING, TELLING], ids=["reading", "telling"])
async def test_one_deadline_holds_for_all_of_an_answer_however_it_drips(
    begin: bytes, drop: bytes, manner: Manner
) -> None:
    with pytest.raises(TooLateError, match=r"no answer within 0\.2 s"):
        await ask(dripping(begin, drop), manner, deadline=0.2)


async def test_the_deadline_is_one_for_all_redirects() -> None:
    async def slowly(writer: asyncio.StreamWriter, number: int) -> None:
        await asyncio.sleep(0.1)
        writer.write(answer(307, Location=f"/{number}"))

    with pytest.raises(TooLateError):
        await ask(slowly, deadline=0.25)


async def test_a_request_can_be_cancelled_at_once() -> None:
    async with serving(dripping(b"", b"")) as server, Connections(READING) as connections:
        asking = asyncio.create_task(connections.send(get(server.url), LONG))
        await server.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


# --- Size ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, LIMIT - 1, LIMIT])
async def test_what_is_within_the_limit_is_read_whole(length: int) -> None:
    for manner in (READING, TELLING):
        assert (await ask(saying(answer(body=b"x" * length)), manner)).body == b"x" * length


async def endless(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("play", [saying(answer(body=b"x" * (LIMIT + 1))), endless])
async def test_what_is_larger_is_refused_or_cut(play: Play) -> None:
    with pytest.raises(TooLargeError, match="larger than 1000 bytes"):
        await ask(play)
    assert (await ask(play, TELLING)).body == b"x" * LIMIT


PACKED = gzip.compress(b"word " * 100)


async def test_answers_are_asked_for_unpacked_whatever_the_request_says() -> None:
    async with serving(saying(OK)) as server, Connections(READING) as connections:
        await connections.send(get(server.url, ("Accept-Encoding", "gzip")), LONG)
        assert server.header("accept-encoding") == ["identity"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "gzip, gzip", "x"])
async def test_an_answer_that_comes_packed_is_not_unpacked(encoding: str) -> None:
    play = saying(answer(body=PACKED, Content_Encoding=encoding))
    with pytest.raises(PackedError, match="packed"):
        await ask(play)
    told = await ask(play, TELLING)
    assert (told.status, told.body) == (200, b"")


async def test_an_answer_that_says_that_it_is_not_packed_is_read() -> None:
    assert (await ask(saying(answer(body=b"ok", Content_Encoding="identity")))).body == b"ok"


# --- Redirects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["/there?x=y", "{url}/there?x=y"])
async def test_within_the_origin_the_same_is_asked_again(status: int, location: str) -> None:
    async with serving(saying()) as server, Connections(READING) as asking:
        server.play = saying(answer(status, Location=location.format(url=server.url)), OK)
        url = server.url.replace("//", "//me:pass@") + "/here"
        assert (await asking.send(post(url, ("X-Key", "k")), LONG)).body == b"ok"
        assert [head.split(" HTTP", 1)[0] for head in server.heads] == ["POST /here", "POST /there?x=y"]
        assert server.bodies == [b'{"a":1}'] * 2
        assert server.header("x-key", 1) == ["k"]
        assert server.header("authorization", 1) == server.header("authorization", 0) != []


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("http://localhost:{port}/", "http://localhost:{port}"),
        ("https://127.0.0.1:{port}/", "https://127.0.0.1:{port}"),
        ("http://127.0.0.1:{other}/", "http://127.0.0.1:{other}"),
        ("//127.0.0.1:{other}/x?token=SECRET", "http://127.0.0.1:{other}"),
        ("http://u:SECRET@127.0.0.1:{other}/", "http://127.0.0.1:{other}"),
        ("http://127.0.0.1/", "http://127.0.0.1"),
        ("http://[::1]:{port}/", "http://[::1]:{port}"),
        ("file:///etc/SECRET", "what is no http:// or https:// address"),
        ("http://[", "what is no address"),
        ("http://127.0.0.1:SECRET/", "what is no address"),
        (f"http://{'x' * 300}/", "what is no http:// or https:// address"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_elsewhere_nobody_is_asked(status: int, location: str, leads_to: str) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(serving(saying(OK)))
        here = await stack.enter_async_context(serving(saying()))
        asking = await stack.enter_async_context(Connections(READING))
        ports = {"port": here.port, "other": other.port}
        here.play = saying(answer(status, b"page", Location=location.format(**ports)))
        answered = await asking.send(get(here.url, ("X-Key", "k")), LONG)
        assert (answered.status, answered.leads_to) == (status, leads_to.format(**ports))
        assert answered.body == b""
        assert other.heads == []
        assert len(here.heads) == 1


async def test_a_circle_ends() -> None:
    async with serving(saying(answer(307, Location="/"))) as server, Connections(READING) as asking:
        assert (await asking.send(get(server.url), LONG)).leads_to == server.url
        assert len(server.heads) == READING.redirects + 1


async def test_see_other_is_for_questions_only() -> None:
    async with serving(saying(answer(303, Location="/x"), OK)) as server, Connections(READING) as asking:
        assert (await asking.send(get(server.url), LONG)).body == b"ok"
    async with serving(saying(answer(303, Location="/x"), OK)) as server, Connections(READING) as asking:
        assert (await asking.send(post(server.url), LONG)).status == 303


# --- Headers and addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["a\r\nX-B: SECRET", "SECRET\n", "SECRET\x00", "caf\u00e9 SECRET", "SECRET\x7f", "\ufffd"]
)
async def test_a_value_that_no_header_can_hold_is_told_by_its_name(value: str) -> None:
    async with serving(saying(OK)) as server, Connections(READING) as asking:
        with pytest.raises(CannotAskError, match="X-Key") as refused:
            await asking.send(get(server.url, ("X-Key", value)), LONG)
        assert "SECRET" not in str(refused.value)
        assert server.heads == []


@pytest.mark.parametrize("name", ["", "X A", "Authorization: Bearer SECRET", "X-\u2603", "X\r\nSECRET", "\nSECRET"])
async def test_a_name_that_no_header_can_have_is_told_as_far_as_it_is_one(name: str) -> None:
    async with Connections(READING) as asking:
        with pytest.raises(CannotAskError, match="a header's name") as refused:
            await asking.send(get("http://127.0.0.1:1/", (name, "SECRET")), LONG)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "TE", "Upgrade", "Expect"])
async def test_no_header_says_where_a_request_ends_on_a_connection_that_others_use(name: str) -> None:
    async with Connections(READING) as asking:
        with pytest.raises(CannotAskError, match=name):
            await asking.send(get("http://127.0.0.1:1/", (name, "1")), LONG)


@pytest.mark.parametrize("entry", ["me:p%0D%0Aw", "me:p\u00fcw", "me:", ":pw", "me", "%zz:%0a"])
async def test_a_name_and_password_in_an_address_are_one_header_and_nowhere_else(entry: str) -> None:
    async with serving(saying(OK)) as server, Connections(READING) as asking:
        url = server.url.replace("//", f"//{entry}@") + "/x"
        await asking.send(get(url, ("authorization", "Bearer SECRET")), LONG)
        (header,) = server.header("authorization")
        assert header.startswith("Basic ")
        assert server.heads[0].startswith("GET /x HTTP")
        assert entry not in server.heads[0]


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://SECRET/", "http://", "http://[SECRET", "http://a:SECRET/"])
async def test_what_is_no_address_is_not_asked_and_not_told(url: str) -> None:
    async with Connections(READING) as asking:
        with pytest.raises(CannotAskError) as refused:
            await asking.send(get(url), LONG)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        b"SECRET-banner\r\n\r\n",
        b"HTTP/1.1 SECRET\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSECRET\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: SECRET\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Secret: SECRET\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Secret: " + b"SECRET" * 5000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_not_repeated(said: bytes) -> None:
    with pytest.raises(NoConnectionError, match="what comes is no HTTP") as broken:
        await ask(saying(said))
    assert "SECRET" not in str(broken.value)


def closing(said: bytes) -> Play:
    async def play(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(said)
        await writer.drain()
        writer.close()

    return play


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "closed before an answer"),
        (b"HTTP/1.1 200 OK\r\nX-Secret: SECRET\r\n", "closed before an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nSECRET", "broke off"),
    ],
)
async def test_a_connection_that_breaks_is_told_without_what_came(said: bytes, words: str) -> None:
    with pytest.raises(NoConnectionError, match=words) as broken:
        await ask(closing(said))
    assert "SECRET" not in str(broken.value)


async def test_of_an_answer_that_breaks_off_the_beginning_is_enough_where_it_is_said_so() -> None:
    broken = closing(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nbeginning")
    assert (await ask(broken, replace(TELLING, partial=True))).body == b"beginning"
    with pytest.raises(NoConnectionError, match="broke off"):
        await ask(broken, TELLING)


async def test_who_does_not_listen_is_told_with_his_address(unused_tcp_port: int) -> None:
    async with Connections(READING) as asking:
        with pytest.raises(NoConnectionError, match=f"'127.0.0.1', {unused_tcp_port}") as broken:
            await asking.send(get(f"http://me:SECRET@127.0.0.1:{unused_tcp_port}/?key=SECRET"), LONG)
    assert "SECRET" not in str(broken.value)


# --- Connections --------------------------------------------------------------------------------------------


async def test_connections_are_kept_where_that_is_wanted_and_no_cookies_are() -> None:
    for manner, connections in ((READING, 1), (TELLING, 3)):
        async with serving(saying(answer(body=b"ok", Set_Cookie="a=b"))) as server, Connections(manner) as asking:
            for _ in range(3):
                await asking.send(get(server.url), LONG)
            assert server.connections == connections
            assert server.header("cookie", 2) == []


async def test_a_question_is_asked_once_more_where_the_connection_breaks_and_a_message_is_not_sent_twice() -> None:
    def breaking(times: int) -> Play:
        async def play(writer: asyncio.StreamWriter, number: int) -> None:
            if number < times:
                writer.close()
            else:
                writer.write(OK)

        return play

    async with serving(breaking(1)) as server, Connections(READING) as asking:
        assert (await asking.send(post(server.url), LONG)).body == b"ok"
    async with serving(breaking(2)) as server, Connections(READING) as asking:
        with pytest.raises(NoConnectionError):
            await asking.send(post(server.url), LONG)
        assert len(server.heads) == 2
    async with serving(breaking(1)) as server, Connections(TELLING) as asking:
        with pytest.raises(NoConnectionError):
            await asking.send(post(server.url), LONG)
        assert len(server.heads) == 1


@pytest.mark.looptime
async def test_a_host_that_is_dead_keeps_nobody_from_another() -> None:
    async def carry(request: Request) -> Response:
        await asyncio.sleep(3600 if "dead" in request.url else 0)
        return Response(200)

    manner = Manner(total=4, per_host=2, largest=1, patience=5)
    async with Connections(manner, carry) as asking:
        dead = [asyncio.create_task(asking.send(get("http://dead/"), 20)) for _ in range(10)]
        await asyncio.sleep(0)
        for _ in range(10):
            await asking.send(get("http://well/"), 20)
        assert asyncio.get_running_loop().time() == 0
        ends = await asyncio.gather(*dead, return_exceptions=True)
    assert [type(each) for each in ends] == [TooLateError] * 2 + [CrowdedError] * 8
    assert asyncio.get_running_loop().time() == 20


# --- Traces -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "sent"), [((), ["00-1-2-01"]), ((("TraceParent", "00-mine"),), ["00-mine"])], ids=["none", "own"]
)
async def test_a_request_names_the_span_that_its_task_is_in_unless_it_names_one(
    own: tuple[tuple[str, str], ...], sent: list[str]
) -> None:
    async with serving(saying(OK)) as server, Connections(READING) as connections:
        await connections.send(get(server.url), LONG)
        token = TRACEPARENT.set("00-1-2-01")
        try:
            await connections.send(get(server.url, *own), LONG)
        finally:
            TRACEPARENT.reset(token)
        assert [server.header("traceparent", number) for number in (0, 1)] == [[], sent]
