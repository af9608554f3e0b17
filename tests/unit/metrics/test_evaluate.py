import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import pytest

from metrics.connections import Clients
from metrics.evaluate import evaluate, trouble
from metrics.question import Question
from metrics.threshold import Threshold
from metrics.verdict import Cause, Fail, NoData, Pass, Unavailable
from metrics.wire import Request, Response


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


Answer = Response | Exception | float


def vector(value: str) -> Response:
    result = [{"metric": {}, "value": [1, value]}]
    answer = {"status": "success", "data": {"resultType": "vector", "result": result}}
    return Response(200, json.dumps(answer).encode())


@dataclass
class Server:
    """A metrics server that gives these answers in turn: a response, an error, or seconds of silence."""

    answers: list[Answer]
    asked: list[Request] = field(default_factory=list)

    async def __call__(self, request: Request, insecure: bool) -> Response:
        self.asked.append(request)
        match self.answers.pop(0):
            case float(seconds):
                await asyncio.sleep(seconds)
                raise AssertionError
            case Exception() as error:
                raise error
            case answer:
                return answer


@pytest.mark.parametrize(("value", "kind"), [("4", Pass), ("5", Pass), ("6", Fail), ("+Inf", Fail), ("NaN", NoData)])
async def test_a_number_is_judged(value: str, kind: type, ask: Ask, now: datetime) -> None:
    async with Clients(Server([vector(value)])) as clients:
        verdict = await evaluate(ask(threshold=Threshold(max=5)), clients, now)
    assert isinstance(verdict, kind)
    assert (verdict.name, verdict.query, verdict.time) == ("errors", "sum(errors)", now)


@pytest.mark.parametrize(
    ("answer", "cause", "reason"),
    [
        (Response(503, b"starting"), Cause.SERVER_ERROR, "HTTP 503: starting"),
        (Response(403, b"no"), Cause.UNAUTHORIZED, "HTTP 403: no"),
        (Response(200, b"<html>"), Cause.UNREADABLE, "the answer is not JSON: <html>"),
        (
            Response(400, b'{"status": "error", "errorType": "bad_data", "error": "parse error"}'),
            Cause.BAD_QUERY,
            "parse error",
        ),
        (aiohttp.InvalidURL("http://:password@x"), Cause.MISCONFIGURED, "the request can't be made (InvalidURL)"),
    ],
)
async def test_an_answer_without_use_is_unavailable_and_not_asked_again(
    answer: Answer, cause: Cause, reason: str, ask: Ask, now: datetime
) -> None:
    server = Server([answer])
    async with Clients(server) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is cause
    assert f"prometheus at http://prometheus:9090: {reason}" in verdict.message
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "broken",
    [aiohttp.ClientConnectionError("refused"), aiohttp.ClientPayloadError("cut"), aiohttp.ServerDisconnectedError("x")],
)
async def test_a_broken_connection_is_tried_once_more(broken: Exception, ask: Ask, now: datetime) -> None:
    async with Clients(Server([broken, vector("1")])) as clients:
        assert isinstance(await evaluate(ask(), clients, now), Pass)
    server = Server([broken, broken, vector("1")])
    async with Clients(server) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.UNREACHABLE
    assert str(broken) in verdict.reason
    assert len(server.asked) == 2


async def test_the_reason_is_the_innermost_one(ask: Ask, now: datetime) -> None:
    error = aiohttp.ClientConnectionError("All connection attempts failed")
    error.__cause__ = OSError(111, "Connect call failed ('10.0.0.1', 9090)")
    async with Clients(Server([error, error])) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert "Connect call failed ('10.0.0.1', 9090)" in verdict.message


async def test_an_untrusted_certificate_is_named(ask: Ask, now: datetime) -> None:
    inner = ssl.SSLCertVerificationError(1, "certificate verify failed")
    inner.verify_message = "self-signed certificate"
    error = aiohttp.ClientConnectionError("failed")
    error.__cause__ = inner
    async with Clients(Server([error, error])) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert "its certificate isn't trusted (self-signed certificate)" in verdict.message


