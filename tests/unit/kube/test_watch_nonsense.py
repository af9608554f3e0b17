"""Watch caches whose server answers what makes no sense."""

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.source import WatchTiming
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


async def test_what_is_not_json_breaks_the_watch_and_not_the_cache(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(bookmark(9, initial=True), b"<html>\n"))
    api.answers.append(stream(event("ADDED", an_object("a", 11))))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.get("test", "a"))


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


async def test_a_version_that_never_was_one_is_gone_on_from_once(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(stream(event("ADDED", an_object("a", 3)), bookmark(9, initial=True), then=abort))
    api.refuse(400, "BadRequest", "Invalid value: resourceVersion")
    api.answers.append(stream(event("ADDED", an_object("b", 3)), bookmark(9, initial=True)))
    cache = WatchCache(client, DEPLOYMENT, timing=FAST)

    async with running(cache):
        await until(lambda: cache.lists == 2)

    assert [obj["metadata"]["name"] for obj in cache.list()] == ["b"]
