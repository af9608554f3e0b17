"""What an API server answers to a watch, played by a real HTTP server; and a watch cache that is run meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from canary.kube.backoff import Backoff
from canary.kube.source import WatchTiming
from canary.kube.watch import WatchCache

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
        async with asyncio.timeout(60):
            yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for is another task's state
        await asyncio.sleep(0.002)
