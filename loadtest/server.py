"""The HTTP side: what hooks call."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

import prometheus_client
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from inbound.connections import Connections
from loadtest.callers import Callers
from loadtest.gates import Gate, Gates, Kind, TooManyGatesError
from loadtest.jobs import Busy, Finished, Jobs, Outcome, OverLimit, Stopped, TimedOut
from loadtest.tasks import BadCallError, Call, Powers, Refused, Task, plan, read_call
from loadtest.telemetry import Telemetry

MOST_WAITING = 128
"""Connections at most whose callers wait for the end of a task, and which are therefore never closed for others."""

LARGEST_BODY = 128 * 1024
"""Bytes of a call's body at most."""

BODY_TYPES = frozenset({"application/json", "application/x-www-form-urlencoded"})
"""What hooks send, and what `curl -d` calls it."""

SLOWEST_BODY = 10.0
"""Seconds that a caller may take to send a body."""

OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""What everybody may ask who reaches it: the kubelet and Prometheus have no token."""

DENIAL: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "5"},
}
"""Headers that go with an answer to one who may not call."""

CUT_REASON = 4096
"""Characters of a failed command's output in the answer: its end."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the handlers work with.

    Args:
        jobs: runs tasks.
        gates: knows which gates are open.
        powers: what may be run.
        telemetry: is told.
        namespaces: calls for Canaries in other namespaces are forbidden; None allows all.
        connections: is told of requests, so that connections without any can be closed.
        callers: knows who may call; None lets everybody.
    """

    jobs: Jobs
    gates: Gates
    powers: Powers
    telemetry: Telemetry
    namespaces: re.Pattern[str] | None = None
    connections: Connections = field(default_factory=Connections)
    callers: Callers | None = None


class Shutdown:
    """Whether the load tester has begun to shut down: it is no longer ready, and says so."""

    begun = False


def application(service: Service, shutdown: Shutdown) -> web.Application:
    """Return the web application."""
    middlewares = [_watching(service.telemetry, service.connections)]
    if service.callers is not None:
        middlewares.append(_letting_in(service.callers, service.telemetry))
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=middlewares)
    endpoints = _Endpoints(service)
    routes: Mapping[str, Callable[[web.Request], Awaitable[web.Response]]] = {
        "/healthz": _always(200, "OK"),
        "/readyz": _ready(shutdown),
        "/metrics": endpoints.metrics,
        "/gate/approve": _always(200, "OK"),
        "/gate/halt": _always(403, "Forbidden"),
        **{f"/{kind}/check": endpoints.check(kind) for kind in Kind},
        **{f"/{kind}/open": endpoints.set(kind, is_open=True) for kind in Kind},
        **{f"/{kind}/close": endpoints.set(kind, is_open=False) for kind in Kind},
    }
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    app.router.add_post("/", endpoints.task)
    return app


def _watching(telemetry: Telemetry, connections: Connections) -> Middleware:
    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else "other"
        connections.touch(request.transport)
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            telemetry.answered(path, answer.status)
            raise
        except Exception:
            telemetry.answered(path, 500)
            telemetry.log.exception("a call could not be answered", path=path)
            return web.Response(status=500, text="internal error")
        finally:
            connections.touch(request.transport)
        telemetry.answered(path, response.status)
        return response

    return watch


def _letting_in(callers: Callers, telemetry: Telemetry) -> Middleware:
    """Refuse who may not call, before anything of the body is read."""

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN:
            return await handler(request)
        denied = await callers.check(request.headers.get("Authorization"), request.remote or "")
        if denied is None:
            return await handler(request)
        telemetry.log.warning("caller refused", path=request.path, status=denied.status, reason=denied.reason)
        headers = DENIAL.get(denied.status)
        return web.Response(status=denied.status, text=denied.reason, headers=headers)

    return let_in


def _always(status: int, text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    return answer


def _ready(shutdown: Shutdown) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=503, text="shutting down") if shutdown.begun else web.Response(text="OK")

    return answer


class _Endpoints:
    """The handlers that need the service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def metrics(self, _: web.Request) -> web.Response:
        page = prometheus_client.generate_latest(self._service.telemetry.registry)
        return web.Response(body=page, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    async def task(self, request: web.Request) -> web.Response:
        call = await self._call(request)
        if call.ends_rollout:
            self._service.jobs.rollout_ended(call)
        if call.tells:
            return web.Response(text="noted")
        task = plan(call, self._service.powers)
        if isinstance(task, Refused):
            self._service.telemetry.log.warning("task refused", reason=task.reason)
            return web.Response(status=400, text=task.reason)
        if task.waits:
            connections = self._service.connections
            if connections.waiting >= MOST_WAITING:
                return answer_for(task, Busy(connections.waiting))
            with connections.held(request.transport):
                return answer_for(task, await self._service.jobs.wait(task))
        started = self._service.jobs.start(task)
        if isinstance(started, Busy):
            return answer_for(task, started)
        return web.Response(status=202, text=started.value)

    def check(self, kind: Kind) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            gate = _gate(kind, await self._call(request))
            is_open = self._service.gates.is_open(gate)
            self._service.telemetry.log.info("gate checked", gate=kind.value, canary=_name(gate), approved=is_open)
            return web.Response(text="Approved") if is_open else web.Response(status=403, text="Forbidden")

        return answer

    def set(self, kind: Kind, *, is_open: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            gate = _gate(kind, await self._call(request))
            change = self._service.gates.open if is_open else self._service.gates.close
            try:
                await change(gate)
            except TooManyGatesError as error:
                return web.Response(status=507, text=f"{error}; close those that are not needed")
            except OSError as error:
                self._service.telemetry.log.exception("gates can't be kept", canary=_name(gate))
                return web.Response(status=500, text=f"the gate is as it was: {error}")
            word = "opened" if is_open else "closed"
            self._service.telemetry.log.info("gate set", gate=kind.value, canary=_name(gate), now=word)
            return web.Response(status=202, text=word)

        return answer

    async def _call(self, request: web.Request) -> Call:
        """Read the call.

        Raises:
            HTTPException: it is malformed (400), too large (413), too slow (408), of a type that no hook
                has (415), from a web page or of a forbidden namespace (403).
        """
        _check_sender(request)
        try:
            async with asyncio.timeout(SLOWEST_BODY):
                call = read_call(await request.read())
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the body did not come in time") from None
        except BadCallError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except web.RequestPayloadError as error:
            raise web.HTTPBadRequest(text=f"the body can't be read: {' '.join(str(error).split())}") from None
        allowed = self._service.namespaces
        if allowed is not None and not allowed.search(call.namespace):
            raise web.HTTPForbidden(text=f"Forbidden: namespace {call.namespace!r} is not served here")
        return call


def _check_sender(request: web.Request) -> None:
    """Refuse what a page in somebody's browser could send to a load tester that the browser can reach.

    Browsers name the page's origin with every POST, hooks and curl don't. Of the types that a page may send without
    asking first, only that of `curl -d` is taken, which names no origin.

    Raises:
        HTTPException: it is from a web page (403), or of a type that no hook and no `curl -d` has (415).
    """
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        raise web.HTTPForbidden(text="Forbidden: web pages may not call the load tester")
    if request.can_read_body and request.content_type not in BODY_TYPES:
        raise web.HTTPUnsupportedMediaType(text="send JSON, with the header Content-Type: application/json")


def _gate(kind: Kind, call: Call) -> Gate:
    if not call.name or not call.namespace:
        raise web.HTTPBadRequest(text="a gate needs name and namespace of the Canary")
    return Gate(kind, call.namespace, call.name)


def _name(gate: Gate) -> str:
    return f"{gate.name}.{gate.namespace}"


def answer_for(task: Task, outcome: Outcome | Busy) -> web.Response:
    """Return the answer to a caller who waited for a task."""
    match outcome:
        case Finished(0, output):
            return web.Response(text=output if task.returns_output else "")
        case Finished(status, output):
            reason = f"command {task.command} failed with status {status}: {output[-CUT_REASON:]}"
            return web.Response(status=500, text=reason)
        case TimedOut(limit, output):
            reason = f"command {task.command} took longer than {limit}: {output[-CUT_REASON:]}"
            return web.Response(status=500, text=reason)
        case OverLimit(why, output):
            reason = f"command {task.command} was ended: {why}: {output[-CUT_REASON:]}"
            return web.Response(status=500, text=reason)
        case Stopped(why):
            return web.Response(status=503, text=why, headers={"Retry-After": "5"})
        case Busy(running):
            reason = f"{running} tasks run and the line for more is full, or too many callers wait"
            return web.Response(status=503, text=reason, headers={"Retry-After": "5"})
        case _:
            assert_never(outcome)
