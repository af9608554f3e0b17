"""What Contour 1.33 and Envoy 1.40 do otherwise than one would expect, and the provider `contour` keeps from users."""

from collections.abc import Mapping

import httpx
import pytest

from canary.kube.client import KubeClient
from canary.kube.types import HTTP_PROXY, SERVICE, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from tests.tools.two_versions import CANARY, PORT, PRIMARY, create

INSIDER = {"header": {"name": "x-canary", "exact": "insider"}}
BY_HEADER = {"x-canary": "insider"}


def http_proxy(host: str, *routes: Json) -> Json:
    return {"metadata": {"name": "app"}, "spec": {"virtualhost": {"fqdn": host}, "routes": list(routes)}}


def route(service: str, *conditions: Json, **policies: Json) -> Json:
    return {"conditions": list(conditions), "services": [{"name": service, "port": PORT}], **policies}


async def answer(
    gateway: Gateway, path: str, host: str, headers: Mapping[str, str] | None = None, patience: float = 5
) -> tuple[int, str]:
    """Its status, and the version that gave it; none where that was Envoy itself or nobody."""
    async with httpx.AsyncClient(headers={"Host": host, **(headers or {})}, timeout=patience) as client:
        try:
            found = await client.get(f"{gateway.url.rstrip('/')}{path}")
        except httpx.ConnectError:  # Contour's Envoy listens once there is a route
            return 0, ""
        return found.status_code, found.headers.get("x-version", "")


@pytest.mark.parametrize(("last", "reaches"), [("header", (404, "2")), ("path", (404, ""))])
async def test_an_exact_path_is_a_prefix_before_another_condition(
    api: KubeClient, namespace: str, contour: Gateway, last: str, reaches: tuple[int, str]
) -> None:
    """So the provider writes the path last."""
    host = f"{namespace}.example"
    path: Json = {"exact": "/version"}
    conditions = [path, INSIDER] if last == "header" else [INSIDER, path]
    await create(api, HTTP_PROXY, namespace, http_proxy(host, route(CANARY, *conditions)))
    await eventually(lambda: answer(contour, "/version", host, BY_HEADER), lambda found: found == (200, "2"), within=10)
    assert await answer(contour, "/versions", host, BY_HEADER) == reaches


async def test_a_prefix_is_replaced_otherwise_once_a_second_route_has_it(
    api: KubeClient, namespace: str, contour: Gateway
) -> None:
    """The slash behind it stays: `/api/delay/0` becomes `//delay/0`. So it is refused beside A/B testing."""
    host = f"{namespace}.example"
    replaced = {"pathRewritePolicy": {"replacePrefix": [{"replacement": "/"}]}}
    everybody = route(PRIMARY, {"prefix": "/api"}, **replaced)
    await create(api, HTTP_PROXY, namespace, http_proxy(host, everybody))
    await eventually(lambda: answer(contour, "/api/delay/0", host), lambda found: found == (200, "1"), within=10)
    chosen = route(CANARY, INSIDER, {"prefix": "/api"}, **replaced)
    await api.merge_patch(HTTP_PROXY, namespace, "app", http_proxy(host, chosen, everybody))
    await eventually(lambda: answer(contour, "/api", host, BY_HEADER), lambda found: found[1] == "2", within=10)
    assert await answer(contour, "/api/delay/0", host) == (404, "1")


async def test_a_copy_with_a_weight_of_nothing_is_of_all_requests(
    api: KubeClient, namespace: str, contour: Gateway
) -> None:
    """So the provider takes the entry off the list."""
    host = f"{namespace}.example"
    services = [{"name": PRIMARY, "port": PORT}, {"name": CANARY, "port": PORT, "mirror": True, "weight": 0}]
    await create(api, HTTP_PROXY, namespace, http_proxy(host, {"services": services}))
    await eventually(lambda: answer(contour, "/version", host), lambda found: found == (200, "1"), within=10)
    before = await copies(contour, namespace)
    for _ in range(20):
        await answer(contour, "/version", host)

    async def more() -> int:
        return await copies(contour, namespace) - before

    await eventually(more, lambda found: found == 20, within=10)


