"""Watch caches while the server, or a kind of object, is away for a time."""

import asyncio
from typing import TYPE_CHECKING

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.source import WatchTiming
from canary.kube.store import Change
from canary.kube.types import DEPLOYMENT
from canary.kube.watch import WatchCache
from tests.unit.kube.played_watch import (
    FAST,
    Json,
    abort,
    an_object,
    bookmark,
    event,
    running,
    stream,
    until,
)

if TYPE_CHECKING:
    from tests.unit.kube.conftest import ApiServer


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
        assert cache.silence < 10

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
    backoff = Backoff(first=0.02, cap=60, factor=8, jitter=0)
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

    assert asyncio.get_running_loop().time() - began < 0.02 * (1 + 8 + 64 + 512)
    assert seen[-1] == (True, True)
    assert max(lengths) >= 0.02 * (1 + 8 + 64), "it was behind for as long as the server was away"


async def test_a_watch_that_falls_silent_is_renewed(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(bookmark(9, initial=True)))
    api.answers.append(stream(event("ADDED", an_object("a", 11))))
    timing = WatchTiming(renew=(1, 1), margin=-0.9, settled=0.0, backoff=Backoff(first=0.01, cap=0.05))
    cache = WatchCache(client, DEPLOYMENT, timing=timing)

    async with running(cache):
        await until(lambda: cache.get("test", "a"))


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
