"""A small real HTTP server on loopback that plays prepared API answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from canary.kube.client import KubeClient
from canary.kube.connection import Connection, open_plain

# looptime asks for the current loop even in tests without one, and Python would make one that nobody closes.
asyncio.set_event_loop(None)

Json = dict[str, Any]
Answer = web.StreamResponse | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """One request that the server got."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class ApiServer:
    """Gives its answers in order, one a request, and keeps what was asked."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, body: Json, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Queue a JSON answer."""
        self.answers.append(web.json_response(body, status=status, headers=headers))

    def refuse(self, code: int, reason: str = "", message: str = "", **details: Any) -> None:
        """Queue a Status answer."""
        self.answer(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "code": code,
                "reason": reason,
                "message": message,
                "details": details,
            },
            status=code,
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        self.asked.append(
            Asked(
                request.method,
                request.path,
                dict(request.query),
                dict(request.headers),
                json.loads(text) if text else None,
            )
        )
        if not self.answers:
            return web.json_response({"kind": "Status", "code": 500, "message": "no answer prepared"}, status=500)
        answer = self.answers.pop(0)
        return answer if isinstance(answer, web.StreamResponse) else await answer(request)


@pytest.fixture
async def api() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = site.name if not site.name.endswith(":0") else f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def connection(api: ApiServer) -> AsyncIterator[Connection]:
    connection = open_plain(api.url)
    yield connection
    await connection.close()


@pytest.fixture
def client(connection: Connection) -> KubeClient:
    return KubeClient(connection, deadline=2.0)