@pytest.mark.looptime
async def test_silence_ends_at_the_deadline(ask: Ask, now: datetime) -> None:
    loop = asyncio.get_running_loop()
    async with Clients(Server([60.0])) as clients:
        before = loop.time()
        verdict = await evaluate(ask(), clients, now)
        assert loop.time() - before == pytest.approx(5)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.TIMEOUT
    assert "no answer within 5 s" in verdict.message


async def test_cancelling_ends_the_question(ask: Ask, now: datetime) -> None:
    async with Clients(Server([3600.0])) as clients:
        task = asyncio.create_task(evaluate(ask(), clients, now))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"address": "nonsense"}, "the address 'nonsense' is not an http:// or https:// URL"),
        ({"address": ""}, "the prometheus provider needs an address"),
        ({"provider": "keptn"}, "'keptn' is not supported"),
        ({"credentials": {"username": "x"}}, "needs password in its Secret"),
    ],
)
async def test_a_question_that_can_t_be_put_is_misconfigured_and_asks_nothing(
    changes: dict[str, object], reason: str, ask: Ask, now: datetime
) -> None:
    server = Server([])
    async with Clients(server) as clients:
        verdict = await evaluate(ask(**changes), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.MISCONFIGURED
    assert verdict.lasting
    assert reason in verdict.reason
    assert server.asked == []


async def test_a_server_in_trouble_is_found_without_asking_the_question(ask: Ask, now: datetime) -> None:
    server = Server([vector("1"), Response(503, b"starting")])
    async with Clients(server) as clients:
        assert await trouble(ask(), clients, now) is None
        found = await trouble(ask(), clients, now)
    assert isinstance(found, Unavailable)
    assert "HTTP 503: starting" in found.reason
    assert all("errors" not in str(request.url) for request in server.asked)


async def test_every_verdict_carries_the_window(ask: Ask, now: datetime, recorded: Callable[[str], bytes]) -> None:
    answer = Response(200, recorded("prometheus/empty.json"))
    async with Clients(Server([answer])) as clients:
        verdict = await evaluate(ask(interval=timedelta(seconds=90)), clients, now)
    assert isinstance(verdict, NoData)
    assert "over 1m30s" in verdict.message


async def test_a_server_that_refuses_to_be_told_how_far_to_look_back_is_asked_without(ask: Ask, now: datetime) -> None:
    """As those do that take no parameter that they don't know."""
    unknown = Response(400, b'{"error": {"message": "Unknown name \\"lookback_delta\\": Cannot bind query parameter"}}')
    server = Server([unknown, vector("4")])
    async with Clients(server) as clients:
        assert isinstance(await evaluate(ask(), clients, now), Pass)
    first, second = (str(request.url) for request in server.asked)
    assert "lookback_delta=120" in first
    assert second == first.replace("&lookback_delta=120", "")


def onward(to: str) -> Response:
    return Response(307, b"", to)


def hosts(server: Server) -> list[str | None]:
    return [urlsplit(request.url).hostname for request in server.asked]


async def test_a_question_follows_where_it_is_led(ask: Ask, now: datetime) -> None:
    server = Server([onward("http://other:9090/x"), vector("4")])
    async with Clients(server) as clients:
        assert isinstance(await evaluate(ask(), clients, now), Pass)
    assert hosts(server) == ["prometheus", "other"]


@pytest.mark.parametrize("secret", [{"credentials": {"token": "T"}}, {"headers": (("X-Key", "T"),)}])
async def test_what_lets_a_question_in_leaves_its_host_for_no_other(
    secret: dict[str, object], ask: Ask, now: datetime
) -> None:
    server = Server([onward("/x"), vector("4"), onward("http://other:9090/x")])
    async with Clients(server) as clients:
        assert isinstance(await evaluate(ask(**secret), clients, now), Pass)
        verdict = await evaluate(ask(**secret), clients, now)
    assert isinstance(verdict, Unavailable)
    assert "redirects to other" in verdict.message
    assert set(hosts(server)) == {"prometheus"}


async def test_a_circle_of_redirects_ends(ask: Ask, now: datetime) -> None:
    async with Clients(Server([onward("/x")] * 20)) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert "redirects without end" in verdict.message
