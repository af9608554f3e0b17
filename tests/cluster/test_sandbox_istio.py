"""Requests through Istio go where VirtualServices say, at the gateway and in the mesh, and are counted by its names.

istiod is the real one, the Envoys are plain ones.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import chain

import httpx
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, HTTP_ROUTE, POD, SERVICE, Json
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.istio import SIDECAR, VIRTUAL_SERVICE
from canary.sandbox.traffic import Traffic
from metrics.builtin import query_of
from metrics.templates import Model
from metrics.threshold import REQUEST_DURATION, REQUEST_SUCCESS_RATE
from tests.tools import mesh
from tests.tools.two_versions import (
    CANARY,
    PORT,
    PRIMARY,
    available,
    create,
    deployment,
    http_route,
    routed,
    service,
    versions,
)

APPLICATION_PORT = 9898


def weighted(primary: int, canary: int) -> list[Json]:
    """Both Services with their weights, as VirtualServices have them."""
    return [
        {"destination": {"host": name, "port": {"number": PORT}}, "weight": weight}
        for name, weight in ((PRIMARY, primary), (CANARY, canary))
    ]


def virtual_service(namespace: str, *routes: Json) -> Json:
    """A VirtualService for requests from outside, and for those of the mesh to `app`."""
    hosts, gateways = [f"{namespace}.example", f"app.{namespace}.svc.cluster.local"], ["istio-system/public", "mesh"]
    return {"metadata": {"name": "app"}, "spec": {"hosts": hosts, "gateways": gateways, "http": list(routes)}}


async def test_a_virtual_service_splits_by_weight(api: KubeClient, namespace: str, istio: Gateway) -> None:
    host = f"{namespace}.example"
    await create(api, VIRTUAL_SERVICE, namespace, virtual_service(namespace, {"route": weighted(80, 20)}))
    await routed(istio, host)
    found = await versions(istio, host, 300)
    assert found.keys() == {"1", "2"}
    assert 25 <= found["2"] <= 95  # five standard deviations around 60

    for primary, version in ((0, "2"), (100, "1")):
        split = virtual_service(namespace, {"route": weighted(primary, 100 - primary)})
        await api.merge_patch(VIRTUAL_SERVICE, namespace, "app", split)
        await routed(istio, host, version)
        assert await versions(istio, host, 100) == {version: 100}


async def test_the_canary_gets_the_requests_with_its_header(api: KubeClient, namespace: str, istio: Gateway) -> None:
    host = f"{namespace}.example"
    insiders = {"match": [{"headers": {"x-canary": {"exact": "insider"}}}], "route": weighted(0, 100)}
    routes = virtual_service(namespace, insiders, {"route": weighted(100, 0)})
    await create(api, VIRTUAL_SERVICE, namespace, routes)
    await routed(istio, host, "1")
    assert await versions(istio, host, 50, {"x-canary": "insider"}) == {"2": 50}
    assert await versions(istio, host, 50, {"x-canary": "outsider"}) == {"1": 50}
    assert await versions(istio, host, 50) == {"1": 50}


async def test_a_mirror_gets_every_request_and_answers_none(api: KubeClient, namespace: str, istio: Gateway) -> None:
    host = f"{namespace}.example"
    destination = weighted(0, 100)[1]["destination"]
    mirrored = {"route": weighted(100, 0), "mirror": destination, "mirrorPercentage": {"value": 100}}
    await create(api, VIRTUAL_SERVICE, namespace, virtual_service(namespace, mirrored))
    await routed(istio, host, "1")

    async def arrived() -> int:
        return await requests_at(api, namespace, CANARY)

    before = await settled(arrived)
    assert await versions(istio, host, 50) == {"1": 50}
    await eventually(arrived, lambda found: found == before + 50, within=10)


async def requests_at(api: KubeClient, namespace: str, name: str) -> int:
    """How many requests the pods of a Deployment have answered, by their own count."""
    pods = (await api.list(POD, namespace))["items"]
    own = [pod["status"]["podIP"] for pod in pods if pod["metadata"]["labels"]["app"] == name]
    async with httpx.AsyncClient() as client:
        pages = [(await client.get(f"http://{ip}:{APPLICATION_PORT}/metrics")).text for ip in own]
    lines = chain.from_iterable(page.splitlines() for page in pages)
    return sum(int(line.split()[-1]) for line in lines if line.startswith("http_request_duration_seconds_count"))


async def settled(ask: Callable[[], Awaitable[int]]) -> int:
    """A number once it is the same twice in a row."""
    seen: list[int] = []

    async def both() -> list[int]:
        seen.append(await ask())
        return seen[-2:]

    last = await eventually(both, lambda found: len(found) == 2 and found[0] == found[1], within=10)
    return last[0]


async def test_istiod_serves_an_http_route(api: KubeClient, namespace: str, istio: Gateway) -> None:
    host = f"{namespace}.example"
    await create(api, HTTP_ROUTE, namespace, http_route(istio, host, 50, 50))
    await routed(istio, host)
    found = await versions(istio, host, 100)
    assert 25 <= found["2"] <= 75

    await api.merge_patch(HTTP_ROUTE, namespace, "app", http_route(istio, host, 0, 100))
    await routed(istio, host, "2")
    [parent] = (await api.get(HTTP_ROUTE, namespace, "app"))["status"]["parents"]
    assert parent["controllerName"] == "istio.io/gateway-controller"
    assert {each["type"]: each["status"] for each in parent["conditions"]} == {
        "Accepted": "True",
        "ResolvedRefs": "True",
    }


async def test_the_gateway_counts_by_the_workload_behind_it(
    cluster: Cluster, api: KubeClient, namespace: str, istio: Gateway
) -> None:
    """Which the built-in queries of `gatewayapi` ask for where Istio serves."""
    host = f"{namespace}.example"
    await create(api, VIRTUAL_SERVICE, namespace, virtual_service(namespace, {"route": weighted(0, 100)}))
    await routed(istio, host, "2")
    await answers_come(istio, host, namespace, "gatewayapi")


@pytest_asyncio.fixture
async def meshed(cluster: Cluster, namespace: str, istio: Gateway) -> AsyncIterator[KubeClient]:
    """An API with the two versions as members of the mesh, the Service `app`, and a client."""
    async with KubeClient.connect(cluster.kubeconfig) as api:
        await create(api, SIDECAR, namespace, mesh.members(namespace))
        client, own = mesh.client(namespace, PORT)
        await create(api, SIDECAR, namespace, own)
        await create(api, DEPLOYMENT, namespace, client)
        for name, version in ((PRIMARY, "1"), (CANARY, "2")):
            await create(api, DEPLOYMENT, namespace, mesh.joined(deployment(name, version)))
            await create(api, SERVICE, namespace, service(name))
        await create(api, SERVICE, namespace, {**service(PRIMARY), "metadata": {"name": "app"}})
        for name in (PRIMARY, CANARY):
            await available(api, namespace, name)
        yield api


async def test_a_virtual_service_routes_inside_the_mesh(meshed: KubeClient, namespace: str) -> None:
    """Split and headers are the client's Envoy's affair."""
    insiders = {"match": [{"headers": {"x-canary": {"exact": "insider"}}}], "route": weighted(0, 100)}
    routes = virtual_service(namespace, insiders, {"route": weighted(70, 30)})
    await create(meshed, VIRTUAL_SERVICE, namespace, routes)
    await eventually(lambda: asked(namespace, 40), lambda found: found.keys() == {"1", "2"}, within=20)
    found = await asked(namespace, 300)
    assert found.keys() == {"1", "2"}
    assert 50 <= found["2"] <= 130  # five standard deviations around 90
    assert await asked(namespace, 50, {"x-canary": "insider"}) == {"2": 50}

    await meshed.merge_patch(VIRTUAL_SERVICE, namespace, "app", virtual_service(namespace, {"route": weighted(100, 0)}))
    await eventually(lambda: asked(namespace, 20), lambda found: found == {"1": 20}, within=20)


def mesh_url(namespace: str) -> str:
    return f"http://{mesh.client_address(namespace)}:{PORT}/"


def mesh_host(namespace: str) -> str:
    return f"app.{namespace}.svc.cluster.local"


async def asked(namespace: str, count: int, headers: Mapping[str, str] | None = None) -> Counter[str]:
    """Which versions answered so many requests of the client in the mesh; none before its Envoy listens."""
    try:
        async with httpx.AsyncClient(headers={"Host": mesh_host(namespace), **(headers or {})}) as client:
            answers = [await client.get(mesh_url(namespace)) for _ in range(count)]
    except httpx.ConnectError:
        return Counter()
    return Counter(answer.headers.get("x-version", str(answer.status_code)) for answer in answers)


async def test_a_member_counts_what_it_is_asked_for(meshed: KubeClient, namespace: str, istio: Gateway) -> None:
    """Which the built-in queries of `istio` ask for, whoever asks: here the gateway."""
    host = f"{namespace}.example"
    await create(meshed, VIRTUAL_SERVICE, namespace, virtual_service(namespace, {"route": weighted(0, 100)}))
    await routed(istio, host, "2")
    await answers_come(istio, host, namespace, "istio")


async def test_the_gateway_loses_no_request_while_pods_are_replaced(
    api: KubeClient, namespace: str, istio: Gateway
) -> None:
    host = f"{namespace}.example"
    await create(api, VIRTUAL_SERVICE, namespace, virtual_service(namespace, {"route": weighted(100, 0)}))
    await routed(istio, host, "1")
    async with Traffic(istio.url, host, rate=50) as traffic:
        await replaced(api, namespace, deployment(PRIMARY, "3"))
    assert [str(each) for each in traffic.lost] == []
    assert set(traffic.versions()) == {"1", "3"}


async def test_the_mesh_loses_no_request_while_pods_are_replaced(meshed: KubeClient, namespace: str) -> None:
    """The Envoy before a program ends after it."""
    await create(meshed, VIRTUAL_SERVICE, namespace, virtual_service(namespace, {"route": weighted(100, 0)}))
    await eventually(lambda: asked(namespace, 20), lambda found: found == {"1": 20}, within=20)
    async with Traffic(mesh_url(namespace), mesh_host(namespace), rate=50) as traffic:
        await replaced(meshed, namespace, mesh.joined(deployment(PRIMARY, "3")))
    assert [str(each) for each in traffic.lost] == []
    assert set(traffic.versions()) == {"1", "3"}


async def replaced(api: KubeClient, namespace: str, new: Json) -> None:
    """Have a Deployment's pods replaced, and wait until the last of the old ones is gone."""
    await asyncio.sleep(0.5)
    await api.merge_patch(DEPLOYMENT, namespace, PRIMARY, new)
    await available(api, namespace, PRIMARY)

    async def ending() -> bool:
        return any("deletionTimestamp" in pod["metadata"] for pod in (await api.list(POD, namespace))["items"])

    await eventually(ending, lambda found: not found, within=30)


