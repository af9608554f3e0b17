"""Why a metrics server gave no usable answer.

ProviderError
├── MisconfiguredError   the question can't be put: address, credential or provider type
├── UnauthorizedError    the credentials aren't accepted
├── QueryError           the query itself is wrong
├── UnreachableError     no connection, or one that broke
├── TimedOutError        no answer in time: ours, the server's own, or a proxy's
├── ServerError          the server is in trouble, or asks to be left alone for a while
└── UnreadableError      the answer isn't what this kind of server sends, or (TooLargeError) is too large to be read

Each carries the cause under which it appears in a verdict; its text can follow a colon. EmptyRangeError stands apart:
it is the answer of a server that works.
"""

from __future__ import annotations

from typing import ClassVar

from metrics.reading import Cause

_LONGEST = 500
CUT = "…"
"""What stands at the end of a text that is cut."""


class ProviderError(Exception):
    """No usable answer.

    Args:
        text: why, in words; what is too long for a status is cut, as servers may say anything.
    """

    cause: ClassVar[Cause] = Cause.UNREADABLE

    def __init__(self, text: str) -> None:
        line = " ".join(text.split())
        super().__init__(line if len(line) <= _LONGEST else line[:_LONGEST] + CUT)


class MisconfiguredError(ProviderError):
    """The question can't be put: a wrong address, a missing credential, an unsupported provider."""

    cause = Cause.MISCONFIGURED


class UnauthorizedError(ProviderError):
    """The server doesn't accept the credentials."""

    cause = Cause.UNAUTHORIZED


class QueryError(ProviderError):
    """The server understands the request and refuses the query."""

    cause = Cause.BAD_QUERY


class ServerError(ProviderError):
    """The server is in trouble or overloaded."""

    cause = Cause.SERVER_ERROR


class UnreachableError(ProviderError):
    """No connection, or one that broke."""

    cause = Cause.UNREACHABLE


class TimedOutError(ProviderError):
    """No answer in time."""

    cause = Cause.TIMEOUT


class UnreadableError(ProviderError):
    """What answers isn't the API that the provider's type promises."""

    cause = Cause.UNREADABLE


class TooLargeError(UnreadableError):
    """The answer is larger than it may be."""


class EmptyRangeError(Exception):
    """No series has a value in the range of time that was asked for."""
