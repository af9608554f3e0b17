"""The edge where requests meet the network: the one place for limits of time, size, number, and for redirects.

- One deadline holds for all of an answer: turn at a connection aside, from the look for the host's address to the
  body's last byte, redirects and a second try included. Whoever drips bytes keeps nobody for longer.
- Answers are asked for unpacked, and those that come packed are not read: a limit of size holds on what is kept.
- A redirect is followed within the same origin only (scheme, host and port), with the same method and body. So nothing
  that lets a request in comes to another host, and no answer of a host that was not named is read.
- Requests to one host have a number of turns of their own, so that one that is dead keeps nobody from others.
- What may be called is held against the address of the socket, right before it connects: whatever a name led to when
  somebody looked. Behind a proxy that is the proxy's, and of the destination only what is written as a number.
- Proxies and trusted authorities are those of the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`,
  `SSL_CERT_FILE`, `SSL_CERT_DIR`. No cookies are kept, as connections are shared between teams.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from outbound.destinations import Destinations
from outbound.errors import (
    CannotAskError,
    NoConnectionError,
    OutboundError,
    PackedError,
    TooLargeError,
    TooLateError,
    told,
)
from outbound.message import Headers, Request, Response, basic, check
from outbound.resolver import Resolver
from outbound.slots import Slots
from outbound.tls import context
from outbound.trace import added_to

Transport = Callable[[Request], Awaitable[Response]]
"""Sends one request; it may raise what the HTTP library raises."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = 303
_WEB = frozenset({"http", "https"})
_LONGEST_NAME = 253
_HEADERS = {"User-Agent": "canary-controller", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Manner:
    """How one kind of server is spoken to.

    Args:
        total: requests under way at once.
        per_host: those of one host and port.
        largest: bytes of an answer's body.
        cut: whether of a larger one the beginning will do; else it is refused.
        partial: whether of one that breaks off the beginning will do, too.
        again: whether a request may be sent once more where the connection breaks, which it may where it only reads.
        redirects: how many are followed.
        idle: seconds that a connection is kept open for the next request; 0 for one request each.
        patience: seconds that a request waits for its turn; None for as long as it takes.
        accept: the kinds of answer that are asked for.
    """

    total: int
    per_host: int
    largest: int
    cut: bool = False
    partial: bool = False
    again: bool = False
    redirects: int = 5
    idle: float = 0
    patience: float | None = None
    accept: str = "*/*"


class Sender(Protocol):
    """Who sends requests: `Connections`, or what stands before them."""

    async def send(self, request: Request, deadline: float) -> Response:
        """See `Connections.send`."""


class Connections:
    """Connections to one kind of server, made when first needed; an async context manager.

    Args:
        manner: how these servers are spoken to.
        transport: what carries the requests, the network where none is given.
        destinations: which addresses may be called; any where none is given.
    """

    def __init__(
        self, manner: Manner, transport: Transport | None = None, destinations: Destinations | None = None
    ) -> None:
        self._manner = manner
        self._transport = transport or self._send
        self._slots = Slots(manner.total, manner.per_host)
        self._destinations = destinations
        # By whether they are for requests to this machine alone: these may lead where no other may, and a connection
        # that is kept would be used by all.
        self._open: dict[bool, aiohttp.ClientSession] = {}
        # A connection is used again by those of the same context only.
        self._context = lru_cache(maxsize=64)(context)
        self._proxy_for = lru_cache(maxsize=256)(_proxy_for)

    async def send(self, request: Request, deadline: float) -> Response:
        """Send a request, follow where it leads within its origin, and read the answer.

        Args:
            request: what to ask.
            deadline: seconds that the whole may take, once it is its turn.

        Raises:
            CannotAskError: no request can be made of it, or (RefusedError) nobody may be called there.
            CrowdedError: it did not get its turn.
            TooLateError: the answer is not complete in time.
            NoConnectionError: there is no connection, or it broke.
            UntrustedError: the server's certificate was refused.
            TooLargeError: the answer is larger than it may be.
            PackedError: it comes packed.
        """
        check(request.headers)
        try:
            url = _url(request.url)
            request, host = _without_user(request, url), f"{url.host}:{url.port}"
        except ValueError as error:
            raise told(error) from None
        async with self._slots.of(host, self._manner.patience):
            try:
                async with asyncio.timeout(deadline):
                    return await self._follow(request)
            except TimeoutError:
                raise TooLateError(f"no answer within {deadline:g} s") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._open.values():
            await each.close()
        self._open.clear()

    async def _follow(self, request: Request) -> Response:
        followed = 0
        while True:
            answer = await self._try(request)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            onward, leads_to = _onward(request, answer.status, location)
            if onward is None or followed == self._manner.redirects:
                return replace(answer, leads_to=leads_to)
            request, followed = onward, followed + 1

    async def _try(self, request: Request) -> Response:
        """Send a request, and once more where that is allowed: a kept connection that is closed shows only now."""
        try:
            return await self._once(request)
        except NoConnectionError:
            if not self._manner.again:
                raise
        return await self._once(request)

    async def _once(self, request: Request) -> Response:
        try:
            return await self._transport(request)
        except OutboundError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Its own text, and its cause's, hold whole requests.
            raise told(error) from None

    async def _send(self, request: Request) -> Response:
        url = _url(request.url)
        headers = [each for each in added_to(request.headers) if each[0].lower() != "accept-encoding"]
        named = "" if request.direct else request.proxy or self._proxy_for(url.scheme, url.host or "")
        proxy, entry = _proxy(named)
        if url.scheme == "http":
            headers += entry
        if proxy is not None and self._destinations is not None:
            self._destinations.check(url.host or "")
        answer = await self._session(direct=request.direct).request(
            request.method,
            url,
            headers=headers,
            data=request.body,
            proxy=proxy,
            proxy_headers=dict(entry),
            ssl=self._context(request.tls, insecure=request.insecure),
            allow_redirects=False,
        )
        try:
            received = {name.lower(): value for name, value in reversed(list(answer.headers.items()))}
            return Response(answer.status, await self._body(answer), received)
        finally:
            # One that was read to its end has given its connection back already.
            answer.close()

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        """The body, within the limit; of a redirect none."""
        if answer.status in _REDIRECTS:
            return b""
        largest, cut = self._manner.largest, self._manner.cut
        if any(each.strip().lower() not in {"", "identity"} for each in answer.headers.getall("Content-Encoding", ())):
            if cut:
                return b""
            raise PackedError("the answer is packed (Content-Encoding), which it was not asked to be")
        body = bytearray()
        try:
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) >= largest and cut:
                    break
                if len(body) > largest:
                    raise TooLargeError(f"the answer is larger than {_size(largest)}")
        except (aiohttp.ClientError, OSError):
            if not self._manner.partial:
                raise
        return bytes(body[:largest])

    def _session(self, *, direct: bool) -> aiohttp.ClientSession:
        if direct not in self._open:
            connector = self._connector(None, 0) if direct else self._connector(self._destinations, self._manner.idle)
            self._open[direct] = aiohttp.ClientSession(
                connector=connector,
                headers={**_HEADERS, "Accept": self._manner.accept},
                skip_auto_headers=("Content-Type",),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),  # the deadline of the whole holds
            )
        return self._open[direct]

    @staticmethod
    def _connector(destinations: Destinations | None, idle: float) -> aiohttp.TCPConnector:
        def opened(where: aiohttp.AddrInfoType) -> socket.socket:
            if destinations is not None:
                destinations.check(str(where[4][0]))
            return socket.socket(where[0], where[1], where[2])

        resolver = Resolver(destinations)
        # How many connections there are hangs on the turns that are given.
        if idle:
            return aiohttp.TCPConnector(limit=0, keepalive_timeout=idle, resolver=resolver, socket_factory=opened)
        return aiohttp.TCPConnector(limit=0, force_close=True, resolver=resolver, socket_factory=opened)


