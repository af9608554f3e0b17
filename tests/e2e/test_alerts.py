"""Who is told of a rollout, by messengers that are away, slow or well, and what they are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from canary.kube.types import ALERT_PROVIDER, Json
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import SUCCESS_RATE, Scenario, canary_of

PORT = 10098
URL = f"http://{addresses.TOOLS}:{PORT}"
BODY = """
{"key": "{{ secret.key }}", "text": "{{ text }}", "of": "{{ namespace }}/{{ name }}", "severity": "{{ severity }}",
 "phase": "{{ phase }}", "checks": {{ checks }}, "links": {{ links }}}
"""


@dataclass(slots=True)
class Messengers:
    """One that is busy at first and takes alerts then, and one that never answers."""

    told: list[Json] = field(default_factory=list)
    refused: int = 0
    hanging: int = 0

    async def _busy(self, request: web.Request) -> web.Response:
        told = await request.json()
        if not self.refused:
            self.refused += 1
            return web.Response(status=429, headers={"Retry-After": "2"})
        self.told.append({**told, "header": request.headers["X-Team"]})
        return web.Response()

    async def _hanging(self, _: web.Request) -> web.Response:
        self.hanging += 1
        await asyncio.Event().wait()
        return web.Response()

    @classmethod
    @asynccontextmanager
    async def up(cls) -> AsyncIterator["Messengers"]:
        messengers = cls()
        app = web.Application()
        app.router.add_post("/busy", messengers._busy)
        app.router.add_post("/hangs", messengers._hanging)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, addresses.TOOLS, PORT).start()
            yield messengers
        finally:
            await runner.cleanup()


def provider(name: str, namespace: str, **spec: object) -> Json:
    return {
        "apiVersion": ALERT_PROVIDER.api_version,
        "kind": ALERT_PROVIDER.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "webhook", **spec},
    }


async def test_a_rollback_waits_for_no_messenger_and_each_that_is_there_hears_of_it_once(rig: Rig) -> None:
    secret = {"address": f"{URL}/busy", "body.key": 'R"1', "header.X-Team": "shop"}
    metadata = {"name": "pager", "namespace": rig.namespace}
    rules = [
        {"name": name, "providerRef": {"name": name}, "links": {"Runbook": f"https://wiki.test/{name}/{{{{ name }}}}"}}
        for name in ("pager", "dead", "nowhere")
    ]
    async with Messengers.up() as messengers, Scenario.on(rig) as scenario:
        await rig.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret})
        await rig.apply(provider("pager", rig.namespace, secretRef={"name": "pager"}, body=BODY))
        await rig.apply(provider("dead", rig.namespace, address=f"{URL}/hangs"))
        await scenario.initialise(canary_of(rig.namespace, {"metrics": [SUCCESS_RATE], "alerts": rules}))
        async with scenario.traffic():
            assert await scenario.roll_out("1.0.1", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"

        async def told() -> list[tuple[str, str]]:
            return [(each["severity"], each["text"]) for each in messengers.told]

        # The silent one is given more time for an alert than this rollout takes.
        heard = await eventually(told, lambda heard: "error" in dict(heard), within=20)
        assert len(set(heard)) == len(heard), heard
        assert (messengers.refused, messengers.hanging > 0) == (1, True)

    (failed,) = (each for each in messengers.told if each["severity"] == "error")
    assert (failed["key"], failed["header"], failed["of"]) == ('R"1', "shop", f"{rig.namespace}/app")
    assert failed["phase"] == "Failed"
    assert failed["links"] == [{"name": "Runbook", "url": "https://wiki.test/pager/app"}]
    (check,) = failed["checks"]
    assert (check["name"], check["verdict"]) == ("request-success-rate", "Fail")
    assert check["value"] < 99
    assert "sum(" in check["query"]
    events = await rig.events("app")
    missing = f"Alert to AlertProvider nowhere can't be sent: AlertProvider nowhere in {rig.namespace} does not exist"
    assert missing in events
    assert 'R"1' not in json.dumps(events)
