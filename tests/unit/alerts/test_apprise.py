"""What a server of Apprise says, and what it means: nobody may believe that people were told who were not."""

import asyncio

import pytest

from canary.alerts.alert import Alert, Destination, Field, Link, Misconfigured, Request, destination
from canary.alerts.registry import request
from canary.alerts.send import NotSent, Sender, Sent
from canary.api.alertprovider import parse_alert_provider
from canary.api.analysis import Severity
from outbound.message import Request as Sending
from outbound.message import Response

ALERT = Alert(
    "shop", "prod", "Rolling back.", Severity.ERROR, (Field("Cluster", "eu-1"),), (Link("Wiki", "http://w/"),)
)
URLS = "slack://tokenA/tokenB/tokenC, mailto://me:password@example.com"


def to(secret: dict[str, str] | None = None, **spec: str) -> Destination:
    described = {"type": "apprise", "address": "http://apprise:8000/notify/", **spec}
    if secret is not None:
        described["secretRef"] = {"name": "urls"}  # type: ignore[assignment]
    found = destination(parse_alert_provider({"metadata": {"name": "a", "namespace": "b"}, "spec": described}), secret)
    assert isinstance(found, Destination)
    return found


def sent(where: Destination) -> dict[str, object]:
    found = request(ALERT, where)
    assert not isinstance(found, Misconfigured)
    assert isinstance(found.body, dict)
    return found.body


async def answered(status: int, body: bytes = b"") -> object:
    async def answer(_: Sending) -> Response:
        return Response(status, body)

    async with Sender(answer) as sender:
        return await sender.send(ALERT, to({"urls": URLS}))


def test_the_server_is_told_what_happened_and_how_grave_it_is() -> None:
    assert sent(to()) == {
        "title": "shop.prod",
        "body": "Rolling back.\nCluster: eu-1\nWiki: http://w/",
        "type": "failure",
        "format": "text",
    }


def test_the_tag_and_the_services_go_along_where_they_are_given() -> None:
    assert sent(to(channel="on-call"))["tag"] == "on-call"
    assert sent(to({"urls": f"{URLS}\n"}))["urls"] == URLS


def test_the_urls_are_no_key_that_others_send_away() -> None:
    chat = destination(
        parse_alert_provider(
            {
                "metadata": {"name": "a", "namespace": "b"},
                "spec": {"type": "webhook", "address": "http://w", "secretRef": {"name": "urls"}},
            }
        ),
        {"urls": URLS},
    )
    assert isinstance(chat, Destination)
    assert chat.secrets == {}


def test_urls_are_shown_nowhere() -> None:
    found = request(ALERT, to({"urls": URLS}))

    assert isinstance(found, Request)
    assert "password" not in repr(found) + repr(to({"urls": URLS}))


async def test_a_2xx_alone_does_not_mean_that_anybody_was_told() -> None:
    """Where no URL is valid, or no configuration has the key, the server answers 204."""
    assert await answered(200) == Sent()
    found = await answered(204)
    assert isinstance(found, NotSent)
    assert "there is no service to tell" in found.reason
    assert not found.passing


@pytest.mark.parametrize("status", [400, 403, 424])
async def test_a_refusal_is_told_without_the_server_s_words_and_not_repeated(status: int) -> None:
    """Its words are the log of what it did, URLs included; and where one of several services failed others have it."""
    found = await answered(status, b"could not send to mailto://me:password@example.com")
    assert isinstance(found, NotSent)
    assert f"answered {status}" in found.reason
    assert "mailto" not in found.reason
    assert not found.passing


@pytest.mark.looptime
async def test_a_server_that_is_slow_is_given_more_time_and_not_told_twice() -> None:
    """It answers once all services have: who hears nothing by then may still be told by it."""
    tries = 0

    async def slow(_: Sending) -> Response:
        nonlocal tries
        tries += 1
        await asyncio.sleep(3600)
        raise AssertionError

    async with Sender(slow) as sender:
        found = await sender.send(ALERT, to())
    assert found == NotSent("no answer within 25s; it is not told again, as it may have told others by then")
    assert tries == 1
