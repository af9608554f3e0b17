"""Connections to metrics servers: how they are spoken to, and what goes wrong there as an error of this package."""

from __future__ import annotations

from dataclasses import replace

import outbound.errors
from metrics.errors import (
    MisconfiguredError,
    ProviderError,
    TimedOutError,
    TooLargeError,
    UnreachableError,
    UnreadableError,
)
from metrics.question import Question
from outbound.connections import Connections, Manner
from outbound.errors import (
    CannotAskError,
    CrowdedError,
    NoConnectionError,
    OutboundError,
    TooLateError,
    UntrustedError,
)
from outbound.message import Request, Response, place

QUESTIONS = Manner(total=96, per_host=32, largest=4 << 20, again=True, idle=90, patience=10, accept="application/json")
"""Questions at one moment: gates of many Canaries. One that gets no turn for so long can't be asked."""

RANGES = Manner(total=8, per_host=8, largest=32 << 20, again=True, idle=90, accept="application/json")
"""Queries over a range of time: few at once, with long answers."""

_SHORTEST_SECRET = 4
"""Characters of what is blotted out at least: less would blot out words."""


async def ask(connections: Connections, question: Question, request: Request, deadline: float) -> Response:
    """Send a request, and read the whole answer.

    Args:
        connections: where to send it.
        question: what is asked.
        request: the provider's request for it.
        deadline: seconds that the whole may take.

    Raises:
        ProviderError: there is no answer.
    """
    try:
        answer = await connections.send(replace(request, insecure=question.insecure), deadline)
    except OutboundError as error:
        raise _meant(error) from error
    if answer.leads_to:
        here = place(request.url)
        if answer.leads_to == here:
            raise UnreadableError("it redirects without end")
        raise UnreadableError(f"it redirects to {answer.leads_to}, where no question follows; write the right address")
    return answer


def without_secrets(question: Question, text: str) -> str:
    """The text without anything that lets the question in: a server may repeat what it was sent."""
    values = [*question.credentials.values(), *(value for _, value in question.headers)]
    parts = {part for value in values for part in (value.strip(), value.strip().rpartition(" ")[2])}
    for part in sorted((each for each in parts if len(each) >= _SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _meant(error: OutboundError) -> ProviderError:
    match error:
        case CannotAskError():
            return MisconfiguredError(str(error))
        case TooLateError():
            return TimedOutError(str(error))
        case outbound.errors.TooLargeError():
            return TooLargeError(str(error))
        case NoConnectionError() | UntrustedError() | CrowdedError():
            return UnreachableError(str(error))
    return UnreadableError(str(error))
