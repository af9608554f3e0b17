"""Service addresses: a TCP proxy at each, balancing over the Service's ready endpoints."""

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from canary.sandbox.network.services import Backends, Directory, Endpoint, Key

_CONNECT_SECONDS = 3.0
_AGAIN_SECONDS = 0.1
_PATIENCE = {("default", "kubernetes"): 8.0}
"""Seconds for which a connection waits for an endpoint to accept it; see `Site.patient_api_url`."""
_RESET = struct.pack("ii", 1, 0)


class _Half(asyncio.Protocol):
    """One direction of a proxied connection: what comes in here goes out at the peer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _Half | None = None
        self._early: list[bytes] = []
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def join(self, peer: "_Half") -> None:
        """Connect with the other direction, and hand over what came before."""
        self.peer = peer
        for data in self._early:
            peer.send(data)
        self._early.clear()
        if self._ended:
            peer.finish()

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def finish(self) -> None:
        if self.transport is not None and not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self._early.append(data)
        else:
            self.peer.send(data)

    def eof_received(self) -> bool:
        self._ended = True
        if self.peer is not None:
            self.peer.finish()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        other = self.peer.transport if self.peer is not None else None
        if other is None or other.is_closing():
            return
        if error is None:
            other.close()
        else:
            reset(other)


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection so that the other side is told of an error, not of an orderly end."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if isinstance(transport, asyncio.Transport):
        transport.abort()


class _Client(_Half):
    """The direction from a client; it looks for a backend as soon as it is connected."""

    def __init__(self, candidates: Callable[[], list[Endpoint]], patience: float) -> None:
        super().__init__()
        self._candidates = candidates
        self._patience = patience
        self._search: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._search = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        backend = await self._backend()
        while backend is None and loop.time() < deadline:
            await asyncio.sleep(_AGAIN_SECONDS)
            backend = await self._backend()
        if backend is None:
            if self.transport is not None:
                reset(self.transport)
        elif self.transport is None or self.transport.is_closing():
            if backend.transport is not None:
                backend.transport.close()
        else:
            backend.join(self)
            self.join(backend)

    async def _backend(self) -> _Half | None:
        loop = asyncio.get_running_loop()
        for host, port in self._candidates():
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    _, backend = await loop.create_connection(_Half, host, port)
            except (OSError, TimeoutError):
                continue
            return backend
        return None


@dataclass(slots=True)
class Proxy:
    """Listens where Services say, and follows their changes."""

    directory: Directory
    _servers: dict[Endpoint, asyncio.Server] = field(default_factory=dict)
    _targets: dict[Endpoint, tuple[Key, str]] = field(default_factory=dict)
    _turns: dict[Endpoint, Callable[[], int]] = field(default_factory=dict)
    _backends: dict[tuple[Key, str], Backends] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def endpoints_changed(self) -> None:
        """Forget which endpoints were usable."""
        self._backends.clear()

    def services_changed(self) -> None:
        """Have `run` look at the Services again."""
        self._news.set()

    async def run(self) -> None:
        """Open and close listeners as Services come and go, for good."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._update()

    async def _update(self) -> None:
        """Have one listener for each port of each Service."""
        self._targets = self.directory.listeners()
        self._backends.clear()
        for place in [place for place in self._servers if place not in self._targets]:
            self._servers.pop(place).close()
        for place in self._targets:
            if place not in self._servers:
                await self._listen(place)

    async def _listen(self, place: Endpoint) -> None:
        self._turns[place] = itertools.count().__next__
        loop = asyncio.get_running_loop()
        host, port = place
        patience = _PATIENCE.get(self._targets[place][0], 0.0)

        def client() -> _Client:
            return _Client(lambda: self._candidates(place), patience)

        try:
            self._servers[place] = await loop.create_server(client, host, port, backlog=512, reuse_address=True)
        except OSError as error:
            print(f"can't listen at {host}:{port}: {error}", flush=True)  # noqa: T201 - goes to the part's log

    def _candidates(self, place: Endpoint) -> list[Endpoint]:
        """The endpoints to try for one connection, in order; each connection begins at another."""
        target = self._targets.get(place)
        if target is None:
            return []
        if target not in self._backends:
            self._backends[target] = self.directory.backends(*target)
        usable = self._backends[target].usable
        turn = self._turns[place]() % max(1, len(usable))
        return [*usable[turn:], *usable[:turn]]
