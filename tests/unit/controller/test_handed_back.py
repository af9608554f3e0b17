"""What a Canary hands back when it is deleted is what there was before it."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.store import LAST_APPLIED
from canary.kube.types import CANARY, DEPLOYMENT, SERVICE
from tests.unit.controller.whole_controller import Cluster, connect, eventually


@pytest.mark.looptime(noop_cycles=1)
async def test_a_service_that_kubectl_applied_selects_what_its_author_wrote(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubectl's copy of an object, which tells, is in no cache."""
    api = Cluster()
    connect(monkeypatch, api)
    labels = {"app": "app", "tier": "web"}
    spec = {"selector": labels, "ports": [{"name": "web", "port": 80, "targetPort": 80}]}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    api.put(DEPLOYMENT, "app", spec={"replicas": 1, "selector": {"matchLabels": {"app": "app"}}, "template": pods})
    api.put(SERVICE, "app", spec=spec)
    service, canary = SERVICE.path("prod", "app"), CANARY.path("prod", "app")
    api.objects[service]["metadata"]["annotations"] = {LAST_APPLIED: json.dumps({"spec": spec})}
    api.put_canary()

    def selected() -> object:
        return api.objects[service]["spec"]["selector"]

    with capture_logs():
        controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
        await eventually(lambda: api.status().get("phase") == "Initialized", 120)
        assert selected() == {"app": "app-primary"}
        metadata = {**api.objects[canary]["metadata"], "deletionTimestamp": "2026-11-28T01:00:00Z"}
        api.store(canary, {**api.objects[canary], "metadata": metadata})
        await eventually(lambda: not api.objects[canary]["metadata"].get("finalizers"), 300)
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)

    assert selected() == labels
