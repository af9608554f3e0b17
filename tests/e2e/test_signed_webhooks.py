"""Calls that a Secret signs: each can be checked as the documentation says, and is known again after a kill."""

import asyncio
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from canary.kube.types import SECRET, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import STEPS, Scenario, canary_of

CONTROLLER = "signing controller"
KEY = "whsec_" + b64encode(bytes(range(32))).decode()
Genuine = Callable[[str, dict[str, str], bytes], bool]


@dataclass
class Receiver:
    """Takes calls; of the path /gate none is answered before it is open."""

    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append((request.path, headers, await request.read()))
        if request.path == "/gate":
            self.asked.set()
            await self.open.wait()
        return web.Response()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        runner = web.ServerRunner(web.Server(self.take), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.open.set()
            await runner.cleanup()


@pytest.fixture(scope="module")
def genuine() -> Genuine:
    """The check that the documentation gives."""
    page = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102 - what users copy
    checked: Genuine = found["genuine"]
    return checked


@pytest_asyncio.fixture
async def rig(site: Rig, cluster: Cluster) -> AsyncIterator[Rig]:
    """A controller for this namespace alone; with no Lease to wait for, it acts again as soon as it is back."""
    own = ("--mesh-provider=traefik", "--enable-leader-election=false", f"--namespace={site.namespace}")
    await site.start_controller(*own, name=CONTROLLER)
    yield site
    await cluster.parts[CONTROLLER].stop()


def hook(kind: str, url: str) -> Json:
    return {"name": kind, "type": kind, "url": url, "secretRef": {"name": "signing"}}


async def test_a_question_is_the_same_one_after_a_kill_and_every_call_is_genuine(rig: Rig, genuine: Genuine) -> None:
    secret = {"signing.key": b64encode(KEY.encode()).decode()}
    metadata = {"name": "signing", "namespace": rig.namespace}
    await rig.apply({"apiVersion": "v1", "kind": SECRET.kind, "metadata": metadata, "data": secret})
    async with Receiver().listening() as receiver, Scenario.on(rig) as scenario:
        hooks = [hook("confirm-rollout", f"{receiver.url}/gate"), hook("event", f"{receiver.url}/events")]
        await scenario.initialise(canary_of(rig.namespace, {"webhooks": hooks}))
        await scenario.deploy("1.0.1")
        async with asyncio.timeout(60):
            await receiver.asked.wait()
            part = rig.cluster.parts[CONTROLLER]
            part.kill()
            receiver.asked.clear()
            await part.start()
            await receiver.asked.wait()
        receiver.open.set()
        assert await scenario.ended() == "Succeeded"
        assert scenario.weights == STEPS
        await scenario.asleep()

    gates = [headers["webhook-id"] for path, headers, _ in receiver.calls if path == "/gate"]
    assert len(gates) == 2
    assert len(set(gates)) == 1, "asked by two processes, it is one question"
    assert all(genuine(KEY, headers, body) for _, headers, body in receiver.calls)
    bodies = defaultdict(set)
    for _, headers, body in receiver.calls:
        bodies[headers["webhook-id"]].add(body)
    assert all(len(each) == 1 for each in bodies.values()), "what is told again is the same"
    assert len(bodies) > 5
