"""`/healthz`, `/readyz` and `/metrics`, for the kubelet and for Prometheus."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from canary.controller.listening import Listener
from inbound.connections import Connections

MOST = 512
"""Connections at most: for each one more, the one that has been quiet for longest is closed. It is several times what
the event loop takes in before it reads again, so that a crowd that comes at once pushes out none that has a request."""


class Server:
    """The HTTP server of a controller, or of a hub.

    Args:
        address: address to listen on; empty for all.
        port: TCP port; 0 takes any that is free.
        registry: what `/metrics` shows.
        ready: whether the caches are complete.
        refresh: is called before each scrape.
        waits: what is waited for before that.
    """

    def __init__(
        self,
        address: str,
        port: int,
        registry: CollectorRegistry,
        *,
        ready: Callable[[], bool],
        refresh: Callable[[], None],
        waits: str = "the API server, or for a certificate of admission",
    ) -> None:
        self._registry = registry
        self._ready, self._waits = ready, waits
        self._refresh = refresh
        self.connections = Connections(MOST)
        app = web.Application(middlewares=[self._touch])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        flags = f"--address {address} --port {port}" if address else f"--port {port}"
        runner = web.AppRunner(app, access_log=None)
        self._listener = Listener(runner, self.connections.over, address, port, flags)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ListenError: the port is taken, or the address is none of this machine's.
        """
        await self._listener.start()

    async def close(self) -> None:
        """Stop listening."""
        await self._listener.close()

    @web.middleware
    async def _touch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.connections.touch(request.transport)
        return await handler(request)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="OK\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if self._ready():
            return web.Response(text="OK\n")
        return web.Response(status=503, text=f"waiting for {self._waits}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        self._refresh()
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
