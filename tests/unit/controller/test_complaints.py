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

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Server:
    """An API server with one Canary, whose events nobody reads."""

    def __init__(self, status: Json | None) -> None:
        self.raw: Json = {"metadata": {"name": "app", "namespace": "shop", "resourceVersion": "1"}}
        if status is not None:
            self.raw["status"] = status

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Json, *, subresource: str = ""
    ) -> Json:
        assert subresource == "status"
        self.raw["status"] = {**self.raw.get("status", {}), **patch["status"]}
        return self.raw

    def warn(self, raw: Json, message: str) -> None:
        """Take a warning."""


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

    found = server.raw["status"]
    assert (found["phase"], found["canaryWeight"]) == stands
    assert [(each["type"], each["message"]) for each in found["conditions"]] == [("Stalled", "spec.analysis: ...")]
