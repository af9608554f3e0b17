"""The whole controller holds the limit of concurrent rollouts: its workers decide at once, and it may be killed."""

import asyncio
from typing import Any

import pytest

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import CANARY, DEPLOYMENT, Json
from tests.unit.controller.whole_controller import Cluster, connect, eventually

NAMES = tuple(f"app{number}" for number in range(6))
UNDER_WAY = {"Progressing", "WaitingPromotion", "Promoting", "Finalising"}


class Fleet(Cluster):
    """Several Deployments with a Canary each; how many were rolled out at once is counted at every write."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def store(self, path: str, obj: Json) -> Any:
        """As the API server, and count."""
        answer = super().store(path, obj)
        if "/canaries/" in path:
            self.most = max(self.most, sum(self.phase(name) in UNDER_WAY for name in NAMES))
        return answer

    def phase(self, name: str) -> str:
        """Where a Canary stands."""
        status = self.objects.get(CANARY.path("prod", name), {}).get("status") or {}
        return str(status.get("phase", ""))

    def phases(self) -> set[str]:
        """Where they all stand."""
        return {self.phase(name) for name in NAMES}

    def deploy(self, image: str) -> None:
        """The Deployments of one image, all at once."""
        for name in NAMES:
            pods = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
            spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pods}
            self.put(DEPLOYMENT, name, spec=spec)

    def declare(self) -> None:
        """Their Canaries."""
        for name in NAMES:
            target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
            analysis = {"interval": "10s", "threshold": 2, "maxWeight": 50, "stepWeight": 50}
            self.put(CANARY, name, spec={"targetRef": target, "service": {"port": 80}, "analysis": analysis})


@pytest.mark.looptime(noop_cycles=1)
@pytest.mark.parametrize("limit", [1, 2])
async def test_ten_workers_begin_no_more_rollouts_than_the_limit_though_each_is_killed_in_between(
    looptime: int, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    api = Fleet()
    connect(monkeypatch, api)
    api.deploy("one")
    api.declare()
    options = Options(mesh_provider="traefik", max_rollouts=limit)
    controller = asyncio.create_task(Controller(options).run())
    try:
        await eventually(lambda: api.phases() == {"Initialized"}, 120, api.phases)
        api.deploy("two")
        for _ in range(3):
            await asyncio.sleep(7)
            controller.cancel()
            await asyncio.gather(controller, return_exceptions=True)
            controller = asyncio.create_task(Controller(options).run())
        await eventually(lambda: api.phases() == {"Succeeded"}, 1200, api.phases)
    finally:
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)
    assert api.most == limit
