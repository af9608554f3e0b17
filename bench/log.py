"""When each Canary entered each phase, and each route each weight."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from canary.kube.client import KubeClient
from canary.kube.store import Change
from canary.kube.types import CANARY, TRAEFIK_SERVICE, Json
from canary.kube.watch import WatchCache
from canary.sandbox.harness import phase_of, weight_of


@dataclass(slots=True)
class Log:
    """Entries are loop times, in seconds, and what was entered, oldest first."""

    phases: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    weights: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def canary(self, change: Change[Json]) -> None:
        """Take in a change of a Canary."""
        entries = self.phases.setdefault(change.key.name, [])
        phase = phase_of(change.new or {})
        if not entries or entries[-1][1] != phase:
            entries.append((asyncio.get_running_loop().time(), phase))
            self.news.set()

    def route(self, change: Change[Json]) -> None:
        """Take in a change of a TraefikService."""
        entries = self.weights.setdefault(change.key.name, [])
        weight = weight_of(change.new or {})
        if weight is not None and (not entries or entries[-1][1] != weight):
            entries.append((asyncio.get_running_loop().time(), weight))

    def phase(self, name: str) -> str:
        """The phase that a Canary is in."""
        entries = self.phases.get(name)
        return entries[-1][1] if entries else ""

    def count(self, names: Sequence[str], phases: set[str]) -> int:
        """How many of these are in one of the phases."""
        return sum(self.phase(name) in phases for name in names)

    async def all_in(self, names: Sequence[str], phases: set[str], within: float) -> None:
        """Wait until every one of these is in one of the phases.

        Raises:
            TimeoutError: they are not within so many seconds.
        """
        async with asyncio.timeout(within):
            while self.count(names, phases) < len(names):
                self.news.clear()
                await self.news.wait()
                await asyncio.sleep(0.1)

    def entered(self, name: str, phases: set[str], since: float) -> float:
        """When a Canary first entered one of the phases after a time."""
        return next(at for at, phase in self.phases[name] if at >= since and phase in phases)


@asynccontextmanager
async def keeping(client: KubeClient) -> AsyncIterator[Log]:
    """Keep a log while the context lasts."""
    log = Log()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for resource, handler in ((CANARY, log.canary), (TRAEFIK_SERVICE, log.route)):
            cache = WatchCache(client, resource)
            cache.subscribe(handler)
            tasks.append(group.create_task(cache.run()))
        try:
            yield log
        finally:
            for task in tasks:
                task.cancel()
