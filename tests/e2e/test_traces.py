"""A rollout is one trace at a real collector: its steps, checks, webhooks, writes and alerts, over a restart, too."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from canary.kube.types import ALERT_PROVIDER, CANARY
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import SUCCESS_RATE, Scenario, canary_of, hook
from tests.tools.collector import Collector, Received, collector

CONTROLLER = "traced controller"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_SERVICE_NAME": "canary-of-the-test"}
Start = Callable[[], Any]


@dataclass
class Receiver:
    """Takes calls, and knows of each the span that it was made in."""

    spans: dict[str, list[str]] = field(default_factory=dict)
    url: str = ""

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        self.spans.setdefault(request.path, []).append(request.headers.get("traceparent", ""))
        await request.read()
        return web.Response()

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncIterator["Receiver"]:
        receiver = cls()
        runner = web.ServerRunner(web.Server(receiver.take), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield receiver
        finally:
            await runner.cleanup()


@pytest_asyncio.fixture
async def there() -> AsyncIterator[Collector]:
    async with collector() as made:
        yield made


@pytest.fixture
def start(site: Rig, there: Collector) -> Start:
    """Starts a controller for this namespace alone, which traces."""
    own = ("--mesh-provider=traefik", "--enable-leader-election=false", f"--namespace={site.namespace}")
    return lambda: site.start_controller(*own, f"--otlp-endpoint={there.url}", name=CONTROLLER, environment=SOON)


@pytest_asyncio.fixture
async def rig(site: Rig, cluster: Cluster, start: Start) -> AsyncIterator[Rig]:
    await start()
    yield site
    await cluster.parts[CONTROLLER].stop()


async def whole(there: Collector, name: str = "rollout of app") -> tuple[Received, list[Received]]:
    """The span of the rollout, once it has come, and all others of its trace."""

    async def ended() -> list[Received]:
        return [each for each in there.spans if each.span.name.startswith(name)]

    (root,) = await eventually(ended, bool, within=20)
    await asyncio.sleep(1)  # what was told after it
    return root, [each for each in there.spans if each.trace == root.trace and each is not root]


def names(spans: list[Received]) -> list[str]:
    return [each.span.name for each in spans]


async def test_a_rollout_that_is_taken_back_is_one_trace_and_whoever_is_called_knows_its_span(
    rig: Rig, there: Collector
) -> None:
    async with Receiver.listening() as receiver, Scenario.on(rig) as scenario:
        hooks = [
            {"name": kind, "type": kind, "url": f"{receiver.url}/{kind}"}
            for kind in ("rollout", "post-rollout", "event")
        ]
        await rig.apply(
            {
                "apiVersion": ALERT_PROVIDER.api_version,
                "kind": ALERT_PROVIDER.kind,
                "metadata": {"name": "pager", "namespace": rig.namespace},
                "spec": {"type": "webhook", "address": f"{receiver.url}/pager"},
            }
        )
        alerts = [{"name": "pager", "severity": "error", "providerRef": {"name": "pager"}}]
        analysis = {"metrics": [SUCCESS_RATE], "webhooks": hooks, "alerts": alerts}
        await scenario.initialise(canary_of(rig.namespace, analysis))
        assert there.spans == [], "there was no rollout yet"
        async with scenario.traffic():
            assert await scenario.roll_out("1.0.1", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
        (past,) = scenario.status["history"]
        root, others = await whole(there)

    assert root.parent == ""
    assert root.resource["service.name"] == "canary-of-the-test"
    assert (
        root.attributes.items()
        >= {
            "canary.revision": past["revision"],
            "canary.outcome": "RolledBack",
            "canary.cause": past["cause"],
        }.items()
    )
    assert root.span.status.message == past["cause"]
    ids = {root.id} | {each.id for each in others}
    assert {each.parent for each in others} <= ids, "every span is part of one that was told"
    steps = [each for each in others if each.parent == root.id and "canary.phase" in each.attributes]
    assert "Progressing, weight 25" in names(steps)
    assert all(root.span.start_time_unix_nano <= each.span.start_time_unix_nano for each in steps)
    (at_weight,) = [each for each in steps if each.span.name == "Progressing, weight 25"]
    below = [each for each in others if each.parent == at_weight.id]
    assert {"check request-success-rate", "webhook rollout", "write status"} <= {*names(below)}
    assert "write Route" in names(others)
    (verdict,) = [each for each in at_weight.span.events if each.name == "request-success-rate: Fail"][:1]
    assert {each.key for each in verdict.attributes} >= {"check.value", "check.threshold", "check.query"}

    called = {
        "/rollout": "webhook rollout",
        "/post-rollout": "webhook post-rollout",
        "/pager": "alert AlertProvider pager",
    }
    for path, name in called.items():
        told = {f"00-{each.trace}-{each.id}-01" for each in others if each.span.name == name}
        assert told, name
        assert {*receiver.spans[path]} == told
    assert any(each.span.name == "webhook event" for each in others)


@pytest.mark.long
async def test_a_controller_that_starts_anew_goes_on_with_the_trace(rig: Rig, there: Collector, start: Start) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, {"webhooks": [hook("confirm-promotion", "/gate/check")]}))
        async with scenario.traffic():
            await scenario.gate("gate/close")
            await scenario.deploy("1.0.1")
            await scenario.phase("WaitingPromotion")

            async def told() -> list[str]:
                return names(there.spans)

            # Spans on their way go with the process.
            await eventually(told, lambda seen: "Progressing, weight 50" in seen, within=20)
            rig.cluster.parts[CONTROLLER].kill()
            before = {each.trace for each in there.spans}
            await start()
            await scenario.gate("gate/open")
            assert await scenario.ended() == "Succeeded"
        root, others = await whole(there)
        await rig.client.delete(CANARY, rig.namespace, "app")
        await scenario.gone()

    assert before == {root.trace}
    assert root.attributes["canary.outcome"] == "Promoted"
    steps = sorted((each for each in others if each.parent == root.id), key=lambda each: each.span.start_time_unix_nano)
    assert names(steps)[:1] == ["Progressing"]
    assert [each for each in names(steps) if each.startswith("WaitingPromotion")] == ["WaitingPromotion, weight 50"]
    assert {each.parent for each in others} <= {root.id, *(each.id for each in others)}


async def test_a_collector_that_is_away_holds_up_no_rollout(site: Rig, cluster: Cluster) -> None:
    own = ("--mesh-provider=traefik", "--enable-leader-election=false", f"--namespace={site.namespace}")
    await site.start_controller(*own, "--otlp-endpoint=http://127.0.0.1:9", name=CONTROLLER, environment=SOON)
    try:
        async with Scenario.on(site) as scenario:
            await scenario.initialise(canary_of(site.namespace))
            async with scenario.traffic():
                assert await scenario.roll_out("1.0.1") == "Succeeded"
    finally:
        await cluster.parts[CONTROLLER].stop()