async def answers_come(istio: Gateway, host: str, namespace: str, provider: str) -> None:
    """Wait until the built-in queries of a provider have numbers about the canary's requests, half of which fail."""
    model = Model(
        name="app",
        namespace=namespace,
        target=CANARY,
        service="app",
        ingress="app",
        route="app",
        interval="10s",
        ports=f"({PORT})",
        kind="Deployment",
    )

    async def asked() -> tuple[float | None, float | None]:
        async with httpx.AsyncClient(headers={"Host": host}) as client:
            for path in ("", "status/503") * 10:
                await client.get(istio.url + path)
        return await answer(query_of(REQUEST_SUCCESS_RATE, provider, model)), await answer(
            query_of(REQUEST_DURATION, provider, model)
        )

    def plausible(found: tuple[float | None, float | None]) -> bool:
        rate, duration = found
        return rate is not None and 40 <= rate <= 60 and duration is not None and 0 < duration < 10_000

    await eventually(asked, plausible, within=30)


async def answer(query: str) -> float | None:
    """What Prometheus says; None where it has no number."""
    async with httpx.AsyncClient() as client:
        reply = await client.get(f"{addresses.PROMETHEUS_URL}/api/v1/query", params={"query": query})
    found = reply.json()["data"]["result"]
    return None if not found or found[0]["value"][1] == "NaN" else float(found[0]["value"][1])
