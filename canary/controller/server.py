"""`/healthz`, `/readyz` and `/metrics`, for the kubelet and for Prometheus."""

import asyncio
import os
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from canary.controller.telemetry import Telemetry
from inbound.connections import Connections

MOST = 512
"""Connections at most: for each one more, the one that has been quiet for longest is closed. It is several times what
the event loop takes in before it reads again, so that a crowd that comes at once pushes out none that has a request."""


class ListenError(Exception):
    """The address or the port can't be listened on; the text says why."""


class Server:
    """The controller's HTTP server.

    Args:
        address: address to listen on; empty for all.
        port: TCP port; 0 takes any that is free.
        telemetry: what `/metrics` shows.
        ready: whether the caches are complete.
        refresh: is called before each scrape.
    """

    def __init__(
        self,
        address: str,
        port: int,
        telemetry: Telemetry,
        *,
        ready: Callable[[], bool],
        refresh: Callable[[], None],
    ) -> None:
        self._address = address or None
        self._port = port
        self._telemetry = telemetry
        self._ready = ready
        self._refresh = refresh
        self.connections = Connections(MOST)
        app = web.Application(middlewares=[self._touch])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ListenError: the port is taken, or the address is none of this machine's.
        """
        await self._runner.setup()
        assert self._runner.server is not None, "it is set up"  # noqa: S101
        protocols = self.connections.over(self._runner.server)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(protocols, self._address, self._port, reuse_address=True)
        except (OSError, ValueError) as error:  # of a name that no resolver can be asked for
            await self._runner.cleanup()
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else ""
            raise ListenError(reason or getattr(error, "strerror", "") or str(error)) from error

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    @web.middleware
    async def _touch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.connections.touch(request.transport)
        return await handler(request)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="OK\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if self._ready():
            return web.Response(text="OK\n")
        return web.Response(status=503, text="waiting for the API server\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        self._refresh()
        body = generate_latest(self._telemetry.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
