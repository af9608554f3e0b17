import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import pytest

from metrics.connections import QUESTIONS
from metrics.question import Question
from metrics.read import trouble
from metrics.reading import Cause, Unread
from metrics.threshold import Threshold
from metrics.verdict import Fail, NoData, Pass, Unavailable
from metrics.wire import Request, Response
from outbound.connections import Connections
from tests.tools.judged import evaluate


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

    async def __call__(self, request: Request) -> Response:
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
    async with Connections(QUESTIONS, Server([vector(value)])) as clients:
        verdict = await evaluate(ask(threshold=Threshold(max=5)), clients, now)
    assert isinstance(verdict, kind)
    assert (verdict.name, verdict.query, verdict.time) == ("errors", "sum(errors)", now)


@pytest.mark.parametrize(
    ("series", "end"), [((), "gets no requests"), (("a_total", "b"), "gets no requests; looked for: a_total, b")]
)
async def test_without_data_it_is_told_what_was_looked_for(
    series: tuple[str, ...], end: str, ask: Ask, now: datetime
) -> None:
    async with Connections(QUESTIONS, Server([vector("NaN")])) as clients:
        verdict = await evaluate(replace(ask(), series=series), clients, now)
    assert isinstance(verdict, NoData)
    assert verdict.reason.endswith(end)


@pytest.mark.parametrize(
    ("answer", "cause", "reason"),
    [
        (Response(503, b"starting"), Cause.SERVER_ERROR, "HTTP 503: Service Unavailable"),
        (Response(403, b"no"), Cause.UNAUTHORIZED, "HTTP 403: Forbidden"),
        (Response(200, b"<html>"), Cause.UNREADABLE, "the answer is not JSON"),
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
    async with Connections(QUESTIONS, server) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is cause
    assert f"prometheus at http://prometheus:9090: {reason}" in verdict.message
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (OSError(111, "refused"), "the connection failed ([Errno 111] refused)"),
        (aiohttp.ClientPayloadError("cut"), "the answer broke off"),
        (aiohttp.ServerDisconnectedError("x"), "the connection was closed before an answer"),
    ],
)
async def test_a_broken_connection_is_tried_once_more(broken: Exception, reason: str, ask: Ask, now: datetime) -> None:
    async with Connections(QUESTIONS, Server([broken, vector("1")])) as clients:
        assert isinstance(await evaluate(ask(), clients, now), Pass)
    server = Server([broken, broken, vector("1")])
    async with Connections(QUESTIONS, server) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.UNREACHABLE
    assert reason in verdict.reason
    assert len(server.asked) == 2


async def test_the_reason_is_the_innermost_one(ask: Ask, now: datetime) -> None:
    error = aiohttp.ClientConnectionError("All connection attempts failed")
    error.__cause__ = OSError(111, "Connect call failed ('10.0.0.1', 9090)")
    async with Connections(QUESTIONS, Server([error, error])) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert "Connect call failed ('10.0.0.1', 9090)" in verdict.message


async def test_an_untrusted_certificate_is_named(ask: Ask, now: datetime) -> None:
    inner = ssl.SSLCertVerificationError(1, "certificate verify failed")
    inner.verify_message = "self-signed certificate"
    error = aiohttp.ClientConnectionError("failed")
    error.__cause__ = inner
    async with Connections(QUESTIONS, Server([error, error])) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert "its certificate isn't trusted (self-signed certificate)" in verdict.message


@pytest.mark.looptime
async def test_silence_ends_at_the_deadline(ask: Ask, now: datetime) -> None:
    loop = asyncio.get_running_loop()
    async with Connections(QUESTIONS, Server([60.0])) as clients:
        before = loop.time()
        verdict = await evaluate(ask(), clients, now)
        assert loop.time() - before == pytest.approx(5)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.TIMEOUT
    assert "no answer within 5 s" in verdict.message


async def test_cancelling_ends_the_question(ask: Ask, now: datetime) -> None:
    async with Connections(QUESTIONS, Server([3600.0])) as clients:
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
        ({"provider": "pager"}, "'pager' is not supported"),
        ({"credentials": {"username": "x"}}, "needs password in its Secret"),
    ],
)
async def test_a_question_that_can_t_be_put_is_misconfigured_and_asks_nothing(
    changes: dict[str, object], reason: str, ask: Ask, now: datetime
) -> None:
    server = Server([])
    async with Connections(QUESTIONS, server) as clients:
        verdict = await evaluate(ask(**changes), clients, now)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.MISCONFIGURED
    assert reason in verdict.reason
    assert server.asked == []


async def test_a_server_in_trouble_is_found_without_asking_the_question(ask: Ask, now: datetime) -> None:
    server = Server([vector("1"), Response(503, b"starting")])
    async with Connections(QUESTIONS, server) as clients:
        assert await trouble(ask(), clients, now) is None
        found = await trouble(ask(), clients, now)
    assert isinstance(found, Unread)
    assert "HTTP 503" in found.reason
    assert all("errors" not in str(request.url) for request in server.asked)


