"""Watch caches against a real HTTP server that plays an API server's answers, good and bad."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.source import WatchTiming
from canary.kube.store import Change
from canary.kube.types import CONFIG_MAP, DEPLOYMENT
from canary.kube.watch import WatchCache

if TYPE_CHECKING:
    from tests.unit.kube.conftest import ApiServer

Json = dict[str, Any]
Play = Callable[[web.StreamResponse, web.Request], Coroutine[Any, Any, None]]

FAST = WatchTiming(absent=0.02, settled=0.0, backoff=Backoff(first=0.01, cap=0.05))


def an_object(name: str = "a", version: int = 1, **fields: Any) -> Json:
    return {"metadata": {"name": name, "namespace": "test", "resourceVersion": str(version)}, **fields}


def event(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def bookmark(version: int, *, initial: bool = False) -> bytes:
    annotations = {"k8s.io/initial-events-end": "true"} if initial else {}
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version), "annotations": annotations}})


async def forever(_: web.StreamResponse, __: web.Request) -> None:
    """Keep the stream open until the client goes, or the server is shut down."""
    await asyncio.Event().wait()


async def abort(_: web.StreamResponse, request: web.Request) -> None:
    """Break the connection, as a killed server does."""
    assert request.transport is not None
    request.transport.abort()


async def end(_: web.StreamResponse, __: web.Request) -> None:
    """End the stream in good order."""


def stream(*chunks: bytes, then: Play = forever) -> Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.001)
        await then(response, request)
        return response

    return answer


@asynccontextmanager
async def running(cache: WatchCache[Any]) -> AsyncIterator[None]:
    task = asyncio.create_task(cache.run())
    try:
        async with asyncio.timeout(5):
            yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for is another task's state
        await asyncio.sleep(0.002)


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


async def test_a_resource_that_is_not_installed_is_absent_until_it_is(api: "ApiServer", client: KubeClient) -> None:
    api.refuse(404, "NotFound")
    api.refuse(404, "NotFound")
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True)))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await cache.synced.wait()
        assert cache.state == "absent"
        assert cache.get("test", "a") is None
        assert cache.healthy_since is not None
        await until(lambda: cache.get("test", "a") and cache.state == "watching")


async def test_one_404_of_a_starting_server_does_not_empty_the_cache(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True), then=abort))
    api.refuse(404, "NotFound")
    api.answers.append(stream(bookmark(12)))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)
    changes: list[Change[Json]] = []
    cache.subscribe(changes.append)

    async with running(cache):
        await until(lambda: len(api.asked) == 3 and cache.state == "watching")

    assert len(changes) == 1
    assert cache.lists == 1


async def test_a_resource_that_is_removed_takes_its_objects_along(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True), then=abort))
    for _ in range(100):
        api.refuse(404, "NotFound")
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.state == "absent")

    assert len(cache) == 0


async def test_an_outage_shows_and_is_got_over(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(bookmark(9, initial=True), then=abort))
    for _ in range(4):
        api.refuse(503, "ServiceUnavailable")
    api.answers.append(stream(event("ADDED", an_object("a", 11))))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await cache.synced.wait()
        await until(lambda: cache.state == "failing")
        assert cache.healthy_since is None
        await until(lambda: cache.get("test", "a"))
        assert cache.healthy_since is not None
        assert cache.silence is not None
        assert cache.silence < 1

    assert cache.lists == 1


async def test_after_an_outage_it_is_current_at_once_even_where_history_is_lost(
    api: "ApiServer", client: KubeClient
) -> None:
    """The waits of the outage don't go on once the server answers, be it that it has forgotten."""
    api.answers.append(stream(bookmark(9, initial=True), then=abort))
    for _ in range(3):
        api.refuse(503, "ServiceUnavailable")
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    api.answers.append(stream(event("ERROR", gone)))
    api.answers.append(stream(event("ADDED", an_object("a", 11)), bookmark(20, initial=True)))
    backoff = Backoff(first=0.01, cap=60, factor=4, jitter=0)
    cache = WatchCache(client, DEPLOYMENT, timing=WatchTiming(backoff=backoff))
    seen: list[tuple[bool, bool]] = []
    lengths: list[float] = []

    def recovered(seconds: float) -> None:
        lengths.append(seconds)
        seen.append((cache.current, cache.get("test", "a") is not None))

    cache.on_turn(recovered)
    began = asyncio.get_running_loop().time()

    async with running(cache):
        await cache.synced.wait()
        await until(lambda: cache.state == "failing")
        assert not cache.current
        await until(lambda: cache.get("test", "a") and cache.current)

    assert asyncio.get_running_loop().time() - began < 0.01 * (1 + 4 + 16 + 64)
    assert seen[-1] == (True, True)
    assert max(lengths) >= 0.01 * (1 + 4 + 16), "it was behind for as long as the server was away"


