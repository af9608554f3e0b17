import asyncio
from contextlib import AsyncExitStack

import aiohttp

from canary.controller.server import MOST, Server
from canary.controller.telemetry import Telemetry


async def test_the_controller_answers_beside_more_unfinished_requests_than_it_keeps(unused_tcp_port: int) -> None:
    registry = Telemetry("0", "traefik").registry
    server = Server("127.0.0.1", unused_tcp_port, registry, ready=lambda: True, refresh=lambda: None)
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.close)
        for _ in range(MOST + 20):
            _, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
            stack.callback(writer.close)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"http://127.0.0.1:{unused_tcp_port}/healthz")
            assert answer.status == 200
        assert len(server.connections) <= MOST
