"""Contour 1.33 and Envoy 1.40 give requests to where HTTPProxies and HTTPRoutes say, and count them as is asked."""

from datetime import UTC, datetime

import httpx
import pytest

from canary.kube.client import KubeClient
from canary.kube.types import HTTP_ROUTE, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from metrics.builtin import query_of
from metrics.templates import Model
from metrics.threshold import REQUEST_DURATION, REQUEST_SUCCESS_RATE
from tests.tools.two_versions import CANARY, PORT, create, http_route, routed, versions, weighted

HTTP_PROXY = Resource("projectcontour.io", "v1", "httpproxies", "HTTPProxy")
GATEWAY = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")


def http_proxy(host: str, primary: int, canary: int) -> Json:
    """Insiders get the canary, all others by weight."""
    insiders = [{"prefix": "/"}, {"header": {"name": "x-canary", "exact": "insider"}}]
    routes = [
        {"conditions": insiders, "services": [{"name": CANARY, "port": PORT}]},
        {"conditions": [{"prefix": "/"}], "services": weighted(primary, canary)},
    ]
    return {"metadata": {"name": "app"}, "spec": {"virtualhost": {"fqdn": host}, "routes": routes}}


def conditions(obj: Json) -> dict[str, str]:
    """The conditions of an object, or of an HTTPRoute at its first parent."""
    status = obj.get("status", {})
    found = status.get("conditions") or (status.get("parents") or [{}])[0].get("conditions") or []
    return {condition["type"]: condition["status"] for condition in found}


async def test_an_http_proxy_splits_by_weight_and_by_header(api: KubeClient, namespace: str, contour: Gateway) -> None:
    host = f"{namespace}.example"
    await create(api, HTTP_PROXY, namespace, http_proxy(host, 80, 20))
    await routed(contour, host)
    found = await versions(contour, host, 1000)
    # Envoy draws for each request: 200 are expected, with a deviation of 13.
    assert 130 < found["2"] < 270, found
    assert found["1"] + found["2"] == 1000
    assert await versions(contour, host, 20, {"x-canary": "insider"}) == {"2": 20}

    for primary, canary, version in ((0, 100, "2"), (100, 0, "1")):
        await api.merge_patch(HTTP_PROXY, namespace, "app", http_proxy(host, primary, canary))
        await routed(contour, host, version)
    assert (await api.get(HTTP_PROXY, namespace, "app"))["status"]["currentStatus"] == "valid"


async def test_an_http_route_splits_by_weight(api: KubeClient, namespace: str, contour: Gateway) -> None:
    host = f"{namespace}.example"
    await create(api, HTTP_ROUTE, namespace, http_route(contour, host, 50, 50))
    await routed(contour, host)
    found = await versions(contour, host, 400)
    assert 130 < found["2"] < 270, found  # 200, with a deviation of 10
    await api.merge_patch(HTTP_ROUTE, namespace, "app", http_route(contour, host, 0, 100))
    await routed(contour, host, "2")

    async def route() -> dict[str, str]:
        return conditions(await api.get(HTTP_ROUTE, namespace, "app"))

    await eventually(route, lambda found: found == {"Accepted": "True", "ResolvedRefs": "True"}, within=10)
    gateway = await api.get(GATEWAY, contour.namespace, contour.name)
    assert conditions(gateway)["Programmed"] == "True"


@pytest.mark.parametrize("through", ["proxy", "route"])
async def test_its_metrics_answer_the_built_in_queries(
    api: KubeClient, namespace: str, contour: Gateway, through: str
) -> None:
    """The provider is `contour` with HTTPProxies and `gatewayapi` with HTTPRoutes."""
    host = f"{namespace}.example"
    if through == "proxy":
        await create(api, HTTP_PROXY, namespace, http_proxy(host, 50, 50))
    else:
        await create(api, HTTP_ROUTE, namespace, http_route(contour, host, 50, 50))
    await routed(contour, host)
    app = "app"
    model = Model(name=app, namespace=namespace, target=app, service=app, ingress=app, route=app, interval="10s")
    provider = {"proxy": "contour", "route": "gatewayapi:v1"}[through]

    async def ask(metric: str) -> float | None:
        await versions(contour, host, 10)
        query = {"query": query_of(metric, provider, model), "time": str(datetime.now(UTC).timestamp())}
        async with httpx.AsyncClient() as client:
            answer = (await client.get(f"{addresses.PROMETHEUS_URL}/api/v1/query", params=query)).json()
        results = answer["data"]["result"]
        return float(results[0]["value"][1]) if results else None

    await eventually(lambda: ask(REQUEST_SUCCESS_RATE), lambda value: value == 100, within=30)
    await eventually(lambda: ask(REQUEST_DURATION), lambda value: value is not None and 0 < value < 5000, within=30)
