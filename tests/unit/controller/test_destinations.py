"""What must not be called is not called, whoever names it: webhooks, metrics servers and messengers."""

import asyncio

import pytest
from structlog.testing import capture_logs

from canary.alerts.alert import Destination
from canary.controller.options import Options
from canary.controller.run import Controller
from outbound.destinations import Destinations, network
from tests.unit.controller.whole_controller import Cluster, connect, eventually

THERE = "http://127.0.0.2:9/"
DENIED = Destinations(denied=(network("127.0.0.2"),))
WHY = "127.0.0.2 is an address that must not be called; to allow it, give the controller --allow-destination=127.0.0.2"


@pytest.mark.looptime(noop_cycles=1)
async def test_what_is_denied_is_not_called_and_that_is_told_where_it_was_asked_for(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Cluster()
    connect(monkeypatch, api)
    api.put_app()
    api.put_canary(metrics=[{"name": "request-success-rate", "threshold": 99, "unavailable": "Fail"}])
    options = Options(metrics_server=THERE, destinations=DENIED, messengers=(Destination("slack", THERE),))
    with capture_logs() as log:
        controller = asyncio.create_task(Controller(options).run())
        await eventually(lambda: api.status().get("phase") == "Initialized", 600, api.status)
        api.put_app("next")
        await eventually(lambda: api.status().get("phase") == "Failed", 3600, api.status)
        await eventually(lambda: any(WHY in str(each.get("reason")) for each in log), 600)
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)
    assert [WHY in each["message"] for each in api.status()["checks"]] == [True]


@pytest.mark.looptime(noop_cycles=1)
async def test_a_gate_at_a_denied_address_stays_closed(looptime: int, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Cluster()
    connect(monkeypatch, api)
    api.put_app()
    api.put_canary(webhooks=[{"name": "gate", "type": "confirm-rollout", "url": THERE}])
    with capture_logs():
        controller = asyncio.create_task(Controller(Options(destinations=DENIED)).run())
        await eventually(lambda: api.status().get("phase") == "Initialized", 600, api.status)
        api.put_app("next")
        await eventually(lambda: WHY in api.status().get("message", ""), 600, api.status)
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)
