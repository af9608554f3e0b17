"""Traffic through the gateway goes where routes say, and none is lost when pods are replaced."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, HTTP_ROUTE, SERVICE, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.traffic import Traffic

INGRESS_ROUTE = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")


def deployment(name: str, version: str) -> Json:
    container = {
        "name": "web",
        "image": f"sample/web:{version}",
        "ports": [{"name": "http", "containerPort": 9898}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def service(name: str) -> Json:
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return {"metadata": {"name": name}, "spec": spec}


def weighted(old: int, new: int) -> list[Json]:
    return [{"name": "old", "port": 80, "weight": old}, {"name": "new", "port": 80, "weight": new}]


def http_route(host: str, old: int, new: int) -> Json:
    parents = [TRAEFIK.parent]
    rules = [{"backendRefs": weighted(old, new)}]
    return {"metadata": {"name": "shop"}, "spec": {"hostnames": [host], "parentRefs": parents, "rules": rules}}


@pytest_asyncio.fixture
async def api(cluster: Cluster, namespace: str) -> AsyncIterator[KubeClient]:
    """An API with two versions of an application behind two Services, `old` and `new`."""
    async with KubeClient.connect(cluster.kubeconfig) as api:
        for name, version in (("old", "1"), ("new", "2")):
            await create(api, DEPLOYMENT, namespace, deployment(name, version))
            await create(api, SERVICE, namespace, service(name))
        for name in ("old", "new"):
            await available(api, namespace, name)
        yield api


async def create(api: KubeClient, resource: Resource, namespace: str, obj: Json) -> None:
    await api.create(resource, {**obj, "metadata": {**obj["metadata"], "namespace": namespace}})


async def available(api: KubeClient, namespace: str, name: str) -> None:
    async def ask() -> bool:
        found = await api.get(DEPLOYMENT, namespace, name)
        status, generation = found.get("status", {}), found["metadata"]["generation"]
        counts = {status.get(name) for name in ("updatedReplicas", "availableReplicas", "replicas")}
        return counts == {2} and bool(status.get("observedGeneration") == generation)

    await eventually(ask, bool, within=20)


async def versions(host: str, count: int) -> Counter[str]:
    async with httpx.AsyncClient(headers={"Host": host}) as client:
        answers = [await client.get(f"http://{addresses.GATEWAY}/") for _ in range(count)]
    return Counter(answer.headers.get("x-version", str(answer.status_code)) for answer in answers)


async def routed(host: str) -> None:
    """Wait until the gateway knows the route and what is behind it."""
    await eventually(lambda: versions(host, 10), lambda found: set(found) <= {"1", "2"}, within=10)


async def test_an_http_route_splits_by_weight(api: KubeClient, namespace: str) -> None:
    host = f"{namespace}.example"
    await create(api, HTTP_ROUTE, namespace, http_route(host, 80, 20))
    await routed(host)
    found = await versions(host, 100)
    assert found == {"1": 80, "2": 20}

    await api.merge_patch(HTTP_ROUTE, namespace, "shop", http_route(host, 0, 100))
    await eventually(lambda: versions(host, 20), lambda found: found == {"2": 20}, within=5)


async def test_a_traefik_service_splits_by_weight(api: KubeClient, namespace: str) -> None:
    host = f"{namespace}.example"
    split = {"metadata": {"name": "shop"}, "spec": {"weighted": {"services": weighted(1, 3)}}}
    rule = {"kind": "Rule", "match": f"Host(`{host}`)", "services": [{"kind": "TraefikService", "name": "shop"}]}
    route = {"metadata": {"name": "shop"}, "spec": {"routes": [rule]}}
    await create(api, TRAEFIK_SERVICE, namespace, split)
    await create(api, INGRESS_ROUTE, namespace, route)
    await routed(host)
    assert await versions(host, 100) == {"1": 25, "2": 75}


@pytest.mark.parametrize("through", ["gateway", "service"])
async def test_no_request_is_lost_while_pods_are_replaced(api: KubeClient, namespace: str, through: str) -> None:
    host = f"{namespace}.example"
    url = f"http://{addresses.GATEWAY}/"
    if through == "gateway":
        await create(api, HTTP_ROUTE, namespace, http_route(host, 100, 0))
        await routed(host)
    else:
        url, host = f"http://old.{namespace}/", ""
    async with Traffic(url, host, rate=50) as traffic:
        await asyncio.sleep(0.5)
        await api.merge_patch(DEPLOYMENT, namespace, "old", deployment("old", "3"))
        await available(api, namespace, "old")
        await asyncio.sleep(4)
    assert [answer for answer in traffic.answers if answer.lost] == []
    assert {answer.version for answer in traffic.answers} == {"1", "3"}
