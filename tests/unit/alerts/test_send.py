import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import aiohttp
import pytest

from canary.alerts.alert import Alert, Destination, Misconfigured
from canary.alerts.send import LONGEST_REASON, LONGEST_REST, NotSent, Outcome, Sender, Sent
from canary.api.analysis import Severity
from outbound.message import Request, Response
from tests.unit.outbound.servers import answer, saying, serving

pytestmark = pytest.mark.looptime

ALERT = Alert("podinfo", "test", "Rolling back.", Severity.ERROR)
SLACK = Destination("slack", "https://hooks.slack.test/SECRET", token="T")

LED_AWAY = "a redirect to https://elsewhere.test, which is not followed"

Handler = Callable[[Request], Awaitable[Response]]


class Messenger:
    """Answers from a list, and remembers what it was told and when."""

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


async def send(handler: Handler, to: Destination = SLACK) -> Outcome:
    async with Sender(handler) as sender:
        return await sender.send(ALERT, to)


async def test_an_alert_is_posted_as_json_with_the_token() -> None:
    messenger = Messenger(Response(200, b"ok"))

    assert await send(messenger) == Sent()
    (request,) = messenger.requests
    assert (request.method, request.url) == ("POST", SLACK.address)
    assert dict(request.headers) == {"Authorization": "Bearer T", "Content-Type": "application/json"}
    assert json.loads(request.body or b"")["attachments"][0]["text"] == "Rolling back."


async def test_without_a_token_none_is_sent() -> None:
    messenger = Messenger(Response(200))

    await send(messenger, Destination("discord", "https://discord.test/a"))

    assert "Authorization" not in dict(messenger.requests[0].headers)


@pytest.mark.parametrize("trouble", [Response(500), Response(429), aiohttp.ClientConnectionError("refused")])
async def test_trouble_that_may_pass_is_tried_three_times_in_all(trouble: Response | Exception) -> None:
    messenger = Messenger(trouble, trouble, Response(204))

    assert await send(messenger) == Sent()
    assert messenger.times == [0, 1, 5]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_messenger_is_left_alone_for_as_long_as_it_asks(status: int) -> None:
    """Where that is long the caller waits, who has more time; a date counts for nothing."""
    soon = Messenger(Response(status, headers={"retry-after": "3"}), Response(200))
    assert await send(soon) == Sent()
    assert soon.times == [0, 3]

    later = Messenger(Response(status, headers={"retry-after": "90"}))
    assert await send(later) == NotSent(f"answered {status}", passing=True, rest=timedelta(seconds=90))

    never = Messenger(Response(status, headers={"retry-after": "99999999999999999999"}))
    found = await send(never)
    assert isinstance(found, NotSent)
    assert found.rest == LONGEST_REST

    odd = Messenger(Response(status, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), Response(200))
    assert await send(odd) == Sent()


async def test_when_all_tries_are_spent_the_last_reason_is_told() -> None:
    messenger = Messenger(Response(500), Response(500), Response(503, b"down"))

    assert await send(messenger) == NotSent("answered 503: down", passing=True)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response(404, b"no_service\n"), "answered 404: no_service"),
        (Response(302, headers={"location": "https://elsewhere.test/a?token=b"}), f"answered 302: {LED_AWAY}"),
        (Response(200, b'{"ok": false, "error": "invalid_auth"}'), "refused: invalid_auth"),
        (Response(400, b"x" * 9999), "answered 400: " + "x" * (LONGEST_REASON - 1) + "…"),
    ],
)
async def test_a_refusal_is_told_and_not_tried_again(answer: Response, reason: str) -> None:
    assert await send(Messenger(answer)) == NotSent(reason)


