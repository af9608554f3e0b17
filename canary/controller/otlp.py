"""Spans to a collector, by OTLP over HTTP: OpenTelemetry's own exporter, on a thread of its own behind a bounded queue.

It is there where the extra `otel` is installed, and loaded where traces are asked for alone. Its settings are those of
OpenTelemetry's variables: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`, `OTEL_BSP_*`.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from canary.api.addresses import is_web_address
from canary.api.meta import utc
from canary.rollout.spans import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = structlog.get_logger(__name__)

SERVICE = "canary-controller"

CLOSE_SECONDS = 3.0
"""How long a stop waits for spans that are on their way."""

_PATH = "/v1/traces"
_VARIABLES = ("SDK_DISABLED", "EXPORTER_OTLP_TRACES_ENDPOINT", "EXPORTER_OTLP_ENDPOINT")


def is_installed() -> bool:
    """Whether the extra is there that this needs."""
    with suppress(ModuleNotFoundError):
        return find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    return False


def traces_url(endpoint: str, environment: Mapping[str, str]) -> str:
    """Where spans go; empty where nobody asks for them, or a variable switches all of OpenTelemetry off.

    Args:
        endpoint: the address of the collector as a flag has it; empty for what the variables of OpenTelemetry say.
        environment: the variables of the process.
    """
    said = {name: environment.get(f"OTEL_{name}", "").strip() for name in _VARIABLES}
    if said["SDK_DISABLED"].lower() == "true":
        return ""
    if not endpoint and is_web_address(said["EXPORTER_OTLP_TRACES_ENDPOINT"]):
        return said["EXPORTER_OTLP_TRACES_ENDPOINT"]
    base = endpoint or said["EXPORTER_OTLP_ENDPOINT"]
    return f"{base.rstrip('/')}{_PATH}" if is_web_address(base) else ""


class Exporter:
    """Sends spans to a collector, in batches.

    What does not get there is lost, the oldest first where more than `OTEL_BSP_MAX_QUEUE_SIZE` (2048) wait: no rollout
    waits for a trace.

    Args:
        url: where they go.
        version: of the controller.
    """

    def __init__(self, url: str, version: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

        _words_into_the_log()
        made = Resource.create({"service.version": version})
        named = not str(made.attributes["service.name"]).startswith("unknown_service")
        self._resource = made if named else made.merge(Resource({"service.name": SERVICE}))
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=url))

    def __call__(self, span: Span) -> None:
        """Take a span; it goes out some seconds later."""
        self._processor.on_end(self._readable(span))

    async def close(self) -> None:
        """Send what waits, for a while. What answers nobody by then is left to its thread, which ends with us."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="close traces", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await closed.wait()

    def _readable(self, span: Span) -> "ReadableSpan":
        from opentelemetry.sdk.trace import Event, ReadableSpan  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415 - an extra
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415 - an extra

        def context(id_: int) -> SpanContext:
            return SpanContext(span.trace, id_, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

        return ReadableSpan(
            name=span.name,
            context=context(span.id),
            parent=context(span.parent) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(each.name, each.attributes, _nanoseconds(each.time)) for each in span.moments],
            kind=SpanKind.CLIENT if span.outward else SpanKind.INTERNAL,
            instrumentation_scope=InstrumentationScope(SERVICE),
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
        )


def _nanoseconds(time: datetime) -> int:
    """Since 1970, without the rounding of a float."""
    since = utc(time) - utc(datetime(1970, 1, 1))  # noqa: DTZ001 - in UTC, by the function
    return since // timedelta(microseconds=1) * 1000


def _words_into_the_log() -> None:
    """Have what the exporter says stand in the controller's own log, in its form."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            write = log.error if record.levelno >= logging.ERROR else log.warning
            write("traces", reason=record.getMessage())

    logger = logging.getLogger("opentelemetry")
    if not logger.handlers:
        logger.addHandler(Handler(logging.WARNING))
        logger.propagate = False
