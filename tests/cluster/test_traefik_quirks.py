"""What Traefik 3.7 does otherwise than one would expect, and the provider `traefik` keeps from users."""

import httpx

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, HTTP_ROUTE, TRAEFIK_SERVICE, Json, Resource
from canary.routers.matches import whole
from canary.sandbox.conditions import eventually
from canary.sandbox.gateways.traefik import TRAEFIK
from tests.tools.two_versions import CANARY, create, http_route, routed, versions, weighted

INGRESS_ROUTE = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")
FEW = 5


def split(*services: Json) -> Json:
    return {"metadata": {"name": "app"}, "spec": {"weighted": {"services": [*services]}}}


async def test_a_version_without_endpoints_takes_everybody_elses_with_it(api: KubeClient, namespace: str) -> None:
    """So the provider has the canary on the list only while it gets requests, and off it when its pods are lost."""
    host = f"{namespace}.example"
    rule = {"kind": "Rule", "match": f"Host(`{host}`)", "services": [{"kind": "TraefikService", "name": "app"}]}
    await create(api, TRAEFIK_SERVICE, namespace, split(*weighted(90, 10)))
    await create(api, INGRESS_ROUTE, namespace, {"metadata": {"name": "app"}, "spec": {"routes": [rule]}})
    await routed(TRAEFIK, host)
    await api.merge_patch(DEPLOYMENT, namespace, CANARY, {"spec": {"replicas": 0}})
    await eventually(lambda: versions(TRAEFIK, host, FEW), lambda found: found == {"404": FEW}, within=60)
    await api.merge_patch(TRAEFIK_SERVICE, namespace, "app", split(weighted(100, 0)[0]))
    await routed(TRAEFIK, host, "1")


async def test_a_version_without_endpoints_fails_in_no_series_of_its_own(api: KubeClient, namespace: str) -> None:
    """So the controller looks at the canary's pods by itself, and the page of the built-in metrics says so."""
    host = f"{namespace}.example"
    await create(api, HTTP_ROUTE, namespace, http_route(TRAEFIK, host, 50, 50))
    await routed(TRAEFIK, host)
    await api.merge_patch(DEPLOYMENT, namespace, CANARY, {"spec": {"replicas": 0}})
    await eventually(lambda: versions(TRAEFIK, host, FEW * 2), lambda found: found["503"] == FEW, within=60)
    # Until Traefik has heard of it, a pod that has just gone is asked, which is a 502.
    assert await codes(namespace) - {"502"} == {"200"}


async def test_an_expression_of_a_condition_is_for_any_part_of_a_value(api: KubeClient, namespace: str) -> None:
    """So the provider `gatewayapi` writes it for the whole one, as the spec means it, and as Envoy takes either."""
    for header, expression in (("x-any", "insider"), ("x-all", whole("insider"))):
        route = http_route(TRAEFIK, f"{header}.{namespace}.example", 0, 100)
        condition = {"type": "RegularExpression", "name": header, "value": expression}
        route["metadata"]["name"], route["spec"]["rules"][0]["matches"] = header, [{"headers": [condition]}]
        await create(api, HTTP_ROUTE, namespace, route)

    async def found(value: str) -> list[str]:
        """Who answers a request with such a value, by either condition."""
        seen = [await versions(TRAEFIK, f"{name}.{namespace}.example", 1, {name: value}) for name in ("x-any", "x-all")]
        return [each for one in seen for each in one]

    await eventually(lambda: found("insider"), lambda seen: seen == ["2", "2"], within=20)
    assert await found("no-insider") == ["2", "404"]


async def codes(namespace: str) -> set[str]:
    """Those that Traefik counts of the canary's answers."""
    (job,) = TRAEFIK.scraping
    async with httpx.AsyncClient() as client:
        found = (await client.get(f"http://{job['static_configs'][0]['targets'][0]}/metrics")).text.splitlines()
    counted = [
        each for each in found if each.startswith("traefik_service_requests_total") and f"{namespace}-{CANARY}" in each
    ]
    return {each.partition('code="')[2].partition('"')[0] for each in counted}
