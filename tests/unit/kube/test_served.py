"""A kind that clusters serve in one of several versions is found in any of them, and is the same to everybody else."""

from typing import TYPE_CHECKING

from canary.kube.client import KubeClient
from canary.kube.types import TCP_ROUTE
from canary.kube.watch import WatchCache
from tests.unit.kube.played_watch import FAST, Json, an_object, bookmark, event, running, stream, until

if TYPE_CHECKING:
    from tests.unit.kube.conftest import ApiServer

OLD = "/apis/gateway.networking.k8s.io/v1alpha2/"
NEW = "/apis/gateway.networking.k8s.io/v1/"


def a_route() -> Json:
    return {**an_object("a", 3), "apiVersion": "gateway.networking.k8s.io/v1alpha2", "kind": "TCPRoute"}


async def test_a_kind_is_watched_and_written_in_the_version_that_is_served(
    api: "ApiServer", client: KubeClient
) -> None:
    api.refuse(404, "NotFound")
    api.answers.append(stream(event("ADDED", a_route()), bookmark(9, initial=True)))
    cache = WatchCache(client, TCP_ROUTE, timing=FAST)
    async with running(cache):
        await until(lambda: cache.get("test", "a"))
        assert cache.state == "watching"
        found = cache.get("test", "a")
        assert found is not None
        assert found["apiVersion"] == TCP_ROUTE.api_version
    assert [each.path.removesuffix("tcproutes") for each in api.asked[:2]] == [NEW, OLD]

    del api.answers[:]
    api.answer(a_route())
    writer = client.guarded(lambda: 60.0)
    stored = await writer.apply(TCP_ROUTE, {"apiVersion": TCP_ROUTE.api_version, "kind": "TCPRoute", **_metadata()})
    assert api.asked[-1].path.startswith(OLD)
    assert api.asked[-1].body["apiVersion"] == "gateway.networking.k8s.io/v1alpha2"
    assert stored["apiVersion"] == TCP_ROUTE.api_version


async def test_a_kind_that_is_served_in_no_version_is_absent_until_it_is(api: "ApiServer", client: KubeClient) -> None:
    for _ in range(2):
        api.refuse(404, "NotFound")
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True)))
    cache = WatchCache(client, TCP_ROUTE, timing=FAST)
    async with running(cache):
        await cache.synced.wait()
        assert cache.state == "absent"
        await until(lambda: cache.get("test", "a"))
    assert [each.path.removesuffix("tcproutes") for each in api.asked[:3]] == [NEW, OLD, NEW]


def _metadata() -> Json:
    return {"metadata": {"name": "a", "namespace": "test"}}
