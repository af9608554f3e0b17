"""Ask a metrics server; what it says is judged elsewhere."""

from __future__ import annotations

import asyncio
from datetime import datetime

from metrics.access.grants import Grants
from metrics.conversation import Conversation
from metrics.errors import ProviderError, TimedOutError
from metrics.providers import provider_of
from metrics.providers.base import Provider
from metrics.question import Question, Sample, Span
from metrics.reading import Reading, Unread
from metrics.wire import Response, place
from outbound.connections import Sender


async def read(question: Question, connections: Sender, now: datetime, grants: Grants | None = None) -> Reading:
    """Ask a metrics server; outside trouble becomes `Unread`, never an error.

    Args:
        question: what to ask.
        connections: where the question goes.
        now: the time of asking, for queries over a time range and for the reading.
        grants: where tokens are kept that have to be fetched first; None for nowhere.

    Returns:
        What was said, within the provider's deadline, or twice that where the server refuses to be told something, and
        five seconds more where a token has to be fetched; where an answer takes its time, the provider's patience more.
    """
    talk = Conversation(question, connections, grants or Grants(), now)
    try:
        return Reading.of(question, await _said(question, talk, now), now)
    except ProviderError as error:
        return Reading.of(question, unread(question, error, talk), now)


async def _said(question: Question, talk: Conversation, now: datetime) -> Sample:
    provider = provider_of(question.provider)
    admitted = await talk.admitted(provider)
    parse = provider.reader(admitted)
    response = await talk.send(provider.build(admitted, now), provider.deadline)
    if (simpler := provider.simpler(admitted, response)) is not None:
        response = await talk.send(simpler, provider.deadline)
    response = await _ended(admitted, talk, provider, response)
    return question.explained(parse(response, Span.of(question, now)))


async def _ended(question: Question, talk: Conversation, provider: Provider, response: Response) -> Response:
    """The answer, once the server has made it.

    Raises:
        ProviderError: it takes too long, or can't be asked for.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + provider.patience
    while (again := provider.follows(question, response)) is not None:
        if loop.time() + provider.pause > ends:
            raise TimedOutError(f"it has not come to an end within {provider.patience:g} s")
        await asyncio.sleep(provider.pause)
        response = await talk.send(again, provider.deadline)
    return response


async def trouble(
    question: Question, connections: Sender, now: datetime, grants: Grants | None = None
) -> Unread | None:
    """See whether the question's server is there and lets us in, without asking the question.

    Returns:
        None where it is and does, within the provider's deadline; else why not.
    """
    talk = Conversation(question, connections, grants or Grants(), now)
    try:
        provider = provider_of(question.provider)
        request = provider.probe(await talk.admitted(provider), now)
        provider.accept(await talk.send(request, provider.deadline))
    except ProviderError as error:
        return unread(question, error, talk)
    return None


def unread(question: Question, error: ProviderError, talk: Conversation) -> Unread:
    """What an error says that a question met, without its secrets."""
    return Unread(error.cause, f"{_who(question)}: {talk.told(error)}")


def _who(question: Question) -> str:
    if not question.address:
        return question.provider
    try:
        return f"{question.provider} at {place(question.address)}"
    except ValueError:
        return question.provider
