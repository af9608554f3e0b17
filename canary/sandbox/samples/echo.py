"""A gRPC service that says what it is told: the sandbox's image `sample/echo:VERSION`.

It listens at `HOST:PORT` (50051; `--port` wins, any other option is ignored) without TLS and has `sample.Echo` (see
`echo.proto`) and `grpc.health.v1.Health` with `Check` and `Watch`, for the server (the empty name) and `sample.Echo`.
It is SERVING from when it is ready until SIGTERM; after that it serves on for some seconds. Where METRICS_PORT is set
it serves `/metrics` there, over HTTP: `grpc_server_handled_total` and `grpc_server_handling_seconds`, by service,
method and code, without health checks.

Environment:
    VERSION: what it says its version is.
    METRICS_PORT: see above.
    FAULT_ERROR_RATE: share of the calls that fail with the status code FAULT_STATUS (13, INTERNAL), from 0 to 1.
    FAULT_LATENCY: seconds that every call takes longer.
    FAULT_AFTER: seconds after the start from which on the two faults above show.
    FAULT_UNTIL: seconds after the start from which on they don't any more.
    CRASH_AFTER: seconds after the start at which it exits with status 1.
    READY_DELAY: seconds after the start until it is ready; `never` is possible.
    START_DELAY: seconds until it listens at all.
    TERM_SECONDS: seconds that it serves on after SIGTERM (3).
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

from canary.sandbox.grpc import HEALTH, Codec, Serving
from canary.sandbox.protobuf import Message, text
from canary.sandbox.samples.http1 import StatusPages, host, listen
from canary.sandbox.samples.life import Ending, Faults, port_of, seconds
from canary.sandbox.samples.metrics import Histogram

SERVICE = "sample.Echo"
_PORT = 50051
_WATCH_SECONDS = 0.1
_CODES = {Status.OK: "OK", Status.CANCELLED: "Canceled"}


class Echo:
    """The service `sample.Echo`."""

    def __init__(self) -> None:
        self.durations = Histogram("grpc_server_handling_seconds")
        self.version = os.environ.get("VERSION", "")
        self.pod = os.environ.get("POD_NAME", "")
        self.faults = Faults.switched_on()
        self.fault_status = Status(int(os.environ.get("FAULT_STATUS") or Status.INTERNAL.value))

    def __mapping__(self) -> Mapping[str, Handler]:
        """What the server finds here."""
        return {f"/{SERVICE}/Echo": Handler(self._echo, Cardinality.UNARY_UNARY, dict, dict)}

    async def _echo(self, stream: "Stream[Message, Message]") -> None:
        began = time.monotonic()
        status = Status.CANCELLED
        try:
            request = await stream.recv_message()
            status, reply = await self.answer(request or {})
        finally:
            code = _CODES.get(status) or status.name.title().replace("_", "")
            taken = time.monotonic() - began
            self.durations.observe(taken, grpc_service=SERVICE, grpc_method="Echo", grpc_code=code)
        if status is not Status.OK:
            raise GRPCError(status, "fault switched on")
        await stream.send_message(reply)

    async def answer(self, request: Message) -> tuple[Status, Message]:
        """The answer to one request."""
        if await self.faults.strike():
            return self.fault_status, {}
        said = text(request, 1)
        return Status.OK, {1: said.encode(), 2: self.version.encode(), 3: self.pod.encode()}

    def metrics(self) -> list[str]:
        """Its numbers, as Prometheus reads them."""
        by = ("grpc_service", "grpc_method", "grpc_code")
        return [*self.durations.lines(), *self.durations.totals("grpc_server_handled_total", *by)]


class Health:
    """The standard health service, for a server that has one other."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.stopping = False

    def ready(self) -> bool:
        """Whether calls are welcome."""
        return self.faults.ready and not self.stopping

    def serving(self, service: str) -> Serving:
        """The state of a service; the empty name means the server."""
        if service not in ("", SERVICE):
            return Serving.SERVICE_UNKNOWN
        return Serving.SERVING if self.ready() else Serving.NOT_SERVING

    def __mapping__(self) -> Mapping[str, Handler]:
        """What the server finds here."""
        return {
            f"/{HEALTH}/Check": Handler(self._check, Cardinality.UNARY_UNARY, dict, dict),
            f"/{HEALTH}/Watch": Handler(self._watch, Cardinality.UNARY_STREAM, dict, dict),
        }

    async def _check(self, stream: "Stream[Message, Message]") -> None:
        found = self.serving(text(await stream.recv_message() or {}, 1))
        if found is Serving.SERVICE_UNKNOWN:
            raise GRPCError(Status.NOT_FOUND, "unknown service")
        await stream.send_message({1: found})

    async def _watch(self, stream: "Stream[Message, Message]") -> None:
        service = text(await stream.recv_message() or {}, 1)
        told: Serving | None = None
        while True:
            found = self.serving(service)
            if found is not told:
                await stream.send_message({1: found})
                told = found
            await asyncio.sleep(_WATCH_SECONDS)


async def serve(arguments: list[str]) -> int:
    """Serve until some seconds after SIGTERM, or the crash that was asked for; the exit status."""
    echo = Echo()
    health = Health(echo.faults)
    ending = Ending()
    await asyncio.sleep(seconds("START_DELAY"))
    port, metrics_port = port_of(arguments, _PORT), int(os.environ.get("METRICS_PORT") or 0)
    server = Server([echo, health], codec=Codec())
    await server.start(host(), port, backlog=512)
    pages = await listen(StatusPages(echo.metrics, health.ready), metrics_port) if metrics_port else None
    print(f"version {echo.version} serves gRPC at {host()}:{port}", flush=True)  # noqa: T201 - its log
    if await ending.crashes():
        return 1
    health.stopping = True
    await asyncio.sleep(seconds("TERM_SECONDS", 3))
    server.close()
    if pages is not None:
        pages.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(sys.argv[1:])))
