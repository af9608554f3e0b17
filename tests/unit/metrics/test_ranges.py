import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from metrics.connections import RANGES
from metrics.errors import (
    EmptyRangeError,
    MisconfiguredError,
    QueryError,
    ServerError,
    TimedOutError,
    UnauthorizedError,
    UnreachableError,
    UnreadableError,
)
from metrics.question import Question
from metrics.ranges import Point, Series, query_range
from metrics.wire import Request, Response
from outbound.connections import Connections
from tests.unit.outbound.servers import serving

START = datetime(2026, 3, 4, 5, 0, 0, 250_000, tzinfo=UTC)
END = START + timedelta(minutes=5)
STEP = timedelta(seconds=15)


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


class Server:
    """A Prometheus that answers every request so."""

    def __init__(self, status: int, body: bytes | Exception) -> None:
        self.status, self.body = status, body
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if isinstance(self.body, Exception):
            raise self.body
        return Response(self.status, self.body)

    async def ask(self, question: Question) -> list[Series]:
        async with Connections(RANGES, self) as connections:
            return await query_range(connections, question, start=START, end=END, step=STEP)


async def test_the_series_have_labels_and_points(ask: Ask, recorded: Callable[[str], bytes]) -> None:
    series = await Server(200, recorded("prometheus/range.json")).ask(ask())
    assert series == [
        Series(
            {"__name__": "up", "instance": "127.0.0.1:19090", "job": "self"},
            (Point(datetime.fromtimestamp(1795508792, UTC), 1.0),),
        )
    ]


async def test_times_are_asked_as_given_and_credentials_go_along(ask: Ask, recorded: Callable[[str], bytes]) -> None:
    server = Server(200, recorded("prometheus/range.json"))
    question = ask(address="http://p:9090/prom/", credentials={"token": "t"}, headers=(("X-A", "1"), ("X-A", "2")))
    await server.ask(question)
    url = urlsplit(server.asked[0].url)
    assert url.path == "/prom/api/v1/query_range"
    assert parse_qs(url.query) == {
        "query": ["sum(errors)"],
        "start": [f"{START.timestamp():.3f}"],
        "end": [f"{END.timestamp():.3f}"],
        "step": ["15"],
    }
    assert server.asked[0].headers == (("X-A", "1"), ("X-A", "2"), ("Authorization", "Bearer t"))


async def test_a_long_query_is_posted(ask: Ask, recorded: Callable[[str], bytes]) -> None:
    server = Server(200, recorded("prometheus/range.json"))
    query = " or ".join(f'x{{a="{number}"}}' for number in range(500))
    await server.ask(ask(query=query))
    assert (server.asked[0].method, urlsplit(server.asked[0].url).query) == ("POST", "")
    assert parse_qs((server.asked[0].body or b"").decode())["query"] == [query]


@pytest.mark.parametrize(
    "result", ["[]", '[{"metric":{},"values":[[1,"NaN"]]}]', '[{"metric":{},"histograms":[[1,{}]]}]']
)
async def test_nothing_in_the_range_is_an_error_of_its_own(result: str, ask: Ask) -> None:
    server = Server(200, f'{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}'.encode())
    with pytest.raises(EmptyRangeError):
        await server.ask(ask())


@pytest.mark.parametrize(
    ("status", "name", "error", "text"),
    [
        (400, "bad_data.json", QueryError, "unclosed left parenthesis"),
        (422, "execution.json", QueryError, "found duplicate series"),
        (503, "timeout.json", TimedOutError, "query timed out"),
        (401, "unauthorized.txt", UnauthorizedError, "Unauthorized"),
        (404, "wrong_path.txt", UnreadableError, "HTTP 404: Not Found"),
    ],
)
async def test_error_answers_mean_the_same_as_for_instant_queries(
    status: int, name: str, error: type[Exception], text: str, ask: Ask, recorded: Callable[[str], bytes]
) -> None:
    with pytest.raises(error, match=text):
        await Server(status, recorded(f"prometheus/{name}")).ask(ask())


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", UnreadableError),
        (b"{}", UnreadableError),
        (b'{"status":"success","data":{"result":{}}}', UnreadableError),
        (b'{"status":"success","data":{"result":[1]}}', UnreadableError),
        (b'{"status":"success","data":{"result":[{"metric":{},"values":[[1,"x"]]}]}}', UnreadableError),
        (b'{"status":"success","data":{"result":[{"metric":{},"values":[1]}]}}', UnreadableError),
        (b'{"status":"error","errorType":"bad_data","error":"no"}', QueryError),
        (b'{"status":"error","errorType":"strange","error":"no"}', ServerError),
        (aiohttp.ClientConnectionError("refused"), UnreachableError),
        (ValueError("bad"), MisconfiguredError),
    ],
)
async def test_whatever_else_happens_is_told_apart(body: bytes | Exception, error: type[Exception], ask: Ask) -> None:
    with pytest.raises(error):
        await Server(200, body).ask(ask())


@pytest.mark.parametrize("drop", [b"", b" "])
async def test_a_server_that_says_nothing_or_drips_is_left_at_the_deadline_and_when_cancelled(
    drop: bytes, ask: Ask
) -> None:
    async def drip(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if drop else b"")
        while True:
            await asyncio.sleep(0.01)
            writer.write(drop)
            await writer.drain()

    async with serving(drip) as server, Connections(RANGES) as connections:
        question = ask(address=server.url)
        with pytest.raises(TimedOutError, match=r"no answer within 0\.2 s"):
            await query_range(connections, question, start=START, end=END, step=STEP, deadline=0.2)
        server.asked.clear()
        asking = asyncio.create_task(query_range(connections, question, start=START, end=END, step=STEP))
        await server.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize(("end", "step"), [(START - timedelta(seconds=1), STEP), (END, timedelta(0))])
async def test_a_range_that_is_none_is_refused(end: datetime, step: timedelta, ask: Ask) -> None:
    server = Server(200, b"")
    async with Connections(RANGES, server) as connections:
        with pytest.raises(MisconfiguredError):
            await query_range(connections, ask(), start=START, end=end, step=step)
    assert server.asked == []


async def test_no_secret_is_told(ask: Ask) -> None:
    body = b'{"status":"error","errorType":"bad_data","error":"S3CRET may not"}'
    with pytest.raises(QueryError, match=r"\*\*\* may not"):
        await Server(400, body).ask(ask(credentials={"token": "S3CRET"}))
    with pytest.raises(MisconfiguredError, match="token") as refused:
        await Server(200, b"").ask(ask(credentials={"token": "S3CRET\nS3CRET"}))
    assert "S3CRET" not in str(refused.value)