def _url(address: str) -> URL:
    """The address, as it is written where a request can hold that, else encoded.

    Raises:
        ValueError: it is none.
    """
    return URL(address, encoded=address.isascii() and address.isprintable() and " " not in address)


def _without_user(request: Request, url: URL) -> Request:
    """The request with name and password as a header, the only one of its kind, and not in the URL."""
    if url.scheme not in _WEB or not url.host:
        raise CannotAskError("the request can't be made: its address is not an http:// or https:// URL")
    if url.raw_user is None and url.raw_password is None:
        # Neither name nor password may stand before an @ that is written all the same.
        written = "@" in request.url and "@" in urlsplit(request.url).netloc
        return replace(request, url=str(url.with_user(None))) if written else request
    headers = [each for each in request.headers if each[0].lower() != "authorization"]
    plain = str(url.with_user(None))
    return replace(request, url=plain, headers=(*headers, basic(url.user or "", url.password or "")))


def _onward(request: Request, status: int, location: str) -> tuple[Request | None, str]:
    """The request that a redirect asks for, None where it must not be followed; and the place that it leads to."""
    here = _url(request.url)
    try:
        there = here.join(_url(location))
        if there.scheme not in _WEB or not there.host or len(there.host) > _LONGEST_NAME:
            return None, "what is no http:// or https:// address"
        there, leads_to = there.with_user(None), str(there.origin())
    except ValueError:
        return None, "what is no address"
    strange = (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port)
    if strange or (status == _SEE_OTHER and request.method != "GET"):
        return None, leads_to
    return replace(request, url=str(there)), leads_to


def _proxy(address: str) -> tuple[URL | None, Headers]:
    """A proxy without what lets one in, and the header that does.

    Raises:
        CannotAskError: it is no address.
    """
    if not address:
        return None, ()
    words = "the request can't be made: the proxy is not an http:// or https:// URL"
    try:
        url = URL(address if "://" in address else f"http://{address}")
    except ValueError:
        raise CannotAskError(words) from None
    if url.scheme not in _WEB or not url.host:
        raise CannotAskError(words)
    if url.raw_user is None:
        return url, ()
    return url.with_user(None), (("Proxy-Authorization", basic(url.user or "", url.password or "")[1]),)


def _proxy_for(scheme: str, host: str) -> str:
    """The proxy that the environment names for a server; looked up once each, as that takes longer than a request."""
    named = getproxies()
    return "" if proxy_bypass(host) else named.get(scheme) or named.get("all") or ""


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"
