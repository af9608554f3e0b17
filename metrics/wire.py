"""HTTP as values: what a provider asks for and what it reads, without a client."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit, urlunsplit

from metrics.errors import MisconfiguredError
from outbound.message import Headers, Request, Response, basic, place

__all__ = ["Headers", "Request", "Response", "basic", "join", "place"]

_USER = re.compile(r"//[^/]*@")


def join(address: str, path: str, parameters: str = "") -> str:
    """Put a path and encoded query parameters behind a base URL, keeping those that the base URL has.

    Raises:
        MisconfiguredError: the address is no http or https URL.
    """
    base = _split(address)
    query = "&".join(part for part in (base.query, parameters) if part)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + path, query, ""))


@lru_cache(maxsize=256)
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