async def test_a_messenger_that_hangs_is_left_after_5_seconds_each_time() -> None:
    async def hang(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert await send(hang) == NotSent("no answer within 5s", passing=True)
    assert asyncio.get_running_loop().time() == 3 * 5 + 1 + 4


async def test_the_address_is_never_told() -> None:
    error = aiohttp.ClientConnectionError(f"can't reach {SLACK.address}")

    assert await send(Messenger(error, error, error)) == NotSent("the connection failed", passing=True)


async def test_what_a_messenger_repeats_of_its_address_and_token_is_not_told() -> None:
    repeated = Response(404, f"no T123 at {SLACK.address}".encode())

    outcome = await send(Messenger(repeated), Destination("slack", SLACK.address, token="T123"))

    assert outcome == NotSent("answered 404: no *** at its address")


ADDRESS = "https://hooks.test/v1/longsecret1?key=longsecret%2F2&x=1"


@pytest.mark.parametrize(
    ("repeated", "told"),
    [
        ("Cannot POST /v1/longsecret1", "Cannot POST ***"),
        ("no hook longsecret1", "no hook ***"),
        ("no key longsecret/2 or longsecret%2F2", "no key *** or ***"),
        ('{"key": "a\\"secret"}', '{"key": "***"}'),
        ("GenieKey secret", "***"),
        ("nothing here", "nothing here"),
    ],
)
async def test_what_a_messenger_repeats_of_any_secret_is_not_told(repeated: str, told: str) -> None:
    to = Destination(
        "webhook",
        ADDRESS,
        body='{"key": "{{ secret.key }}"}',
        secrets={"key": 'a"secret'},
        headers=(("Authorization", "GenieKey secret"),),
    )
    assert await send(Messenger(Response(400, repeated.encode())), to) == NotSent(f"answered 400: {told}")


async def test_a_messenger_that_sends_a_page_is_told_by_its_status_and_one_without_end_is_left() -> None:
    async def endless(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 400 No\r\n\r\n")
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()

    async with Sender() as sender:
        async with serving(saying(answer(400, b"<html>page", Content_Type="text/html"))) as server:
            assert await sender.send(ALERT, Destination("slack", server.url)) == NotSent("answered 400")
        async with serving(endless) as server:
            outcome = await sender.send(ALERT, Destination("slack", server.url))
    assert outcome == NotSent("answered 400: " + "x" * (LONGEST_REASON - 1) + "…")


async def test_a_destination_that_makes_no_sense_is_a_value() -> None:
    assert isinstance(await send(Messenger(), Destination("slack", "nonsense")), Misconfigured)


async def test_sending_can_be_cancelled() -> None:
    async def hang(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(send(hang))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_proxy_of_its_own_is_on_the_way() -> None:
    messenger = Messenger(Response(200))

    await send(messenger, Destination("slack", SLACK.address, proxy="http://p.test:1"))

    assert messenger.requests[0].proxy == "http://p.test:1"


@pytest.mark.parametrize("token", ["xoxb-1\nxoxb-2", "xoxb-é", "xoxb-\x00", "\ufffd"])
async def test_a_token_that_no_header_can_carry_is_told_by_its_key_and_not_its_value(token: str) -> None:
    messenger = Messenger()

    outcome = await send(messenger, Destination("slack", SLACK.address, token=token))

    assert isinstance(outcome, Misconfigured)
    assert "token" in outcome.reason
    assert token not in outcome.reason
    assert "xoxb" not in outcome.reason
    assert not messenger.requests


UNUSABLE = [
    "http://user:PASSWORD@prox\u00e9\u0301..x:1",
    "http://u:PASSWORD@proxy host:1",
    "http://p:99999",
    "http://xn--",
]


@pytest.mark.parametrize("proxy", UNUSABLE)
async def test_a_proxy_that_cant_be_used_is_told_without_its_password(proxy: str) -> None:
    async with Sender() as sender:
        outcome = await sender.send(ALERT, Destination("slack", SLACK.address, proxy=proxy))

    assert isinstance(outcome, Misconfigured)
    assert "proxy" in outcome.reason
    assert "PASSWORD" not in outcome.reason


@pytest.mark.parametrize("address", ["http://xn--/", "http://a..b/", f"http://{'a' * 64}.test/", "http://a\nb/"])
async def test_an_address_that_cant_be_asked_is_misconfigured(address: str) -> None:
    async with Sender() as sender:
        assert isinstance(await sender.send(ALERT, Destination("slack", address)), Misconfigured)


async def test_what_an_error_says_of_a_request_that_cant_be_made_is_not_told() -> None:
    error = ValueError("Illegal header value b'Bearer T'")

    assert await send(Messenger(error)) == NotSent("the request can't be made (ValueError)")
