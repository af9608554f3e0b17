"""What is known of the demonstration while it runs, and what is shown of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from canary.kube.store import Change
from canary.kube.types import CANARY, EVENT, Json
from canary.kube.watch import WatchCache
from canary.sandbox.demo.story import Act, Frame, Objects, Told, brief, frame
from canary.sandbox.harness import Rig, weight_of
from canary.sandbox.scenario import Scenario
from canary.sandbox.traffic import Answer, Traffic


class Board:
    """The parts of the demonstration, and everything seen so far, on one clock.

    Attributes:
        acts: the parts, as they stand.
        events: what the Canary's events told.
        scenario: the application; None before there is a cluster.
        traffic: the requests; None before there is an application.
    """

    def __init__(self, acts: tuple[Act, ...]) -> None:
        """Begin: the clock counts from now."""
        self.acts = [*acts]
        self.events: list[Told] = []
        self.scenario: Scenario | None = None
        self.traffic: Traffic | None = None
        self._began = asyncio.get_running_loop().time()

    @property
    def now(self) -> float:
        """Seconds from the start."""
        return asyncio.get_running_loop().time() - self._began

    def begin(self, act: int) -> None:
        """A part begins."""
        self.acts[act] = replace(self.acts[act], began=self.now)

    def note(self, act: int, line: str) -> None:
        """Say how a part goes."""
        self.acts[act] = replace(self.acts[act], note=line)

    def end(self, act: int, note: str = "", *, well: bool = True) -> None:
        """A part has ended."""
        self.acts[act] = replace(self.acts[act], ended=self.now, note=note, well=well)

    def frame(self) -> Frame:
        """What is shown now."""
        return frame(self.now, self.acts, self._objects(), self.answers(), self.events)

    def _objects(self) -> Objects:
        if self.scenario is None:
            return Objects()
        return Objects(
            self.scenario.canary.last, self.scenario.route.last, self.scenario.target.last, self.scenario.primary.last
        )

    def answers(self) -> list[Answer]:
        """What became of the requests so far, in seconds from the start."""
        sent = self.traffic.answers if self.traffic is not None else []
        return [replace(answer, at=answer.at - self._began) for answer in sent]

    def weights(self) -> list[tuple[float, int]]:
        """The canary's share of the requests, and from when on, by the gateway's own object."""
        moments = self.scenario.route.moments if self.scenario is not None else []
        seen = [(moment.at - self._began, weight_of(moment.value or {})) for moment in moments]
        return [(at, weight) for at, weight in seen if weight is not None]

    @asynccontextmanager
    async def hearing(self, rig: Rig) -> AsyncIterator[None]:
        """Write down what the events of Canaries tell, while the context lasts."""
        cache = WatchCache(rig.client, EVENT, namespace=rig.namespace)
        cache.subscribe(self._hear)
        task = asyncio.create_task(cache.run(), name="events")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _hear(self, change: Change[Json]) -> None:
        event = change.new
        if event is not None and event["involvedObject"].get("kind") == CANARY.kind:
            self.events.append(Told(self.now, brief(str(event["message"])), event["type"] == "Warning"))