async def test_a_watch_that_falls_silent_is_renewed(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(bookmark(9, initial=True)))
    api.answers.append(stream(event("ADDED", an_object("a", 11))))
    timing = WatchTiming(renew=(1, 1), margin=-0.9, settled=0.0, backoff=Backoff(first=0.01, cap=0.05))
    cache = WatchCache(client, DEPLOYMENT, timing=timing)

    async with running(cache):
        await until(lambda: cache.get("test", "a"))


async def test_what_is_not_json_breaks_the_watch_and_not_the_cache(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(bookmark(9, initial=True), b"<html>\n"))
    api.answers.append(stream(event("ADDED", an_object("a", 11))))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.get("test", "a"))


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


async def test_silence_is_no_sign_of_anything(api: "ApiServer", client: KubeClient) -> None:
    """A server whose etcd reports no progress says nothing while nothing happens, until it ends the watch."""
    api.answers.append(stream(bookmark(9, initial=True)))
    timing = WatchTiming(renew=(1, 1), stall=0.05, settled=0.0)
    cache = WatchCache(client, DEPLOYMENT, timing=timing)

    async with running(cache):
        await cache.synced.wait()
        await asyncio.sleep(0.4)
        assert cache.current

    assert len(api.asked) == 1


async def test_a_list_that_stops_in_the_middle_is_given_up(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3))))
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True)))
    timing = WatchTiming(stall=0.05, backoff=Backoff(first=0.01, cap=0.05))
    cache = WatchCache(client, DEPLOYMENT, timing=timing)

    async with running(cache):
        await cache.synced.wait()


async def test_a_watch_that_breaks_after_a_while_is_taken_up_again_and_was_never_old(
    api: "ApiServer", client: KubeClient
) -> None:
    """Proxies cut watches once a minute."""
    api.answers.append(stream(bookmark(9, initial=True), then=abort))
    api.answers += [stream(bookmark(10 + number), then=abort) for number in range(5)]
    api.answers.append(stream(event("ADDED", an_object("a", 20))))
    cache = WatchCache(client, DEPLOYMENT, timing=WatchTiming(settled=0.0))
    turns: list[float] = []
    cache.on_turn(turns.append)

    async with running(cache):
        await until(lambda: cache.get("test", "a"))

    assert turns == [0.0], "it was complete once, and always since"
    assert cache.lists == 1


NONSENSE = [
    b'{"message": "starting"}\n',
    b"[]\n",
    b'"ADDED"\n',
    b'{"type": "ADDED"}\n',
    b'{"type": "ADDED", "object": []}\n',
    b'{"type": ["ADDED"], "object": {}}\n',
    b'{"type": "BOOKMARK", "object": {}}\n',
    b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": 7}}}\n',
    b'{"type": "ERROR", "object": {"code": "x", "details": {"retryAfterSeconds": []}}}\n',
    b"[" * 100_000 + b"\n",
    b"\xff\xfe\n",
]


