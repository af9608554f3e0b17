"""Alerts over real connections: whatever a messenger does, each alert is taken once, or it is known why it wasn't.

Servers on the loopback do all that goes wrong. Nothing here hangs on how fast the machine is: a time limit that must
be reached is short and its server never answers, and every other one is longer than any machine takes.
"""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from canary.alerts import send as sending
from canary.alerts.alert import Alert, Destination
from canary.alerts.registry import MESSENGERS
from canary.alerts.send import NotSent, Outcome, Sender, Sent
from canary.api.analysis import Severity
from outbound.tls import USUAL, Tls
from tests.unit.outbound.servers import OK, Play, Server, answer, saying, serving

ALERT = Alert("podinfo", "test", "Rolling back.", Severity.ERROR)
TYPES = ("slack", "webhook", "apprise")
"""One whose token goes along, one whose body is a template, one that hands on; the others are as the first."""

SECRET = "/hooks/T0123456789/SECRETSECRET"
TOKEN = "TOKENTOKEN"

pytestmark = pytest.mark.parametrize("type_", TYPES)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait between tries, and a time limit that no answer here reaches."""
    monkeypatch.setattr(sending, "WAITS", (timedelta(0), timedelta(0)))
    limit(monkeypatch, 60)


def limit(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    patient = {name: replace(each, timeout=timedelta(seconds=seconds)) for name, each in MESSENGERS.items()}
    monkeypatch.setattr(sending, "MESSENGERS", patient)


async def tell(type_: str, url: str, tls: Tls = USUAL) -> Outcome:
    to = Destination(type_, f"{url}{SECRET}", token=TOKEN, tls=tls)
    async with Sender() as sender:
        outcome = await sender.send(ALERT, to)
    assert not any(each in repr(outcome) for each in ("SECRETSECRET", TOKEN))
    return outcome


async def told(type_: str, play: Play) -> tuple[Outcome, Server]:
    async with serving(play) as server:
        return await tell(type_, server.url), server


async def test_an_alert_is_taken_once(type_: str) -> None:
    outcome, server = await told(type_, saying(OK))

    assert outcome == Sent()
    (body,) = server.bodies
    assert "Rolling back." in json.dumps(json.loads(body))
    assert server.heads[0].startswith(f"POST {SECRET}")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
async def test_trouble_that_passes_is_tried_again_until_it_is_taken(type_: str, status: int) -> None:
    outcome, server = await told(type_, saying(answer(status), answer(status, Retry_After="0"), OK))

    assert (outcome, len(server.heads)) == (Sent(), 3)


async def test_a_messenger_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks(type_: str) -> None:
    """Not by waiting here: another try before that would only be refused, too."""
    outcome, server = await told(type_, saying(answer(429, b"slow down", Retry_After="45")))

    assert isinstance(outcome, NotSent)
    assert (outcome.passing, outcome.rest, len(server.heads)) == (True, timedelta(seconds=45), 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_a_refusal_is_not_repeated(type_: str, status: int) -> None:
    """Its words are told without what they repeat."""
    words = f"no hook {SECRET} for {TOKEN}".encode()
    outcome, server = await told(type_, saying(answer(status, words, Content_Type="text/plain")))

    assert isinstance(outcome, NotSent)
    assert (outcome.passing, len(server.heads)) == (False, 1)
    assert f"answered {status}" in outcome.reason


async def test_who_never_answers_is_left_in_time(type_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    limit(monkeypatch, 0.2)
    outcome, server = await told(type_, hang)

    assert isinstance(outcome, NotSent)
    assert "no answer within 0.2s" in outcome.reason
    # Who hands on what it is told may have done so. (How many tries there are is shown in virtual time.)
    assert outcome.passing is (type_ != "apprise")
    assert len(server.heads) <= (1 if type_ == "apprise" else 3)


async def test_who_takes_it_and_breaks_off_is_not_told_twice(type_: str) -> None:
    async def break_off(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nok")
        await writer.drain()
        writer.close()

    outcome, server = await told(type_, break_off)

    assert (outcome, len(server.heads)) == (Sent(), 1)


async def test_who_breaks_off_before_an_answer_is_told_again(type_: str) -> None:
    async def break_off_once(writer: asyncio.StreamWriter, number: int) -> None:
        if number:
            writer.write(OK)
        else:
            writer.close()

    outcome, server = await told(type_, break_off_once)

    assert (outcome, len(server.heads)) == (Sent(), 2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_goes_where_a_messenger_leads_to(type_: str, status: int) -> None:
    async with serving(saying(OK)) as elsewhere:
        outcome, server = await told(type_, saying(answer(status, Location=f"{elsewhere.url}/SECRETSECRET?to=me")))
        assert elsewhere.connections == 0

    assert outcome == NotSent(f"answered {status}: a redirect to {elsewhere.url}, which is not followed")
    assert len(server.heads) == 1


async def test_who_does_not_listen_may_later(type_: str, unused_tcp_port: int) -> None:
    outcome = await tell(type_, f"http://127.0.0.1:{unused_tcp_port}")

    assert isinstance(outcome, NotSent)
    assert outcome.passing
    assert "the connection failed" in outcome.reason


async def test_a_name_that_is_not_known_now_may_be_later(type_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = await tell(type_, "http://hooks.test")

    assert isinstance(outcome, NotSent)
    assert outcome.passing
    assert "Temporary failure in name resolution" in outcome.reason


async def test_a_name_server_that_is_silent_stops_nobody_else(type_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> NoReturn:
        time.sleep(3)
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    limit(monkeypatch, 0.1)
    monkeypatch.setattr(sending, "WAITS", ())
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", silent)
        outcome = await tell(type_, "http://hooks.test")

    assert isinstance(outcome, NotSent)
    assert "no answer within 0.1s" in outcome.reason


# --- TLS -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate() -> tuple[str, str]:
    """A certificate that its own authority alone vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a messenger")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    form, open_ = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(encoding).decode(), key.private_bytes(encoding, form, open_).decode()


@asynccontextmanager
async def over_tls(certificate: tuple[str, str], folder: Path) -> AsyncIterator[Server]:
    """A server with that certificate."""
    file = folder / "server.pem"
    file.write_text("".join(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with serving(saying(OK), context) as server:
        yield server


async def test_nothing_is_told_to_whom_nobody_vouches_for(
    type_: str, certificate: tuple[str, str], tmp_path: Path
) -> None:
    """It may be vouched for later: a certificate that has run out is renewed."""
    async with over_tls(certificate, tmp_path) as server:
        outcome = await tell(type_, f"https://127.0.0.1:{server.port}")

    assert isinstance(outcome, NotSent)
    assert "its certificate isn't trusted" in outcome.reason
    assert outcome.passing
    assert server.heads == []


async def test_whom_the_secrets_authority_vouches_for_is_told(
    type_: str, certificate: tuple[str, str], tmp_path: Path
) -> None:
    async with over_tls(certificate, tmp_path) as server:
        outcome = await tell(type_, f"https://127.0.0.1:{server.port}", Tls(certificate[0]))

    assert outcome == Sent()
    assert len(server.heads) == 1
