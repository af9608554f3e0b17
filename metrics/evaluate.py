"""The edge where questions meet the network: the one place for deadlines, retries, TLS and proxies."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

import httpx

from metrics.errors import MisconfiguredError, ProviderError, TimedOutError, UnreachableError, UnreadableError
from metrics.providers import provider_of
from metrics.question import Question
from metrics.verdict import Unavailable, Verdict, judge, unavailable
from metrics.wire import Request, Response, place

_LARGEST_ANSWER = 4 * 1024 * 1024
_TRIES = 2
_MOST_REDIRECTS = 10


class Clients:
    """The HTTP clients that all questions share; each is made when first needed.

    Connections are kept open between questions. Proxies, and the authorities that are trusted, come from the
    environment (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`).

    Args:
        transport: what carries the requests, the network where none is given.
        trust: the certificates that are trusted, to share what another client has read (reading them takes longer
            than a hundred questions); read at the first question where none is given.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None, trust: ssl.SSLContext | None = None) -> None:
        self._transport = transport
        self._trust = trust
        self._open: dict[bool, httpx.AsyncClient] = {}
        self._closing = AsyncExitStack()

    def get(self, *, insecure: bool) -> httpx.AsyncClient:
        """The client that checks certificates, or the one that doesn't."""
        client = self._open.get(insecure)
        if client is None:
            client = httpx.AsyncClient(
                verify=False if insecure else self._trust or True,
                transport=self._transport,
                timeout=None,  # noqa: S113 - the deadline of the whole question holds
                headers={"User-Agent": "canary-controller", "Accept": "application/json"},
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=90),
            )
            self._closing.push_async_callback(client.aclose)
            self._open[insecure] = client
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.clear()
        await self._closing.aclose()


async def evaluate(question: Question, clients: Clients, now: datetime) -> Verdict:
    """Ask a metrics server and judge its answer; outside trouble becomes `Unavailable`, never an error.

    Args:
        question: what to ask.
        clients: where the connections are kept.
        now: the time of asking, for queries over a time range and for the verdict.

    Returns:
        The verdict, within the provider's deadline.
    """
    try:
        provider = provider_of(question.provider)
        request = provider.build(question, now)
        response = await _ask(question, request, clients, provider.deadline)
        return judge(question, provider.parse(response), now)
    except ProviderError as error:
        return unavailable(question, error.cause, f"{_who(question)}: {error}", now)


async def trouble(question: Question, clients: Clients, now: datetime) -> Unavailable | None:
    """See whether the question's server is there and lets us in, without asking the question.

    Returns:
        None where it is and does, within the provider's deadline; else why not.
    """
    try:
        provider = provider_of(question.provider)
        request = provider.probe(question, now)
        provider.accept(await _ask(question, request, clients, provider.deadline))
    except ProviderError as error:
        return unavailable(question, error.cause, f"{_who(question)}: {error}", now)
    return None


async def _ask(question: Question, request: Request, clients: Clients, deadline: float) -> Response:
    """Send a request, once more where the connection fails, all within the deadline (seconds)."""
    client = clients.get(insecure=question.insecure)
    try:
        async with asyncio.timeout(deadline):
            for attempt in range(_TRIES):
                try:
                    return await _send(client, request, private=bool(question.credentials or question.headers))
                except (httpx.NetworkError, httpx.RemoteProtocolError):
                    # A kept connection that the server has closed meanwhile shows only now.
                    if attempt + 1 == _TRIES:
                        raise
    except TimeoutError as error:
        raise TimedOutError(f"no answer within {deadline:g} s") from error
    except (httpx.LocalProtocolError, UnicodeError) as error:
        # Their words hold what can't be sent, such as a token.
        raise MisconfiguredError(f"the request can't be made ({type(error).__name__})") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise MisconfiguredError(f"the request can't be made: {error}") from error
    except httpx.HTTPError as error:
        raise UnreachableError(_why(error)) from error
    raise AssertionError


async def _send(client: httpx.AsyncClient, request: Request, *, private: bool) -> Response:
    """Send a request, and follow where it leads; what lets it in, where it is private, leaves its host for no other."""
    outgoing = client.build_request(request.method, request.url, headers=request.headers, content=request.body)
    for _ in range(_MOST_REDIRECTS):
        answer = await client.send(outgoing, stream=True)
        onward = answer.next_request
        if onward is None:
            return await _read(answer)
        await answer.aclose()
        strange = onward.url.host != outgoing.url.host or (outgoing.url.scheme, onward.url.scheme) == ("https", "http")
        if private and strange:
            raise UnreadableError(f"it redirects to {onward.url.host}, where its headers and credentials must not go")
        outgoing = onward
    raise UnreadableError("it redirects without end")


async def _read(answer: httpx.Response) -> Response:
    try:
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _LARGEST_ANSWER:
                raise UnreadableError(f"the answer is larger than {_LARGEST_ANSWER >> 20} MiB")
        return Response(answer.status_code, bytes(body))
    finally:
        await answer.aclose()


def _who(question: Question) -> str:
    if not question.address:
        return question.provider
    try:
        return f"{question.provider} at {place(question.address)}"
    except ValueError:
        return question.provider


def _why(error: httpx.HTTPError) -> str:
    """What broke, from the innermost cause: the outer ones say less."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"its certificate isn't trusted ({inner.verify_message})"
    said = str(inner) or str(error) or type(error).__name__
    return f"the connection failed ({said})"
