"""HTTP/1.1 for the samples: one protocol class, and the pages of a program whose work is not HTTP."""

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

Answer = tuple[int, str, bytes]
"""Status, media type, content."""

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
_MAX_HEADER = 65_536


def host() -> str:
    """The address to listen at."""
    return os.environ.get("HOST") or "127.0.0.1"


class Site(Protocol):
    """What is served.

    Attributes:
        version: told in every answer.
        pod: likewise.
        stopping: clients shall not send more over their connections.
    """

    version: str
    pod: str
    stopping: bool

    async def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request."""


class StatusPages:
    """`/metrics`, `/readyz`, `/healthz` of a program that has no other pages."""

    def __init__(self, metrics: Callable[[], list[str]], ready: Callable[[], bool]) -> None:
        self.version = os.environ.get("VERSION", "")
        self.pod = os.environ.get("POD_NAME", "")
        self.stopping = False
        self._metrics = metrics
        self._ready = ready

    async def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request."""
        if target == "/metrics":
            return metrics_page(self._metrics())
        if target == "/readyz":
            return ready_page(self._ready())
        return (200, "text/plain", b"ok\n") if target == "/healthz" else (404, "text/plain", b"no such page\n")


def metrics_page(lines: list[str]) -> Answer:
    """Metrics, as Prometheus reads them."""
    return 200, "text/plain; version=0.0.4", ("\n".join(lines) + "\n").encode()


def ready_page(ready: bool) -> Answer:
    """What a readiness probe gets."""
    return (200, "text/plain", b"ok\n") if ready else (503, "text/plain", b"not ready\n")


class Connection(asyncio.Protocol):
    """One client: requests one after the other, kept alive."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.buffer = b""
        self.busy: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Give up what is being answered."""
        if self.busy is not None:
            self.busy.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer if a request is complete."""
        self.buffer += data
        self._next()

    def _next(self) -> None:
        if self.busy is not None or b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > _MAX_HEADER and self.busy is None and self.transport is not None:
                self.transport.close()
            return
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length") or 0)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        method, target, _ = first.split(" ", 2)
        coroutine = self._answer(method, target, headers, rest[:length])
        self.busy = asyncio.get_running_loop().create_task(coroutine)

    async def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        status, kind, content = await self.site.answer(method, target, headers, body)
        # Clients that would send more over this connection are told not to while it ends.
        close = self.site.stopping or headers.get("connection", "").lower() == "close"
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(content)}\r\nX-Version: {self.site.version}\r\n"
            f"X-Pod: {self.site.pod}\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n"
        )
        self.busy = None
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(head.encode("latin-1") + (b"" if method == "HEAD" else content))
        if close:
            self.transport.close()
        else:
            self._next()


async def listen(site: Site, port: int) -> asyncio.Server:
    """Serve a site from now on.

    Raises:
        OSError: the port is taken.
    """
    return await asyncio.get_running_loop().create_server(lambda: Connection(site), host(), port, backlog=512)
