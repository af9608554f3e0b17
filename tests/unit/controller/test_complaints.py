"""What is said of a Canary that can't even be read, so that no decision speaks of it."""

from datetime import UTC, datetime
from typing import cast

import pytest

from canary.controller.observe.caches import Caches
from canary.controller.record.courier import Courier
from canary.controller.record.recorder import Recorder
from canary.controller.telemetry import Telemetry
from canary.kube.client import KubeClient
from canary.kube.types import Json, Resource
from tests.tools.health import argo, kstatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Server:
    """An API server with one Canary, whose events nobody reads."""

    def __init__(self, status: Json | None) -> None:
        self.raw: Json = {"metadata": {"name": "app", "namespace": "shop", "resourceVersion": "1"}}
        if status is not None:
            self.raw["status"] = status
        self.writes = self.warnings = 0

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Json, *, subresource: str = ""
    ) -> Json:
        assert subresource == "status"
        self.writes += 1
        self.raw["status"] = {**self.raw.get("status", {}), **patch["status"]}
        return self.raw

    def warn(self, raw: Json, message: str) -> None:
        """Take a warning."""
        self.warnings += 1


@pytest.mark.parametrize(
    ("status", "stands"),
    [
        (None, ("", 0)),
        ({}, ("", 0)),
        ({"phase": "Progressing", "canaryWeight": 20}, ("Progressing", 20)),
        ({"phase": "Progressing"}, ("Progressing", 0)),
    ],
)
async def test_the_status_has_what_health_checks_count_on(status: Json | None, stands: tuple[str, int]) -> None:
    """Argo CD's own check ends in an error where phase, weight or a condition's message is missing."""
    server = Server(status)
    client, courier = cast("KubeClient", server), cast("Courier", server)
    recorder = Recorder(client, cast("Caches", None), courier, cast("Telemetry", None), lambda: NOW)

    await recorder.complain(server.raw, "InvalidSpec", "spec.analysis: ...")

    assert argo(server.raw).status == ("Progressing" if stands[0] else "Unknown")
    assert argo(server.raw).message.endswith("spec.analysis: ...")
    assert kstatus(server.raw) == "Failed"
    found = server.raw["status"]
    assert (found["phase"], found["canaryWeight"]) == stands
    said = [(each["type"], each["status"], each["message"]) for each in found["conditions"]]
    assert said == [("Ready", "False", "spec.analysis: ..."), ("Stalled", "True", "spec.analysis: ...")]


UNDER_WAY = [
    {"type": "Promoted", "message": "..."},
    {"type": "Reconciling", "status": "True", "message": "step 1 of 5"},
]


@pytest.mark.parametrize(
    ("status", "observed"),
    [
        (None, 3),
        ({"phase": "Progressing", "canaryWeight": 20, "observedGeneration": 2, "conditions": UNDER_WAY}, 3),
        ({"phase": "Progressing", "canaryWeight": 20, "conditions": UNDER_WAY}, None),
    ],
)
async def test_it_is_said_of_which_spec_save_in_a_status_that_flagger_has_left(
    status: Json | None, observed: int | None
) -> None:
    """By the generation in a status it is told whose that is: what Flagger has left is still to be taken over."""
    server = Server(status)
    server.raw["metadata"]["generation"] = 3
    client, courier = cast("KubeClient", server), cast("Courier", server)
    recorder = Recorder(client, cast("Caches", None), courier, cast("Telemetry", None), lambda: NOW)

    await recorder.complain(server.raw, "InvalidSpec", "spec.analysis: ...")

    assert server.raw["status"].get("observedGeneration") == observed
    assert "Reconciling" not in {each["type"] for each in server.raw["status"]["conditions"]}


async def test_the_same_is_said_once_of_each_edit_and_told_once() -> None:
    server = Server({})
    client, courier = cast("KubeClient", server), cast("Courier", server)
    recorder = Recorder(client, cast("Caches", None), courier, cast("Telemetry", None), lambda: NOW)
    for generation in (1, 1, 2, 2):
        server.raw["metadata"]["generation"] = generation
        await recorder.complain(server.raw, "InvalidSpec", "spec.analysis: ...")

    assert (server.writes, server.warnings) == (2, 1)
    assert server.raw["status"]["observedGeneration"] == 2
