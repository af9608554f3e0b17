"""What lets a call in, and how its receiver knows it: headers, Secrets, certificates, signatures, ids."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.analysis import Webhook
from canary.webhooks import HOOKS, LONGEST_REST, Approved, Outcome, Rejected, Unreachable, call, judge, message_id
from outbound import access, signature
from outbound.connections import Connections
from outbound.message import Request, Response
from tests.unit.metrics import test_access
from tests.unit.metrics.test_access import Authority, trusted
from tests.unit.webhooks.test_webhooks import Receiver, a_canary, a_hook

KEY = "whsec_" + "c2VjcmV0" * 5
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs/webhooks.md"

authority = test_access.authority


async def called(
    secret: dict[str, str] | None, *answers: Response, hook: Webhook | None = None, **options: Any
) -> tuple[Outcome, list[Request]]:
    """What a call comes to, and what its receiver hears."""
    receiver = Receiver(*(answers or (Response(200),)))
    async with Connections(HOOKS, receiver) as connections:
        outcome = await call(connections, hook or a_hook(), {"name": "app"}, secret=secret, **options)
    return outcome, receiver.requests


async def heard(secret: dict[str, str] | None, **options: Any) -> Request:
    _, (request,) = await called(secret, **options)
    return request


# --- What lets a call in ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"token": "S3CRET\n"}, ("Authorization", "Bearer S3CRET")),
        ({"username": "me", "password": "S3CRET"}, ("Authorization", "Basic bWU6UzNDUkVU")),
        ({"header.X-Key": "S3CRET"}, ("X-Key", "S3CRET")),
    ],
)
async def test_a_secret_lets_a_call_in(secret: dict[str, str], header: tuple[str, str]) -> None:
    assert header in (await heard(secret)).headers


async def test_of_a_header_that_comes_twice_the_secrets_counts_and_before_that_the_hooks() -> None:
    hook = a_hook(headers={"x-key": ["plain"], "content-type": ["application/cloudevents+json"], "X-Two": ["1", "2"]})
    request = await heard({"header.X-Key": "S3CRET", "token": "t"}, hook=hook)
    assert request.headers == (
        ("content-type", "application/cloudevents+json"),
        ("X-Two", "1"),
        ("X-Two", "2"),
        ("Authorization", "Bearer t"),
        ("X-Key", "S3CRET"),
    )


async def test_a_proxy_is_the_secrets() -> None:
    assert (await heard({"proxy": " http://proxy.test:3128\n"})).proxy == "http://proxy.test:3128"


async def test_a_certificate_is_shown_and_an_authority_trusted(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.client
    ca, shown = {"ca.crt": authority.certificate}, {"tls.crt": certificate, "tls.key": key}
    async with trusted("prometheus", authority, tmp_path, client=True) as url, Connections(HOOKS) as connections:
        hook = a_hook(url=url)
        assert await call(connections, hook, {}, secret=ca | shown) == Approved(200)
        for less in (ca, shown, None):
            assert isinstance(await call(connections, hook, {}, secret=less), Unreachable)


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ({"password1": "S3CRET"}, "its Secret has no key that a webhook needs, such as token or signing.key"),
        ({}, "its Secret has no key that a webhook needs, such as token or signing.key"),
        ({"token": "S3CRET\nS3CRET"}, "the request can't be made: header Authorization holds what no header can"),
        (
            {"signing.key": "S3CRET"},
            "signing.key in its Secret is not whsec_ and 24 to 64 bytes in base64; make one by",
        ),
    ],
)
async def test_a_secret_that_is_of_no_use_is_told_without_it_and_nobody_is_called(
    secret: dict[str, str], told: str
) -> None:
    outcome, requests = await called(secret, hook=a_hook(retries=3), message="m")
    assert isinstance(outcome, Unreachable)
    assert outcome.reason.startswith(told)
    assert "S3CRET" not in outcome.message
    assert requests == []


async def test_what_a_receiver_repeats_is_told_without_the_secret() -> None:
    secret = {"token": "S3CRET-token", "header.X-Key": "S3CRET-key", "signing.key": KEY}
    said = f"Bearer S3CRET-token with S3CRET-key and {KEY} is not known"
    outcome, _ = await called(secret, Response(403, said.encode()))
    assert outcome == Rejected(403, "Bearer *** with *** and *** is not known")


# --- How a call is known ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def genuine() -> Callable[[str, dict[str, str], bytes], bool]:
    """The check as it stands in the documentation."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102 - what users copy
    return cast("Callable[[str, dict[str, str], bytes], bool]", found["genuine"])


def clock() -> datetime:
    return datetime.fromtimestamp(time.time(), tz=UTC)


async def signed(key: str = KEY, at: Callable[[], datetime] = clock) -> tuple[dict[str, str], bytes]:
    request = await heard({"signing.key": key}, message="canary_1", now=at)
    return dict(request.headers), request.body or b""


