"""Connections to metrics servers: how they are spoken to, and what goes wrong there as an error of this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

import outbound.errors
from metrics.errors import (
    CUT,
    MisconfiguredError,
    ProviderError,
    TimedOutError,
    TooLargeError,
    UnreachableError,
    UnreadableError,
)
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


async def ask(connections: Connections, request: Request, deadline: float) -> Response:
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


def blotted(secrets: Iterable[str], text: str) -> str:
    """The text without the secrets, their lines and their last words: a server may repeat what it was sent."""
    lines = (line.strip() for value in secrets for line in (value, *value.splitlines()))
    parts = {form for line in lines for part in _parts(line) for form in (part, quote(part, safe=""))}
    long = sorted((each for each in parts if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)
    for part in long:
        text = text.replace(part, "***")
    return _without_beginning(text, long)


def _parts(secret: str) -> Iterator[str]:
    """A secret, the word behind that for its kind, and the password of an address."""
    yield " ".join(secret.split())
    yield secret.rpartition(" ")[2]
    if "://" in secret:
        yield secret.partition("://")[2].rpartition("@")[0].partition(":")[2]


def _without_beginning(text: str, secrets: Sequence[str]) -> str:
    """The text without what a cut has left of a secret at its end."""
    if not text.endswith(CUT):
        return text
    shown = text.removesuffix(CUT)
    begun = (
        length
        for secret in secrets
        for length in range(min(len(secret), len(shown)), _SHORTEST_SECRET - 1, -1)
        if shown.endswith(secret[:length])
    )
    longest = max(begun, default=0)
    return f"{shown[: len(shown) - longest]}***{CUT}" if longest else text


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
