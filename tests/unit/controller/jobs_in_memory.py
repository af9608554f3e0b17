"""The part of the Job's controller beside an API server in memory, and a rollout that Jobs answer for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import JOB, POD
from tests.unit.controller.api_in_memory import Answer, Json
from tests.unit.controller.whole_controller import Cluster, connect, eventually

FOLDER = JOB.path("prod")


class Jobs(Cluster):
    """An API server, and the part of the Job's controller."""

    nobodys = False

    @property
    def jobs(self) -> list[Json]:
        return [obj for path, obj in self.objects.items() if path.startswith(f"{FOLDER}/")]

    @property
    def created(self) -> list[str]:
        """The names of the Jobs that were ever asked for."""
        asked = (each for each in self.asked if each.method == "POST" and each.path == FOLDER)
        return [each.body["metadata"]["name"] for each in asked]

    def end(self, kind: str, code: int, message: str = "") -> None:
        """Every Job ends so that has not ended."""
        for job in self.jobs:
            if "status" not in job:
                ended = {"exitCode": code, "message": message}
                name = job["metadata"]["name"]
                self.put(POD, name, status={"containerStatuses": [{"name": "test", "state": {"terminated": ended}}]})
                done = {**job, "status": {"conditions": [{"type": kind, "status": "True"}]}}
                self.store(JOB.path("prod", name), done)

    def orphan(self) -> None:
        """Whatever Job is there from now on is nobody's."""
        self.nobodys = True

    def store(self, path: str, obj: Json) -> Answer:
        if self.nobodys and path.startswith(f"{FOLDER}/"):
            obj = {**obj, "metadata": {**obj["metadata"], "ownerReferences": []}}
        return super().store(path, obj)

    def is_in(self, *phases: str) -> Callable[[], bool]:
        return lambda: self.status().get("phase") in phases


@asynccontextmanager
async def rolling_out(
    monkeypatch: pytest.MonkeyPatch, api: Jobs, *hooks: Json, **analysis: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """A controller that has just seen a new image of the Canary's target."""
    connect(monkeypatch, api)
    api.put_app("shop:1")
    api.put_canary(**{"webhooks": list(hooks), "interval": "30s", "stepWeight": 50, **analysis})
    with capture_logs():
        controller = start()
        try:
            await eventually(api.is_in("Initialized"), 60, api.status)
            api.put_app("shop:2")
            yield controller
        finally:
            await stop(controller)


def start() -> asyncio.Task[None]:
    return asyncio.create_task(Controller(Options(mesh_provider="traefik", leader_election=False)).run())


async def stop(controller: asyncio.Task[None]) -> None:
    controller.cancel()
    await asyncio.gather(controller, return_exceptions=True)
