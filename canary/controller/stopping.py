"""Work of a process until the kubelet, or a person at a terminal, tells it to stop."""

import asyncio
import signal
from collections.abc import Coroutine

import structlog

log = structlog.get_logger(__name__)


async def until_stopped(work: Coroutine[None, None, None], name: str) -> None:
    """Do work until SIGTERM or SIGINT, and end it then.

    Args:
        work: what is done; its own errors are raised.
        name: of its task.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    working = asyncio.create_task(work, name=name)
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        log.info("stopped")
