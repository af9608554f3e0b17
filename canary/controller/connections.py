"""Bounds on the connections to an HTTP server: how many there are, and for how long one may bring no request."""

import asyncio
from collections.abc import Callable

MOST = 128
"""Connections at most: for each one more, the one that has been quiet for longest is closed."""

PATIENCE = 30.0
"""Seconds that a connection may take from its beginning, or from its last request, to the end of its next answer."""


class Connections:
    """The connections that are open.

    Args:
        most: how many there may be.
        patience: seconds without a request after which one is closed.
    """

    def __init__(self, most: int = MOST, patience: float = PATIENCE) -> None:
        self._most = most
        self._patience = patience
        self._open: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        """The quietest first."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open)

    def over(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return a maker of protocols as `make` is one, whose connections are watched here."""
        return lambda: _Watched(make(), self)

    def touch(self, transport: asyncio.BaseTransport) -> None:
        """Note that a connection has been made, or has brought a request."""
        self.lost(transport)
        if len(self._open) >= self._most:
            self._close(next(iter(self._open)))
        self._open[transport] = asyncio.get_running_loop().call_later(self._patience, self._close, transport)

    def lost(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection."""
        timer = self._open.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def _close(self, transport: asyncio.BaseTransport) -> None:
        self.lost(transport)
        # One that doesn't take what it was sent would keep its connection for as long as it likes.
        if isinstance(transport, asyncio.Transport) and transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()


class _Watched(asyncio.Protocol):
    """Passes everything on to a protocol, and tells of the connection's beginning and end."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._connections.touch(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.lost(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
