"""A Canary that can't be read can be deleted."""

from copy import deepcopy
from typing import Any, cast

from canary.api.canary import parse_canary
from canary.controller import unreadable
from canary.kube.client import KubeClient
from canary.kube.types import Json, Resource

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}


def canary(spec: Json, **metadata: Any) -> Json:
    names = {"name": "app", "namespace": "prod", "resourceVersion": "7", "finalizers": ["a/b", "finalizer.flagger.app"]}
    return {"metadata": names | metadata, "spec": spec}


DELETED = {"deletionTimestamp": "2026-11-28T12:00:00Z"}
BROKEN = {"targetRef": TARGET, "service": {"name": "web", "port": 80}, "analysis": {"interval": "9999999h"}}


class Server:
    """An API server with one Canary."""

    def __init__(self, raw: Json) -> None:
        self.raw = deepcopy(raw)

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        return deepcopy(self.raw)

    async def merge_patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        assert patch["metadata"]["resourceVersion"] == self.raw["metadata"]["resourceVersion"]
        self.raw["metadata"] |= patch["metadata"]
        return self.raw


def test_a_deletion_goes_on_with_what_can_be_read() -> None:
    left = parse_canary(unreadable.leaving(canary(BROKEN, **DELETED)))

    assert (left.target_name, left.service_name) == ("app", "web")
    assert left.metadata.deletion_timestamp is not None


def test_what_is_not_to_be_deleted_waits_for_its_author() -> None:
    raw = canary(BROKEN)
    assert unreadable.leaving(raw) is raw


def test_what_can_be_read_is_gone_on_with_as_it_is() -> None:
    raw = canary({"targetRef": TARGET}, **DELETED)
    assert unreadable.leaving(raw) is raw


async def test_a_canary_without_a_target_is_let_go_and_other_finalizers_stay() -> None:
    raw = canary({"targetRef": 7}, **DELETED)
    assert unreadable.leaving(raw) is raw
    server = Server(raw)
    server.raw["metadata"]["resourceVersion"] = "8"

    await unreadable.let_go(cast("KubeClient", server), raw)

    assert server.raw["metadata"]["finalizers"] == ["a/b"]


async def test_nothing_is_let_go_that_is_not_to_be_deleted() -> None:
    raw = canary({"targetRef": 7})
    server = Server(raw)

    await unreadable.let_go(cast("KubeClient", server), raw)

    assert server.raw == raw
