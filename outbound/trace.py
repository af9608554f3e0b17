"""Which span a request belongs to, for the server that gets it (W3C Trace Context)."""

from __future__ import annotations

from contextvars import ContextVar

from outbound.message import Headers

HEADER = "traceparent"

TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")
"""The header's value for requests of the running task; empty where nothing is traced."""


def traceparent(trace: int, span: int) -> str:
    """The value that names a span whose trace is kept."""
    return f"00-{trace:032x}-{span:016x}-01"


def added_to(headers: Headers) -> Headers:
    """The headers with the span that the running task is in, unless somebody has named one among them."""
    value = TRACEPARENT.get()
    if not value or any(name.lower() == HEADER for name, _ in headers):
        return headers
    return (*headers, (HEADER, value))
