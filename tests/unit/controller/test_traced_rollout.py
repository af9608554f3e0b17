"""The whole controller traces a rollout as one, though it is stopped and started anew in the midst of it."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from canary.controller.options import Options
from canary.controller.run import Controller
from canary.rollout.spans import Span
from outbound.trace import traceparent
from tests.unit.controller.whole_controller import Cluster, connect, eventually


class Kept:
    """In place of what sends spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def __call__(self, span: Span) -> None:
        self.spans.append(span)


@pytest.mark.looptime(noop_cycles=1)
async def test_all_of_a_rollout_is_one_trace_though_the_controller_is_stopped_in_it(
    looptime: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, headers = Kept(), dict[str, list[str]]()

    def exporter(_self: Controller, _stack: AsyncExitStack) -> Kept:
        return kept

    async def called(request: web.BaseRequest) -> web.StreamResponse:
        headers.setdefault(request.path, []).append(request.headers.get("traceparent", ""))
        return web.Response()

    monkeypatch.setattr(Controller, "_exporter", exporter)
    api = Cluster()
    connect(monkeypatch, api)
    runner = web.ServerRunner(web.Server(called), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    api.put_app("one")
    api.put_canary(webhooks=[{"name": kind, "type": kind, "url": f"{url}/{kind}"} for kind in ("rollout", "event")])
    controller = asyncio.create_task(Controller(Options()).run())

    def phase() -> str:
        return str(api.status().get("phase"))

    try:
        await eventually(lambda: phase() == "Initialized", 120, phase)
        assert kept.spans == []
        assert set(headers["/event"]) == {""}, "no rollout is told of yet"
        headers.clear()
        api.put_app("two")
        await eventually(lambda: api.status().get("canaryWeight") == 50, 240, api.status)
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)
        controller = asyncio.create_task(Controller(Options()).run())
        await eventually(lambda: phase() == "Succeeded", 600, phase)
        await asyncio.sleep(10)
    finally:
        controller.cancel()
        await asyncio.gather(controller, return_exceptions=True)
        await runner.cleanup()

    (root,) = (each for each in kept.spans if not each.parent)
    assert {each.trace for each in kept.spans} == {root.trace}
    assert root.attributes["canary.outcome"] == "Promoted"
    ids = {each.id for each in kept.spans}
    assert {each.parent for each in kept.spans} - {0} <= ids
    named = {each.name for each in kept.spans}
    assert {"Progressing, weight 50", "webhook rollout", "webhook event", "write status", "write Route"} <= named
    assert all(each.end >= each.start for each in kept.spans)
    for path, name in (("/rollout", "webhook rollout"), ("/event", "webhook event")):
        told = {traceparent(each.trace, each.id) for each in kept.spans if each.name == name}
        assert headers[path]
        assert set(headers[path]) - {""} <= told
    assert "" not in headers["/rollout"]
