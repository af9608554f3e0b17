"""How an HTTP server of the controller's listens."""

import asyncio
import os
from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from inbound.connections import listen

Protocols: TypeAlias = Callable[[], asyncio.Protocol]
"""Makes what speaks on a connection."""


class ListenError(Exception):
    """The address or the port can't be listened on; the text says why.

    Args:
        why: the same.
        flags: the flags that name them, as they were given.
    """

    def __init__(self, why: str, flags: str) -> None:
        super().__init__(why)
        self.flags = flags


class Listener:
    """An application that is served.

    Args:
        runner: of the application.
        over: what bounds its connections, or makes them secure, lays itself between.
        address: address to listen on; empty for all.
        port: TCP port; 0 takes any that is free.
        flags: the flags that name them, for who is told that they can't be listened on.
    """

    def __init__(
        self, runner: web.AppRunner, over: Callable[[Protocols], Protocols], address: str, port: int, flags: str
    ) -> None:
        self._runner = runner
        self._over = over
        self._address = address or None
        self._port = port
        self._flags = flags
        self._server: asyncio.Server | None = None

    @property
    def is_listening(self) -> bool:
        """Whether it was begun to listen."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port that it listens on, once it does."""
        assert self._server is not None, "it listens"  # noqa: S101
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ListenError: the port is taken, or the address is none of this machine's.
        """
        await self._runner.setup()
        assert self._runner.server is not None, "it is set up"  # noqa: S101
        try:
            self._server = await listen(self._over(self._runner.server), self._address, self._port)
        except (OSError, ValueError) as error:  # of a name that no resolver can be asked for
            await self._runner.cleanup()
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else ""
            raise ListenError(reason or getattr(error, "strerror", "") or str(error), self._flags) from error

    def stop(self) -> None:
        """Take no more connections; those that are open go on."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Stop listening."""
        self.stop()
        await self._runner.cleanup()
