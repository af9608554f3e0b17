"""HTTP as values: what a provider asks for and what it reads, without a client."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit, urlunsplit

from metrics.errors import MisconfiguredError

_USER = re.compile(r"//[^/]*@")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request that reads: it may be sent again.

    Args:
        method: the HTTP method.
        url: the whole URL.
        headers: names and values in order.
        body: the body, None for none.
    """

    method: str
    url: str
    headers: Headers = field(default=(), repr=False)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer.

    Args:
        status: the status code.
        body: the whole body.
        location: where a redirect leads to.
    """

    status: int
    body: bytes
    location: str = ""


def join(address: str, path: str, parameters: str = "") -> str:
    """Put a path and encoded query parameters behind a base URL, keeping those that the base URL has.

    Raises:
        MisconfiguredError: the address is no http or https URL.
    """
    base = _split(address)
    query = "&".join(part for part in (base.query, parameters) if part)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + path, query, ""))


def place(address: str) -> str:
    """The address as it may be shown: without user name, password, path and query."""
    base = urlsplit(address)
    return f"{base.scheme}://{base.netloc.rpartition('@')[2]}"


def basic(username: str, password: str) -> tuple[str, str]:
    """The header of basic authentication."""
    return "Authorization", "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def _split(address: str) -> SplitResult:
    try:
        base = urlsplit(address)
        usable = base.scheme in {"http", "https"} and bool(base.hostname) and (base.port is None or base.port > 0)
    except ValueError:
        usable = False
    if not usable:
        shown = _USER.sub("//", address).partition("?")[0]
        msg = f"the address {shown!r} is not an http:// or https:// URL"
        raise MisconfiguredError(msg)
    return base
