import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import httpx
import pytest

from metrics.evaluate import Clients, evaluate, trouble
from metrics.question import Question
from metrics.threshold import Threshold
from metrics.verdict import Cause, Fail, NoData, Pass, Unavailable


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


Answer = httpx.Response | Exception | float


def vector(value: str) -> httpx.Response:
    result = [{"metric": {}, "value": [1, value]}]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})


@dataclass
class Server(httpx.AsyncBaseTransport):
    """A metrics server that gives these answers in turn: a response, an error, or seconds of silence."""

    answers: list[Answer]
    asked: list[httpx.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
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
        (httpx.Response(503, text="starting"), Cause.SERVER_ERROR, "HTTP 503: starting"),
        (httpx.Response(403, text="no"), Cause.UNAUTHORIZED, "HTTP 403: no"),
        (httpx.Response(200, text="<html>"), Cause.UNREADABLE, "the answer is not JSON: <html>"),
        (httpx.Response(200, content=b"x" * (5 << 20)), Cause.UNREADABLE, "the answer is larger than 4 MiB"),
        (
            httpx.Response(400, json={"status": "error", "errorType": "bad_data", "error": "parse error"}),
            Cause.BAD_QUERY,
            "parse error",
        ),
        (httpx.LocalProtocolError("Illegal header value"), Cause.MISCONFIGURED, "the request can't be made"),
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
    "broken", [httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.RemoteProtocolError("closed")]
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
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = OSError(111, "Connect call failed ('10.0.0.1', 9090)")
    async with Clients(Server([error, error])) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert "Connect call failed ('10.0.0.1', 9090)" in verdict.message


async def test_an_untrusted_certificate_is_named(ask: Ask, now: datetime) -> None:
    inner = ssl.SSLCertVerificationError(1, "certificate verify failed")
    inner.verify_message = "self-signed certificate"
    error = httpx.ConnectError("failed")
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


@pytest.mark.parametrize("headers", [(("X-A", "caf\u2603"),), (("X-\u2603", "a"),)])
async def test_a_header_that_can_t_be_sent_is_misconfigured(
    headers: tuple[tuple[str, str], ...], ask: Ask, now: datetime
) -> None:
    async with Clients(Server([vector("1")])) as clients:
        verdict = await evaluate(ask(headers=headers), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.MISCONFIGURED


async def test_headers_of_the_question_are_sent(ask: Ask, now: datetime) -> None:
    server = Server([vector("1")])
    async with Clients(server) as clients:
        await evaluate(ask(headers=(("X-Scope-OrgID", "a"), ("X-Scope-OrgID", "b"))), clients, now)
    assert server.asked[0].headers.get_list("x-scope-orgid") == ["a", "b"]


async def test_clients_are_made_once_for_each_way_of_trusting(ask: Ask) -> None:
    async with Clients(Server([])) as clients:
        assert clients.get(insecure=False) is clients.get(insecure=False)
        assert clients.get(insecure=True) is not clients.get(insecure=False)


async def test_a_server_in_trouble_is_found_without_asking_the_question(ask: Ask, now: datetime) -> None:
    server = Server([vector("1"), httpx.Response(503, text="starting")])
    async with Clients(server) as clients:
        assert await trouble(ask(), clients, now) is None
        found = await trouble(ask(), clients, now)
    assert isinstance(found, Unavailable)
    assert "HTTP 503: starting" in found.reason
    assert all("errors" not in str(request.url) for request in server.asked)


async def test_every_verdict_carries_the_window(ask: Ask, now: datetime, recorded: Callable[[str], bytes]) -> None:
    answer = httpx.Response(200, content=recorded("prometheus/empty.json"))
    async with Clients(Server([answer])) as clients:
        verdict = await evaluate(ask(interval=timedelta(seconds=90)), clients, now)
    assert isinstance(verdict, NoData)
    assert "over 1m30s" in verdict.message


def onward(to: str) -> httpx.Response:
    return httpx.Response(307, headers={"Location": to})


async def test_a_question_follows_where_it_is_led(ask: Ask, now: datetime) -> None:
    server = Server([onward("http://other:9090/x"), vector("4")])
    async with Clients(server) as clients:
        assert isinstance(await evaluate(ask(), clients, now), Pass)
    assert [request.url.host for request in server.asked] == ["prometheus", "other"]


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
    assert {request.url.host for request in server.asked} == {"prometheus"}


async def test_a_circle_of_redirects_ends(ask: Ask, now: datetime) -> None:
    async with Clients(Server([onward("/x")] * 20)) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert "redirects without end" in verdict.message
