"""The life of one pod: its containers, its status, its end."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from canary.kube.types import Json
from canary.sandbox.node import podspec
from canary.sandbox.node.container import Container
from canary.sandbox.node.podapi import PodApi
from canary.sandbox.node.state import PodState, timestamp


@dataclass(slots=True)
class Pod:
    """One pod bound to one of our nodes.

    Attributes:
        api: where its status goes.
        spec: the pod as the API server has it.
        identity: its address and names.
        folder: for its files and logs.
        backoff: see `Container`.
    """

    api: PodApi
    spec: Json
    identity: podspec.Identity
    folder: Path
    backoff: float
    _state: PodState = field(init=False)
    _init: list[Container] = field(init=False)
    _containers: list[Container] = field(init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _main: asyncio.Task[None] | None = None
    _ending: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._init = [self._container(spec) for spec in self.spec["spec"].get("initContainers", [])]
        self._containers = [self._container(spec) for spec in self.spec["spec"]["containers"]]
        self._state = PodState(
            ip=self.identity.ip,
            host_ip=self.identity.node_ip,
            init=[container.state for container in self._init],
            containers=[container.state for container in self._containers],
            restart_policy=self.spec["spec"].get("restartPolicy", "Always"),
        )

    def _container(self, spec: Json) -> Container:
        return Container(
            spec=spec,
            pod=self.spec,
            identity=self.identity,
            folder=self.folder / "files",
            log=self.folder / f"{spec['name']}.log",
            contents=self._contents,
            changed=self._changed.set,
            backoff=self.backoff,
        )

    def start(self) -> None:
        """Begin to run it."""
        self._main = asyncio.create_task(self._run())

    async def _run(self) -> None:
        reporter = asyncio.create_task(self._report())
        try:
            await self._initialize()
            async with asyncio.TaskGroup() as group:
                for container in self._containers:
                    group.create_task(container.run(self._state.restart_policy))
            await self._write()
        finally:
            reporter.cancel()

    async def _initialize(self) -> None:
        policy = "Never" if self._state.restart_policy == "Never" else "OnFailure"
        for container in self._init:
            while await container.run(policy) != 0:
                if policy == "Never":
                    await asyncio.Event().wait()  # such a pod stays as it is until it is deleted
        self._state.initialized = True
        self._changed.set()

    async def _contents(self) -> podspec.Lookup:
        wanted = podspec.references(self.spec)
        read = await asyncio.gather(*(self.api.contents(self.identity.namespace, kind, name) for kind, name in wanted))
        found = dict(zip(wanted, read, strict=True))
        return lambda kind, name: found.get((kind, name))

    async def _report(self) -> None:
        written: Json = {}
        while True:
            await self._changed.wait()
            self._changed.clear()
            status = self._state.as_status(timestamp())
            if status != written:
                await self.api.write_status(self.spec, status)
                written = status

    async def _write(self) -> None:
        await self.api.write_status(self.spec, self._state.as_status(timestamp()))

    def delete(self, grace: float) -> None:
        """End it within `grace` seconds and take it out of the API. Asking again changes nothing."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(grace))

    async def _end(self, grace: float) -> None:
        containers = [*self._init, *self._containers]
        await asyncio.gather(*(container.stop(grace) for container in containers))
        self._cancel()
        await self.api.remove(self.spec)

    def kill(self) -> None:
        """End it at once: it is no longer in the API, or its node dies."""
        for container in [*self._init, *self._containers]:
            container.kill()
        self._cancel()
        if self._ending is not None:
            self._ending.cancel()

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()
