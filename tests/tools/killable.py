"""A controller that a test may kill and start again; see `tests.tools.clusters` for how a conftest takes it over."""

from collections.abc import AsyncIterator

import pytest_asyncio

from canary.sandbox.harness import Rig

CONTROLLER = "killed controller"
FLAGS = ("--mesh-provider=traefik", "--enable-leader-election=false", "--traffic-settle-time=istio=3s")


@pytest_asyncio.fixture
async def killable(site: Rig) -> AsyncIterator[Rig]:
    """A controller for this namespace alone; with no Lease to wait for, it acts again as soon as it is back."""
    await site.start_controller(*FLAGS, f"--namespace={site.namespace}", name=CONTROLLER)
    yield site
    await site.cluster.parts[CONTROLLER].stop()


async def kill_and_start(rig: Rig) -> None:
    """Kill the controller, and wait until it is ready again."""
    part = rig.cluster.parts[CONTROLLER]
    part.kill()
    await part.start()
