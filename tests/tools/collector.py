"""A collector of traces that tests start: OTLP over HTTP with protobuf, as the specification has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Value = str | int | float | bool | list[str]


@dataclass(slots=True)
class Received:
    """One span, and who it came from."""

    span: Span
    resource: dict[str, Value]

    @property
    def trace(self) -> str:
        """Its trace's id, in hexadecimal."""
        return self.span.trace_id.hex()

    @property
    def id(self) -> str:
        """Its own id, in hexadecimal."""
        return self.span.span_id.hex()

    @property
    def parent(self) -> str:
        """Its parent's id, in hexadecimal; empty for none."""
        return self.span.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, Value]:
        """What is told with it."""
        return {each.key: value_of(each.value) for each in self.span.attributes}


@dataclass(slots=True)
class Collector:
    """What it was sent."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def named(self, name: str) -> list[Received]:
        """The spans of a name."""
        return [each for each in self.spans if each.span.name == name]

    async def _take(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == "application/x-protobuf"
        told = ExportTraceServiceRequest()
        told.ParseFromString(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        for group in told.resource_spans:
            resource = {each.key: value_of(each.value) for each in group.resource.attributes}
            self.spans += [Received(span, resource) for scope in group.scope_spans for span in scope.spans]
        body = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=body, content_type="application/x-protobuf")


def value_of(value: AnyValue) -> Value:
    """The value of an attribute."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [each.string_value for each in value.array_value.values]
    found: Value = getattr(value, str(kind))
    return found


@asynccontextmanager
async def collector(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Collector]:
    """One that runs, and its address."""
    made = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", made._take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        sockets = site._server.sockets if site._server is not None else []  # type: ignore[attr-defined]
        made.url = f"http://{host}:{sockets[0].getsockname()[1]}"
        yield made
    finally:
        await runner.cleanup()
