"""A program without a port that does jobs: the sandbox's image `sample/worker:VERSION`.

It does RATE jobs a second, one after the other; nobody sends them. Where a port is asked for it serves `/metrics`
(`jobs_total` and `job_duration_seconds`, both by `status`: `ok` or `failed`), `/readyz` and `/healthz` there. While it
is ready there is a file READY_FILE. After SIGTERM it ends the job it is at.

Environment:
    VERSION: what it says its version is.
    RATE: jobs a second (10), if they are done in time; 0 is possible.
    JOB_SECONDS: seconds that a job takes (0.01).
    PORT: where its metrics are; none without it, or `--port`.
    READY_FILE: see above (`ready`, in the folder it is started in).
    FAULT_ERROR_RATE: share of the jobs that fail, from 0 to 1.
    FAULT_LATENCY: seconds that every job takes longer.
    FAULT_AFTER: seconds after the start from which on the two faults above show.
    FAULT_UNTIL: seconds after the start from which on they don't any more.
    CRASH_AFTER: seconds after the start at which it exits with status 1.
    READY_DELAY: seconds after the start until it is ready; `never` is possible.
    START_DELAY: seconds until it does anything at all.
    TERM_SECONDS: seconds that it goes on after SIGTERM (0).
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from canary.sandbox.samples.http1 import StatusPages, listen
from canary.sandbox.samples.life import Ending, Faults, port_of, seconds
from canary.sandbox.samples.metrics import Histogram


class Worker:
    """What does the jobs."""

    def __init__(self) -> None:
        self.durations = Histogram("job_duration_seconds")
        self.faults = Faults.switched_on()
        self.rate = float(os.environ.get("RATE") or 10)
        self.job_seconds = seconds("JOB_SECONDS", 0.01)
        self.stopping = asyncio.Event()

    async def job(self) -> bool:
        """Do one job; whether it went well."""
        began = time.monotonic()
        await asyncio.sleep(self.job_seconds)
        failed = await self.faults.strike()
        self.durations.observe(time.monotonic() - began, status="failed" if failed else "ok")
        return not failed

    async def run(self) -> None:
        """Do jobs until `stopping`. One that is late delays those after it, and they don't catch up."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while self.rate > 0 and not self.stopping.is_set():
            await self.job()
            due = max(due + 1 / self.rate, clock())
            await self._pause(due - clock())
        await self.stopping.wait()

    async def _pause(self, duration: float) -> None:
        try:
            async with asyncio.timeout(duration):
                await self.stopping.wait()
        except TimeoutError:
            return

    def metrics(self) -> list[str]:
        """Its numbers, as Prometheus reads them."""
        return [*self.durations.lines(), *self.durations.totals("jobs_total", "status")]

    def ready(self) -> bool:
        """Whether it is ready."""
        return self.faults.ready


async def _work(worker: Worker, arguments: list[str], ready: Path) -> int:
    ending = Ending()
    await asyncio.sleep(seconds("START_DELAY"))
    port = port_of(arguments, 0)
    server = await listen(StatusPages(worker.metrics, worker.ready), port) if port else None
    version = os.environ.get("VERSION", "")
    print(f"version {version} does {worker.rate:g} jobs a second", flush=True)  # noqa: T201 - its log
    loop = asyncio.get_running_loop()
    timer = loop.call_later(worker.faults.started + worker.faults.ready_after - time.monotonic(), ready.touch)
    jobs = asyncio.create_task(worker.run())
    if await ending.crashes():
        return 1
    timer.cancel()
    _remove(ready)
    await asyncio.sleep(seconds("TERM_SECONDS"))
    worker.stopping.set()
    await jobs
    if server is not None:
        server.close()
    return 0


def work(arguments: list[str]) -> int:
    """Work until SIGTERM, or the crash that was asked for; the exit status."""
    ready = Path(os.environ.get("READY_FILE") or "ready").absolute()
    # A container's folder outlives its program here, so a file may be left of one that was killed.
    _remove(ready)

    async def run() -> int:
        return await _work(Worker(), arguments, ready)

    try:
        return asyncio.run(run())
    finally:
        _remove(ready)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(work(sys.argv[1:]))