async def test_an_answer_after_which_envoy_asks_again_is_counted_apart(
    api: KubeClient, namespace: str, contour: Gateway
) -> None:
    """So the built-in success rate is of what users got, and its page tells how to ask for what was asked again."""
    host, again = f"{namespace}.example", 2
    retries = {"retryPolicy": {"count": again, "retryOn": ["5xx"]}}
    await create(api, HTTP_PROXY, namespace, http_proxy(host, route(CANARY, {"prefix": "/"}, **retries)))
    await eventually(lambda: answer(contour, "/version", host), lambda found: found == (200, "2"), within=10)
    assert await answer(contour, "/status/503", host) == (503, "2")

    async def counted() -> list[int]:
        names = ("upstream_rq", "retry_upstream_rq")
        return [await count(contour, namespace, name, 'envoy_response_code="503",') for name in names]

    await eventually(counted, lambda found: found == [1, again], within=10)


async def test_a_connection_that_is_refused_is_in_no_total(api: KubeClient, namespace: str, contour: Gateway) -> None:
    """So the page of the built-in metrics counts attempts by answers and by what was asked again, not by the total."""
    host, again = f"{namespace}.example", 2
    nobody = {"spec": {"ports": [{"name": "http", "port": PORT, "targetPort": 9}]}}
    await api.merge_patch(SERVICE, namespace, CANARY, nobody)
    retries = {"retryPolicy": {"count": again, "retryOn": ["5xx"]}}
    await create(api, HTTP_PROXY, namespace, http_proxy(host, route(CANARY, {"prefix": "/"}, **retries)))
    await eventually(lambda: answer(contour, "/version", host), lambda found: found == (503, ""), within=20)

    async def counted() -> list[int]:
        names = ("upstream_rq_completed", "upstream_rq_retry", "upstream_rq_total")
        return [await count(contour, namespace, name) for name in names]

    before = await counted()
    assert await answer(contour, "/version", host) == (503, "")
    expected = [before[0] + 1, before[1] + again, before[2]]
    await eventually(counted, lambda found: found == expected, within=10)


async def test_a_request_that_the_version_leaves_without_an_answer_has_no_duration(
    api: KubeClient, namespace: str, contour: Gateway
) -> None:
    """One whose client gives up has no code either. So the page of the built-in metrics says what does not see them."""
    host = f"{namespace}.example"
    limited = route(CANARY, {"prefix": "/delay/5"}, timeoutPolicy={"response": "1s"})
    await create(api, HTTP_PROXY, namespace, http_proxy(host, limited, route(CANARY, {"prefix": "/"})))
    await eventually(lambda: answer(contour, "/version", host), lambda found: found == (200, "2"), within=10)
    assert await answer(contour, "/delay/5", host) == (504, "")
    with pytest.raises(httpx.ReadTimeout):
        await answer(contour, "/delay/4", host, patience=1)

    async def without() -> list[int]:
        """What was sent and has no duration, or no code."""
        sent = await count(contour, namespace, "upstream_rq_total")
        names = ("upstream_rq_time_count", "upstream_rq_completed")
        return [sent - await count(contour, namespace, each) for each in names]

    await eventually(without, lambda found: found == [2, 1], within=10)
    assert await count(contour, namespace, "upstream_rq", 'envoy_response_code="504",') == 1


async def copies(gateway: Gateway, namespace: str) -> int:
    """How many requests Envoy has sent to the canary."""
    return await count(gateway, namespace, "upstream_rq_total")


async def count(gateway: Gateway, namespace: str, what: str, label: str = "") -> int:
    """What Envoy counts of the canary."""
    (job,) = gateway.scraping
    url = f"http://{job['static_configs'][0]['targets'][0]}{job['metrics_path']}"
    async with httpx.AsyncClient() as client:
        lines = (await client.get(url)).text.splitlines()
    name = f'envoy_cluster_{what}{{{label}envoy_cluster_name="{namespace}_{CANARY}_{PORT}"}}'
    return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
