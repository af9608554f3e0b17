"""Watch caches against a real HTTP server that plays an API server's answers."""

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.source import WatchTiming
from canary.kube.store import Change
from canary.kube.types import CONFIG_MAP, DEPLOYMENT
from canary.kube.watch import WatchCache
from tests.unit.kube.played_watch import (
    FAST,
    Json,
    abort,
    an_object,
    bookmark,
    end,
    event,
    running,
    stream,
    until,
)

if TYPE_CHECKING:
    from tests.unit.kube.conftest import ApiServer


async def test_a_server_that_streams_lists_is_asked_once(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(
        stream(
            event("ADDED", an_object("a", 3)),
            event("ADDED", an_object("b", 5)),
            bookmark(9, initial=True),
            event("MODIFIED", an_object("a", 10, spec=1)),
        )
    )
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await cache.synced.wait()
        await until(lambda: (cache.get("test", "a") or {}).get("spec") == 1)

    assert len(cache.list("test")) == 2
    assert len(api.asked) == 1
    query = api.asked[0].query
    assert query.pop("timeoutSeconds").isdecimal()
    assert query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }


@pytest.mark.parametrize("inside", [True, False], ids=["in the stream", "as the answer"])
async def test_a_server_that_does_not_is_listed_by_pages(
    api: "ApiServer",
    client: KubeClient,
    inside: bool,
) -> None:
    if inside:
        api.answers.append(stream(event("ERROR", {"kind": "Status", "code": 500})))
    else:
        api.refuse(422, "Invalid", "sendInitialEvents: Forbidden")
    api.answer({"metadata": {"resourceVersion": "9", "continue": "t"}, "items": [an_object("a")]})
    api.answer({"metadata": {"resourceVersion": "9"}, "items": [an_object("b")]})
    api.answers.append(stream(event("DELETED", an_object("a", 10))))
    cache = WatchCache(client, DEPLOYMENT, label_selector="app", timing=FAST)

    async with running(cache):
        await cache.synced.wait()
        await until(lambda: len(cache) == 1)

    assert [asked.query.get("continue") for asked in api.asked[1:3]] == [None, "t"]
    assert api.asked[3].query["resourceVersion"] == "9"
    assert {asked.query["labelSelector"] for asked in api.asked} == {"app"}


async def test_what_it_says_of_one_kind_is_taken_for_the_kinds_that_come_later(
    api: "ApiServer", client: KubeClient
) -> None:
    api.refuse(422, "Invalid", "sendInitialEvents: Forbidden")
    for number in (1, 2):
        api.answer({"metadata": {"resourceVersion": "9"}, "items": [an_object(f"a{number}")]})
        api.answers.append(stream(bookmark(10)))
    first, second = (WatchCache(client, DEPLOYMENT, namespace=name, timing=FAST) for name in ("test", "other"))
    async with running(first):
        await first.synced.wait()
        await until(lambda: len(api.asked) == 3)
        async with running(second):
            await second.synced.wait()
            await until(lambda: len(api.asked) == 5)

    assert [asked.query.get("sendInitialEvents") for asked in api.asked] == ["true", None, None, None, None]


async def test_items_of_a_list_get_the_kind_that_they_lack(api: "ApiServer", client: KubeClient) -> None:
    api.refuse(400, "BadRequest")
    api.answer({"metadata": {"resourceVersion": "9"}, "items": [an_object("a")]})
    api.answers.append(stream())
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await cache.synced.wait()

    assert cache.list()[0]["kind"] == "Deployment"
    assert cache.list()[0]["apiVersion"] == "apps/v1"


async def test_a_broken_connection_is_resumed_where_it_broke(api: "ApiServer", client: KubeClient) -> None:
    """Half a line is thrown away, and comes again as a whole."""
    line = event("MODIFIED", an_object("a", 11, spec=2))
    api.answers.append(
        stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True), bookmark(10), line[:20], then=abort)
    )
    api.answers.append(stream(line))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: (cache.get("test", "a") or {}).get("spec") == 2)
        assert cache.state == "watching"

    assert [asked.query.get("resourceVersion") for asked in api.asked] == [None, "10"]
    assert cache.lists == 1


async def test_a_watch_that_ends_in_good_order_is_renewed(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(bookmark(9, initial=True), then=end))
    api.answers.append(stream(event("ADDED", an_object("a", 11))))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.get("test", "a"))

    assert api.asked[1].query["resourceVersion"] == "9"


