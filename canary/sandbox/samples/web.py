"""A small web service with faults to switch on: the sandbox's image `sample/web:VERSION` (also `podinfo`).

It listens at `HOST:PORT` (`--port` wins; any other option is ignored) and answers
`/` (its version and pod, as JSON), `/health`, `/healthz`, `/readyz`, `/metrics`, `/version`, `/status/CODE`,
`/delay/SECONDS`, `/headers`, `/echo`. For some seconds after SIGTERM it serves on, as real services do with a preStop
hook.

Environment:
    VERSION: what it says its version is.
    FAULT_ERROR_RATE: share of the requests answered with FAULT_STATUS (500), from 0 to 1.
    FAULT_LATENCY: seconds that every answer takes longer.
    FAULT_AFTER: seconds after the start from which on the two faults above show.
    CRASH_AFTER: seconds after the start at which it exits with status 1.
    READY_DELAY: seconds after the start until it is ready; `never` is possible.
    START_DELAY: seconds until it listens at all.
    TERM_SECONDS: seconds that it serves on after SIGTERM (3).
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from urllib.parse import urlsplit

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
_QUIET = {"/health", "/healthz", "/readyz", "/metrics"}
_HTTP_ERROR = 400
_MAX_HEADER = 65_536


def _seconds(name: str, default: float = 0.0) -> float:
    value = os.environ.get(name, "")
    return float("inf") if value == "never" else float(value or default)


class Metrics:
    """Counts of the requests answered, as Prometheus reads them."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, int], list[float]] = {}

    def observe(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one answer."""
        row = self.counts.setdefault((method, path, status), [0.0] * (len(_BUCKETS) + 2))
        for index, bound in enumerate(_BUCKETS):
            if seconds <= bound:
                row[index] += 1
        row[-2] += 1
        row[-1] += seconds

    def render(self) -> str:
        """The page for Prometheus."""
        lines = ["# TYPE http_request_duration_seconds histogram"]
        for (method, path, status), row in self.counts.items():
            labels = f'method="{method}",path="{path}",status="{status}"'
            for bound, value in zip((*map(str, _BUCKETS), "+Inf"), row, strict=False):
                lines.append(f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {value:g}')
            lines.append(f"http_request_duration_seconds_sum{{{labels}}} {row[-1]}")
            lines.append(f"http_request_duration_seconds_count{{{labels}}} {row[-2]:.0f}")
        lines.append("# TYPE http_requests_total counter")
        totals: dict[int, float] = {}
        for (_, _, status), row in self.counts.items():
            totals[status] = totals.get(status, 0.0) + row[-2]
        lines += [f'http_requests_total{{status="{status}"}} {value:.0f}' for status, value in totals.items()]
        return "\n".join(lines) + "\n"


class Service:
    """What the service answers."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.metrics = Metrics()
        self.version = os.environ.get("VERSION", "")
        self.pod = os.environ.get("POD_NAME", "")
        self.error_rate = float(os.environ.get("FAULT_ERROR_RATE") or 0)
        self.error_status = int(os.environ.get("FAULT_STATUS") or 500)
        self.latency = _seconds("FAULT_LATENCY")
        self.fault_after = _seconds("FAULT_AFTER")
        self.ready_after = _seconds("READY_DELAY")
        self.stopping = False

    async def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Answer one request: status, media type, content."""
        began = time.monotonic()
        path = urlsplit(target).path
        if path in _QUIET:
            return self._internal(path)
        age = began - self.started
        faulty = age >= self.fault_after
        if faulty and self.latency:
            await asyncio.sleep(self.latency)
        if faulty and self.error_rate and random.random() < self.error_rate:  # noqa: S311 - not a secret
            status, kind, content = self.error_status, "text/plain", b"fault switched on\n"
        else:
            status, kind, content = await self._page(path, headers, body)
        label = path if path.count("/") == 1 else "/" + path.split("/")[1]
        self.metrics.observe(method, label, status, time.monotonic() - began)
        return status, kind, content

    def _internal(self, path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4", self.metrics.render().encode()
        if path == "/readyz" and time.monotonic() - self.started < self.ready_after:
            return 503, "text/plain", b"not ready\n"
        return 200, "text/plain", b"ok\n"

    async def _page(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        first, _, rest = path.lstrip("/").partition("/")
        if first == "":
            return _json({"message": "hello", "version": self.version, "hostname": self.pod})
        if first == "version":
            return _json({"version": self.version})
        if first == "headers":
            return _json(headers)
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


def _json(value: object) -> tuple[int, str, bytes]:
    return 200, "application/json", json.dumps(value).encode() + b"\n"


class Connection(asyncio.Protocol):
    """One client: requests one after the other, kept alive."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.buffer = b""
        self.busy: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Give up what is being answered."""
        if self.busy is not None:
            self.busy.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer if a request is complete."""
        self.buffer += data
        self._next()

    def _next(self) -> None:
        if self.busy is not None or b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > _MAX_HEADER and self.busy is None and self.transport is not None:
                self.transport.close()
            return
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length") or 0)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        method, target, _ = first.split(" ", 2)
        coroutine = self._answer(method, target, headers, rest[:length])
        self.busy = asyncio.get_running_loop().create_task(coroutine)

    async def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        status, kind, content = await self.service.answer(method, target, headers, body)
        # Clients that would send more over this connection are told not to while it ends.
        close = self.service.stopping or headers.get("connection", "").lower() == "close"
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(content)}\r\nX-Version: {self.service.version}\r\n"
            f"X-Pod: {self.service.pod}\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n"
        )
        self.busy = None
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(head.encode("latin-1") + (b"" if method == "HEAD" else content))
        if close:
            self.transport.close()
        else:
            self._next()


def _port(arguments: list[str]) -> int:
    for index, argument in enumerate(arguments):
        if argument.startswith("--port="):
            return int(argument.partition("=")[2])
        if argument == "--port" and index + 1 < len(arguments):
            return int(arguments[index + 1])
    return int(os.environ.get("PORT") or 9898)


async def serve(arguments: list[str]) -> int:
    """Serve until some seconds after SIGTERM, or the crash that was asked for; the exit status."""
    service = Service()
    loop = asyncio.get_running_loop()
    term, crash = asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, term.set)
    crash_after = _seconds("CRASH_AFTER", float("inf"))
    if crash_after != float("inf"):
        loop.call_later(crash_after, crash.set)
    await asyncio.sleep(_seconds("START_DELAY"))
    host = os.environ.get("HOST") or "127.0.0.1"
    server = await loop.create_server(lambda: Connection(service), host, _port(arguments), backlog=512)
    print(f"version {service.version} serves at {host}:{_port(arguments)}", flush=True)  # noqa: T201 - its log
    waits = [asyncio.create_task(event.wait()) for event in (term, crash)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if crash.is_set():
        print("crashing, as asked", flush=True)  # noqa: T201 - its log
        return 1
    service.stopping = True
    await asyncio.sleep(_seconds("TERM_SECONDS", 3))
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(sys.argv[1:])))
