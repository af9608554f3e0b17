"""The cluster does what a cluster does: real workloads, Services, names, routes, metrics."""

import httpx

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, Json, resource_of
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually


def deployment(name: str, image: str, *, replicas: int = 1, **variables: str) -> Json:
    labels = {"app": name}
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "9898"}
    container: Json = {
        "name": "web",
        "image": image,
        "ports": [{"name": "http", "containerPort": 9898}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
        "env": [{"name": key, "value": value} for key, value in variables.items()],
    }
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(name: str) -> Json:
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 9898, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


async def create(client: KubeClient, namespace: str, *objects: Json) -> None:
    for obj in objects:
        obj["metadata"]["namespace"] = namespace
        await client.create(resource_of(obj), obj)


async def available(client: KubeClient, namespace: str, name: str, replicas: int = 1) -> None:
    async def ask() -> int:
        found = await client.get(DEPLOYMENT, namespace, name)
        return int(found.get("status", {}).get("availableReplicas", 0))

    await eventually(ask, lambda count: count == replicas, within=20)


async def test_a_deployment_becomes_processes_behind_its_service(cluster: Cluster, namespace: str) -> None:
    async with KubeClient.connect(cluster.kubeconfig) as api, httpx.AsyncClient() as client:
        await create(api, namespace, deployment("shop", "sample/web:1.2.3", replicas=2), service("shop"))
        await available(api, namespace, "shop", 2)

        async def ask() -> set[str]:
            url, close = f"http://shop.{namespace}:9898/", {"connection": "close"}
            answers = [await client.get(url, headers=close) for _ in "ab"]
            return {answer.json()["hostname"] for answer in answers}

        pods = await eventually(ask, lambda names: len(names) == 2, within=5)
        assert all(name.startswith("shop-") for name in pods)
        answer = await client.get(f"http://shop.{namespace}:9898/version")
        assert answer.json() == {"version": "1.2.3"}


async def test_prometheus_finds_annotated_pods(cluster: Cluster, namespace: str) -> None:
    async with KubeClient.connect(cluster.kubeconfig) as api, httpx.AsyncClient() as client:
        await create(api, namespace, deployment("shop", "sample/web:1"), service("shop"))
        await available(api, namespace, "shop")
        await client.get(f"http://shop.{namespace}:9898/")
        query = f'http_requests_total{{kubernetes_namespace="{namespace}",status="200"}}'

        async def ask() -> list[Json]:
            answer = await client.get(f"{addresses.PROMETHEUS_URL}/api/v1/query", params={"query": query})
            result: list[Json] = answer.json()["data"]["result"]
            return result

        series = await eventually(ask, bool, within=20)
        assert series[0]["metric"]["kubernetes_pod_name"].startswith("shop-")
