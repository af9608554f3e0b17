"""Why a metrics server gave no usable answer.

ProviderError
├── MisconfiguredError   the question can't be put: address, credential or provider type
├── UnauthorizedError    the credentials aren't accepted
├── QueryError           the query itself is wrong
├── ServerError          the server is in trouble, or asks to be left alone for a while
├── ServerTimeoutError   the server, or a proxy before it, gave up waiting
└── UnreadableError      the answer isn't what this kind of server sends

Each carries the cause under which it appears in a verdict; its text can follow a colon.
"""

from __future__ import annotations

from typing import ClassVar

from metrics.verdict import Cause


class ProviderError(Exception):
    """No usable answer."""

    cause: ClassVar[Cause] = Cause.UNREADABLE


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


class ServerTimeoutError(ProviderError):
    """The server gave up waiting for the query to end."""

    cause = Cause.TIMEOUT


class UnreadableError(ProviderError):
    """What answers isn't the API that the provider's type promises."""

    cause = Cause.UNREADABLE
