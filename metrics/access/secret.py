"""What a Secret says of the connection, whatever provider is asked: authority, certificate, proxy, headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import outbound.access
from metrics.errors import MisconfiguredError
from metrics.question import Question
from metrics.wire import Request
from outbound.tls import USUAL, Tls


@dataclass(frozen=True, slots=True)
class Way:
    """How the server of a question is reached.

    Args:
        tls: whom the connection trusts, and by which certificate it shows itself.
        proxy: address of the proxy; empty for that of the environment.
        insecure: whether the server's certificate goes unchecked.
    """

    tls: Tls = USUAL
    proxy: str = field(default="", repr=False)
    insecure: bool = False

    def take(self, request: Request) -> Request:
        """The request as it goes to the server."""
        if self.tls == request.tls and not self.proxy and self.insecure == request.insecure:
            return request
        return replace(request, tls=self.tls, proxy=self.proxy or request.proxy, insecure=self.insecure)


def unfold(question: Question) -> tuple[Question, Way]:
    """The question without what its Secret says of the connection, its further headers added; and the way."""
    if not question.credentials:
        return question, Way(insecure=question.insecure)
    access, rest = outbound.access.unfold(question.credentials)
    way = Way(access.tls, access.proxy, question.insecure)
    return replace(question, credentials=rest, headers=(*question.headers, *access.headers)), way


def credential(credentials: Mapping[str, str], key: str, provider: str, *, encoded: bool = False) -> str:
    """One key of the Secret.

    Args:
        credentials: keys and values of the Secret.
        key: the key.
        provider: who needs it.
        encoded: whether it is encoded before it is sent, so that it may hold any characters.

    Raises:
        MisconfiguredError: the Secret lacks it, or no header can carry it.
    """
    value = credentials.get(key)
    if value is None:
        there = ", ".join(sorted(credentials)) or "no keys"
        msg = f"the {provider} provider needs {key} in its Secret, which has {there}"
        raise MisconfiguredError(msg)
    value = value.strip()
    if not (encoded or (value.isascii() and value.isprintable())):
        msg = f"{key} in its Secret holds characters that no header can carry; write it on one line, as it was issued"
        raise MisconfiguredError(msg)
    return value
