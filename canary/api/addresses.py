"""What of a spec, a flag or a Secret may stand in an HTTP request: addresses and the values of headers."""

import re
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

MAX_PORT = 65_535

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def is_web_address(address: str) -> bool:
    """Whether a request can be sent there: an http or https address with a host that can be looked up.

    What the standard library takes and the HTTP client refuses, or the other way round, is none; so is a host that no
    resolver can be asked for, and what holds line breaks, which both leave out without a word.
    """
    if not address.isprintable():
        return False
    try:
        parts, url = urlsplit(address), URL(address)
        host = url.host or ""
        host.encode("idna")
    except ValueError:
        return False
    written = bool(host) and parts.hostname is not None and not set(host) & set(" %")
    return written and url.scheme in {"http", "https"} and (url.port is None or 0 < url.port <= MAX_PORT)


def is_header_value(value: str) -> bool:
    """Whether a header can carry it as it is: printable ASCII, which has no line breaks."""
    return value.isascii() and value.isprintable()


def is_header_name(name: str) -> bool:
    """Whether a header can be called that (RFC 9110)."""
    return _HEADER.fullmatch(name) is not None
