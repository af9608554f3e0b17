"""Members of a fleet whose Canary is moved by a sketch of a controller, on whatever API server there is."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from canary.api.canary import parse_canary
from canary.fleet.simulation.clusters import Place
from canary.fleet.simulation.sketch import Fate, Sketch
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError
from canary.kube.merge import merge_patch
from canary.kube.types import CANARY

STEP = 0.5
"""Seconds between two looks."""


class Deployed(Sketch):
    """A member to which the new version comes when a test says so."""

    def deploy(self, now: datetime) -> None:
        """The new version is deployed."""
        self._comes = now

    async def play(self, client: KubeClient, namespace: str, name: str, now: datetime) -> None:
        """Do what is due, from the Canary that is there to the status that is stored."""
        raw = await client.find(CANARY, namespace, name)
        if raw is None:
            return
        before = self._canary = parse_canary(raw)
        self.advance(now)
        if (status := self._canary.status) != before.status:
            patch = {"status": merge_patch(raw.get("status") or {}, status.to_json())}
            await client.merge_patch(CANARY, namespace, name, patch, subresource="status")


class PlayedMember:
    """A member's controller.

    Args:
        name: of the member.
        client: its API server.
        place: namespace and name of its Canary.
        now: the clock.
        takes: how long a rollout takes.
    """

    def __init__(
        self,
        name: str,
        client: KubeClient,
        place: tuple[str, str],
        now: Callable[[], datetime],
        takes: timedelta = timedelta(seconds=1),
    ) -> None:
        self._client, self._place, self._now = client, place, now
        self.sketch = Deployed(Place(name), Fate(comes_after=None, takes=takes), now())

    def deploy(self) -> None:
        """The new version is deployed in it."""
        self.sketch.deploy(self._now())

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            with suppress(KubeError):
                await self.sketch.play(self._client, *self._place, self._now())
            await asyncio.sleep(STEP)
