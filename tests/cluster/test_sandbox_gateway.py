"""Traffic through the gateway goes where routes say, and none is lost when pods are replaced."""

import asyncio

import pytest

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, HTTP_ROUTE, TRAEFIK_SERVICE, Resource
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.traffic import Traffic
from tests.tools.two_versions import (
    PRIMARY,
    available,
    create,
    deployment,
    http_route,
    routed,
    shares,
    versions,
    weighted,
)

INGRESS_ROUTE = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")


async def test_an_http_route_splits_by_weight(api: KubeClient, namespace: str) -> None:
    host = f"{namespace}.example"
    await create(api, HTTP_ROUTE, namespace, http_route(TRAEFIK, host, 80, 20))
    await routed(TRAEFIK, host)
    assert await versions(TRAEFIK, host, 100) == shares(80, 20)

    await api.merge_patch(HTTP_ROUTE, namespace, "app", http_route(TRAEFIK, host, 0, 100))
    await routed(TRAEFIK, host, "2")


async def test_a_traefik_service_splits_by_weight(api: KubeClient, namespace: str) -> None:
    host = f"{namespace}.example"
    split = {"metadata": {"name": "app"}, "spec": {"weighted": {"services": weighted(1, 3)}}}
    rule = {"kind": "Rule", "match": f"Host(`{host}`)", "services": [{"kind": "TraefikService", "name": "app"}]}
    route = {"metadata": {"name": "app"}, "spec": {"routes": [rule]}}
    await create(api, TRAEFIK_SERVICE, namespace, split)
    await create(api, INGRESS_ROUTE, namespace, route)
    await routed(TRAEFIK, host)
    assert await versions(TRAEFIK, host, 100) == shares(25, 75)


@pytest.mark.parametrize("through", ["gateway", "service"])
async def test_no_request_is_lost_while_pods_are_replaced(api: KubeClient, namespace: str, through: str) -> None:
    host = f"{namespace}.example"
    url = TRAEFIK.url
    if through == "gateway":
        await create(api, HTTP_ROUTE, namespace, http_route(TRAEFIK, host, 100, 0))
        await routed(TRAEFIK, host, "1")
    else:
        url, host = f"http://{PRIMARY}.{namespace}/", ""
    async with Traffic(url, host, rate=50) as traffic:
        await asyncio.sleep(0.5)
        await api.merge_patch(DEPLOYMENT, namespace, PRIMARY, deployment(PRIMARY, "3"))
        await available(api, namespace, PRIMARY)
        await asyncio.sleep(4)
    assert [answer for answer in traffic.answers if answer.lost] == []
    assert {answer.version for answer in traffic.answers} == {"1", "3"}
