"""The API server in memory, where tests hang on what the real one does."""

import asyncio
import json

import pytest

from canary.kube.types import CANARY
from tests.unit.controller.api_in_memory import ApiInMemory, Asked, now

pytestmark = pytest.mark.looptime(noop_cycles=1)


@pytest.mark.parametrize("late", [-1e-4, 0.0, 1e-4])
async def test_a_change_at_the_moment_of_a_bookmark_is_told(late: float) -> None:
    """Of two timers of one moment either may be first: a watch that lost the change would keep what hangs on it."""
    api, told, path = ApiInMemory(), list[str](), CANARY.path("prod")
    asked = Asked("GET", path, {"watch": "true", "resourceVersion": "100", "timeoutSeconds": "200"}, None)

    async def follow() -> None:
        async for chunk in api.watch(asked).iter_any():
            told.append(json.loads(chunk)["type"])

    def change() -> None:
        api.store(f"{path}/app", {"metadata": {"name": "app", "namespace": "prod"}})

    asyncio.get_running_loop().call_at(now() + 60 + late, change)
    await follow()
    assert "ADDED" in told
