"""What lets a question in, over a real, local network: tokens that are fetched, certificates, the proxy."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from metrics.access import google
from metrics.access.grants import Grants
from metrics.connections import QUESTIONS
from metrics.conversation import Conversation
from metrics.errors import MisconfiguredError
from metrics.providers import provider_of
from metrics.reading import Cause
from metrics.verdict import Pass, Unavailable, Verdict
from outbound.connections import Connections
from outbound.destinations import Destinations, network
from tests.tools.judged import evaluate
from tests.unit.metrics.known import KNOWN, NOW
from tests.unit.metrics.test_every_provider import good, question
from tests.unit.outbound.servers import answer, saying, serving


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    async with Connections(QUESTIONS) as found:
        yield found


def granting(**fields: object) -> bytes:
    return answer(body=json.dumps({"token_type": "Bearer", **fields}).encode(), Content_Type="application/json")


CLIENT = {"client_id": "S3CRET-id", "client_secret": "S3CRET secret+", "scope": "metrics.read"}


async def test_a_token_is_fetched_once_for_as_long_as_it_holds(connections: Connections) -> None:
    grants = Grants()
    async with (
        serving(saying(good("prometheus", 4.0))) as server,
        serving(saying(granting(access_token="S3CRET-1", expires_in=600))) as tokens,
    ):
        asked = replace(
            question("prometheus", server.url), credentials={**CLIENT, "token_url": f"{tokens.url}/token?tenant=a"}
        )
        for seconds in (0, 500, 541):
            verdict = await evaluate(asked, connections, NOW + timedelta(seconds=seconds), grants)
            assert isinstance(verdict, Pass), verdict.message
    assert [server.header("authorization", number) for number in range(3)] == [["Bearer S3CRET-1"]] * 3
    assert len(tokens.heads) == 2, "a minute before it runs out another one is fetched"
    assert tokens.heads[0].startswith("POST /token?tenant=a ")
    assert parse_qs(tokens.bodies[0].decode()) == {"grant_type": ["client_credentials"], "scope": ["metrics.read"]}
    # Each part is encoded as in a form (RFC 6749, 2.3.1).
    entry = base64.b64encode(b"S3CRET-id:S3CRET+secret%2B").decode()
    assert tokens.header("authorization") == [f"Basic {entry}"]


@pytest.mark.parametrize(
    ("given", "cause", "told"),
    [
        (answer(401, b'{"error": "invalid_client"}'), Cause.UNAUTHORIZED, "HTTP 401: invalid_client"),
        (answer(400, b'{"error": "invalid_client"}'), Cause.UNAUTHORIZED, "HTTP 400: invalid_client"),
        (answer(400, b'{"error": "invalid_scope"}'), Cause.BAD_QUERY, "HTTP 400: invalid_scope"),
        (answer(400, b'{"error_description": "S3CRET-id is not known"}'), Cause.BAD_QUERY, "*** is not known"),
        (answer(503), Cause.SERVER_ERROR, "HTTP 503"),
        (answer(200, b"<html>"), Cause.UNREADABLE, "the answer is not JSON"),
        (granting(), Cause.UNREADABLE, "the answer is not what the API promises"),
        (answer(302, Location="http://127.0.0.1:1/"), Cause.UNREADABLE, "redirects to http://127.0.0.1:1"),
    ],
)
async def test_a_token_that_is_not_given_is_told_and_nothing_is_asked(
    given: bytes, cause: Cause, told: str, connections: Connections
) -> None:
    async with serving(saying(good("prometheus", 4.0))) as server, serving(saying(given)) as tokens:
        asked = replace(question("prometheus", server.url), credentials={**CLIENT, "token_url": tokens.url})
        verdict = await evaluate(asked, connections, NOW, Grants())
    assert isinstance(verdict, Unavailable)
    assert (verdict.cause, server.heads) == (cause, [])
    assert f"token from {tokens.url}: " in verdict.message
    assert told in verdict.message
    assert "S3CRET" not in verdict.message


async def test_a_token_that_is_not_taken_is_fetched_anew(connections: Connections) -> None:
    grants = Grants()
    play = saying(answer(401), good("prometheus", 4.0))
    async with (
        serving(play) as server,
        serving(saying(granting(access_token="S3CRET-1"), granting(access_token="S3CRET-2"))) as tokens,
    ):
        asked = replace(question("prometheus", server.url), credentials={**CLIENT, "token_url": tokens.url})
        assert isinstance(await evaluate(asked, connections, NOW, grants), Unavailable)
        assert isinstance(await evaluate(asked, connections, NOW, grants), Pass)
    assert server.header("authorization", 1) == ["Bearer S3CRET-2"]


@pytest.mark.parametrize("missing", ["client_id", "client_secret", "token_url"])
async def test_what_a_token_needs_is_named(missing: str, connections: Connections) -> None:
    secret = {**CLIENT, "token_url": "http://127.0.0.1:1"}
    del secret[missing]
    asked = replace(question("prometheus", "http://127.0.0.1:1"), credentials=secret)
    verdict = await evaluate(asked, connections, NOW)
    assert isinstance(verdict, Unavailable)
    assert (verdict.cause, f"needs {missing}" in verdict.message) == (Cause.MISCONFIGURED, True)


@dataclass(frozen=True)
class Authority:
    """An authority, and what it has signed: a server of this machine and a client."""

    certificate: str
    server: tuple[str, str]
    client: tuple[str, str]


def pem(key: rsa.RSAPrivateKey) -> str:
    kind, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(3)]
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])

    def sign(name: x509.Name, key: rsa.RSAPrivateKey, *, leads: bool) -> str:
        begin = datetime.now(UTC) - timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(root)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=leads, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
        )
        if not leads:
            names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    signed = [sign(other, key, leads=False) for key in keys[1:]]
    return Authority(sign(root, keys[0], leads=True), (signed[0], pem(keys[1])), (signed[1], pem(keys[2])))


@asynccontextmanager
async def trusted(name: str, authority: Authority, folder: Path, *, client: bool = False) -> AsyncIterator[str]:
    """A server with the authority's certificate, which asks for one of the client's."""
    file = folder / "server.pem"
    file.write_text("".join(authority.server))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if client:
        context.load_verify_locations(cadata=authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=KNOWN[name].body([4.0]), headers={"Content-Type": KNOWN[name].kind})

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asked_with(name: str, address: str, connections: Connections, **secret: str) -> Verdict:
    asked = question(name, address)
    keys = {key.replace("_", ".", 1): value for key, value in secret.items()}
    return await evaluate(replace(asked, credentials={**asked.credentials, **keys}), connections, NOW)


@pytest.mark.parametrize("name", sorted(KNOWN))
async def test_a_certificate_is_trusted_where_the_secret_says_so(
    name: str, authority: Authority, tmp_path: Path, connections: Connections
) -> None:
    async with trusted(name, authority, tmp_path) as address:
        verdict = await asked_with(name, address, connections)
        assert isinstance(verdict, Unavailable)
        assert verdict.cause is Cause.UNREACHABLE
        assert "its certificate isn't trusted" in verdict.message
        assert isinstance(await asked_with(name, address, connections, ca_crt=authority.certificate), Pass)
        unchecked = replace(question(name, address), insecure=True)
        assert isinstance(await evaluate(unchecked, connections, NOW), Pass)
        assert isinstance(await asked_with(name, address, connections), Unavailable), "of that nothing is kept"


async def test_a_certificate_of_our_own_is_shown(
    authority: Authority, tmp_path: Path, connections: Connections
) -> None:
    certificate, key = authority.client
    async with trusted("web", authority, tmp_path, client=True) as address:
        ca = authority.certificate
        assert isinstance(await asked_with("web", address, connections, ca_crt=ca), Unavailable)
        shown = await asked_with("web", address, connections, ca_crt=ca, tls_crt=certificate, tls_key=key)
        assert isinstance(shown, Pass), shown.message


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ({"ca_crt": "S3CRET"}, "the certificates of the authorities can't be read"),
        ({"tls_crt": "S3CRET"}, "needs its key"),
        ({"tls_crt": "S3CRET", "tls_key": "S3CRET"}, "can't be read or are no pair"),
        ({"proxy": "S3CRET://x"}, "the proxy is not an http:// or https:// URL"),
    ],
)
async def test_what_can_t_be_used_of_a_secret_is_told_by_what_it_is_for(
    secret: dict[str, str], told: str, connections: Connections
) -> None:
    verdict = await asked_with("prometheus", "https://127.0.0.1:1", connections, **secret)
    assert isinstance(verdict, Unavailable)
    assert verdict.cause is Cause.MISCONFIGURED
    assert told in verdict.message
    assert "S3CRET" not in verdict.message


async def test_a_question_goes_through_the_proxy_of_its_secret(connections: Connections) -> None:
    async with serving(saying(good("prometheus", 4.0))) as proxy:
        through = proxy.url.replace("//", "//me:S3CRET@")
        verdict = await asked_with("prometheus", "http://metrics.invalid", connections, proxy=through)
    assert isinstance(verdict, Pass), verdict.message
    assert proxy.heads[0].startswith("GET http://metrics.invalid/api/v1/query?")
    assert proxy.header("proxy-authorization") == ["Basic " + base64.b64encode(b"me:S3CRET").decode()]


@pytest.fixture(scope="module")
def account() -> tuple[str, rsa.RSAPrivateKey]:
    """A service account's key, as Google gives it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    document = {"type": "service_account", "client_email": "canary@shop.example", "private_key_id": "k1"}
    return json.dumps({**document, "private_key": pem(key)}), key


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_service_account_signs_its_token_itself(
    account: tuple[str, rsa.RSAPrivateKey], connections: Connections
) -> None:
    """So that no other host is told anything; the token holds for an hour, at Google's API of metrics alone."""
    secret, key = account
    async with serving(saying(good("stackdriver", 4.0))) as server:
        asked = replace(
            question("stackdriver", server.url), credentials={"project": "shop", "serviceAccountKey": secret}
        )
        verdict = await evaluate(asked, connections, NOW)
    assert isinstance(verdict, Pass), verdict.message
    assert server.heads[0].startswith("POST /v3/projects/shop/timeSeries:query ")
    (header,) = server.header("authorization")
    head, claims, signature = header.removeprefix("Bearer ").split(".")
    key.public_key().verify(decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    said = json.loads(decoded(claims))
    assert (said["iss"], said["sub"]) == ("canary@shop.example", "canary@shop.example")
    assert said["aud"] == "https://monitoring.googleapis.com/"
    assert said["exp"] - said["iat"] == 3600
    assert said["iat"] <= NOW.timestamp()


@pytest.mark.parametrize("wrong", ["", "{}", '{"type": "service_account", "client_email": "a", "private_key": "S3C"}'])
def test_what_is_no_key_of_an_account_is_told_by_its_name(wrong: str) -> None:
    with pytest.raises(MisconfiguredError, match="serviceAccountKey") as refused:
        google.signed(wrong, NOW)
    assert "S3C" not in str(refused.value)


async def test_whatever_is_denied_the_controllers_own_account_is_asked_for_and_no_template_gets_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The metadata server has an address that nobody else may have called, on a connection of its own."""
    denied = Destinations(denied=(network("127.0.0.0/8"),))
    async with (
        serving(saying(granting(access_token="S3CRET", expires_in=600))) as metadata,
        Connections(QUESTIONS, destinations=denied) as connections,
    ):
        monkeypatch.setenv("GCE_METADATA_HOST", metadata.url.removeprefix("http://"))
        own = replace(question("stackdriver", ""), address="", credentials={"project": "shop"})
        admitted = await Conversation(own, connections, Grants(), NOW).admitted(provider_of("stackdriver"))
        assert admitted.credentials == {"project": "shop", "token": "S3CRET"}
        verdict = await evaluate(question("prometheus", metadata.url), connections, NOW)
    assert isinstance(verdict, Unavailable)
    assert (verdict.cause, "--allow-destination=127.0.0.1" in verdict.message) == (Cause.MISCONFIGURED, True)
    assert metadata.connections == 1


async def test_the_controllers_own_account_is_shown_to_google_alone(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(saying(granting(access_token="S3CRET", expires_in=600))) as metadata:
        monkeypatch.setenv("GCE_METADATA_HOST", metadata.url.removeprefix("http://"))
        asked = replace(question("stackdriver", "http://127.0.0.1:1"), credentials={"project": "shop"})
        verdict = await evaluate(asked, connections, NOW)
        assert isinstance(verdict, Unavailable)
        assert "is shown to monitoring.googleapis.com alone; name a Secret" in verdict.message
        assert metadata.heads == []
        given = google.token(replace(asked, address=""), {"GCE_METADATA_HOST": "metadata"}, NOW)
        assert not isinstance(given, dict)
