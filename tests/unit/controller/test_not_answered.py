"""A write that gets no answer is told in time, though the status can be stored only when it is not tried."""

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import TRAEFIK_SERVICE
from tests.unit.controller.api_in_memory import Answer, Asked, now
from tests.unit.controller.whole_controller import Cluster, connect, eventually

SOON = 6.0
"""Seconds: the longest wait between two tries of what protects users, and a second for the write itself."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    api = Cluster()
    connect(monkeypatch, api)
    with capture_logs():
        yield api


@pytest.mark.looptime(noop_cycles=1)
@pytest.mark.parametrize(("interval", "within"), [(10, 10.0), (60, 30.0), (3600, 30.0)])
async def test_a_route_that_is_not_answered_is_told_after_an_interval_or_half_a_minute(
    api: Cluster, looptime: int, interval: int, within: float
) -> None:
    tried: list[float] = []

    def no_route(asked: Asked) -> Answer | None:
        if asked.method == "PATCH" and TRAEFIK_SERVICE.plural in asked.path:
            tried.append(now())
            raise ConnectionResetError("reset")
        return None

    api.put_app()
    api.put_canary(interval=f"{interval}s")
    controller = asyncio.create_task(Controller(Options(mesh_provider="traefik")).run())
    await eventually(lambda: api.status().get("phase") == "Initialized", 120)

    api.ill = no_route
    api.put_app(image="j")
    await eventually(lambda: bool(tried), 3700)
    await eventually(lambda: api.condition("Stalled").get("reason") == "Refused", within + SOON)
    assert now() - tried[0] >= within - 1
    assert "can't route traffic: the API server does not answer" in api.condition("Stalled")["message"]

    api.ill = lambda _: None
    await eventually(lambda: not api.condition("Stalled"), interval + SOON)
    controller.cancel()
    await asyncio.gather(controller, return_exceptions=True)
