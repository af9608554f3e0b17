"""The whole controller rolls out what depends on others after those, and says where that can't be."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import CANARY, DEPLOYMENT, Json
from tests.unit.controller.whole_controller import Cluster, connect, eventually


class Chain(Cluster):
    """Deployments, each with a Canary that depends on others; the phases are kept in their order."""

    def __init__(self, **named: list[str]) -> None:
        super().__init__()
        self.named = named
        self.seen: list[tuple[str, str]] = []

    def store(self, path: str, obj: Json) -> Any:
        """As the API server."""
        answer = super().store(path, obj)
        if "/canaries/" in path:
            name = obj["metadata"]["name"]
            if (phase := self.phase(name)) and (name, phase) not in self.seen:
                self.seen.append((name, phase))
        return answer

    def of(self, name: str) -> Json:
        """The status of a Canary."""
        status: Json = self.objects.get(CANARY.path("prod", name), {}).get("status") or {}
        return status

    def phase(self, name: str) -> str:
        """Where a Canary stands."""
        return str(self.of(name).get("phase", ""))

    def stalled(self, name: str) -> str:
        """What stands in its way."""
        return next((each["message"] for each in self.of(name).get("conditions", ()) if each["type"] == "Stalled"), "")

    def deploy(self, image: str) -> None:
        """The Deployments of one image, those first that depend on others."""
        for name in self.named:
            pods = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
            spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pods}
            self.put(DEPLOYMENT, name, spec=spec)

    def declare(self) -> None:
        """Their Canaries."""
        for name, others in self.named.items():
            target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
            analysis = {"interval": "10s", "threshold": 2, "maxWeight": 50, "stepWeight": 50}
            scheduling = {"dependsOn": [{"name": other} for other in others]}
            spec = {"targetRef": target, "service": {"port": 80}, "analysis": analysis, "scheduling": scheduling}
            self.put(CANARY, name, spec=spec)


@pytest.mark.looptime(noop_cycles=1)
async def test_each_begins_when_the_one_before_it_has_ended(looptime: int, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Chain(web=["api"], api=["db"], db=[])
    connect(monkeypatch, api)
    api.deploy("one")
    api.declare()
    controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
    await eventually(lambda: {api.phase(name) for name in api.named} == {"Initialized"}, 120, lambda: api.seen)
    api.deploy("two")
    await eventually(lambda: api.phase("web") == "Succeeded", 1200, lambda: api.seen)
    controller.cancel()
    await asyncio.gather(controller, return_exceptions=True)
    order = [name for name, phase in api.seen if phase in ("Progressing", "Succeeded")]
    assert order == ["db", "db", "api", "api", "web", "web"]


@pytest.mark.looptime(noop_cycles=1)
async def test_a_circle_is_told_to_each_of_it_and_ends_when_one_is_mended(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Chain(web=["api"], api=["db"], db=["web"])
    connect(monkeypatch, api)
    api.deploy("one")
    api.declare()
    controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
    way = "prod/web depends on prod/api depends on prod/db depends on prod/web"
    await eventually(lambda: way in api.stalled("web"), 120, lambda: api.of("web"))
    assert api.stalled("db").startswith("spec.scheduling.dependsOn: prod/db depends on prod/web")
    with capture_logs() as log:
        await asyncio.sleep(60)
    assert len(log) < 20, "those of a circle wake one another for ever"
    api.named["db"] = []
    raw = api.objects[CANARY.path("prod", "db")]
    spec = {**raw["spec"], "scheduling": {}}
    generation = raw["metadata"].get("generation", 1) + 1
    api.store(
        CANARY.path("prod", "db"), {**raw, "spec": spec, "metadata": {**raw["metadata"], "generation": generation}}
    )
    await eventually(lambda: {api.phase(name) for name in api.named} == {"Initialized"}, 120, lambda: api.seen)
    controller.cancel()
    await asyncio.gather(controller, return_exceptions=True)


class Group(Chain):
    """Canaries of one group."""

    def declare(self) -> None:
        """They name no others, but their group."""
        super().declare()
        for name in self.named:
            path = CANARY.path("prod", name)
            raw = self.objects[path]
            self.store(path, {**raw, "spec": {**raw["spec"], "scheduling": {"group": {"name": "g"}}}})


@pytest.mark.looptime(noop_cycles=1)
async def test_those_of_a_group_go_up_together_and_let_one_another_rest(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks at the others, and none wakes another one before it has something to tell."""
    api = Group(web=[], api=[], db=[])
    connect(monkeypatch, api)
    api.deploy("one")
    api.declare()
    controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
    await eventually(lambda: {api.phase(name) for name in api.named} == {"Initialized"}, 120, lambda: api.seen)
    api.deploy("two")
    with capture_logs() as log:
        await eventually(lambda: {api.phase(name) for name in api.named} == {"Succeeded"}, 1200, lambda: api.seen)
        assert len(log) < 1000
    with capture_logs() as log:
        await asyncio.sleep(600)
    assert len(log) < 20
    controller.cancel()
    await asyncio.gather(controller, return_exceptions=True)
    moves = [phase for _, phase in api.seen if phase in ("Progressing", "Promoting")]
    assert moves == ["Progressing"] * 3 + ["Promoting"] * 3
