"""Ask a metrics server; what it says is judged elsewhere."""

from __future__ import annotations

from datetime import datetime

from metrics.connections import ask, without_secrets
from metrics.errors import ProviderError
from metrics.providers import provider_of
from metrics.question import Question, Sample, Span
from metrics.reading import Reading, Unread
from metrics.wire import place
from outbound.connections import Connections


async def read(question: Question, connections: Connections, now: datetime) -> Reading:
    """Ask a metrics server; outside trouble becomes `Unread`, never an error.

    Args:
        question: what to ask.
        connections: where the question goes.
        now: the time of asking, for queries over a time range and for the reading.

    Returns:
        What was said, within the provider's deadline, or twice that where the server refuses to be told something.
    """
    try:
        return Reading.of(question, await _said(question, connections, now), now)
    except ProviderError as error:
        return Reading.of(question, unread(question, error), now)


async def _said(question: Question, connections: Connections, now: datetime) -> Sample:
    provider = provider_of(question.provider)
    request = provider.build(question, now)
    response = await ask(connections, question, request, provider.deadline)
    if (simpler := provider.simpler(question, response)) is not None:
        response = await ask(connections, question, simpler, provider.deadline)
    return question.explained(provider.parse(response, Span.of(question, now)))


async def trouble(question: Question, connections: Connections, now: datetime) -> Unread | None:
    """See whether the question's server is there and lets us in, without asking the question.

    Returns:
        None where it is and does, within the provider's deadline; else why not.
    """
    try:
        provider = provider_of(question.provider)
        request = provider.probe(question, now)
        provider.accept(await ask(connections, question, request, provider.deadline))
    except ProviderError as error:
        return unread(question, error)
    return None


def unread(question: Question, error: ProviderError) -> Unread:
    """What an error says that a question met, without its secrets."""
    return Unread(error.cause, f"{_who(question)}: {without_secrets(question, str(error))}")


def _who(question: Question) -> str:
    if not question.address:
        return question.provider
    try:
        return f"{question.provider} at {place(question.address)}"
    except ValueError:
        return question.provider
