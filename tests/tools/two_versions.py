"""An application in two versions, `1` behind the Service `app-primary` and `2` behind `app-canary`, and who answers.

A conftest takes over the fixtures by importing them; see `tests.tools.clusters`.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, SERVICE, Json, Resource
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway

PRIMARY, CANARY = "app-primary", "app-canary"
PORT = 80
"""That of both Services."""


def deployment(name: str, version: str) -> Json:
    """Two pods of the sample service."""
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
    """The Service of a Deployment of the same name."""
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]}
    return {"metadata": {"name": name}, "spec": spec}


def weighted(primary: int, canary: int) -> list[Json]:
    """Both Services with their weights, as HTTPRoutes, TraefikServices and HTTPProxies have them."""
    return [{"name": PRIMARY, "port": PORT, "weight": primary}, {"name": CANARY, "port": PORT, "weight": canary}]


def http_route(gateway: Gateway, host: str, primary: int, canary: int) -> Json:
    """An HTTPRoute for one of the sandbox's gateways."""
    rules = [{"backendRefs": weighted(primary, canary)}]
    return {"metadata": {"name": "app"}, "spec": {"hostnames": [host], "parentRefs": [gateway.parent], "rules": rules}}


@pytest_asyncio.fixture
async def api(cluster: Cluster, namespace: str) -> AsyncIterator[KubeClient]:
    """An API with the two versions in the test's namespace, available."""
    async with KubeClient.connect(cluster.kubeconfig) as api:
        for name, version in ((PRIMARY, "1"), (CANARY, "2")):
            await create(api, DEPLOYMENT, namespace, deployment(name, version))
            await create(api, SERVICE, namespace, service(name))
        for name in (PRIMARY, CANARY):
            await available(api, namespace, name)
        yield api


async def create(api: KubeClient, resource: Resource, namespace: str, obj: Json) -> None:
    """Create an object in a namespace."""
    await api.create(resource, {**obj, "metadata": {**obj["metadata"], "namespace": namespace}})


async def available(api: KubeClient, namespace: str, name: str) -> None:
    """Wait until both pods of a Deployment are there."""

    async def ask() -> bool:
        found = await api.get(DEPLOYMENT, namespace, name)
        status, generation = found.get("status", {}), found["metadata"]["generation"]
        counts = {status.get(name) for name in ("updatedReplicas", "availableReplicas", "replicas")}
        return counts == {2} and bool(status.get("observedGeneration") == generation)

    await eventually(ask, bool, within=20)


async def versions(gateway: Gateway, host: str, count: int, headers: Mapping[str, str] | None = None) -> Counter[str]:
    """Which versions answered so many requests through a gateway; a status, or `refused`, where none did."""
    async with httpx.AsyncClient(headers={"Host": host, **(headers or {})}) as client:
        return Counter([await _version(client, gateway.url) for _ in range(count)])


async def _version(client: httpx.AsyncClient, url: str) -> str:
    try:
        answer = await client.get(url)
    except httpx.TransportError:  # Contour's Envoy listens once there is a route; nginx hangs up when Ingresses change
        return "refused"
    return str(answer.headers.get("x-version", answer.status_code))


def shares(primary: int, canary: int) -> Json:
    """What Traefik gives of 100 requests: exactly so, but for a round that a new configuration begins anew."""
    return {"1": pytest.approx(primary, abs=3), "2": pytest.approx(canary, abs=3)}


async def routed(gateway: Gateway, host: str, *expected: str) -> None:
    """Wait until a gateway knows the route and what is behind it: these versions answer, both where none is given."""
    wanted = {*expected} or {"1", "2"}
    await eventually(lambda: versions(gateway, host, 20), lambda found: set(found) == wanted, within=20)
