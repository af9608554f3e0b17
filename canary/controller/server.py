"""`/healthz`, `/readyz` and `/metrics`, for the kubelet and for Prometheus."""

import os
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from canary.controller.telemetry import Telemetry


class ListenError(Exception):
    """The address or the port can't be listened on; the text says why."""


Handler = Callable[[web.Request], Awaitable[web.Response]]


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
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ListenError: the port is taken, or the address is none of this machine's.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host=self._address, port=self._port, reuse_address=True).start()
        except (OSError, ValueError) as error:  # of a name that no resolver can be asked for
            await self._runner.cleanup()
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else ""
            raise ListenError(reason or getattr(error, "strerror", "") or str(error)) from error

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

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
