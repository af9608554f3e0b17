"""A small web service with faults to switch on: the sandbox's image `sample/web:VERSION` (also `podinfo`).

It listens at `HOST:PORT` (`--port` wins), and at the port that `--port-metrics` names as well; any other option is
ignored. It answers `/` (its version and pod, as JSON), `/health`, `/healthz`, `/readyz`, `/metrics`, `/version`,
`/status/CODE`, `/delay/SECONDS`, `/headers`, `/echo`, `/token`: what specs made for podinfo ask it for. For some
seconds after SIGTERM it serves on, as real services do with a preStop hook.

Environment:
    VERSION: what it says its version is.
    FAULT_ERROR_RATE: share of the requests answered with FAULT_STATUS (500), from 0 to 1.
    FAULT_LATENCY: seconds that every answer takes longer.
    FAULT_AFTER: seconds after the start from which on the two faults above show.
    FAULT_UNTIL: seconds after the start from which on they don't any more.
    CRASH_AFTER: seconds after the start at which it exits with status 1.
    READY_DELAY: seconds after the start until it is ready; `never` is possible.
    START_DELAY: seconds until it listens at all.
    TERM_SECONDS: seconds that it serves on after SIGTERM (3).
"""

import asyncio
import json
import os
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from canary.sandbox.samples.http1 import Answer, host, listen, metrics_page, ready_page
from canary.sandbox.samples.life import Ending, Faults, option, port_of, seconds
from canary.sandbox.samples.metrics import Histogram

_QUIET = {"/health", "/healthz", "/readyz", "/metrics"}
_PORT = 9898


class Service:
    """What the service answers."""

    def __init__(self) -> None:
        self.durations = Histogram("http_request_duration_seconds")
        self.version = os.environ.get("VERSION", "")
        self.pod = os.environ.get("POD_NAME", "")
        self.faults = Faults.switched_on()
        self.error_status = int(os.environ.get("FAULT_STATUS") or 500)
        self.stopping = False

    async def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request."""
        began = time.monotonic()
        path = urlsplit(target).path or "/"
        if path in _QUIET:
            return self._internal(path)
        if await self.faults.strike():
            status, kind, content = self.error_status, "text/plain", b"fault switched on\n"
        else:
            status, kind, content = await self._page(path, headers, body)
        label = path if path.count("/") == 1 else "/" + path.split("/")[1]
        self.durations.observe(time.monotonic() - began, method=method, path=label, status=str(status))
        return status, kind, content

    def _internal(self, path: str) -> Answer:
        if path == "/metrics":
            return metrics_page([*self.durations.lines(), *self.durations.totals("http_requests_total", "status")])
        return ready_page(path != "/readyz" or self.faults.ready)

    async def _page(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        first, _, rest = path.lstrip("/").partition("/")
        if first == "":
            return _json({"message": "hello", "version": self.version, "hostname": self.pod})
        if first == "version":
            return _json({"version": self.version})
        if first == "headers":
            return _json(headers)
        if first == "token":
            return _json({"token": secrets.token_urlsafe(), "expires_at": _expiry()})
        if first == "echo":
            return 200, headers.get("content-type", "text/plain"), body
        try:
            if first == "status":
                return int(rest), "text/plain", b"as asked\n"
            if first == "delay":
                await asyncio.sleep(float(rest))
                return _json({"delay": float(rest)})
        except ValueError:
            return 400, "text/plain", b"not a number\n"
        return 404, "text/plain", b"no such page\n"


def _expiry() -> str:
    return (datetime.now(UTC) + timedelta(minutes=1)).isoformat()


def _json(value: object) -> Answer:
    return 200, "application/json", json.dumps(value).encode() + b"\n"


async def serve(arguments: list[str]) -> int:
    """Serve until some seconds after SIGTERM, or the crash that was asked for; the exit status."""
    service = Service()
    ending = Ending()
    await asyncio.sleep(seconds("START_DELAY"))
    port = port_of(arguments, _PORT)
    server = await listen(service, port)
    metrics_port = option(arguments, "--port-metrics")
    metrics_server = await listen(service, int(metrics_port)) if metrics_port else None
    print(f"version {service.version} serves at {host()}:{port}", flush=True)  # noqa: T201 - its log
    if await ending.crashes():
        return 1
    service.stopping = True
    await asyncio.sleep(seconds("TERM_SECONDS", 3))
    server.close()
    if metrics_server is not None:
        metrics_server.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(sys.argv[1:])))