async def test_every_verdict_carries_the_window(ask: Ask, now: datetime, recorded: Callable[[str], bytes]) -> None:
    answer = Response(200, recorded("prometheus/empty.json"))
    async with Connections(QUESTIONS, Server([answer])) as clients:
        verdict = await evaluate(ask(interval=timedelta(seconds=90)), clients, now)
    assert isinstance(verdict, NoData)
    assert "over 1m30s" in verdict.message


async def test_a_server_that_refuses_to_be_told_how_far_to_look_back_is_asked_without(ask: Ask, now: datetime) -> None:
    """As those do that take no parameter that they don't know."""
    unknown = Response(400, b'{"error": {"message": "Unknown name \\"lookback_delta\\": Cannot bind query parameter"}}')
    server = Server([unknown, vector("4")])
    async with Connections(QUESTIONS, server) as clients:
        assert isinstance(await evaluate(ask(), clients, now), Pass)
    first, second = (str(request.url) for request in server.asked)
    assert "lookback_delta=120" in first
    assert second == first.replace("&lookback_delta=120", "")


def onward(to: str) -> Response:
    return Response(307, headers={"location": to})


async def test_a_question_follows_within_its_origin_and_leaves_it_for_no_other(ask: Ask, now: datetime) -> None:
    """With credentials or without: what answers elsewhere is nobody's that was named."""
    server = Server([onward("/x"), vector("4"), onward("http://other:9090/x?token=T")])
    async with Connections(QUESTIONS, server) as clients:
        assert isinstance(await evaluate(ask(), clients, now), Pass)
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert "redirects to http://other:9090, where no question follows" in verdict.message
    assert {urlsplit(request.url).hostname for request in server.asked} == {"prometheus"}


async def test_a_circle_of_redirects_ends(ask: Ask, now: datetime) -> None:
    async with Connections(QUESTIONS, Server([onward("/x")] * 20)) as clients:
        verdict = await evaluate(ask(), clients, now)
    assert isinstance(verdict, Unavailable)
    assert "redirects without end" in verdict.message


@pytest.mark.parametrize(
    "secret",
    [
        {"credentials": {"token": "S3CRET"}},
        {"credentials": {"username": "me", "password": "S3CRET"}},
        {"headers": (("X-Key", "S3CRET"),)},
        {"headers": (("Authorization", "Bearer S3CRET"),)},
    ],
)
async def test_what_a_server_repeats_of_what_lets_a_question_in_is_not_told(
    secret: dict[str, object], ask: Ask, now: datetime
) -> None:
    body = b'{"status": "error", "errorType": "bad_data", "error": "S3CRET may not ask this"}'
    async with Connections(QUESTIONS, Server([Response(400, body)])) as clients:
        verdict = await evaluate(ask(**secret), clients, now)
    assert isinstance(verdict, Unavailable)
    assert "*** may not ask this" in verdict.message
    assert "S3CRET" not in verdict.message


@pytest.mark.parametrize("before", range(470, 500))
async def test_a_text_that_is_cut_keeps_no_beginning_of_a_secret(before: int, ask: Ask, now: datetime) -> None:
    words = json.dumps({"status": "error", "errorType": "bad_data", "error": "x" * before + "S3CRET-of-some-length"})
    async with Connections(QUESTIONS, Server([Response(400, words.encode())])) as clients:
        verdict = await evaluate(ask(credentials={"token": "S3CRET-of-some-length"}), clients, now)
    assert isinstance(verdict, Unavailable)
    assert "S3CR" not in verdict.message
    assert "xxx" in verdict.message


@pytest.mark.parametrize("key", ["token", "datadog_api_key", "dynatrace_token", "newrelic_query_key"])
async def test_a_secret_of_two_lines_is_told_by_its_key_alone(key: str, ask: Ask, now: datetime) -> None:
    provider = {"token": "prometheus"}.get(key, key.partition("_")[0])
    others = {"datadog_application_key": "a", "newrelic_account_id": "42"}
    question = ask(provider=provider, credentials={**others, key: "S3CRET-1\nS3CRET-2"})
    server = Server([])
    async with Connections(QUESTIONS, server) as clients:
        verdict = await evaluate(question, clients, now)
    assert isinstance(verdict, Unavailable)
    assert (verdict.cause, key in verdict.message) == (Cause.MISCONFIGURED, True)
    assert "S3CRET" not in verdict.message
    assert server.asked == []


@pytest.mark.looptime
async def test_a_question_that_gets_no_turn_can_t_be_asked_now(ask: Ask, now: datetime) -> None:
    async with Connections(replace(QUESTIONS, per_host=1, patience=2), Server([60.0])) as clients:
        first, second = await asyncio.gather(*(evaluate(ask(), clients, now) for _ in range(2)))
    assert isinstance(first, Unavailable)
    assert isinstance(second, Unavailable)
    assert "no answer within 5 s" in first.message
    assert "too many requests to prometheus:9090 wait for their answers" in second.message
