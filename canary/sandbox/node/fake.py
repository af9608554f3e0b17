"""Pods without a process: they become ready after a while and do nothing. For hundreds of them at once."""

import asyncio
from dataclasses import dataclass, field

from canary.kube.types import Json
from canary.sandbox.node.podapi import PodApi
from canary.sandbox.node.podspec import Identity
from canary.sandbox.node.state import ContainerState, PodState, Running, timestamp


@dataclass(slots=True)
class FakePod:
    """A pod that is ready `delay` seconds after it was bound."""

    api: PodApi
    spec: Json
    identity: Identity
    delay: float
    _task: asyncio.Task[None] | None = None
    _ending: asyncio.Task[None] | None = field(default=None)

    def start(self) -> None:
        """Begin to be."""
        self._task = asyncio.create_task(self._become_ready())

    async def _become_ready(self) -> None:
        await asyncio.sleep(self.delay)
        now = timestamp()
        containers = [
            ContainerState(spec["name"], spec["image"], now=Running(now), started=True, ready=True)
            for spec in self.spec["spec"]["containers"]
        ]
        state = PodState(self.identity.ip, self.identity.node_ip, init=[], containers=containers, initialized=True)
        await self.api.write_status(self.spec, state.as_status(now))

    def delete(self, grace: float) -> None:
        """Go at once: there is nothing to wait for."""
        if self._ending is None:
            self.kill()
            self._ending = asyncio.create_task(self.api.remove(self.spec))

    def kill(self) -> None:
        """Stop being."""
        if self._task is not None:
            self._task.cancel()
