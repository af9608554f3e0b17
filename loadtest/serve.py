"""Starts the load tester, and ends it in order."""

import asyncio
import gc
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import disable_created_metrics

from inbound.connections import listen
from loadtest.callers import ApiServer, Callers, ReviewedTokens, SharedTokens, TokenFileError
from loadtest.family import Family, threads
from loadtest.gates import GateFileError, Gates
from loadtest.jobs import Jobs
from loadtest.processes import Output, run
from loadtest.programs import Programs
from loadtest.server import Service, Shutdown, application
from loadtest.standin import small_curl
from loadtest.tasks import Powers, Task
from loadtest.telemetry import Telemetry, configure_logs

if TYPE_CHECKING:
    from loadtest.cli import Settings

_GARBAGE = (10_000, 10, 10)
"""How many objects more than before are made before circles are looked for among them; Python's own is 700."""

LAST_ANSWERS = 5.0
"""Seconds that answers under way get on shutdown."""


class NoApiServerError(Exception):
    """This runs in no pod, or in one without a token of its own."""


async def serve(settings: "Settings") -> int:
    """Serve until SIGTERM or SIGINT, then end all tasks; return the exit status."""
    # Calls wait while garbage is looked for: among what comes and goes, and not among all that was loaded for good.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves out the annotation
    telemetry = Telemetry(configure_logs(settings.log_level, settings.log_encoding))
    try:
        gates = Gates(settings.gate_file)
    except GateFileError as error:
        telemetry.log.error("the gate file can't be used", error=str(error))
        return 1
    try:
        callers = _callers(settings)
    except (TokenFileError, NoApiServerError) as error:
        telemetry.log.error("nobody could be let in", error=str(error))
        return 1
    names = None if settings.allow_shell else settings.programs
    powers = Powers(Programs(names), may_use_shell=settings.allow_shell)
    limits = replace(settings.limits, threads=settings.limits.threads + threads())
    family = Family(limits)
    family.adopt()
    watching = asyncio.create_task(family.watch(), name="limits")

    async def execute(task: Task, output: Output) -> int:
        return await run(task.script, output, family)

    jobs = Jobs(
        execute,
        telemetry,
        limits=limits,
        most=settings.most_tasks,
        queue=settings.queue,
        outputs=telemetry.output,
    )
    telemetry.watch_queue(lambda: jobs.queued)
    service = Service(jobs, gates, powers, telemetry, settings.namespaces, callers=callers)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        with small_curl():
            return await _serve_until(stop, service, settings)
    finally:
        watching.cancel()
        if callers is not None:
            await callers.close()


def _callers(settings: "Settings") -> Callers | None:
    """Return who knows who may call; None where everybody may.

    Raises:
        TokenFileError: the file with the tokens can't be used.
        NoApiServerError: there is no API server to ask.
    """
    if settings.token_file is not None:
        return SharedTokens(settings.token_file)
    if not settings.token_review:
        return None
    server = ApiServer.of_pod()
    if server is None:
        msg = "--token-review takes a pod with a token of its own (automountServiceAccountToken)"
        raise NoApiServerError(msg)
    return ReviewedTokens(server, settings.token_review, settings.token_audience)


async def _serve_until(stop: asyncio.Event, service: Service, settings: "Settings") -> int:
    shutdown = Shutdown()
    log = service.telemetry.log
    runner = web.AppRunner(
        application(service, shutdown),
        # A caller who has gone no longer waits for the end of a command.
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=LAST_ANSWERS,
    )
    await runner.setup()
    try:
        assert runner.server is not None, "it is set up"  # noqa: S101
        server = await listen(service.connections.over(runner.server), settings.address or None, settings.port)
    except (OSError, ValueError) as error:  # the latter of a name that no resolver can be asked for
        log.error("can't listen", port=settings.port, error=str(error))
        await runner.cleanup()
        return 1
    names = [each.getsockname() for each in server.sockets]
    log.info("listening", addresses=[f"{name[0]}:{name[1]}" for name in names])
    await stop.wait()
    log.info("shutting down")
    shutdown.begun = True
    await service.jobs.close()
    server.close()
    await runner.cleanup()
    return 0
