"""Ways to an API server that are values: what is sent, whom it is sent to, and that errors show no credentials."""

import asyncio
import base64
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from canary.kube.access import Access, ClientCertificate, Credential, Hidden, Login, Token, Verification
from canary.kube.errors import Unreachable
from canary.kube.library import ConfigError
from canary.kube.reach import open_access, reach
from tests.tools.authority import Authority, Pair

if TYPE_CHECKING:
    from tests.unit.kube.conftest import ApiServer

AUTHORITY, OTHERS = Authority(), Authority("another authority")
TOKEN = Token(Hidden("t1"))


@asynccontextmanager
async def serving(pair: Pair, folder: Path) -> AsyncIterator[tuple[str, list[web.BaseRequest]]]:
    """An API server on loopback with this certificate, which takes those of clients; what it was asked."""
    (folder / "pair.pem").write_text("".join(pair))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    context.load_verify_locations(cadata=AUTHORITY.certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    asked: list[web.BaseRequest] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request)
        transport = request.transport
        shown = transport.get_extra_info("peercert") if transport is not None else None
        return web.json_response({"items": [], "metadata": {}, "subject": str((shown or {}).get("subject"))})

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def certificate(pair: Pair) -> ClientCertificate:
    return ClientCertificate(pair.certificate, Hidden(pair.key))


async def ask(access: Access) -> str:
    """Whom the server takes for the client."""
    async with reach(access) as client:
        return str((await client.page("/version"))["subject"])


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ((TOKEN,), "Bearer t1"),
        ((Login("hub", Hidden("p")),), f"Basic {base64.b64encode(b'hub:p').decode()}"),
        ((certificate(AUTHORITY.client("hub")),), None),
        ((TOKEN, certificate(AUTHORITY.client("hub"))), "Bearer t1"),
    ],
    ids=["token", "login", "certificate", "both"],
)
async def test_credentials_go_with_each_request(
    tmp_path: Path, credentials: tuple[Credential, ...], header: str | None
) -> None:
    async with serving(AUTHORITY.server(), tmp_path) as (server, asked):
        subject = await ask(Access(f"{server}/k8s/clusters/c-1", credentials, AUTHORITY.certificate))

    assert asked[0].headers.get("Authorization") == header
    assert asked[0].path == "/k8s/clusters/c-1/version"
    assert ("hub" in subject) == any(isinstance(each, ClientCertificate) for each in credentials)


OLD = datetime.now(UTC) - timedelta(days=90)


@pytest.mark.parametrize(
    ("pair", "verification", "name", "is_trusted"),
    [
        (AUTHORITY.server(), Verification.WHOLE, "", True),
        (OTHERS.server(), Verification.WHOLE, "", False),
        (AUTHORITY.server("eu.internal"), Verification.WHOLE, "", False),
        (AUTHORITY.server("eu.internal"), Verification.WHOLE, "eu.internal", True),
        (AUTHORITY.server("eu.internal"), Verification.ANY_NAME, "", True),
        (AUTHORITY.server(begins=OLD), Verification.WHOLE, "", False),
        (AUTHORITY.server(begins=OLD), Verification.ANY_NAME, "", False),
        (OTHERS.server(), Verification.ANY_NAME, "", False),
        (OTHERS.server("eu.internal", begins=OLD), Verification.NONE, "", True),
    ],
)
async def test_whom_credentials_are_sent_to(
    tmp_path: Path, pair: Pair, verification: Verification, name: str, is_trusted: bool
) -> None:
    async with serving(pair, tmp_path) as (server, asked):
        access = Access(server, (TOKEN,), AUTHORITY.certificate, name, verification=verification)
        if is_trusted:
            await ask(access)
        else:
            with pytest.raises(Unreachable):
                await ask(access)

    assert bool(asked) == is_trusted


async def test_without_an_authority_those_of_the_system_are_trusted(tmp_path: Path) -> None:
    async with serving(AUTHORITY.server(), tmp_path) as (server, asked):
        with pytest.raises(Unreachable, match="certificate"):
            await ask(Access(server, (TOKEN,)))

    assert not asked


SPOILED = "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("authority", "pair"),
    [
        ("-----BEGIN CERTIFICATE-----\nczNjcmV0\n-----END CERTIFICATE-----\n", AUTHORITY.client("hub")),
        (AUTHORITY.certificate, Pair(AUTHORITY.client("hub").certificate, SPOILED)),
        (AUTHORITY.certificate, Pair(AUTHORITY.client("hub").certificate, AUTHORITY.client("hub").key)),
    ],
    ids=["no authority", "no key", "no pair"],
)
async def test_what_can_not_be_used_is_told_without_it(authority: str, pair: Pair) -> None:
    with pytest.raises(ConfigError) as raised:
        open_access(Access("https://eu.example.com", (certificate(pair),), authority))

    assert "czNjcmV0" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert "can't be read" in str(raised.value)


async def test_a_named_proxy_is_used_and_that_of_the_environment_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://of-the-environment:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    named = open_access(Access("https://eu.example.com", (TOKEN,), proxy=Hidden("http://named:3128")))
    other = open_access(Access("https://eu.example.com", (TOKEN,)))

    assert [str(each.session._default_proxy) for each in (named, other)] == [
        "http://named:3128",
        "http://of-the-environment:3128",
    ]
    await named.close()
    await other.close()


async def test_what_a_proxy_answers_is_told_without_its_password(api: "ApiServer") -> None:
    proxy = Hidden(api.url.replace("http://", "http://me:s3cret@"))

    with pytest.raises(Unreachable) as raised:
        await ask(Access("https://eu.example.com", (TOKEN,), proxy=proxy))

    assert f"404, message='Not Found', url='{api.url}'" in str(raised.value)
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


async def test_a_proxy_is_given_its_password(tmp_path: Path) -> None:
    """It goes to the proxy alone: not to the server behind it, and not with the address, of which errors speak."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="403"):
            await ask(Access("https://eu.example.com", (TOKEN,), proxy=Hidden(f"http://me:s%2Fcret@127.0.0.1:{port}")))

    assert asked[0].startswith("CONNECT eu.example.com:443")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:s/cret').decode()}" in asked[0]
    assert "Bearer" not in asked[0]
