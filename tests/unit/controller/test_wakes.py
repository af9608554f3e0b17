"""What wakes a Canary, and what is no news to it."""

import asyncio
from typing import Any

import pytest

from canary.controller.observe.index import ref_to
from canary.controller.options import Options
from canary.controller.reconcile import ACTING
from canary.controller.run import Controller
from canary.kube.store import Change, Key
from canary.kube.types import CANARY, DEPLOYMENT, KNATIVE_SERVICE, TRAEFIK_SERVICE, Json, Resource

OLD: Json = {"metadata": {"name": "app", "namespace": "shop", "resourceVersion": "1"}}
NEW: Json = {"metadata": {"name": "app", "namespace": "shop", "resourceVersion": "2"}}


async def woken(resource: Resource, acting: str) -> list[str]:
    """Which Canaries are due after a change, made while the running worker works on one; empty is for others."""
    controller: Any = Controller(Options())
    for key in ("shop/app", "shop/other"):
        controller._index.put(
            key, {ref_to(each, "shop", "app") for each in (DEPLOYMENT, KNATIVE_SERVICE, TRAEFIK_SERVICE)}
        )
    ACTING.set(acting)
    controller._changed(resource, Change(Key("shop", "app"), OLD, NEW))
    return [await controller._queue.get() for _ in range(controller._queue.depth)]


@pytest.mark.parametrize(
    ("resource", "acting", "expected"),
    [
        (CANARY, "", {"shop/app"}),
        (CANARY, "shop/app", set()),
        (CANARY, "shop/other", {"shop/app"}),
        (TRAEFIK_SERVICE, "", {"shop/app", "shop/other"}),
        (TRAEFIK_SERVICE, "shop/app", {"shop/other"}),
        (DEPLOYMENT, "shop/app", {"shop/app", "shop/other"}),
        (KNATIVE_SERVICE, "shop/app", {"shop/app", "shop/other"}),
    ],
)
async def test_what_a_canary_writes_itself_wakes_all_but_itself_save_workloads(
    resource: Resource, acting: str, expected: set[str]
) -> None:
    """What it writes of a workload comes back with what others have written there: perhaps a new version."""
    found = await asyncio.create_task(woken(resource, acting))
    assert set(found) == expected
