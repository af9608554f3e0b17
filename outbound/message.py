"""HTTP as values: what is asked and what is answered, without a client."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from outbound.errors import CannotAskError
from outbound.tls import USUAL, Tls

Headers = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110)."""

OF_THE_CONNECTION = frozenset(
    {
        *("connection", "content-length", "expect", "keep-alive", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that say where a message ends, or are for the next hop: a wrong one spoils what others send after it."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Args:
        method: the HTTP method.
        url: the whole URL; a name and a password in it are sent as a header.
        headers: names and values in order.
        body: the body, None for none.
        insecure: whether the server's certificate goes unchecked.
        proxy: address of the proxy to go through; empty for the one that the environment names, if any.
        direct: whether it asks this machine who it is, at an address that nobody else has named: through no proxy, and
            whatever destinations are denied.
        tls: whom it trusts, and by which certificate it shows itself.
    """

    method: str
    url: str = field(repr=False)
    headers: Headers = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    insecure: bool = False
    proxy: str = field(default="", repr=False)
    direct: bool = False
    tls: Tls = USUAL


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer.

    Args:
        status: the status code.
        body: the body, or its beginning where that was enough.
        headers: by name in lower case, the first of each.
        leads_to: scheme, host and port of where a redirect leads that was not followed.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    leads_to: str = ""

    @property
    def text(self) -> str:
        """The body, where it is in words: plain text, JSON, or of no kind that is told; of a page nothing.

        Some messengers say of a word that it is HTML.
        """
        kind = self.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
        words = kind == "text/plain" or kind.endswith("json") or (kind == "text/html" and b"<" not in self.body)
        return self.body.decode(errors="replace") if words else ""


def place(address: str) -> str:
    """The address as it may be shown: without user name, password, path and query.

    Raises:
        ValueError: it is none.
    """
    base = urlsplit(address)
    return f"{base.scheme}://{base.netloc.rpartition('@')[2]}"


def basic(username: str, password: str) -> tuple[str, str]:
    """The header of basic authentication."""
    return "Authorization", "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def check(headers: Headers) -> None:
    """Refuse what no request may hold, by its name: a value may be a secret.

    Raises:
        CannotAskError: one of them can't be sent.
    """
    for name, value in headers:
        if not _NAME.fullmatch(name):
            # What stands behind may be a value that came into the name.
            begins = _NAME.match(name)
            shown = f"that begins with {begins[0]!r} " if begins else ""
            raise CannotAskError(f"the request can't be made: a header's name {shown}holds what no name can")
        if name.lower() in OF_THE_CONNECTION:
            raise CannotAskError(f"the request can't be made: header {name} belongs to the connection")
        if not value.isascii() or not value.replace("\t", " ").isprintable():
            raise CannotAskError(f"the request can't be made: header {name} holds what no header can")
