"""A control plane that has just started may be too busy to answer in time: what is put into it is put again."""

from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from canary.kube.client import KubeClient
from canary.kube.errors import NotFound, Unreachable
from canary.kube.types import Json, Resource
from canary.sandbox.bootstrap import prepare


class Busy:
    """An API server that does not answer the first request for each object."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tried: list[str] = []
        self.applied: list[str] = []

    async def apply(self, resource: Resource, obj: Json, *, field_manager: str) -> Json:
        name = obj["metadata"]["name"]
        self.tried.append(name)
        if self.tried.count(name) == 1:
            raise self.error
        self.applied.append(name)
        return obj


async def until(condition: Callable[[], Awaitable[bool]], problem: str) -> None:
    """Wait for a moment."""
    for _ in range(3):
        if await condition():
            return
    raise AssertionError(problem)


async def test_what_is_not_answered_is_asked_again() -> None:
    server = Busy(Unreachable("PATCH", "/api/v1/namespaces/test", "no answer within 10 s"))
    await prepare(cast("KubeClient", server), ("test", "canary"), (), until)
    assert sorted(server.applied) == ["canary", "test"]


async def test_what_is_refused_is_not() -> None:
    server = Busy(NotFound("PATCH", "/api/v1/namespaces/test", "no such kind"))
    with pytest.raises(NotFound):
        await prepare(cast("KubeClient", server), ("test",), (), until)
    assert server.tried == ["test"]
