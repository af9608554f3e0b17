"""Requests at a constant rate, whatever the server does, each measured from the time at which it was due.

A generator that sends its next request when the last one was answered slows down together with the server: what it
leaves out is just what would have waited. Gil Tene calls that coordinated omission. The remedy is that of his wrk2
(README of github.com/giltene/wrk2): a plan says when each request is due, and its latency runs from then on, not from
when it was sent. Here nothing waits for an answer either, so that a request is late only for want of a connection or
of a processor; that counts as part of its latency, and how late they were is told.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from loadtest.load.histogram import Histogram, in_buckets

TIMEOUT, ERROR = "timeout", "error"
"""What stands in place of a status: no whole answer in time, and no answer at all."""

EVERY = 1.0
"""Seconds between two reports."""


class NoAnswerError(Exception):
    """A request was not answered: no connection, or one that broke."""


Send: TypeAlias = Callable[[], Awaitable[int]]
"""Sends a request and reads its answer; returns the HTTP status, raises NoAnswerError."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When requests are due.

    Args:
        rate: requests a second.
        duration: for how many seconds.
        timeout: seconds after which a request that is not answered is given up, from when it was due.
    """

    rate: float
    duration: float
    timeout: float

    @property
    def requests(self) -> int:
        """How many there are."""
        return max(1, round(self.rate * self.duration))


@dataclass(slots=True)
class Report:
    """What has happened since the last report.

    Args:
        codes: requests by their status, or what stands in its place.
        latencies: seconds of those that were answered, and of those that were given up.
        late: seconds by which a request was sent after it was due, at most.
    """

    codes: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    late: float = 0.0

    def as_json(self) -> dict[str, object]:
        """Return it as the load tester reads it: latencies are counted in Prometheus' buckets."""
        buckets, total = in_buckets(self.latencies), sum(self.latencies)
        return {"codes": dict(self.codes), "buckets": buckets, "seconds": total, "late": self.late}


class Load:
    """A load that is being made.

    Args:
        plan: when requests are due.
        send: sends one.
        report: is given what has happened, every second and at the end.
    """

    def __init__(self, plan: Plan, send: Send, report: Callable[[Report], None]) -> None:
        self._plan = plan
        self._send = send
        self._tell = report
        self._report = Report()
        self.codes: Counter[str] = Counter()
        self.latencies = Histogram()
        self.late = 0.0
        self.seconds = 0.0
        """How long it has taken, without the answers after the last request."""

    async def run(self) -> None:
        """Send all requests and wait until each is answered or given up."""
        loop = asyncio.get_running_loop()
        telling = asyncio.create_task(self._tell_again_and_again())
        try:
            async with asyncio.TaskGroup() as group:
                begin = loop.time()
                for number in range(self._plan.requests):
                    due = begin + number / self._plan.rate
                    # Also where it is late: those that were sent before must get on.
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    group.create_task(self._one(due))
                await asyncio.sleep(max(0.0, begin + self._plan.requests / self._plan.rate - loop.time()))
                self.seconds = loop.time() - begin
        finally:
            telling.cancel()
            self._tell_now()

    async def _one(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        self._report.late = max(self._report.late, loop.time() - due)
        try:
            async with asyncio.timeout_at(due + self._plan.timeout):
                code = str(await self._send())
        except TimeoutError:
            code = TIMEOUT
        except NoAnswerError:
            self._count(ERROR, None)
            return
        self._count(code, loop.time() - due)

    def _count(self, code: str, latency: float | None) -> None:
        self.codes[code] += 1
        self._report.codes[code] += 1
        if latency is not None:
            self.latencies.add(latency)
            self._report.latencies.append(latency)

    async def _tell_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self._tell_now()

    def _tell_now(self) -> None:
        report, self._report = self._report, Report()
        self.late = max(self.late, report.late)
        self._tell(report)
