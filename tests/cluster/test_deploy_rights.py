"""Rights where a cluster asks for more than ours do, and where its owners give less: as `docs/install.md` describes."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden
from canary.kube.types import CANARY, HTTP_ROUTE, SECRET, SERVICE, TRAEFIK_SERVICE, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application, phase_of, weight_of, without_repeats
from canary.sandbox.options import CONTROLLER

KUSTOMIZE = Path(__file__).parents[2] / "deploy/kustomize"
SYSTEM = "canary-system"
NAME = "canary-controller"
RBAC = "rbac.authorization.k8s.io"
PLUGIN = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str) -> AsyncIterator[Rig]:
    """A namespace for an application; the test installs a controller, which goes with it."""
    async with Rig.on(cluster, namespace) as rig:
        yield rig
    await cluster.parts["controller"].stop()
    program, arguments = cluster.folder / "bin/kubectl", ("delete", "-k", str(KUSTOMIZE / "controller"))
    process = await asyncio.create_subprocess_exec(
        program, *arguments, "--ignore-not-found", env={**os.environ, **cluster.environment}
    )
    async with asyncio.timeout(60):
        assert await process.wait() == 0


@pytest_asyncio.fixture
async def enforcing(cluster: Cluster) -> AsyncIterator[None]:
    """The API server is started anew with the admission plugin, which OpenShift has on."""
    server = cluster.parts["apiserver"]
    command = server.command

    async def restart(made: Callable[[], Sequence[str]]) -> None:
        server.kill()  # it would wait for its watches
        server.command = made
        await server.start()

    await restart(lambda: [*command(), PLUGIN])
    yield
    await restart(command)


def installation(folder: Path, *, components: Sequence[str] = (), more: Json | None = None, less: str = "") -> Path:
    """A user's kustomization over ours, without the controller's pods: it runs beside the cluster.

    Args:
        folder: is made, and holds it.
        components: names of those of ours that it takes.
        more: an object that is added.
        less: the kind of our objects that is left out.
    """
    folder.mkdir()
    none = [{"op": "replace", "path": "/spec/replicas", "value": 0}]
    patches = [{"target": {"kind": "Deployment"}, "patch": json.dumps(none)}]
    if less:
        removed = {"$patch": "delete", "apiVersion": f"{RBAC}/v1", "kind": less, "metadata": {"name": NAME}}
        patches.append({"patch": json.dumps(removed)})
    resources = [os.path.relpath(KUSTOMIZE / "traefik", folder)]
    if more is not None:
        (folder / "more.yaml").write_text(json.dumps(more))
        resources.append("more.yaml")
    taken = [os.path.relpath(KUSTOMIZE / "components" / each, folder) for each in components]
    document = {"resources": resources, "components": taken, "patches": patches}
    (folder / "kustomization.yaml").write_text(json.dumps(document))
    return folder


def canary(namespace: str, **spec: object) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    analysis = {"interval": "1s", "threshold": 2, "stepWeight": 50, "maxWeight": 50}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"targetRef": target, "service": {"port": 9898}, "analysis": analysis, **spec},
    }


async def start(site: Rig, *flags: str) -> None:
    await site.start_controller("--mesh-provider=traefik", f"--leader-election-namespace={SYSTEM}", *flags)


def forbidden(cluster: Cluster, namespace: str, since: int) -> list[str]:
    """What the controller had no right to in a namespace, from a place in the audit log on.

    Not in others: what is left of other tests may be on its way out, or want kinds that are not granted here.
    """
    with cluster.audit_log.open("rb") as log:
        log.seek(since)
        entries = [json.loads(line) for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]
    here = [each for each in entries if (each.get("objectRef") or {}).get("namespace") == namespace]
    answers = [each["responseStatus"] for each in here if each["user"]["username"] == CONTROLLER]
    return [answer["message"] for answer in answers if answer["code"] == 403]


@pytest.mark.usefixtures("enforcing")
async def test_where_owner_references_are_guarded_only_handing_back_takes_the_component(
    site: Rig, tmp_path: Path
) -> None:
    begun = site.cluster.audit_log.stat().st_size

    async def refusals() -> list[str]:
        return forbidden(site.cluster, site.namespace, begun)

    await site.cluster.apply(installation(tmp_path / "without"))
    async with site.recording(CANARY, "shop") as recording:
        await start(site)
        await site.apply(application("shop", site.namespace, "1.0.0", replicas=1))
        await site.apply(canary(site.namespace, revertOnDeletion=True))
        await recording.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        assert await refusals() == [], "what is created may name its owner, and block its deletion"

        await site.client.delete(CANARY, site.namespace, "shop")
        (first, *_) = await eventually(refusals, bool, within=30)
        assert "cannot set an ownerRef on a resource you can't delete" in first

        await site.cluster.apply(installation(tmp_path / "with", components=["owner-references"]))
        look = {"metadata": {"annotations": {"look": "again"}}}
        await site.client.merge_patch(CANARY, site.namespace, "shop", look)
        await recording.until(lambda each: not each, within=30, what="end of the Canary")
        for resource in (SERVICE, TRAEFIK_SERVICE):
            left = await site.client.get(resource, site.namespace, "shop")
            assert "ownerReferences" not in left["metadata"]


async def test_rights_in_one_namespace_are_enough_to_work_there(site: Rig, tmp_path: Path) -> None:
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": NAME, "namespace": site.namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": SYSTEM}],
    }
    await site.cluster.apply(installation(tmp_path / "mine", more=binding, less="ClusterRoleBinding"))
    async with KubeClient.connect(site.cluster.kubeconfig_for(CONTROLLER)) as client:
        with pytest.raises(Forbidden):
            await client.list(SECRET, "default")
    async with site.recording(CANARY, "shop") as recording:
        await start(site, f"--namespace={site.namespace}")
        await site.apply(application("shop", site.namespace, "1.0.0", replicas=1))
        await site.apply(canary(site.namespace))
        await recording.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        await site.apply(application("shop", site.namespace, "1.0.1", replicas=1))
        await recording.until(lambda each: phase_of(each) == "Succeeded", within=60, what="promotion")


def http_route(namespace: str) -> Json:
    """The users' own route to both versions."""
    backends = [{"name": "shop", "port": 9898}, {"name": "shop-canary", "port": 9898, "weight": 0}]
    return {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.kind,
        "metadata": {"name": "edge", "namespace": namespace},
        "spec": {"rules": [{"backendRefs": backends}]},
    }