@pytest.mark.parametrize("line", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_is_a_failure_of_the_watch_and_of_nothing_else(
    api: "ApiServer", client: KubeClient, line: bytes
) -> None:
    api.answers.append(stream(bookmark(9, initial=True), line))
    api.answers += [stream(line), stream(line), stream(line)]
    api.answers.append(stream(event("ADDED", an_object("a", 11)), bookmark(12, initial=True)))
    timing = WatchTiming(backoff=Backoff(first=0.01, cap=0.02))
    cache = WatchCache(client, DEPLOYMENT, timing=timing)

    async with running(cache):
        await until(lambda: cache.get("test", "a") and cache.current)


async def test_after_some_nonsense_all_is_read_anew(api: "ApiServer", client: KubeClient) -> None:
    """The place to go on from may be no good."""
    api.answers.append(stream(event("ADDED", an_object("b", 3)), bookmark(9, initial=True), b"{}\n"))
    api.answers += [stream(b"{}\n"), stream(b"{}\n")]
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(8, initial=True)))
    cache = WatchCache(client, DEPLOYMENT, timing=WatchTiming(backoff=Backoff(first=0.01, cap=0.02)))

    async with running(cache):
        await until(lambda: cache.lists == 2)

    assert [asked.query.get("resourceVersion") for asked in api.asked] == [None, "9", "9", None]
    assert [obj["metadata"]["name"] for obj in cache.list()] == ["a"]


async def test_an_object_that_can_not_be_taken_is_left_out_and_told_once(api: "ApiServer", client: KubeClient) -> None:
    bad: list[Json] = [
        {},
        {"metadata": None},
        {"metadata": {"name": None}},
        {"metadata": {"name": "x", "namespace": 5}},
    ]
    lines = [event("ADDED", each) for each in bad] + [event("DELETED", {"metadata": []})]
    api.answers.append(stream(*lines, bookmark(9, initial=True), *lines, event("ADDED", an_object("a", 11))))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    with capture_logs() as logs:
        async with running(cache):
            await until(lambda: cache.get("test", "a"))

    assert (len(cache), cache.skipped) == (1, 2 * len(lines))
    told = [entry["object"] for entry in logs if entry["event"] == "object left out"]
    assert len(told) == len(set(told))


async def test_an_object_that_is_too_deep_is_taken_as_far_as_it_can_be_read(
    api: "ApiServer", client: KubeClient
) -> None:
    line = event("ADDED", an_object("a", 11, spec="DEEP")).replace(b'"DEEP"', b"[" * 50_000 + b"]" * 50_000)
    api.refuse(422, "Invalid")
    page = json.dumps({"metadata": {"resourceVersion": "9"}, "items": [an_object("b"), an_object("c", spec="DEEP")]})
    api.answers.append(web.Response(text=page.replace('"DEEP"', "[" * 50_000 + "]" * 50_000)))
    api.answers.append(stream(line))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.get("test", "a"))

    assert sorted(obj["metadata"]["name"] for obj in cache.list()) == ["a", "b", "c"]


@pytest.mark.parametrize("page", [{}, {"items": 5, "metadata": {}}, {"items": [1]}, {"items": [], "metadata": {}}])
async def test_a_list_that_is_none_is_asked_for_again(api: "ApiServer", client: KubeClient, page: Json) -> None:
    api.refuse(422, "Invalid")
    api.answer(page)
    api.answer({"metadata": {"resourceVersion": "9"}, "items": [5, an_object("b")]})
    api.answers.append(stream())
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await cache.synced.wait()

    assert [obj["metadata"]["name"] for obj in cache.list()] == ["b"]


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


async def test_a_version_that_never_was_one_is_gone_on_from_once(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True), then=abort))
    api.refuse(400, "BadRequest", "Invalid value: resourceVersion")
    api.answers.append(stream(event("ADDED", an_object("b", 3)), bookmark(9, initial=True)))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.lists == 2)

    assert [obj["metadata"]["name"] for obj in cache.list()] == ["b"]
