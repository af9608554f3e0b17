"""Gates of waves that look at objects of GitOps: a hub waits in their words, and goes on when they are done."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from canary.gates import rancher_fleet
from canary.kube.types import APPLICATION, KUSTOMIZATION
from tests.unit.controller.api_in_memory import Answer, Asked, Json, answered, refused
from tests.unit.gates.test_rancher_fleet import HASH, deployment, repo
from tests.unit.gates.test_waves import application
from tests.unit.hub.whole_hub import PILOT, WAVES, World, connect, eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)

AGAIN = 35.0
"""Seconds after which a gate has been asked again."""


@pytest_asyncio.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World()
    connect(monkeypatch, world)
    yield world
    await world.end()


async def begin(world: World, **gate: Any) -> None:
    """A release of two waves, of which the second waits for a gate."""
    world.add("a", PILOT)
    world.add("b")
    last: Json = {"name": "all", "gates": [{"name": "synced", **gate}]}
    world.put_fleet(waves=[WAVES[0], last])
    world.start()


def waits(world: World, words: str) -> bool:
    return world.status.get("reason") == "WaitingForGate" and words in world.status["message"]


async def passes(world: World) -> None:
    await eventually(lambda: world.status.get("phase") == "Succeeded", AGAIN + 10, lambda: world.status)


def put(world: World, path: str, obj: Json, name: str) -> None:
    world.hub.store(path, {**obj, "metadata": {"namespace": "x", **obj.get("metadata", {}), "name": name}})


@pytest.mark.field(
    "CanaryFleet.spec.waves[].gates[].argocd.application", "CanaryFleet.spec.waves[].gates[].argocd.revision"
)
async def test_a_wave_waits_for_an_application_of_argo_cd(world: World, looptime: int) -> None:
    path = APPLICATION.path("argocd", "shop")
    put(world, path, application("v0"), "shop")
    await begin(world, argocd={"application": "shop", "revision": "{{ release }}"})
    words = "synced (Application argocd/shop: it is Synced at v0, and to be at r1)"
    await eventually(lambda: waits(world, words), 10, lambda: world.status)
    await asyncio.sleep(AGAIN)
    assert world.member("b")["state"] == "Pending"

    put(world, path, application("r1"), "shop")
    await passes(world)


@pytest.mark.field("CanaryFleet.spec.waves[].gates[].flux.kustomization")
async def test_a_wave_waits_for_a_kustomization_of_flux(world: World, looptime: int) -> None:
    path = KUSTOMIZATION.path("prod", "shop")
    await begin(world, flux={"kustomization": "shop"})
    await eventually(lambda: waits(world, "Kustomization prod/shop does not exist"), 10, lambda: world.status)
    status = {"conditions": [{"type": "Ready", "status": "True"}], "observedGeneration": 1}
    put(world, path, {"metadata": {"generation": 1}, "status": status}, "shop")
    await passes(world)


@pytest.mark.field(
    "CanaryFleet.spec.waves[].gates[].rancherFleet.gitRepo",
    "CanaryFleet.spec.waves[].gates[].rancherFleet.namespace",
    "CanaryFleet.spec.waves[].gates[].rancherFleet.revision",
)
async def test_a_wave_waits_for_a_git_repo_in_all_its_clusters(world: World, looptime: int) -> None:
    ready = False

    def listed(asked: Asked) -> Answer | None:
        if not asked.path.endswith("/bundledeployments"):
            return None
        assert asked.query["labelSelector"] == "fleet.cattle.io/repo-name=shop,fleet.cattle.io/bundle-namespace=gitops"
        return answered({"metadata": {"resourceVersion": "1"}, "items": [deployment("eu", ready=ready)]})

    world.hub.ill = listed
    put(world, rancher_fleet.GIT_REPO.path("gitops", "shop"), repo(), "shop")
    await begin(world, rancherFleet={"gitRepo": "shop", "namespace": "gitops", "revision": HASH[:9]})
    await eventually(lambda: waits(world, "and 1 NotReady: eu"), 10, lambda: world.status)
    ready = True
    await passes(world)


async def test_what_the_hub_may_not_see_names_where_the_rights_are(world: World, looptime: int) -> None:
    world.hub.ill = lambda asked: refused(403, "Forbidden") if "/applications/" in asked.path else None
    await begin(world, argocd={"application": "shop"})
    said = "the API server refuses it: Forbidden; a component of fleet/gates gives the rights"
    await eventually(lambda: waits(world, said), 10, lambda: world.status)


async def test_a_template_that_can_t_be_filled_in_is_a_problem_of_the_spec(world: World, looptime: int) -> None:
    await begin(world, argocd={"application": "shop", "revision": "{{ tag }}"})
    await eventually(lambda: bool(world.status), 10)
    assert world.ready["reason"] == "Invalid"
    assert "spec.waves[1].gates[0].argocd.revision" in world.ready["message"]
