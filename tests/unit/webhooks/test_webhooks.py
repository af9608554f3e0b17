import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.analysis import Webhook
from canary.api.canary import Canary, parse_canary
from canary.webhooks import (
    BODY_LIMIT,
    LONGEST_WAIT,
    Approved,
    Clients,
    Outcome,
    Rejected,
    Unreachable,
    call,
    checksum,
    clients,
    event_hooks,
    event_payload,
    next_hop,
    payload,
    wait_before,
)

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
Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


class Receiver:
    """A hook's other end: answers from a list, and remembers what it was asked and when."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
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
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        return await call(Clients(client, client), hook, body or {})


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
    receiver = Receiver(httpx.Response(200))

    await ask(receiver, body={"name": "podinfo"})

    (request,) = receiver.requests
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"name": "podinfo"}


# --- What comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_approves(status: int) -> None:
    assert await ask(Receiver(httpx.Response(status))) == Approved(status)


@pytest.mark.parametrize("status", [304, 400, 403, 404, 429, 500, 503])
async def test_anything_else_rejects_with_the_reason_given(status: int) -> None:
    outcome = await ask(Receiver(httpx.Response(status, text=" Forbidden\n")))

    assert outcome == Rejected(status, "Forbidden")
    assert outcome.message == f"answered {status}: Forbidden"


async def test_a_long_reason_is_cut_and_bytes_that_are_no_text_are_marked() -> None:
    outcome = await ask(Receiver(httpx.Response(403, content=b"\xff" + b"x" * 100_000)))

    assert outcome == Rejected(403, "\N{REPLACEMENT CHARACTER}" + "x" * (BODY_LIMIT - 1))


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"no " * 1000

    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, content=endless())

    outcome = await ask(handler)

    assert isinstance(outcome, Rejected)
    assert len(outcome.body) <= BODY_LIMIT


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("[Errno 111] Connection refused"),
        httpx.RemoteProtocolError("Server disconnected"),
        httpx.ConnectError(""),
        OSError("no route"),
    ],
)
async def test_trouble_on_the_way_is_a_value(error: Exception) -> None:
    outcome = await ask(Receiver(error))

    assert outcome == Unreachable(str(error) or type(error).__name__)


@pytest.mark.parametrize(
    "url",
    [
        *("", "gate", "ftp://gate.test/", "http://", "http://[::1", "http://\x00/"),
        # Neither IDNA nor a resolver takes these.
        *("http://xn--/", "http://a..b/", f"http://{'a' * 64}.test/"),
    ],
)
async def test_an_address_that_is_none_is_a_value_and_not_tried_again(url: str) -> None:
    hook = a_hook(url=url, retries=3)
    async with clients(verify=False) as opened:
        outcome = await asyncio.wait_for(call(opened, hook, {}), timeout=0.5)

    assert isinstance(outcome, Unreachable)


async def test_what_no_request_can_carry_is_a_value_and_not_tried_again() -> None:
    outcome = await ask(Receiver(httpx.LocalProtocolError("Illegal header value b'Basic x'")), a_hook(retries=3))

    assert outcome == Unreachable("its url can't be asked (LocalProtocolError)")


# --- Again, and for how long --------------------------------------------------------------------------------


async def hang(request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.looptime
async def test_a_hook_is_given_up_after_a_hundred_retries_however_many_it_asks_for() -> None:
    receiver = Receiver(*[httpx.Response(500)] * 200)

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
@pytest.mark.parametrize("trouble", [httpx.Response(500), httpx.Response(429), httpx.ConnectError("refused")])
async def test_trouble_that_may_pass_is_tried_again(trouble: httpx.Response | Exception) -> None:
    receiver = Receiver(trouble, trouble, httpx.Response(200))

    assert await ask(receiver, a_hook(retries=5)) == Approved(200)
    assert receiver.waits == [1, 2]


@pytest.mark.parametrize("status", [302, 400, 403, 404, 501])
async def test_a_plain_no_is_not_asked_again(status: int) -> None:
    receiver = Receiver(httpx.Response(status))

    assert await ask(receiver, a_hook(retries=5)) == Rejected(status)


async def test_a_refused_certificate_is_not_tried_again() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        try:
            raise ssl.SSLCertVerificationError(1, "self-signed certificate")
        except ssl.SSLError as error:
            raise httpx.ConnectError(str(error)) from error

    outcome = await asyncio.wait_for(ask(handler, a_hook(retries=5)), timeout=0.5)

    assert isinstance(outcome, Unreachable)
    assert "self-signed certificate" in outcome.message


@pytest.mark.looptime
async def test_when_the_retries_are_spent_the_last_answer_counts() -> None:
    receiver = Receiver(httpx.Response(500, text="first"), httpx.Response(503, text="last"))

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
    receiver = Receiver(httpx.Response(status, headers={"Retry-After": header}), httpx.Response(200))

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
async def test_a_redirect_within_the_host_asks_the_same_question_there(status: int) -> None:
    receiver = Receiver(httpx.Response(status, headers={"Location": "/gate/check/"}), httpx.Response(200))

    assert await ask(receiver, body={"name": "a"}) == Approved(200)
    assert [(r.method, str(r.url), r.content) for r in receiver.requests][1] == (
        "POST",
        "http://gate.test/gate/check/",
        b'{"name":"a"}',
    )


async def test_a_redirect_elsewhere_rejects_and_says_where_to() -> None:
    outcome = await ask(Receiver(httpx.Response(302, headers={"Location": "http://elsewhere.test/login"})))

    assert isinstance(outcome, Rejected)
    assert "http://elsewhere.test/login" in outcome.message


async def test_a_circle_of_redirects_ends() -> None:
    async def circle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"Location": URL})

    assert isinstance(await ask(circle), Rejected)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://gate.test/check", "https://gate.test/check"),
        ("../other", "http://gate.test/other"),
        ("https://gate.test:8443/check", None),
        ("http://gate.test:81/check", None),
        ("//evil.test/check", None),
        ("http://gate.test.evil/check", None),
        ("ftp://gate.test/check", None),
        ("http://[", None),
        (None, None),
    ],
)
def test_what_counts_as_within_the_host(location: str | None, target: str | None) -> None:
    found = next_hop(httpx.URL(URL), 308, location)

    assert (None if found is None else str(found)) == target


def test_https_never_falls_back_to_http() -> None:
    assert next_hop(httpx.URL("https://gate.test/"), 301, "http://gate.test/") is None


# --- The clients --------------------------------------------------------------------------------------------


async def test_a_hook_with_disable_tls_gets_the_client_that_trusts_anybody() -> None:
    async with clients(verify=False) as opened:
        assert opened.of(HOOK) is opened.verifying
        assert opened.of(HOOK.replace(disable_tls=True)) is opened.trusting


async def test_cookies_are_not_kept() -> None:
    async with clients(verify=False) as opened:
        opened.verifying.cookies.extract_cookies(
            httpx.Response(200, headers={"Set-Cookie": "a=b"}, request=httpx.Request("POST", URL))
        )
        assert list(opened.verifying.cookies) == []
