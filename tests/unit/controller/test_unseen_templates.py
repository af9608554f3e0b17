"""Of what nobody may look at nobody knows that it does not exist."""

import asyncio

import pytest
from structlog.testing import capture_logs

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import METRIC_TEMPLATE
from tests.unit.controller.api_in_memory import Answer, Asked, refused
from tests.unit.controller.whole_controller import Cluster, connect, eventually


def forbidden(asked: Asked) -> Answer | None:
    return refused(403, "Forbidden") if METRIC_TEMPLATE.plural in asked.path else None


@pytest.mark.looptime(noop_cycles=1)
@pytest.mark.parametrize(("seen", "reason"), [(True, "InvalidSpec"), (False, "Forbidden")])
async def test_a_template_that_cant_be_seen_is_not_said_to_be_missing(
    looptime: int, monkeypatch: pytest.MonkeyPatch, *, seen: bool, reason: str
) -> None:
    api = Cluster()
    connect(monkeypatch, api)
    if not seen:
        api.ill = forbidden
    api.put_app()
    api.put_canary(metrics=[{"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}])
    with capture_logs():
        controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
        await eventually(lambda: bool(api.condition("Stalled")), 60)
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)

    stalled = api.condition("Stalled")
    assert stalled["reason"] == reason
    assert ("MetricTemplate errors does not exist" in stalled["message"]) is seen
