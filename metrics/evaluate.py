"""The edge where questions meet the network: the one place for deadlines and retries."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime

import aiohttp

from metrics.connections import BROKEN, Clients
from metrics.errors import MisconfiguredError, ProviderError, TimedOutError, UnreachableError
from metrics.providers import provider_of
from metrics.question import Question, Span
from metrics.verdict import Unavailable, Verdict, judge, unavailable
from metrics.wire import Request, Response, place

_TRIES = 2


async def evaluate(question: Question, clients: Clients, now: datetime) -> Verdict:
    """Ask a metrics server and judge its answer; outside trouble becomes `Unavailable`, never an error.

    Args:
        question: what to ask.
        clients: where the connections are kept.
        now: the time of asking, for queries over a time range and for the verdict.

    Returns:
        The verdict, within the provider's deadline, or twice that where the server refuses to be told something.
    """
    try:
        provider = provider_of(question.provider)
        request = provider.build(question, now)
        response = await _ask(question, request, clients, provider.deadline)
        if (simpler := provider.simpler(question, response)) is not None:
            response = await _ask(question, simpler, clients, provider.deadline)
        return judge(question, provider.parse(response, Span.of(question, now)), now)
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
    try:
        async with asyncio.timeout(deadline):
            for attempt in range(_TRIES):
                try:
                    private = bool(question.credentials or question.headers)
                    return await clients.send(request, insecure=question.insecure, private=private)
                except BROKEN:
                    # A kept connection that the server has closed meanwhile shows only now.
                    if attempt + 1 == _TRIES:
                        raise
    except TimeoutError as error:
        raise TimedOutError(f"no answer within {deadline:g} s") from error
    except ValueError as error:
        # Its own text holds the whole URL, and with it what may be a secret.
        raise MisconfiguredError(f"the request can't be made ({type(error).__name__})") from None
    except aiohttp.ClientError as error:
        raise UnreachableError(_why(error)) from error
    raise AssertionError


def _who(question: Question) -> str:
    if not question.address:
        return question.provider
    try:
        return f"{question.provider} at {place(question.address)}"
    except ValueError:
        return question.provider


def _why(error: aiohttp.ClientError) -> str:
    """What broke, from the innermost cause: the outer ones say less."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"its certificate isn't trusted ({inner.verify_message})"
    said = str(inner) or str(error) or type(error).__name__
    return f"the connection failed ({said})"
