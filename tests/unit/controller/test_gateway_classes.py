"""A glance at the class of a gateway: heeded where it can be had, waited for and asked for by nobody else."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.kube.types import CANARY, GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, Resource
from tests.unit.controller.api_in_memory import Answer, Asked, Json, refused
from tests.unit.controller.whole_controller import Cluster, connect, eventually


def put_class(api: Cluster, *features: str) -> None:
    status = {"supportedFeatures": [{"name": each} for each in features]}
    obj = {"kind": "GatewayClass", "metadata": {"name": "public"}, "status": status}
    api.store(GATEWAY_CLASS.path(name="public"), obj)


def api_with(service: Json) -> Cluster:
    api = Cluster()
    api.put_app()
    api.put(GATEWAY, "front", spec={"gatewayClassName": "public"})
    put_class(api, "HTTPRoute")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {
        "provider": "gatewayapi:v1",
        "targetRef": target,
        "service": {"port": 80, "gatewayRefs": [{"name": "front"}], **service},
        "analysis": {"interval": "1m", "threshold": 2, "maxWeight": 50, "stepWeight": 50},
    }
    api.put(CANARY, "app", spec=spec)
    return api


async def run_until(monkeypatch: pytest.MonkeyPatch, api: Cluster, *steps: Callable[[], bool]) -> None:
    connect(monkeypatch, api)
    with capture_logs():
        controller = asyncio.create_task(Controller(Options()).run())
        for step in steps:
            await eventually(step, 120, api.status)
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)


@pytest.mark.looptime(noop_cycles=1)
async def test_what_a_class_does_not_list_is_refused_until_it_does(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = api_with({"timeout": "5s"})

    def is_refused() -> bool:
        words = "GatewayClass public does not list HTTPRouteRequestTimeout"
        return words in api.condition("Stalled").get("message", "")

    def is_listed() -> bool:
        assert HTTP_ROUTE.path("prod", "app") not in api.objects
        put_class(api, "HTTPRoute", "HTTPRouteRequestTimeout")
        return True

    await run_until(monkeypatch, api, is_refused, is_listed, lambda: api.status().get("phase") == "Initialized")


@pytest.mark.looptime(noop_cycles=1)
@pytest.mark.parametrize("kind", [GATEWAY, GATEWAY_CLASS], ids=lambda kind: kind.plural)
@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (404, "NotFound")])
async def test_a_class_that_cannot_be_seen_holds_nobody_up(
    looptime: int, monkeypatch: pytest.MonkeyPatch, kind: Resource, code: int, reason: str
) -> None:
    """As in an installation of one namespace, which has no right to what is of none."""
    api = api_with({"timeout": "5s"})

    def ill(asked: Asked) -> Answer | None:
        return refused(code, reason) if asked.path.endswith(f"/{kind.plural}") else None

    api.ill = ill
    await run_until(monkeypatch, api, lambda: api.status().get("phase") == "Initialized")
    assert api.condition("Stalled") == {}


@pytest.mark.looptime(noop_cycles=1)
async def test_a_spec_that_every_gateway_can_honour_has_nobody_ask_for_gateways(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = api_with({"hosts": ["shop.example.com"]})
    await run_until(monkeypatch, api, lambda: api.status().get("phase") == "Initialized")
    assert [each.path for each in api.asked if each.path.endswith(("gateways", "gatewayclasses"))] == []
