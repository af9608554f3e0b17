"""Steady requests through the gateway, and what became of each."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

HTTP_ERROR = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    Args:
        at: loop time at which it was sent, in seconds.
        seconds: how long the answer took.
        status: HTTP status; 0 where there was no answer.
        version: the version that answered, by its header `X-Version`; empty where there is none.
        error: why there was no answer; empty where there was one.
    """

    at: float
    seconds: float
    status: int
    version: str
    error: str = ""

    @property
    def lost(self) -> bool:
        """Whether the user got nothing useful: a 5xx, or no answer at all."""
        return self.status == 0 or self.status >= HTTP_ERROR


@dataclass(slots=True)
class Traffic:
    """Requests at a steady rate, whatever the answers (an open loop), from entering to leaving the context.

    Args:
        url: what is asked for.
        host: the host name that the gateway routes by; empty for the address's own.
        rate: requests a second.
        headers: further headers of each request.
        limit: seconds that an answer may take, beyond the moments for which a busy machine runs nothing of a test.
        fresh: whether each request has a connection of its own, so that a Service spreads them over all pods.
    """

    url: str
    host: str = ""
    rate: float = 50.0
    headers: Mapping[str, str] = field(default_factory=dict)
    limit: float = 15.0
    fresh: bool = False
    answers: list[Answer] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="traffic")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def lost(self) -> list[Answer]:
        """The requests that failed."""
        return [answer for answer in self.answers if answer.lost]

    def versions(self, since: float = 0.0) -> Counter[str]:
        """How many answers each version gave from a loop time on."""
        return Counter(answer.version for answer in self.answers if answer.at >= since and answer.status)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(total=self.limit)
        connector = aiohttp.TCPConnector(limit=0, force_close=self.fresh)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session, asyncio.TaskGroup() as group:
            begun = loop.time()
            sent = 0
            while True:
                group.create_task(self._ask(session))
                sent += 1
                await asyncio.sleep(max(0.0, begun + sent / self.rate - loop.time()))

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        headers = {**self.headers, **({"Host": self.host} if self.host else {})}
        try:
            async with session.get(self.url, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers.append(Answer(at, loop.time() - at, 0, "", repr(error)))
            return
        self.answers.append(Answer(at, loop.time() - at, answer.status, answer.headers.get("X-Version", "")))
