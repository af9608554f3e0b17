"""Connections to metrics servers: requests and answers as values, on the network."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from yarl import URL

from metrics.errors import MisconfiguredError, UnreadableError
from metrics.wire import Headers, Request, Response

Transport = Callable[[Request, bool], Awaitable[Response]]
"""Sends a request, taking any certificate where the second argument says so; see `Clients.send` for what it raises."""

BROKEN = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError)
"""What is raised where the connection fails, or what comes is no HTTP."""

_LARGEST_ANSWER = 4 * 1024 * 1024
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Clients:
    """The HTTP sessions that all questions share; each is made when first needed.

    Connections are kept open between questions. Proxies, and the authorities that are trusted, come from the
    environment (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`).

    Args:
        transport: what carries the requests, the network where none is given.
    """

    def __init__(self, transport: Transport | None = None) -> None:
        self._transport = transport or self._send
        self._open: dict[bool, aiohttp.ClientSession] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}

    async def send(self, request: Request, *, insecure: bool, private: bool = False) -> Response:
        """Send a request, follow where it leads, and read the whole answer.

        Args:
            request: what to ask.
            insecure: whether any certificate will do.
            private: whether it holds what lets it in, which leaves its host for no other.

        Raises:
            MisconfiguredError: its headers can't be sent.
            UnreadableError: the answer is too large, or leads nowhere.
            ValueError: its URL can't be asked.
            aiohttp.ClientError: one of `BROKEN`.
        """
        _check(request.headers)
        for _ in range(_MOST_REDIRECTS):
            answer = await self._transport(request, insecure)
            if answer.status not in _REDIRECTS or not answer.location:
                return answer
            request = _onward(request, answer, private=private)
        raise UnreadableError("it redirects without end")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._open.values():
            await session.close()
        self._open.clear()

    async def _send(self, request: Request, insecure: bool) -> Response:
        # What a provider builds is encoded already. Only what people write in an address may not be.
        url = URL(request.url, encoded=request.url.isascii() and request.url.isprintable() and " " not in request.url)
        # Names and passwords in the address are a header of their own, which must not be there twice.
        headers = [each for each in request.headers if url.user is None or each[0].lower() != "authorization"]
        async with self._session(insecure=insecure).request(
            request.method,
            url,
            headers=headers,
            data=request.body,
            proxy=self._proxy(url),
            allow_redirects=False,
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    answer.close()
                    raise UnreadableError(f"the answer is larger than {_LARGEST_ANSWER >> 20} MiB")
            return Response(answer.status, bytes(body), answer.headers.get("Location", ""))

    def _session(self, *, insecure: bool) -> aiohttp.ClientSession:
        session = self._open.get(insecure)
        if session is None:
            trusted: ssl.SSLContext | bool = False if insecure else httpx.create_ssl_context()
            session = self._open[insecure] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=90, ssl=trusted),
                headers={"User-Agent": "canary-controller", "Accept": "application/json"},
                skip_auto_headers=("Content-Type",),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the deadline of the whole question holds
            )
        return session

    def _proxy(self, url: URL) -> str | None:
        """The proxy that the environment names for a server; looked up once, as that takes longer than a question."""
        key = (url.scheme, url.host or "")
        if key not in self._proxies:
            named = getproxies()
            self._proxies[key] = None if proxy_bypass(key[1]) else named.get(key[0]) or named.get("all")
        return self._proxies[key]


def _onward(request: Request, answer: Response, *, private: bool) -> Request:
    """The request that a redirect asks for.

    Raises:
        UnreadableError: it leads nowhere, or where this request must not go.
    """
    url = urljoin(request.url, answer.location)
    here, there = urlsplit(request.url), urlsplit(url)
    if there.scheme not in {"http", "https"} or not there.hostname:
        raise UnreadableError("it redirects to what is no http:// or https:// URL")
    strange = there.hostname != here.hostname or (here.scheme, there.scheme) == ("https", "http")
    if private and strange:
        raise UnreadableError(f"it redirects to {there.hostname}, where its headers and credentials must not go")
    if answer.status in _KEEP_METHOD or request.method == "GET":
        return replace(request, url=url)
    headers = tuple(each for each in request.headers if not each[0].lower().startswith("content-"))
    return Request("GET", url, headers)


def _check(headers: Headers) -> None:
    """Refuse what no HTTP header can hold; the text never quotes a value, which may be a secret.

    Raises:
        MisconfiguredError: one of them can't be sent.
    """
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise MisconfiguredError(f"the request can't be made: {name!r} is no name of a header")
        if not value.isascii() or not value.replace("\t", " ").isprintable():
            raise MisconfiguredError(f"the request can't be made: header {name} holds what no header can")
