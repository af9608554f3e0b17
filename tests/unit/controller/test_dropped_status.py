"""An API server that drops fields of a status: nothing is written over and over, and it is said once of each Canary."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import cast

from canary.api.canary import parse_canary
from canary.api.status import CanaryStatus, Phase
from canary.controller.observe.caches import Caches
from canary.controller.record.courier import Courier
from canary.controller.record.recorder import Recorder
from canary.controller.telemetry import Telemetry
from canary.kube.client import KubeClient
from canary.kube.types import Json, Resource
from canary.rollout.decision import Decision

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS = CanaryStatus(phase=Phase.PROGRESSING, canary_weight=10, observed_generation=1, reason="Analysing")


def canary(name: str) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {
        "targetRef": target,
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 1, "iterations": 1},
    }
    metadata = {"name": name, "namespace": "test", "uid": name, "resourceVersion": "1", "generation": 1}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "spec": spec}


class Server:
    """An API server that stores these fields of a status and no others, and counts the writes."""

    def __init__(self, *names: str, known: set[str]) -> None:
        self.objects = {name: canary(name) for name in names}
        self.known = known
        self.writes = 0

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Json, *, subresource: str = ""
    ) -> Json:
        assert subresource == "status"
        self.writes += 1
        raw = deepcopy(self.objects[name])
        status = {**raw.get("status", {}), **patch["status"]}
        raw["status"] = {key: value for key, value in status.items() if value is not None and key in self.known}
        raw["metadata"]["resourceVersion"] = str(self.writes + 1)
        self.objects[name] = raw
        return raw


class Heard:
    """Whoever reads events."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warn(self, raw: Json, message: str) -> None:
        self.warnings.append((raw["metadata"]["name"], message))


class Shell:
    """What stands between decisions and the server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.heard = Heard()
        self.recorder = Recorder(
            cast("KubeClient", server),
            cast("Caches", None),
            cast("Courier", self.heard),
            cast("Telemetry", None),
            lambda: NOW,
        )

    async def pass_once(self, name: str, status: CanaryStatus) -> CanaryStatus:
        """Read a Canary, and store a status of it; the status that was read."""
        raw = self.server.objects[name]
        read = parse_canary(self.recorder.statuses.whole(raw))
        await self.recorder.store(raw, read, Decision(status=status, reason=""))
        return read.status


async def test_what_was_dropped_is_neither_missed_nor_written_again() -> None:
    shell = Shell(Server("app", known={"phase", "canaryWeight"}))
    await shell.pass_once("app", STATUS)
    assert await shell.pass_once("app", STATUS) == STATUS
    assert shell.server.writes == 1


async def test_it_is_said_once_of_each_canary() -> None:
    shell = Shell(Server("app", "web", known={"phase", "canaryWeight"}))
    for name in ("app", "web"):
        for weight in (10, 20):
            await shell.pass_once(name, STATUS.replace(canary_weight=weight))
    assert [name for name, _ in shell.heard.warnings] == ["app", "web"]
    assert all(
        "observedGeneration, reason" in each and "kubectl apply -k crds" in each for _, each in shell.heard.warnings
    )


async def test_nothing_is_said_where_all_is_kept() -> None:
    shell = Shell(Server("app", known=set(STATUS.to_json())))
    await shell.pass_once("app", STATUS)
    assert shell.heard.warnings == []


async def test_once_the_definition_knows_them_the_next_write_stores_all_of_them() -> None:
    shell = Shell(Server("app", known={"phase", "canaryWeight"}))
    await shell.pass_once("app", STATUS)
    shell.server.known = set(STATUS.to_json())
    status = STATUS.replace(canary_weight=20)
    await shell.pass_once("app", status)
    assert parse_canary(shell.server.objects["app"]).status == status
