"""A settled Canary is kept as the API server has it, and as nothing else."""

import asyncio
import gc

import pytest

from canary.api.canary import CanarySpec
from canary.controller.options import Options
from canary.controller.run import Controller
from tests.unit.controller.whole_controller import Cluster, connect, eventually


def read() -> int:
    """How many specs are held as they were read."""
    gc.collect()
    return sum(isinstance(each, CanarySpec) for each in gc.get_objects())


@pytest.mark.looptime
async def test_what_was_found_out_about_a_settled_canary_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In mid-rollout it is: looked at again and again, what stays as it was is found out once."""
    api = Cluster()
    api.put_app()
    api.put_canary(threshold=1)
    connect(monkeypatch, api)
    before = read()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Controller(Options()).run())
        await eventually(lambda: api.status().get("phase") == "Initialized", within=60, seen=api.status)
        await asyncio.sleep(60)
        assert read() == before

        api.put_app("new")
        await eventually(lambda: api.status().get("phase") == "Progressing", within=60, seen=api.status)
        await asyncio.sleep(10)
        assert read() > before
        running.cancel()
