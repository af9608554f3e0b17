"""What a library raises is told in words that hold nothing of a request, nor of an answer."""

import socket
import ssl
from collections.abc import Callable
from typing import cast

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from outbound.errors import CannotAskError, NoConnectionError, OutboundError, UntrustedError, told

KEY = ConnectionKey("h", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)


def refused_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: SECRET")
    error.verify_message = "self-signed certificate"
    return error


def from_(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REQUEST = cast("aiohttp.RequestInfo", type("Info", (), {"real_url": URL("http://h/?token=SECRET")}))


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (
            lambda: from_(aiohttp.ClientConnectorCertificateError(KEY, refused_certificate()), refused_certificate()),
            UntrustedError,
            "its certificate isn't trusted (self-signed certificate)",
        ),
        (
            lambda: aiohttp.ClientConnectorCertificateError(KEY, refused_certificate()),
            UntrustedError,
            "its certificate isn't trusted",
        ),
        (
            lambda: from_(aiohttp.ClientConnectorError(KEY, OSError()), ConnectionRefusedError(111, "refused")),
            NoConnectionError,
            "the connection failed ([Errno 111] refused)",
        ),
        (
            lambda: from_(aiohttp.ClientConnectorDNSError(KEY, OSError()), socket.gaierror(-2, "not known")),
            NoConnectionError,
            "the connection failed ([Errno -2] not known)",
        ),
        (lambda: aiohttp.ServerDisconnectedError("SECRET"), NoConnectionError, "closed before an answer"),
        (lambda: aiohttp.ClientPayloadError("SECRET"), NoConnectionError, "the answer broke off"),
        (lambda: aiohttp.ClientConnectionError("SECRET"), NoConnectionError, "the connection failed"),
        (
            lambda: aiohttp.ClientResponseError(REQUEST, (), status=400, message="SECRET"),
            NoConnectionError,
            "what comes is no HTTP",
        ),
        (
            lambda: aiohttp.ClientHttpProxyError(REQUEST, (), status=407, message="SECRET"),
            NoConnectionError,
            "the proxy answers 407",
        ),
        (lambda: aiohttp.InvalidURL("http://SECRET"), CannotAskError, "can't be made (InvalidURL)"),
        (lambda: ValueError("Illegal header value b'SECRET'"), CannotAskError, "can't be made (ValueError)"),
        (lambda: "\ud800".encode("ascii"), CannotAskError, "can't be made (UnicodeEncodeError)"),
    ],
)
def test_an_error_is_told_without_what_it_quotes(
    make: Callable[[], Exception], kind: type[OutboundError], words: str
) -> None:
    try:
        raise make()
    except Exception as error:  # noqa: BLE001 - of any kind
        found = told(error)
    assert type(found) is kind
    assert words in str(found)
    assert "SECRET" not in str(found)
