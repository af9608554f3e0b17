"""Webhooks that a benchmark opens and closes, and when they were asked."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from canary.kube.types import Json
from canary.sandbox import addresses

_PORT = 10180
INCREASE, PROMOTION, ROLLBACK = "confirm-traffic-increase", "confirm-promotion", "rollback"


@dataclass(slots=True)
class Gate:
    """One webhook, closed until somebody opens it. Times are seconds since the epoch."""

    open: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    passed: asyncio.Event = field(default_factory=asyncio.Event)
    passed_at: float = 0.0

    def answer(self) -> bool:
        """Whether whoever asks may go on."""
        self.asked.set()
        if self.open and not self.passed.is_set():
            self.passed_at = time.time()
            self.passed.set()
        return self.open

    def close(self) -> None:
        """Let nobody pass any more, and forget who did."""
        self.open, self.passed_at = False, 0.0
        self.asked.clear()
        self.passed.clear()

    async def next_question(self, within: float) -> None:
        """Wait until it is asked, from now on.

        Raises:
            TimeoutError: it is not within so many seconds.
        """
        self.asked.clear()
        async with asyncio.timeout(within):
            await self.asked.wait()

    async def let_pass(self, within: float) -> float:
        """Open it, and wait until whoever asks was told so: when that was.

        Raises:
            TimeoutError: nobody asks within so many seconds.
        """
        self.open = True
        async with asyncio.timeout(within):
            await self.passed.wait()
        return self.passed_at


@dataclass(slots=True)
class Gates:
    """All webhooks, by the namespace of their Canary and by their type."""

    found: dict[tuple[str, str], Gate] = field(default_factory=lambda: defaultdict(Gate))

    def of(self, namespace: str, kind: str) -> Gate:
        """One of them."""
        return self.found[namespace, kind]

    async def take(self, request: web.Request) -> web.Response:
        """Answer for one of them."""
        gate = self.of(request.match_info["namespace"], request.match_info["kind"])
        return web.Response(status=200 if gate.answer() else 403, text="")


def hooks(namespace: str) -> list[Json]:
    """The webhooks of a Canary, as its analysis has them."""
    url = f"http://{addresses.TOOLS}:{_PORT}/{namespace}"
    return [{"name": each, "type": each, "url": f"{url}/{each}"} for each in (INCREASE, PROMOTION, ROLLBACK)]


@asynccontextmanager
async def gates() -> AsyncIterator[Gates]:
    """Serve them while the context lasts."""
    served = Gates()
    app = web.Application()
    app.router.add_post("/{namespace}/{kind}", served.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, addresses.TOOLS, _PORT).start()
    try:
        yield served
    finally:
        await runner.cleanup()
