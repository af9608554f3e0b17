"""Kubernetes access against a real API server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from canary.kube.client import KubeClient
from canary.kube.diff import covers, differences
from canary.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, Unreachable
from canary.kube.events import EventRecorder
from canary.kube.leader import LeaderElector, LeaseTerms
from canary.kube.store import Change
from canary.kube.types import (
    CANARY,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    HORIZONTAL_POD_AUTOSCALER,
    LEASE,
    SECRET,
    SERVICE,
    Resource,
)
from canary.kube.watch import WatchCache
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.options import CONTROLLER

Json = dict[str, Any]
CLUSTER_ROLE = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)


def meta(namespace: str, name: str, **more: Any) -> Json:
    return {"namespace": namespace, "name": name, **more}


def config_map(namespace: str, name: str, **data: str) -> Json:
    return {"metadata": meta(namespace, name), "data": data}


def deployment(namespace: str, name: str = "app", **spec: Any) -> Json:
    """A Deployment without replicas of its own, so that a test can watch who owns them."""
    labels = {"app": name}
    container = {
        "name": "web",
        "image": "sample/web:1",
        "resources": {
            "limits": {"cpu": "1000m", "memory": "64Mi"},
            "requests": {"cpu": "0.01", "memory": "33554432"},
        },
        "env": [{"name": "TERM_SECONDS", "value": "0"}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": meta(namespace, name),
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(cluster.kubeconfig) as client:
        yield client


async def until(condition: Callable[[], object], within: float = 30.0) -> None:
    async def ask() -> object:
        return condition()

    await eventually(ask, bool, within=within)


async def cancelled(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError)


async def test_applying_owns_only_what_it_names(client: KubeClient, namespace: str) -> None:
    """Replicas stay with who scales, labels of others stay, and a field no longer applied goes."""
    await client.apply(DEPLOYMENT, deployment(namespace, minReadySeconds=3))
    await client.scale(DEPLOYMENT, namespace, "app", 4)
    await client.apply(
        DEPLOYMENT,
        {"metadata": meta(namespace, "app", labels={"team": "shop"})},
        field_manager="somebody",
    )

    applied = await client.apply(DEPLOYMENT, deployment(namespace))

    assert applied["spec"]["replicas"] == 4
    assert applied["metadata"]["labels"] == {"team": "shop"}
    assert "minReadySeconds" not in applied["spec"]


async def test_applying_what_is_there_changes_nothing(client: KubeClient, namespace: str) -> None:
    first = await client.apply(CONFIG_MAP, config_map(namespace, "a", k="v"))
    second = await client.apply(CONFIG_MAP, config_map(namespace, "a", k="v"))

    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_field_of_another_manager_is_taken_only_by_force(client: KubeClient, namespace: str) -> None:
    await client.apply(CONFIG_MAP, config_map(namespace, "a", k="theirs"), field_manager="somebody")

    with pytest.raises(Conflict, match="somebody"):
        await client.apply(CONFIG_MAP, config_map(namespace, "a", k="ours"), force=False)
    applied = await client.apply(CONFIG_MAP, config_map(namespace, "a", k="ours"))
    assert applied["data"] == {"k": "ours"}


async def test_what_the_server_defaults_and_rewrites_covers_what_was_applied(
    client: KubeClient, namespace: str
) -> None:
    """Quantities come back in another form, and defaults come along: no reason to write again."""
    applied = await client.apply(DEPLOYMENT, deployment(namespace))

    limits = applied["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["cpu"] == "1"
    assert list(differences(applied, deployment(namespace))) == []
    assert not covers(applied, deployment(namespace, minReadySeconds=1))


async def test_refusals_are_typed(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAP, config_map(namespace, "a"))

    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAP, config_map(namespace, "a"))
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, namespace, "b")
    with pytest.raises(NotFound):
        await client.get(Resource("nowhere.test", "v1", "things", "Thing"), namespace, "b")
    with pytest.raises(NotFound):
        await client.delete(CONFIG_MAP, namespace, "b")
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAP, namespace, "a", uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(Invalid) as caught:
        await client.create(SERVICE, {"metadata": meta(namespace, "a"), "spec": {"ports": [{"port": 0}]}})
    assert caught.value.causes[0][0] == "spec.ports[0].port"


async def test_lost_updates_are_conflicts(client: KubeClient, namespace: str) -> None:
    first = await client.create(CONFIG_MAP, config_map(namespace, "a", k="1"))
    await client.replace(CONFIG_MAP, {**first, "data": {"k": "2"}})

    with pytest.raises(Conflict):
        await client.replace(CONFIG_MAP, {**first, "data": {"k": "3"}})
    guarded = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"k": "4"}}
    with pytest.raises(Conflict):
        await client.merge_patch(CONFIG_MAP, namespace, "a", guarded)
    assert (await client.get(CONFIG_MAP, namespace, "a"))["data"] == {"k": "2"}


async def test_nothing_of_an_invalid_secret_reaches_the_error(client: KubeClient, namespace: str) -> None:
    secret = {"metadata": meta(namespace, "a"), "type": "kubernetes.io/dockerconfigjson"}

    with pytest.raises(Invalid) as caught:
        await client.create(SECRET, {**secret, "stringData": {".dockerconfigjson": "hunter2"}})
    assert "hunter2" not in f"{caught.value} {caught.value.causes}"


async def test_who_may_not_is_told_so(cluster: Cluster) -> None:
    """Here of what no installation gives the controller rights to, and another test may have installed it."""
    async with KubeClient.connect(cluster.kubeconfig_for(CONTROLLER)) as client:
        with pytest.raises(Forbidden, match="canary-controller"):
            await client.list(CLUSTER_ROLE)


async def test_an_unknown_field_is_never_silently_dropped(client: KubeClient, namespace: str) -> None:
    """Created with it, the server warns, and the warning is logged; applied, the server refuses."""
    obj = {**deployment(namespace), "unheard": 1}

    with capture_logs() as logs:
        await client.create(DEPLOYMENT, obj)
    assert [entry["warning"] for entry in logs] == ['299 - "unknown field \\"unheard\\""']
    with pytest.raises(Invalid, match="unheard"):
        await client.apply(DEPLOYMENT, obj)


async def test_lists_are_read_page_by_page(client: KubeClient, namespace: str) -> None:
    for number in range(5):
        await client.create(CONFIG_MAP, config_map(namespace, f"c{number}"))

    page = await client.list(CONFIG_MAP, namespace, limit=2)
    whole = await client.list(CONFIG_MAP, namespace)

    assert len(page["items"]) == 2
    assert page["metadata"]["continue"]
    assert [item["metadata"]["name"] for item in whole["items"]] == [f"c{number}" for number in range(5)]


async def test_a_cache_follows_the_server(client: KubeClient, namespace: str) -> None:
    await client.create(CONFIG_MAP, config_map(namespace, "a", k="1"))
    cache = WatchCache(client, CONFIG_MAP, namespace=namespace, project=lambda obj: obj.get("data"))
    changes: list[Change[Json | None]] = []
    cache.subscribe(changes.append)
    task = asyncio.create_task(cache.run())

    await asyncio.wait_for(cache.synced.wait(), 10)
    assert cache.get(namespace, "a") == {"k": "1"}
    await client.apply(CONFIG_MAP, config_map(namespace, "a", k="2"))
    await until(lambda: cache.get(namespace, "a") == {"k": "2"})
    await client.delete(CONFIG_MAP, namespace, "a")
    await until(lambda: cache.get(namespace, "a") is None)

    assert [change.new for change in changes if change.key.name == "a"] == [{"k": "1"}, {"k": "2"}, None]
    await cancelled(task)


async def test_own_writes_are_read_at_once(client: KubeClient, namespace: str) -> None:
    cache = WatchCache(client, CONFIG_MAP, namespace=namespace, project=lambda obj: obj.get("data"))
    task = asyncio.create_task(cache.run())
    await asyncio.wait_for(cache.synced.wait(), 10)

    for number in range(50):
        cache.note(await client.apply(CONFIG_MAP, config_map(namespace, "a", k=str(number))))
        assert cache.get(namespace, "a") == {"k": str(number)}
        await asyncio.sleep(0.002)
        assert cache.get(namespace, "a") == {"k": str(number)}
    await cancelled(task)


async def test_objects_as_large_as_the_server_takes_get_through(client: KubeClient, namespace: str) -> None:
    cache = WatchCache(client, CONFIG_MAP, namespace=namespace)
    task = asyncio.create_task(cache.run())
    await asyncio.wait_for(cache.synced.wait(), 10)

    await client.create(CONFIG_MAP, config_map(namespace, "big", blob="x" * 1_000_000))
    await until(lambda: cache.get(namespace, "big"))
    await cancelled(task)


async def test_secrets_are_followed_without_their_content(client: KubeClient, namespace: str) -> None:
    await client.create(SECRET, {"metadata": meta(namespace, "first"), "stringData": {"k": "hunter2"}})
    cache = WatchCache(client, SECRET, namespace=namespace, metadata_only=True)
    task = asyncio.create_task(cache.run())
    await asyncio.wait_for(cache.synced.wait(), 10)
    await client.create(SECRET, {"metadata": meta(namespace, "second"), "stringData": {"k": "hunter2"}})
    await until(lambda: len(cache) == 2)

    assert all(obj.keys() == {"apiVersion", "kind", "metadata"} for obj in cache.list())
    assert {obj["kind"] for obj in cache.list()} == {"Secret"}
    await cancelled(task)


async def test_a_resource_that_is_not_installed_is_absent(client: KubeClient, namespace: str) -> None:
    cache = WatchCache(client, Resource("nowhere.test", "v1", "things", "Thing"))
    task = asyncio.create_task(cache.run())
    await asyncio.wait_for(cache.synced.wait(), 10)

    assert cache.state == "absent"
    assert cache.get(namespace, "a") is None
    await cancelled(task)


async def test_an_api_server_restart_neither_loses_nor_repeats_anything(
    cluster: Cluster, client: KubeClient, namespace: str
) -> None:
    cache = WatchCache(client, CONFIG_MAP, namespace=namespace, project=lambda obj: obj.get("data"))
    task = asyncio.create_task(cache.run())
    await asyncio.wait_for(cache.synced.wait(), 10)
    await client.create(CONFIG_MAP, config_map(namespace, "before", k="1"))
    await until(lambda: cache.get(namespace, "before"))
    changes: list[Change[Json | None]] = []
    cache.subscribe(changes.append)

    await cluster.parts["apiserver"].stop()
    await until(lambda: cache.state == "failing")
    assert cache.get(namespace, "before") == {"k": "1"}
    with pytest.raises(Unreachable):
        await client.get(CONFIG_MAP, namespace, "before")
    await cluster.parts["apiserver"].start()
    await until(lambda: cache.state == "watching")
    await client.create(CONFIG_MAP, config_map(namespace, "after", k="2"))
    await until(lambda: cache.get(namespace, "after"))

    assert [(change.key.name, change.old) for change in changes] == [("after", None)]
    assert cache.lists <= 2  # A server that has just started may have no history to resume from.
    await cancelled(task)


async def test_leadership_is_handed_over_and_survives_an_api_server_restart(
    cluster: Cluster, client: KubeClient, namespace: str
) -> None:
    """Two electors: never both at work; a clean end hands over at once; an outage ends the work, then it goes on."""
    terms = LeaseTerms(duration=8, renew_deadline=6, retry_period=2)
    acting: set[str] = set()
    spells: list[str] = []

    def elector(name: str) -> tuple[LeaderElector, "asyncio.Task[None]"]:
        async def lead() -> None:
            assert not acting
            acting.add(name)
            spells.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                acting.remove(name)

        made = LeaderElector(client, namespace, "election", name, terms=terms)
        return made, asyncio.create_task(made.run(lead))

    _, first = elector("first")
    await until(lambda: acting == {"first"})
    second_elector, second = elector("second")
    await asyncio.sleep(2)
    assert acting == {"first"}

    await cancelled(first)
    await until(lambda: acting == {"second"}, within=2)
    assert second_elector.is_leader
    lease = await client.get(LEASE, namespace, "election")
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("second", 1)

    await cluster.parts["apiserver"].stop()
    await until(lambda: not acting, within=10)
    assert not second_elector.is_leader
    await cluster.parts["apiserver"].start()
    await until(lambda: acting == {"second"})

    assert spells == ["first", "second", "second"]
    await cancelled(second)
    assert (await client.get(LEASE, namespace, "election"))["spec"]["holderIdentity"] == ""


async def test_a_repeated_event_is_one_object_with_a_count(client: KubeClient, namespace: str) -> None:
    canary = {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": meta(namespace, "podinfo", uid="00000000-0000-0000-0000-000000000001"),
    }
    recorder = EventRecorder(client, "flagger")
    task = asyncio.create_task(recorder.run())
    for _ in range(3):
        recorder.record(canary, "Warning", "Synced", "Halt advancement no values found")
    await until(lambda: recorder.written == 3)

    (event,) = (await client.list(EVENT, namespace))["items"]
    assert (event["count"], event["type"], event["source"]["component"]) == (3, "Warning", "flagger")
    assert event["involvedObject"]["name"] == "podinfo"
    assert recorder.dropped == 0
    await cancelled(task)


async def test_an_applied_autoscaler_is_covered_as_it_comes_back(client: KubeClient, namespace: str) -> None:
    desired = {
        "metadata": meta(namespace, "app"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "minReplicas": 2,
            "maxReplicas": 4,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "0.5Gi"}},
                }
            ],
        },
    }
    applied = await client.apply(HORIZONTAL_POD_AUTOSCALER, desired)

    assert list(differences(applied, desired)) == []