def test_the_check_of_the_documentation_has_ten_lines_at_most() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 10


async def test_the_documentations_check_takes_a_call_that_is_genuine(
    genuine: Callable[[str, dict[str, str], bytes], bool],
) -> None:
    headers, body = await signed()
    assert genuine(KEY, headers, body)


async def test_it_takes_either_key_while_one_is_changed_for_another(
    genuine: Callable[[str, dict[str, str], bytes], bool],
) -> None:
    other = "whsec_" + "bmV3" * 8
    headers, body = await signed(f"{other}\n{KEY}")
    assert genuine(KEY, headers, body)
    assert genuine(other, headers, body)


async def test_it_refuses_what_was_altered_sent_late_or_signed_by_another_key(
    genuine: Callable[[str, dict[str, str], bytes], bool],
) -> None:
    headers, body = await signed()
    assert not genuine(KEY, headers, body + b" ")
    assert not genuine("whsec_" + "b3RoZXI=" * 3, headers, body)
    for name in ("webhook-id", "webhook-timestamp"):
        assert not genuine(KEY, {**headers, name: headers[name][:-1]}, body)
    for late in (timedelta(minutes=6), timedelta(minutes=-6)):
        assert not genuine(KEY, *await signed(at=lambda late=late: clock() - late))  # type: ignore[misc]
    assert not genuine(KEY, {**headers, "webhook-signature": "v1,"}, body)


@pytest.mark.looptime
async def test_each_try_has_the_same_id_and_body_and_its_own_time() -> None:
    times = iter(NOW + timedelta(seconds=second) for second in range(0, 100, 10))
    _, (first, second) = await called(
        {"signing.key": KEY},
        Response(500),
        Response(200),
        hook=a_hook(retries=1),
        message="canary_1",
        now=lambda: next(times),
    )
    one, two = dict(first.headers), dict(second.headers)
    assert (one["webhook-id"], first.body) == (two["webhook-id"], second.body)
    assert one["webhook-timestamp"] != two["webhook-timestamp"]
    assert one["webhook-signature"] != two["webhook-signature"]


async def test_no_secret_says_what_the_signature_says() -> None:
    request = await heard({"header.Webhook-Id": "forged", "signing.key": KEY}, message="canary_1")
    assert [value for name, value in request.headers if name.lower() == "webhook-id"] == ["canary_1"]


def test_an_id_is_one_for_each_canary_hook_and_moment() -> None:
    canary, hook = a_canary(), a_hook()
    other = canary.replace(metadata=canary.metadata.replace(uid="2"))
    variants = [a_hook(name="b"), a_hook(url="http://other.test/"), a_hook(type="event"), a_hook(metadata={"a": "b"})]
    ids = [message_id(canary, hook, "1"), message_id(canary, hook, "2"), message_id(other, hook, "1")]
    ids += [message_id(canary, each, "1") for each in variants]
    assert len(set(ids)) == len(ids)
    assert message_id(canary, a_hook(), "1") == ids[0]
    assert all(re.fullmatch(r"canary_[0-9a-f]{32}", each) for each in ids)


def test_every_key_of_a_secret_is_told() -> None:
    keys = {access.AUTHORITY, access.CERTIFICATE, access.KEY, access.PROXY, f"{access.HEADER}NAME", signature.KEY}
    keys |= {access.TOKEN, access.USERNAME, access.PASSWORD}
    assert [key for key in keys if f"`{key}`" not in PAGE.read_text()] == []


# --- Retry-After --------------------------------------------------------------------------------------------


def rest(header: str) -> timedelta | None:
    outcome = judge(Response(503, headers={"retry-after": header}), NOW).outcome
    assert isinstance(outcome, Rejected)
    return outcome.rest


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("120", timedelta(minutes=2)),
        ("Thu, 01 Jan 2026 00:01:00 GMT", timedelta(minutes=1)),
        ("Wed, 31 Dec 2025 23:59:00 GMT", timedelta(0)),
        ("Fri, 02 Jan 2026 00:00:00 GMT", LONGEST_REST),
        ("86400", LONGEST_REST),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_a_receiver_asks_to_be_left_alone_in_seconds_or_by_a_date(header: str, asked: timedelta | None) -> None:
    assert rest(header) == asked


async def test_that_it_asks_to_be_left_alone_is_told() -> None:
    outcome, _ = await called(None, Response(503, b"busy", headers={"retry-after": "120"}))
    assert outcome.message == "answered 503: busy (it asks to be left alone for 120 s)"


@given(st.text(max_size=60))
def test_whatever_it_says_no_rest_is_longer_than_the_longest(header: str) -> None:
    asked = rest(header)
    assert asked is None or timedelta(0) <= asked <= LONGEST_REST
