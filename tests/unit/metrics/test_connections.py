"""How questions go over a real, local network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import pytest
from aiohttp import web

from metrics.connections import QUESTIONS
from metrics.question import Question
from metrics.reading import Cause
from metrics.verdict import Pass, Unavailable
from outbound.connections import Connections
from tests.tools.judged import evaluate

GOOD = {"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}}


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


@dataclass
class Server:
    """A metrics server on a port of its own."""

    address: str = ""
    asked: list[web.BaseRequest] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    runner: web.ServerRunner | None = None

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        self.connections.add(request.transport)
        if request.path.startswith("/large/"):
            return web.Response(body=b"x" * (5 << 20))
        if request.path.startswith("/moved/"):
            raise web.HTTPFound(f"{self.address}/{request.path_qs.removeprefix('/moved/')}")
        if request.path.startswith("/round/"):
            raise web.HTTPFound(f"{self.address}{request.path_qs}")
        return web.json_response(GOOD)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    runner = web.ServerRunner(web.Server(server))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def test_questions_share_a_connection(ask: Ask, now: datetime) -> None:
    async with serving() as server, Connections(QUESTIONS) as clients:
        for _ in range(3):
            assert isinstance(await evaluate(ask(address=server.address), clients, now), Pass)
        assert len(server.asked) == 3
        assert len(server.connections) == 1


async def test_what_is_asked_arrives_as_it_was_written(ask: Ask, now: datetime) -> None:
    query = 'sum(rate(x{path=~"/a%2Fb|[^+]+", name="ü & \\"}[1m])) * 100 > bool 5'
    async with serving() as server, Connections(QUESTIONS) as clients:
        await evaluate(ask(address=f"{server.address}/base?tenant=a%20b", query=query), clients, now)
    (asked,) = server.asked
    posted = asked.query
    assert posted["query"] == query
    assert posted["tenant"] == "a b"


async def test_headers_of_the_question_are_sent(ask: Ask, now: datetime) -> None:
    async with serving() as server, Connections(QUESTIONS) as clients:
        headers = (("X-Scope-OrgID", "a"), ("X-Scope-OrgID", "b"))
        await evaluate(ask(address=server.address, headers=headers), clients, now)
    assert server.asked[0].headers.getall("x-scope-orgid") == ["a", "b"]


@pytest.mark.parametrize(
    "headers", [(("X-A", "caf\u2603"),), (("X-\u2603", "a"),), (("X-A", "a\r\nX-B: b"),), (("X A", "a"),), (("", "a"),)]
)
async def test_a_header_that_can_t_be_sent_is_misconfigured_and_not_shown(
    headers: tuple[tuple[str, str], ...], ask: Ask, now: datetime
) -> None:
    async with serving() as server, Connections(QUESTIONS) as clients:
        verdict = await evaluate(ask(address=server.address, headers=headers), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.MISCONFIGURED
    assert headers[0][1] not in verdict.message or headers[0][1] == "a"
    assert server.asked == []


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(ask: Ask, now: datetime) -> None:
    async with serving() as server, Connections(QUESTIONS) as clients:
        verdict = await evaluate(ask(address=f"{server.address}/large"), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.UNREADABLE
    assert "the answer is larger than 4 MiB" in verdict.message


async def test_redirects_are_followed_but_not_for_ever(ask: Ask, now: datetime) -> None:
    async with serving() as server, Connections(QUESTIONS) as clients:
        assert isinstance(await evaluate(ask(address=f"{server.address}/moved"), clients, now), Pass)
        round_and_round = await evaluate(ask(address=f"{server.address}/round"), clients, now)
    assert isinstance(round_and_round, Unavailable)
    assert "it redirects without end" in round_and_round.message


async def test_a_name_and_password_in_the_address_are_sent_once(ask: Ask, now: datetime) -> None:
    async with serving() as server, Connections(QUESTIONS) as clients:
        address = server.address.replace("//", "//me:secret@")
        for credentials in ({}, {"username": "u", "password": "p"}):
            verdict = await evaluate(replace(ask(address=address), credentials=credentials), clients, now)
            assert isinstance(verdict, Pass)
    assert [each.headers.getall("Authorization") for each in server.asked] == [["Basic bWU6c2VjcmV0"]] * 2


@pytest.mark.parametrize("host", ["xn--", "a..b", "x" * 70, "ex ample"])
async def test_an_address_that_can_be_no_name_is_misconfigured_or_not_there(host: str, ask: Ask, now: datetime) -> None:
    async with Connections(QUESTIONS) as clients:
        verdict = await evaluate(ask(address=f"http://{host}:1"), clients, now)
    assert isinstance(verdict, Unavailable)
