import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.analysis import Webhook
from canary.api.canary import Canary, parse_canary
from canary.webhooks import (
    BODY_LIMIT,
    HOOKS,
    LONGEST_WAIT,
    Approved,
    Outcome,
    Rejected,
    Unreachable,
    call,
    checksum,
    event_hooks,
    event_payload,
    payload,
    wait_before,
)
from outbound.connections import Connections
from outbound.message import Request, Response
from tests.unit.outbound.servers import Play, answer, saying, serving

URL = "http://gate.test/check"


def a_hook(**fields: Any) -> Webhook:
    return Webhook.model_validate({"name": "gate", "url": URL, "type": "confirm-rollout"} | fields)


def a_canary(**status: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "podinfo", "namespace": "test"},
            "spec": {
                "targetRef": {"kind": "Deployment", "name": "podinfo"},
                "service": {"port": 9898},
                "analysis": {"interval": "10s", "threshold": 1},
            },
            "status": status,
        }
    )


CANARY = a_canary()
HOOK = a_hook()
Handler = Callable[[Request], Awaitable[Response]]


class Receiver:
    """A hook's other end: answers from a list, and remembers what it was asked and when."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.times: list[float] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def waits(self) -> list[float]:
        return [round(b - a, 3) for a, b in zip(self.times, self.times[1:], strict=False)]


async def ask(handler: Handler, hook: Webhook = HOOK, body: dict[str, Any] | None = None) -> Outcome:
    async with Connections(HOOKS, handler) as connections:
        return await call(connections, hook, body or {})


async def ask_server(play: Play) -> Outcome:
    async with serving(play) as server, Connections(HOOKS) as connections:
        return await call(connections, a_hook(url=server.url), {})


# --- What is sent -------------------------------------------------------------------------------------------


def test_the_payload_carries_flaggers_fields_and_the_hooks_type() -> None:
    hook = a_hook(type="pre-rollout", metadata={"cmd": "true"})

    assert payload(CANARY, hook, "Progressing", "85d557f47b") == {
        "name": "podinfo",
        "namespace": "test",
        "phase": "Progressing",
        "checksum": "85d557f47b",
        "type": "pre-rollout",
        "metadata": {"cmd": "true"},
    }


def test_a_hook_without_metadata_sends_none() -> None:
    assert "metadata" not in payload(CANARY, HOOK, "Progressing", "x")


def test_an_event_tells_its_words_type_and_time_and_the_hook_cannot_replace_them() -> None:
    hook = a_hook(type="event", metadata={"cluster": "prod", "eventType": "forged"})
    now = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)

    body = event_payload(CANARY, hook, "Failed", "x", message="Rolling back", event_type="Warning", now=now)

    assert body["metadata"] == {
        "cluster": "prod",
        "eventMessage": "Rolling back",
        "eventType": "Warning",
        "timestamp": "1767323045678",
    }


@pytest.mark.parametrize(
    ("tracked", "applied", "expected"),
    [
        (None, "", "758df7c9fc"),
        (None, "5b8c9d7f6", "5dbd7986fc"),
        ({}, "x", "76485df54b"),
        ({"secret/b": "1a2b", "configmap/a": "ff00", "configmap/é": "0"}, "7f9c6bcd45", "7b885fd749"),
    ],
)
def test_the_checksum_is_flaggers(tracked: Mapping[str, str] | None, applied: str, expected: str) -> None:
    """The expected values were computed with the Go libraries that Flagger 1.44 hashes with."""
    assert checksum(a_canary(trackedConfigs=tracked, lastAppliedSpec=applied)) == expected


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_the_checksum_does_not_hang_on_the_order_of_configs(tracked: dict[str, str], applied: str) -> None:
    backwards = dict(reversed(tracked.items()))

    assert checksum(a_canary(trackedConfigs=tracked, lastAppliedSpec=applied)) == checksum(
        a_canary(trackedConfigs=backwards, lastAppliedSpec=applied)
    )


def test_a_canarys_own_event_hooks_replace_the_one_for_all() -> None:
    own, other, everybodys = a_hook(type="event"), a_hook(type="rollout"), a_hook(name="events")

    assert event_hooks([other, own], everybodys) == [own]
    assert event_hooks([other], everybodys) == [everybodys]
    assert event_hooks([other], None) == []


async def test_the_body_is_posted_as_json() -> None:
    receiver = Receiver(Response(200))

    await ask(receiver, body={"name": "podinfo"})

    (request,) = receiver.requests
    assert request.method == "POST"
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert json.loads(request.body or b"") == {"name": "podinfo"}


# --- What comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_approves(status: int) -> None:
    assert await ask(Receiver(Response(status))) == Approved(status)


@pytest.mark.parametrize("status", [304, 400, 403, 404, 429, 500, 503])
async def test_anything_else_rejects_with_the_reason_given(status: int) -> None:
    outcome = await ask(Receiver(Response(status, b" Forbidden\n")))

    assert outcome == Rejected(status, "Forbidden")
    assert outcome.message == f"answered {status}: Forbidden"


async def test_a_long_reason_is_cut_and_bytes_that_are_no_text_are_marked() -> None:
    outcome = await ask_server(saying(answer(403, b"\xff" + b"x" * 100_000)))

    assert outcome == Rejected(403, "\N{REPLACEMENT CHARACTER}" + "x" * (BODY_LIMIT - 1))


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def endless(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 403 No\r\n\r\n")
        while True:
            writer.write(b"no " * 1000)
            await writer.drain()

    outcome = await ask_server(endless)

    assert isinstance(outcome, Rejected)
    assert len(outcome.body) <= BODY_LIMIT


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("text/plain; charset=utf-8", "not now", "not now"),
        ("application/json", '{"error":"no"}', '{"error":"no"}'),
        ("application/problem+json", '{"title":"no"}', '{"title":"no"}'),
        ("text/html", "no_service", "no_service"),
        ("text/html", "<html>internal page</html>", ""),
        ("application/octet-stream", "a file", ""),
    ],
)
async def test_words_are_repeated_and_pages_and_files_are_not(kind: str, body: str, told: str) -> None:
    assert await ask_server(saying(answer(403, body.encode(), Content_Type=kind))) == Rejected(403, told)


async def test_an_answer_that_comes_packed_counts_by_its_status() -> None:
    packed = {"Content_Encoding": "gzip"}
    assert await ask_server(saying(answer(200, b"packed", **packed))) == Approved(200)
    assert await ask_server(saying(answer(403, b"packed", **packed))) == Rejected(403)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(111, "Connect call failed"), "the connection failed ([Errno 111] Connect call failed)"),
        (aiohttp.ServerDisconnectedError(), "the connection was closed before an answer"),
        (aiohttp.ClientPayloadError("cut"), "the answer broke off"),
        (aiohttp.ClientConnectionError(""), "the connection failed"),
    ],
)
async def test_trouble_on_the_way_is_a_value(error: Exception, reason: str) -> None:
    assert await ask(Receiver(error)) == Unreachable(reason)


@pytest.mark.parametrize(
    "url",
    [
        *("", "gate", "ftp://gate.test/", "http://", "http://[::1", "http://\x00/", "http://a\nb/"),
        # Neither IDNA nor a resolver takes these.
        *("http://xn--/", "http://a..b/", f"http://{'a' * 64}.test/"),
    ],
)
async def test_an_address_that_is_none_is_a_value_and_not_tried_again(url: str) -> None:
    hook = a_hook(url=url, retries=5)
    async with Connections(HOOKS) as connections:
        outcome = await asyncio.wait_for(call(connections, hook, {}), timeout=20)

    assert isinstance(outcome, Unreachable)


async def test_what_no_request_can_carry_is_a_value_and_not_tried_again() -> None:
    outcome = await ask(Receiver(ValueError("Illegal header value b'Basic x'")), a_hook(retries=3))

    assert outcome == Unreachable("the request can't be made (ValueError)")


# --- Again, and for how long --------------------------------------------------------------------------------


async def hang(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.looptime
async def test_a_hook_is_given_up_after_a_hundred_retries_however_many_it_asks_for() -> None:
    receiver = Receiver(*[Response(500)] * 200)

    await ask(receiver, a_hook(retries=10**6))

    assert len(receiver.answers) == 200 - 101


@pytest.mark.looptime
@pytest.mark.parametrize(("limit", "seconds"), [({}, 10), ({"timeout": "3s"}, 3), ({"timeout": "0s"}, 10)])
async def test_a_try_ends_at_the_hooks_timeout(limit: dict[str, str], seconds: float) -> None:
    start = asyncio.get_running_loop().time()

    outcome = await ask(hang, a_hook(**limit))

    assert outcome == Unreachable(f"not within {seconds}s")
    assert asyncio.get_running_loop().time() - start == seconds


@pytest.mark.looptime
async def test_each_retry_has_the_whole_timeout_and_waits_double() -> None:
    start = asyncio.get_running_loop().time()

    await ask(hang, a_hook(timeout="2s", retries=3))

    assert asyncio.get_running_loop().time() - start == 4 * 2 + (1 + 2 + 4)


@pytest.mark.looptime
@pytest.mark.parametrize("trouble", [Response(500), Response(429), aiohttp.ClientConnectionError("refused")])
async def test_trouble_that_may_pass_is_tried_again(trouble: Response | Exception) -> None:
    receiver = Receiver(trouble, trouble, Response(200))

    assert await ask(receiver, a_hook(retries=5)) == Approved(200)
    assert receiver.waits == [1, 2]


@pytest.mark.parametrize("status", [302, 400, 403, 404, 501])
async def test_a_plain_no_is_not_asked_again(status: int) -> None:
    receiver = Receiver(Response(status))

    assert await ask(receiver, a_hook(retries=5)) == Rejected(status)


async def test_a_refused_certificate_is_not_tried_again() -> None:
    async def handler(request: Request) -> Response:
        refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
        refused.verify_message = "self-signed certificate"
        raise aiohttp.ClientConnectionError("failed") from refused

    outcome = await asyncio.wait_for(ask(handler, a_hook(retries=5)), timeout=20)

    assert outcome == Unreachable("its certificate isn't trusted (self-signed certificate)")


@pytest.mark.looptime
async def test_when_the_retries_are_spent_the_last_answer_counts() -> None:
    receiver = Receiver(Response(500, b"first"), Response(503, b"last"))

    assert await ask(receiver, a_hook(retries=1)) == Rejected(503, "last")


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [
        (429, "7", 7),
        (503, "7", 7),
        (500, "7", 1),
        (429, "86400", 30),
        (429, "9" * 400, 30),
        (429, "soon", 1),
        (429, "-1", 1),
    ],
)
async def test_the_wait_that_a_receiver_asks_for_is_kept_within_bounds(status: int, header: str, wait: float) -> None:
    receiver = Receiver(Response(status, headers={"retry-after": header}), Response(200))

    assert await ask(receiver, a_hook(retries=1)) == Approved(200)
    assert receiver.waits == [wait]


@given(st.integers(min_value=0, max_value=10**6), st.none() | st.timedeltas(min_value=timedelta(0)))
def test_no_wait_is_longer_than_the_longest(retry: int, asked: timedelta | None) -> None:
    assert timedelta(0) <= wait_before(retry, asked) <= LONGEST_WAIT


@pytest.mark.looptime
async def test_a_call_can_be_cancelled_in_mid_try_and_in_mid_wait() -> None:
    for seconds in (1, 2.5):  # the try takes 2 s, the wait after it 1 s
        task = asyncio.create_task(ask(hang, a_hook(timeout="2s", retries=1)))
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# --- Redirects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_within_the_origin_asks_the_same_question_there(status: int) -> None:
    receiver = Receiver(Response(status, headers={"location": "/gate/check/"}), Response(200))

    assert await ask(receiver, body={"name": "a"}) == Approved(200)
    assert [(r.method, r.url, r.body) for r in receiver.requests][1] == (
        "POST",
        "http://gate.test/gate/check/",
        b'{"name":"a"}',
    )


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("http://elsewhere.test/login?state=TOKEN", "http://elsewhere.test"),
        ("https://gate.test/check", "https://gate.test"),
        ("http://gate.test:81/check", "http://gate.test:81"),
        ("//evil.test/check", "http://evil.test"),
        ("ftp://gate.test/check", "what is no http:// or https:// address"),
        ("http://[", "what is no address"),
    ],
)
async def test_a_redirect_elsewhere_rejects_and_says_where_to(location: str, place: str) -> None:
    receiver = Receiver(Response(302, headers={"location": location}))

    assert await ask(receiver, a_hook(retries=5)) == Rejected(302, f"a redirect to {place}, which is not followed")
    assert len(receiver.requests) == 1


async def test_a_circle_of_redirects_ends() -> None:
    async def circle(request: Request) -> Response:
        return Response(307, headers={"location": URL})

    assert isinstance(await ask(circle), Rejected)


# --- Certificates -------------------------------------------------------------------------------------------


async def test_only_a_hook_with_disable_tls_takes_any_certificate() -> None:
    for hook in (HOOK, HOOK.replace(disable_tls=True)):
        receiver = Receiver(Response(200))
        await ask(receiver, hook)
        assert receiver.requests[0].insecure is hook.disable_tls
