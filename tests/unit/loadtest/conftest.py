import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

# Else pytest-asyncio makes, and never closes, a loop of its own where the first test is a synchronous one.
asyncio.set_event_loop(None)


class Target:
    """A server under load: remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.BaseRequest] = []
        self.bodies: list[bytes] = []
        self.connections: set[object] = set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        self.connections.add(request.transport)
        match request.path:
            case "/broken":
                return web.Response(status=500, text="broken")
            case "/elsewhere":
                return web.Response(status=302, headers={"Location": "/"})
            case "/not-yet" if len(self.requests) == 1:
                return web.Response(status=503, text="later")
            case "/bytes":
                return web.Response(body=bytes(range(256)))
            case "/large":
                return web.Response(body=bytes(4 * 1024 * 1024))
            case "/drip":
                return await drip(request)
            case "/hang":
                await asyncio.sleep(60)
            case "/cut":
                assert request.transport is not None
                request.transport.close()
        return web.Response(text="ok")


async def drip(request: web.BaseRequest) -> web.StreamResponse:
    """Answer a byte now and then, for a minute."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(600):
        await response.write(b"x")
        await asyncio.sleep(0.1)
    return response


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """A real server on a free port of the loopback."""
    found = Target()
    async with RawTestServer(found.answer, handler_cancellation=True, shutdown_timeout=0.1) as server:
        found.url = str(server.make_url("/"))
        yield found
