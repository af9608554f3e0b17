"""Bounds on the connections to an HTTP server: how many there are, and for how long one may bring no request."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

MOST = 1024
"""Connections at most: for each one more, the one that has been quiet for longest is closed."""

AT_ONCE = 32
"""Connections that are taken in before those that are there are read from again: with many times as many places, one
that has a request is read before a crowd that comes at once has pushed it out."""

QUEUE = 4096
"""Connections that wait in the kernel to be taken in."""

PATIENCE = 30.0
"""Seconds that a connection may take from its beginning, or from its last request, to the end of the next head."""

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
        self._open: dict[asyncio.BaseTransport, asyncio.TimerHandle | None] = {}
        """The quietest first; those that are held have no timer."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """How many are held."""
        return sum(timer is None for timer in self._open.values())

    def over(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return a maker of protocols as `make` is one, whose connections are watched here."""
        return lambda: _Watched(make, self)

    def made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection in, in place of the quietest where there are too many."""
        quiet = (each for each, timer in self._open.items() if timer is not None)
        if len(self._open) >= self._most:
            oldest = next(quiet, None)
            if oldest is None:
                transport.close()
                return
            self._close(oldest)
        self._open[transport] = self._timer(transport)

    def lost(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection."""
        timer = self._open.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def touch(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a connection has brought a request, or has had its answer."""
        if transport is not None and transport in self._open:
            self.lost(transport)
            self._open[transport] = self._timer(transport)

    @contextmanager
    def held(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """Keep a connection open however long its answer takes."""
        if transport is not None and transport in self._open:
            self.lost(transport)
            self._open[transport] = None
        try:
            yield
        finally:
            self.touch(transport)

    def _timer(self, transport: asyncio.BaseTransport) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._patience, self._close, transport)

    def _close(self, transport: asyncio.BaseTransport) -> None:
        self.lost(transport)
        # One that doesn't take what it was sent would keep its connection for as long as it likes.
        if isinstance(transport, asyncio.Transport) and transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()


def is_ours(record: logging.LogRecord) -> bool:
    """Whether the log tells of an error of this server's own, and of none in what it was sent.

    What is no HTTP, and a body that isn't in the encoding that it names, is answered with 400; aiohttp (3.14) logs each
    with a traceback, which whoever sends it could fill a disk by.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | RequestPayloadError))


async def listen(protocols: Callable[[], asyncio.Protocol], address: str | None, port: int) -> asyncio.Server:
    """Listen, with a longer queue in the kernel than what is taken in at once; asyncio knows one number for both.

    Raises:
        OSError: the port is taken, or the address is none of this machine's.
    """
    logging.getLogger("aiohttp.server").addFilter(is_ours)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocols, address, port, reuse_address=True, backlog=AT_ONCE)
    for each in server.sockets:
        with socket.socket(fileno=os.dup(each.fileno())) as same:
            same.listen(QUEUE)
    return server


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
        self._connections.made(transport)

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
