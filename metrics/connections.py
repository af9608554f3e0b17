"""Connections to metrics servers: how they are spoken to, and what goes wrong there as an error of this package."""

from __future__ import annotations

import outbound.errors
from metrics.errors import (
    MisconfiguredError,
    ProviderError,
    TimedOutError,
    TooLargeError,
    UnreachableError,
    UnreadableError,
)
from outbound.connections import Manner, Sender
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


async def ask(connections: Sender, request: Request, deadline: float) -> Response:
    """Send a request, and read the whole answer.

    Args:
        connections: where to send it.
        request: the provider's request.
        deadline: seconds that the whole may take.

    Raises:
        ProviderError: there is no answer.
    """
    try:
        answer = await connections.send(request, deadline)
    except OutboundError as error:
        raise _meant(error) from error
    if answer.leads_to:
        here = place(request.url)
        if answer.leads_to == here:
            raise UnreadableError("it redirects without end")
        raise UnreadableError(f"it redirects to {answer.leads_to}, where no question follows; write the right address")
    return answer


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
