"""Revisions of a Knative Service that can't be looked at: nobody knows what is promoted, so that nothing is."""

import asyncio

import pytest

from canary.api.knative import PRIMARY_REVISION
from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import CANARY, KNATIVE_REVISION, KNATIVE_SERVICE
from tests.tools.knative import revision_status, service, service_status
from tests.unit.controller.api_in_memory import Answer, Asked, refused
from tests.unit.controller.whole_controller import Cluster, connect, eventually

FIRST, SECOND = "app-00001", "app-00002"
PINNED = [{"revisionName": FIRST, "latestRevision": False, "percent": 100}]
TARGET = {"apiVersion": KNATIVE_SERVICE.api_version, "kind": "Service", "name": "app"}


class Knative(Cluster):
    """A Service whose latest Revision has failed its analysis, and to whose Revisions there is no right at first."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden = True
        self.ill = self.refuses
        for number, name in enumerate((FIRST, SECOND), 1):
            labels = {"serving.knative.dev/configurationGeneration": str(number)}
            self.put(KNATIVE_REVISION, name, status=revision_status(ready=True))
            self.objects[KNATIVE_REVISION.path("prod", name)]["metadata"]["labels"] = labels
        made = service("app", "prod", "i", traffic=PINNED)
        made["metadata"] |= {"generation": 1, "annotations": {PRIMARY_REVISION: FIRST}}
        revisions = [self.objects[KNATIVE_REVISION.path("prod", name)] for name in (FIRST, SECOND)]
        self.store(KNATIVE_SERVICE.path("prod", "app"), {**made, "status": service_status(made, revisions)})
        analysis = {"interval": "1m", "threshold": 2, "maxWeight": 50, "stepWeight": 50}
        status = {"phase": "Failed", "observedGeneration": 1, "lastAppliedSpec": SECOND, "lastPromotedSpec": FIRST}
        spec = {"provider": "knative", "targetRef": TARGET, "analysis": analysis}
        self.put(CANARY, "app", spec=spec, status=status)

    def refuses(self, asked: Asked) -> Answer | None:
        return refused(403, "Forbidden") if self.forbidden and asked.path.endswith("/revisions") else None

    @property
    def writes(self) -> list[str]:
        """What was written of the Service."""
        changes = [each for each in self.asked if each.method == "PATCH"]
        return [each.path for each in changes if each.path.startswith("/apis/serving.knative.dev")]


@pytest.mark.looptime
async def test_without_the_right_to_revisions_nothing_is_promoted_and_the_right_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Knative()
    connect(monkeypatch, api)
    running = asyncio.create_task(Controller(Options()).run())
    await eventually(lambda: api.condition("Stalled").get("status") == "True", 120, api.status)
    assert "may not list or watch revisions" in api.condition("Stalled")["message"]
    await asyncio.sleep(600)
    assert api.writes == []
    assert (api.status()["phase"], api.status()["lastPromotedSpec"]) == ("Failed", FIRST)

    api.forbidden = False
    await eventually(lambda: api.condition("Stalled").get("reason") == "RolloutFailed", 600, api.status)
    await asyncio.sleep(600)
    assert api.writes == [], "it stands as it should"
    assert api.status()["phase"] == "Failed"
    running.cancel()
    await asyncio.wait([running])
