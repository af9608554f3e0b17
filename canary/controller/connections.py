"""Bounds on the connections to an HTTP server: how many there are, and for how long one may bring no request."""

import asyncio
from collections.abc import Callable

MOST = 512
"""Connections at most: for each one more, the one that has been quiet for longest is closed. It is several times what
the event loop takes in before it reads again, so that a crowd that comes at once pushes out none that has a request."""

PATIENCE = 30.0
"""Seconds that a connection may take from its beginning, or from its last request, to the end of its next answer."""

END = b"\r\n\r\n"
"""What ends a head."""

LONGEST_HEAD = 64 * 1024
"""Bytes of a head that are kept until it ends; a longer one is the server's to refuse."""


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
        return lambda: _Watched(make, self)

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
    """Passes everything on to a protocol that is made when a first head is whole: before, a connection costs little."""

    def __init__(self, make: Callable[[], asyncio.Protocol], connections: Connections) -> None:
        self._make = make
        self._connections = connections
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._begun = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.touch(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.lost(self._transport)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)
            return
        # An end of the head may have come in two pieces.
        seen = max(len(self._begun) - len(END) + 1, 0)
        self._begun += data
        is_http = self._begun[:1].isalpha()
        if END in self._begun[seen:] or len(self._begun) > LONGEST_HEAD or not is_http:
            self._begin()

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def _begin(self) -> None:
        assert self._transport is not None, "nothing is received before there is a connection"  # noqa: S101
        begun, self._begun = bytes(self._begun), bytearray()
        self._inner = self._make()
        self._inner.connection_made(self._transport)
        self._inner.data_received(begun)
