"""Ask a metrics server, and judge what it says."""

from __future__ import annotations

from datetime import datetime

from metrics.connections import ask, without_secrets
from metrics.errors import ProviderError
from metrics.providers import provider_of
from metrics.question import Question, Span
from metrics.verdict import Unavailable, Verdict, judge, unavailable
from metrics.wire import place
from outbound.connections import Connections


async def evaluate(question: Question, connections: Connections, now: datetime) -> Verdict:
    """Ask a metrics server and judge its answer; outside trouble becomes `Unavailable`, never an error.

    Args:
        question: what to ask.
        connections: where the question goes.
        now: the time of asking, for queries over a time range and for the verdict.

    Returns:
        The verdict, within the provider's deadline, or twice that where the server refuses to be told something.
    """
    try:
        provider = provider_of(question.provider)
        request = provider.build(question, now)
        response = await ask(connections, question, request, provider.deadline)
        if (simpler := provider.simpler(question, response)) is not None:
            response = await ask(connections, question, simpler, provider.deadline)
        return judge(question, provider.parse(response, Span.of(question, now)), now)
    except ProviderError as error:
        return _unavailable(question, error, now)


async def trouble(question: Question, connections: Connections, now: datetime) -> Unavailable | None:
    """See whether the question's server is there and lets us in, without asking the question.

    Returns:
        None where it is and does, within the provider's deadline; else why not.
    """
    try:
        provider = provider_of(question.provider)
        request = provider.probe(question, now)
        provider.accept(await ask(connections, question, request, provider.deadline))
    except ProviderError as error:
        return _unavailable(question, error, now)
    return None


def _unavailable(question: Question, error: ProviderError, now: datetime) -> Unavailable:
    return unavailable(question, error.cause, f"{_who(question)}: {without_secrets(question, str(error))}", now)


def _who(question: Question) -> str:
    if not question.address:
        return question.provider
    try:
        return f"{question.provider} at {place(question.address)}"
    except ValueError:
        return question.provider
