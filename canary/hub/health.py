"""`/healthz` and `/readyz` of a hub, for the kubelet."""

from collections.abc import Callable

from aiohttp import web

from canary.controller.listening import Listener
from inbound.connections import Connections

MOST = 64
"""Connections at most: for each one more, the one that has been quiet for longest is closed."""


def health(address: str, port: int, ready: Callable[[], bool]) -> Listener:
    """The server, which does not listen yet.

    Args:
        address: address to listen on; empty for all.
        port: TCP port; 0 takes any that is free.
        ready: whether the hub knows its own cluster.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="OK\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="OK\n") if ready() else web.Response(status=503, text="waiting for the API server\n")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    flags = f"--address {address} --port {port}" if address else f"--port {port}"
    return Listener(web.AppRunner(app, access_log=None), Connections(MOST).over, address, port, flags)
