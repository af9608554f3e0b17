import asyncio
import json
from collections.abc import Callable, Coroutine

import httpx
import pytest

from canary.alerts.alert import Alert, Destination, Misconfigured
from canary.alerts.send import LONGEST_REASON, NotSent, Outcome, Sender, Sent
from canary.api.analysis import Severity

pytestmark = pytest.mark.looptime

ALERT = Alert("podinfo", "test", "Rolling back.", Severity.ERROR)
SLACK = Destination("slack", "https://hooks.slack.test/SECRET", token="T")

Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


class Messenger:
    """Answers from a list, and remembers what it was told and when."""

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


async def send(handler: Handler, to: Destination = SLACK) -> Outcome:
    async with Sender(httpx.MockTransport(handler)) as sender:
        return await sender.send(ALERT, to)


async def test_an_alert_is_posted_as_json_with_the_token() -> None:
    messenger = Messenger(httpx.Response(200, text="ok"))

    assert await send(messenger) == Sent()
    (request,) = messenger.requests
    assert (request.method, str(request.url)) == ("POST", SLACK.address)
    assert request.headers["authorization"] == "Bearer T"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content)["attachments"][0]["text"] == "Rolling back."


async def test_without_a_token_none_is_sent() -> None:
    messenger = Messenger(httpx.Response(200))

    await send(messenger, Destination("discord", "https://discord.test/a"))

    assert "authorization" not in messenger.requests[0].headers


@pytest.mark.parametrize("trouble", [httpx.Response(500), httpx.Response(429), httpx.ConnectError("refused")])
async def test_trouble_that_may_pass_is_tried_three_times_in_all(trouble: httpx.Response | Exception) -> None:
    messenger = Messenger(trouble, trouble, httpx.Response(204))

    assert await send(messenger) == Sent()
    assert messenger.times == [0, 1, 5]


async def test_when_all_tries_are_spent_the_last_reason_is_told() -> None:
    messenger = Messenger(httpx.Response(500), httpx.Response(500), httpx.Response(503, text="down"))

    assert await send(messenger) == NotSent("answered 503: down", passing=True)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(404, text="no_service\n"), "answered 404: no_service"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.test/"}), "answered 302"),
        (httpx.Response(200, json={"ok": False, "error": "invalid_auth"}), "refused: invalid_auth"),
        (httpx.Response(400, text="x" * 9999), "answered 400: " + "x" * (LONGEST_REASON - 1) + "…"),
    ],
)
async def test_a_refusal_is_told_and_not_tried_again(answer: httpx.Response, reason: str) -> None:
    assert await send(Messenger(answer)) == NotSent(reason)


async def test_a_messenger_that_hangs_is_left_after_5_seconds_each_time() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert await send(hang) == NotSent("no answer within 5s", passing=True)
    assert asyncio.get_running_loop().time() == 3 * 5 + 1 + 4


async def test_the_address_is_never_told() -> None:
    error = httpx.ConnectError(f"can't reach {SLACK.address}")

    assert await send(Messenger(error, error, error)) == NotSent("can't reach its address", passing=True)


async def test_a_destination_that_makes_no_sense_is_a_value() -> None:
    assert isinstance(await send(Messenger(), Destination("slack", "nonsense")), Misconfigured)


async def test_sending_can_be_cancelled() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(send(hang))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_proxy_has_a_client_of_its_own() -> None:
    sender = Sender()
    clients = {id(sender._client(proxy)) for proxy in ("", "http://p.test:1", "http://q.test:1", "")}

    assert len(clients) == 3
    await sender.close()


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
    error = httpx.LocalProtocolError("Illegal header value b'Bearer T'")

    assert await send(Messenger(error)) == NotSent("the request can't be made (LocalProtocolError)")