async def test_watches_that_end_at_once_are_not_asked_for_without_pause(api: "ApiServer", client: KubeClient) -> None:
    api.answers += [stream(then=end) for _ in range(100)]
    cache = WatchCache(client, DEPLOYMENT, timing=WatchTiming(backoff=Backoff(first=0.05, cap=10, jitter=0)))

    async with running(cache):
        await asyncio.sleep(0.3)
        assert cache.state == "failing"

    assert len(api.asked) <= 4


@pytest.mark.parametrize("inside", [True, False], ids=["in the stream", "as the answer"])
async def test_lost_history_is_listed_anew(api: "ApiServer", client: KubeClient, inside: bool) -> None:
    api.answers.append(
        stream(
            event("ADDED", an_object("a", 3)),
            event("ADDED", an_object("b", 3)),
            bookmark(9, initial=True),
            then=abort,
        )
    )
    if inside:
        api.answers.append(stream(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})))
    else:
        api.refuse(410, "Expired")
    api.answers.append(stream(event("ADDED", an_object("b", 3)), bookmark(20, initial=True)))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)
    changes: list[Change[Json]] = []
    cache.subscribe(changes.append)

    async with running(cache):
        await until(lambda: len(cache) == 1 and cache.state == "watching" and cache.lists == 2)

    assert [(change.key.name, change.new is None) for change in changes] == [
        ("a", False),
        ("b", False),
        ("a", True),
    ]


async def test_a_bookmark_from_the_past_means_another_history(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(90, initial=True), bookmark(50)))
    api.answers.append(stream(bookmark(51, initial=True)))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.lists == 2 and len(cache) == 0)


async def test_objects_of_any_size_get_through(api: "ApiServer", client: KubeClient) -> None:
    big = an_object("big", 10, data={"blob": "x" * 3_000_000})
    line = event("ADDED", big)
    chunks = [line[start : start + 100_000] for start in range(0, len(line), 100_000)]
    api.answers.append(stream(bookmark(9, initial=True), *chunks))
    cache = WatchCache(client, CONFIG_MAP, timing=FAST)

    async with running(cache):
        await until(lambda: cache.get("test", "big"))

    assert cache.list()[0]["data"] == big["data"]


async def test_only_metadata_is_asked_for_where_only_it_is_wanted(api: "ApiServer", client: KubeClient) -> None:
    api.refuse(422, "Invalid")
    api.answer({"metadata": {"resourceVersion": "9"}, "items": []})
    api.answers.append(stream())
    cache = WatchCache(client, CONFIG_MAP, metadata_only=True, timing=FAST)

    async with running(cache):
        await cache.synced.wait()
        await until(lambda: len(api.asked) == 3)

    assert "as=PartialObjectMetadata;" in api.asked[0].headers["Accept"]
    assert "as=PartialObjectMetadataList;" in api.asked[1].headers["Accept"]
    assert "as=PartialObjectMetadata;" in api.asked[2].headers["Accept"]


async def test_what_one_wrote_is_read_before_the_watch_tells_of_it(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3, spec=1)), bookmark(9, initial=True)))
    cache = WatchCache(client, DEPLOYMENT, namespace="test", timing=FAST, project=lambda obj: obj.get("spec"))

    async with running(cache):
        await cache.synced.wait()
        cache.note(an_object("a", 12, spec=2))
        elsewhere = an_object("b", 13, spec=3)
        elsewhere["metadata"]["namespace"] = "other"
        cache.note(elsewhere)

    assert cache.get("test", "a") == 2
    assert len(cache) == 1


async def test_a_stub_is_read_whole_when_it_is_wanted(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3, data={"k": "v"})), bookmark(9, initial=True)))
    api.answer({"metadata": {"resourceVersion": "12"}, "items": [an_object("a", 3)]})
    cache = WatchCache(client, CONFIG_MAP, metadata_only=True, named=lambda key, _: key.name == "b", timing=FAST)

    async with running(cache):
        await cache.synced.wait()
        assert cache.get("test", "a") is None
        assert cache.is_stub("test", "a")
        await cache.fill("test", "a")
        await cache.fill("test", "b")

    assert cache.get("test", "a") == {"apiVersion": "v1", "kind": "ConfigMap", **an_object("a", 3)}
    assert api.asked[1].query["fieldSelector"] == "metadata.name=a"
    assert "PartialObjectMetadataList" in api.asked[1].headers["Accept"], "the contents aren't asked for"
    assert len(api.asked) == 2


async def test_the_kernel_is_told_to_find_out_whether_a_quiet_stream_lives(
    api: "ApiServer", client: KubeClient
) -> None:
    api.answers.append(stream(b"x"))
    async with client.stream("/api/v1/pods", {}) as content:
        transport = content._protocol.transport
        assert transport is not None
        connected = transport.get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30