async def test_rights_to_routes_of_others_are_enough_to_set_their_weights(site: Rig, tmp_path: Path) -> None:
    begun = site.cluster.audit_log.stat().st_size
    await site.cluster.apply(installation(tmp_path / "mine", components=["route-refs"]))
    named = {"apiVersion": HTTP_ROUTE.api_version, "kind": HTTP_ROUTE.kind, "name": "edge"}
    async with site.recording(CANARY, "shop") as recording, site.recording(HTTP_ROUTE, "edge") as route:
        await start(site)
        await site.apply(http_route(site.namespace))
        await site.apply(application("shop", site.namespace, "1.0.0", replicas=1))
        await site.apply(canary(site.namespace, routeRefs=[named]))
        await recording.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        await site.apply(application("shop", site.namespace, "1.0.1", replicas=1))
        await recording.until(lambda each: phase_of(each) == "Succeeded", within=60, what="promotion")
        assert without_repeats([weight_of(moment.value or {}) for moment in route.moments]) == [0, 50, 0]
        assert forbidden(site.cluster, site.namespace, begun) == []


async def test_a_kind_of_route_that_nobody_gave_the_right_to_is_told(site: Rig, tmp_path: Path) -> None:
    await site.cluster.apply(installation(tmp_path / "mine", components=["route-refs"]))
    weights = {"primary": "/spec/weighted/services/0/weight", "canary": "/spec/weighted/services/1/weight"}
    named = {"apiVersion": "gate.example/v1", "kind": "Division", "name": "edge", "weights": weights}
    async with site.recording(CANARY, "shop") as recording:
        await start(site)
        await site.apply(application("shop", site.namespace, "1.0.0", replicas=1))
        await site.apply(canary(site.namespace, routeRefs=[named]))
        stalled = await recording.until(lambda each: bool(words(each)), within=60, what="a condition")
        assert "the controller may not list or watch divisions" in words(stalled.value or {})


def words(obj: Json) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((str(each["message"]) for each in conditions if each["type"] == "Stalled"), "")
