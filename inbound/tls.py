"""Connections in TLS: counted from their first byte, with a certificate that may be another one at any time."""

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from inbound.connections import Connections

HANDSHAKE = 5.0
"""Seconds that a handshake may take, and a goodbye."""


def context_of(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """What a server with this certificate works with; reads and writes files.

    Args:
        certificate: in PEM, with those that lead to whom clients trust behind it.
        key: in PEM.

    Raises:
        ssl.SSLError: they are no certificate and its key.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python's ssl takes files alone; a folder of this kind is nobody else's.
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.touch(0o600)
        pair.write_bytes(key.rstrip() + b"\n" + certificate)
        made.load_cert_chain(pair)
    return made


class Handshakes:
    """Makes connections secure.

    Args:
        connections: is told of a connection before it is secure, and closes the quietest where there are too many.
        context: what is worked with, asked for anew by every connection.
    """

    def __init__(self, connections: Connections, context: Callable[[], ssl.SSLContext]) -> None:
        self._connections = connections
        self._context = context
        self._under_way: set[asyncio.Task[None]] = set()

    def over(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return a maker of protocols for bare connections; inside, those that `make` makes speak in the clear."""
        watched = self._connections.over(make)
        return lambda: _Bare(watched, self)

    def begin(self, transport: asyncio.Transport, make: Callable[[], asyncio.Protocol]) -> None:
        """Make a connection secure that has just come, and that nothing has been read from."""
        self._connections.made(transport)
        if transport.is_closing():
            return
        transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._secure(transport, make()))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def lost(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection that has ended before it was secure."""
        self._connections.lost(transport)

    async def close(self) -> None:
        """Give up what is not yet secure."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _secure(self, bare: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        early = _Early()
        try:
            secure = await asyncio.get_running_loop().start_tls(
                bare,
                early,
                self._context(),
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE,
                ssl_shutdown_timeout=HANDSHAKE,
            )
        except OSError:  # what ssl, timeouts and broken connections raise is one
            bare.abort()
            return
        except BaseException:
            bare.abort()
            raise
        finally:
            self._connections.lost(bare)
        if secure is not None:
            early.pass_on(secure, protocol)


class _Bare(asyncio.Protocol):
    """A connection that is not secure yet: not a byte of it is taken for a request."""

    def __init__(self, make: Callable[[], asyncio.Protocol], handshakes: Handshakes) -> None:
        self._make = make
        self._handshakes = handshakes
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        assert isinstance(transport, asyncio.Transport), "it is a stream"  # noqa: S101
        self._handshakes.begin(transport, self._make)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._handshakes.lost(self._transport)


class _Early(asyncio.Protocol):
    """What a connection brings in the moment between the end of its handshake and when one hears of that."""

    def __init__(self) -> None:
        self._said: list[Callable[[asyncio.Protocol], object]] = []

    def data_received(self, data: bytes) -> None:
        self._said.append(lambda protocol: protocol.data_received(data))

    def eof_received(self) -> None:
        self._said.append(lambda protocol: protocol.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._said.append(lambda protocol: protocol.connection_lost(exc))

    def pass_on(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Have another protocol go on with it."""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for each in self._said:
            each(protocol)
