"""Ingresses of the class `nginx` go where the annotations of ingress-nginx say. It is Traefik 3.7 that reads them."""

from collections import Counter

import httpx

from canary.kube.client import KubeClient
from canary.kube.types import Json, Resource
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from tests.tools.two_versions import CANARY, PORT, PRIMARY, create, routed, shares, versions

INGRESS = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")


def ingress(host: str, name: str, service: str, **canary: str) -> Json:
    """An Ingress, a canary one where there are annotations of that kind."""
    annotations = {f"nginx.ingress.kubernetes.io/{key.replace('_', '-')}": value for key, value in canary.items()}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": PORT}}}}
    spec = {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": [path]}}]}
    return {"metadata": {"name": name, "annotations": annotations}, "spec": spec}


def canary_ingress(host: str, **annotations: str) -> Json:
    return ingress(host, "app-canary", CANARY, canary="true", **annotations)


async def apply(api: KubeClient, namespace: str, host: str, canary: Json) -> None:
    """Have the Ingress of the primary, and that of the canary."""
    await create(api, INGRESS, namespace, ingress(host, "app", PRIMARY))
    await create(api, INGRESS, namespace, canary)


async def test_the_canary_ingress_gets_its_weight(api: KubeClient, namespace: str, nginx: Gateway) -> None:
    host = f"{namespace}.example"
    await apply(api, namespace, host, canary_ingress(host, canary_weight="20"))
    await routed(nginx, host)
    assert await versions(nginx, host, 100) == shares(80, 20)
    for weight, version in (("100", "2"), ("0", "1")):
        await api.merge_patch(INGRESS, namespace, "app-canary", canary_ingress(host, canary_weight=weight))
        await routed(nginx, host, version)


async def test_the_canary_ingress_gets_the_requests_with_its_header(
    api: KubeClient, namespace: str, nginx: Gateway
) -> None:
    """And with its cookie; without either, none."""
    host = f"{namespace}.example"
    insiders = {"canary_by_header": "x-canary", "canary_by_header_value": "insider", "canary_by_cookie": "beta"}
    await apply(api, namespace, host, canary_ingress(host, **insiders))

    async def asked(headers: dict[str, str]) -> Counter[str]:
        return await versions(nginx, host, 20, headers)

    await eventually(lambda: asked({"x-canary": "insider"}), lambda found: found == {"2": 20}, within=10)
    assert await asked({"cookie": "beta=always"}) == {"2": 20}
    assert await asked({"x-canary": "outsider"}) == {"1": 20}
    assert await asked({}) == {"1": 20}


async def test_its_metrics_tell_the_canary_s_requests_from_the_others(
    api: KubeClient, namespace: str, nginx: Gateway
) -> None:
    """They are Traefik's: what the provider `nginx` asks for by default exists with ingress-nginx itself only."""
    host = f"{namespace}.example"
    await apply(api, namespace, host, canary_ingress(host, canary_weight="50"))
    await routed(nginx, host)
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://{addresses.NGINX}:{addresses.GATEWAY_METRICS_PORT}/metrics")).text
    counted = [line for line in text.splitlines() if line.startswith("traefik_service_requests_total")]
    for role in ("", "-canary"):
        service = f'service="{namespace}-app-{PRIMARY}-{PORT}{role}@kubernetesingressnginx"'
        assert sum(service in line and 'code="200"' in line for line in counted) == 1, service


async def test_an_ingress_says_where_it_is_served(api: KubeClient, namespace: str, nginx: Gateway) -> None:
    host = f"{namespace}.example"
    await apply(api, namespace, host, canary_ingress(host, canary_weight="0"))

    async def status() -> Json:
        found: Json = (await api.get(INGRESS, namespace, "app")).get("status", {})
        return found

    expected = {"loadBalancer": {"ingress": [{"ip": addresses.NGINX}]}}
    await eventually(status, lambda found: found == expected, within=10)
