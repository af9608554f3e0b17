"""A number per application that the benchmark sets and Prometheus scrapes."""

from typing import Self

from aiohttp import web

from canary.sandbox import addresses

PORT = 10099
TARGET = f"{addresses.TOOLS}:{PORT}"
QUERY = 'bench_errors{{app="{app}"}}'


class Quality:
    """An exporter of one gauge per application."""

    def __init__(self) -> None:
        self.errors: dict[str, float] = {}
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, addresses.TOOLS, PORT).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        lines = ["# TYPE bench_errors gauge"]
        lines += [f'bench_errors{{app="{app}"}} {value}' for app, value in self.errors.items()]
        return web.Response(text="\n".join(lines) + "\n")
