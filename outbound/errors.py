"""Why a request has no answer, in words that anybody may read.

They hold no credential, no address but a host's, and nothing that the other side has written: HTTP libraries quote
whole requests and answers in their errors.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import aiohttp

from outbound.destinations import DeniedError


class OutboundError(Exception):
    """No usable answer; its text can follow a colon."""


class CannotAskError(OutboundError):
    """No request can be made of it, now or later."""


class RefusedError(CannotAskError):
    """Nobody may be called there."""


class NoConnectionError(OutboundError):
    """There is no connection, or it broke."""


class UntrustedError(OutboundError):
    """Its certificate was refused."""


class TooLateError(OutboundError):
    """The whole answer did not come in time."""


class CrowdedError(OutboundError):
    """Too many requests to the same host are under way."""


class TooLargeError(OutboundError):
    """The answer is larger than it may be."""


class PackedError(OutboundError):
    """The answer comes packed, and might be of any size."""


def told(error: Exception) -> OutboundError:
    """What an error of the HTTP library, or of what it stands on, means."""
    # The library's own are of the kinds of those that they come from, without what those say.
    inner = [each for each in _chain(error) if isinstance(each, OSError) and not isinstance(each, aiohttp.ClientError)]
    for each in inner:
        if isinstance(each, DeniedError):
            return RefusedError(each.strerror)
        if isinstance(each, ssl.SSLCertVerificationError):
            return UntrustedError(f"its certificate isn't trusted ({each.verify_message})")
    if isinstance(error, ssl.SSLCertVerificationError):
        return UntrustedError("its certificate isn't trusted")
    match error:
        case aiohttp.ClientHttpProxyError(status=status):
            return NoConnectionError(f"the proxy answers {status}")
        case ValueError() if not inner:
            return CannotAskError(f"the request can't be made ({type(error).__name__})")
        case aiohttp.ClientResponseError():
            return NoConnectionError("what comes is no HTTP")
        case aiohttp.ClientPayloadError():
            return NoConnectionError("the answer broke off")
        case aiohttp.ServerDisconnectedError():
            return NoConnectionError("the connection was closed before an answer")
    # The innermost knows best; those around it repeat it.
    return NoConnectionError(f"the connection failed ({inner[-1]})" if inner else "the connection failed")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        inner = inner.__cause__ or inner.__context__
