"""What else a controller serves waits for one pass at most, however many Canaries are due."""

import asyncio

import pytest

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.controller.telemetry import Telemetry
from canary.kube.types import CANARY, DEPLOYMENT
from tests.unit.controller.whole_controller import Cluster, connect, eventually

NAMES = tuple(f"app-{number}" for number in range(12))


def put(api: Cluster, name: str) -> None:
    """A Deployment and its Canary."""
    labels = {"app": name}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    api.put(DEPLOYMENT, name, spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": pods})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    analysis = {"interval": "1m", "threshold": 1, "maxWeight": 50, "stepWeight": 50}
    api.put(CANARY, name, spec={"targetRef": target, "service": {"port": 80}, "analysis": analysis})


def settled(api: Cluster) -> bool:
    """Whether all Canaries are."""
    statuses = [api.objects[CANARY.path("prod", name)].get("status") or {} for name in NAMES]
    return all(each.get("phase") == "Initialized" for each in statuses)


class Turns:
    """Counts the passes within one turn of the event loop."""

    def __init__(self) -> None:
        self.passes = self.in_this_turn = self.at_most = 0

    def passed(self) -> None:
        """In place of the controller's own count."""
        if not self.in_this_turn:
            asyncio.get_running_loop().call_soon(self._over)
        self.passes += 1
        self.in_this_turn += 1
        self.at_most = max(self.at_most, self.in_this_turn)

    def _over(self) -> None:
        self.in_this_turn = 0


@pytest.mark.looptime
async def test_settled_canaries_of_a_new_leader_are_not_looked_at_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    api, options = Cluster(), Options(workers=1)
    for name in NAMES:
        put(api, name)
    connect(monkeypatch, api)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(Controller(options).run())
        await eventually(lambda: settled(api), within=120)
        first.cancel()

    turns = Turns()
    monkeypatch.setattr(Telemetry, "passed", lambda *_: turns.passed())
    async with asyncio.TaskGroup() as group:
        second = group.create_task(Controller(options).run())
        await eventually(lambda: turns.passes >= len(NAMES), within=120)
        second.cancel()
    assert turns.at_most == 1
