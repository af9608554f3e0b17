"""What a real API server takes and refuses of the Services that are made, against what is told beforehand."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from canary.api import names
from canary.api.canary import Canary, parse_canary
from canary.controller.act.config_copies import apply_copy
from canary.kube.errors import Invalid
from canary.kube.types import CONFIG_MAP, SECRET, SERVICE, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Rig
from canary.workloads import services
from canary.workloads.base import SelectorLabel

LABEL = SelectorLabel("app", "app")
PORTS = [{"containerPort": 1}, {"name": "http", "containerPort": 2}]
DISCOVERED: Json = {
    "metadata": {"labels": {"app": "app"}},
    "spec": {"containers": [{"name": "c" * 63, "ports": PORTS}]},
}


@pytest_asyncio.fixture
async def rig(cluster: Cluster, namespace: str) -> AsyncIterator[Rig]:
    """A namespace without a controller."""
    async with Rig.on(cluster, namespace) as rig:
        yield rig


def canary_of(namespace: str, service: Json) -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": namespace, "uid": "uid-1"},
            "spec": {"targetRef": target, "service": {"port": 9898, **service}},
        }
    )


async def make(rig: Rig, canary: Canary, existing: Json | None = None, template: Json | None = None) -> Json:
    observed = {"app": existing} if existing is not None else {}
    made = services.apex(canary, LABEL, template or {}, observed)
    made["metadata"].pop("ownerReferences", None)
    return await rig.client.apply(SERVICE, made)


@pytest.mark.parametrize(
    "service",
    [
        {"name": "my.app"},
        {"name": "My-App"},
        {"portName": "HTTP"},
        {"portName": "x" * 64},
        {"appProtocol": "kubernetes.io/"},
        {"apex": {"labels": {"team": "a b"}}},
        {"apex": {"labels": {"a b": "x"}}},
        {"apex": {"annotations": {"a/b/c": "x"}}},
    ],
    ids=str,
)
async def test_what_is_told_beforehand_is_refused(rig: Rig, service: dict[str, Any]) -> None:
    canary = canary_of(rig.namespace, service)
    assert list(names.services(canary, "kubernetes"))
    with pytest.raises(Invalid):
        await make(rig, canary)


@pytest.mark.parametrize(
    "service",
    [
        {"name": "x" * 55},
        {"name": "1app"},
        {"portName": "http-web-2"},
        {"appProtocol": "kubernetes.io/h2c"},
        {"apex": {"labels": {"example.com/team": "Shop_1.x", "empty": ""}}},
        {"portDiscovery": True},
    ],
    ids=str,
)
async def test_what_is_not_told_is_taken(rig: Rig, service: dict[str, Any]) -> None:
    canary = canary_of(rig.namespace, service)
    assert list(names.services(canary, "kubernetes")) == []
    await make(rig, canary, template=DISCOVERED)


@pytest.mark.parametrize("port", [{"port": 9898}, {"name": "http", "port": 9898}, {"name": "web", "port": 80}])
@pytest.mark.parametrize("asked", [{}, {"port": 80}, {"port": 80, "portDiscovery": True}], ids=str)
async def test_ports_stand_beside_those_of_somebody_else(rig: Rig, port: Json, asked: Json) -> None:
    """Names and numbers of the author's stay, and what has no problem is taken."""
    canary = canary_of(rig.namespace, {"targetPort": 9898, **asked})
    spec = {"selector": {"app": "app"}, "ports": [{**port, "targetPort": 9898}]}
    theirs = await rig.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata(rig), "spec": spec})
    if services.problems(canary, {"app": theirs}, DISCOVERED):
        with pytest.raises(Invalid):
            await make(rig, canary, theirs, DISCOVERED)
        return
    stored = await make(rig, canary, theirs, DISCOVERED)
    kept = next(each for each in stored["spec"]["ports"] if each["port"] == port["port"])
    assert kept.get("name") == port.get("name")
    assert canary.spec.service.port in {each["port"] for each in stored["spec"]["ports"]}
    assert await make(rig, canary, stored, DISCOVERED) == stored


async def test_a_secret_of_another_type_is_made_anew(rig: Rig) -> None:
    secret: Json = {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata(rig), "name": "s-primary"}}
    before = await apply_copy(rig.client, SECRET, {**secret, "type": "Opaque", "data": {"username": "YQ=="}})
    wanted = {**secret, "type": "kubernetes.io/basic-auth", "data": {"username": "Yg=="}}
    after = await apply_copy(rig.client, SECRET, wanted)
    assert (after["type"], after["data"]) == (wanted["type"], wanted["data"])
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_a_copy_that_somebody_has_made_immutable_is_made_anew(rig: Rig) -> None:
    copy: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata(rig), "name": "c-primary"}}
    before = await apply_copy(rig.client, CONFIG_MAP, {**copy, "data": {"a": "1"}})
    await rig.client.merge_patch(CONFIG_MAP, rig.namespace, "c-primary", {"immutable": True})
    after = await apply_copy(rig.client, CONFIG_MAP, {**copy, "data": {"a": "2"}})
    assert after["data"] == {"a": "2"}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_what_else_is_refused_of_a_copy_stays_refused(rig: Rig) -> None:
    copy: Json = {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata(rig), "name": "s-primary"}}
    await apply_copy(rig.client, SECRET, {**copy, "type": "Opaque", "data": {"a": "YQ=="}})
    with pytest.raises(Invalid):
        await apply_copy(rig.client, SECRET, {**copy, "type": "Opaque", "data": {"a b": "YQ=="}})


def metadata(rig: Rig) -> Json:
    return {"name": "app", "namespace": rig.namespace}
