"""How many hooks are asked at once: hosts that never answer keep nobody from another."""

import asyncio

import pytest

from canary.api.analysis import Webhook
from canary.webhooks import HOOKS, Approved, call
from outbound.connections import Connections
from outbound.message import Request, Response

pytestmark = pytest.mark.looptime


def hook(host: str) -> Webhook:
    return Webhook.model_validate({"name": "gate", "url": f"http://{host}/", "timeout": "24h"})


async def test_hosts_that_never_answer_keep_no_hook_of_another_host_waiting() -> None:
    """Fifteen of them, each with as many hooks as one host is asked at once, and each hook with a day to answer."""

    async def answer(request: Request) -> Response:
        if "dead" in request.url:
            await asyncio.Event().wait()
        return Response(200)

    async with Connections(HOOKS, answer) as connections, asyncio.TaskGroup() as group:
        dead = [hook(f"dead-{number}.test") for number in range(15)]
        asked = [group.create_task(call(connections, each, {})) for each in dead for _ in range(HOOKS.per_host)]
        await asyncio.sleep(1)
        async with asyncio.timeout(1):
            assert await call(connections, hook("well.test"), {}) == Approved(200)
        for each in asked:
            each.cancel()
