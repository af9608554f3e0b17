"""Who has made an object that doesn't say so itself is read, once."""

import asyncio
from typing import cast

import pytest

from canary.api.canary import Canary, parse_canary
from canary.controller.observe.caches import Caches
from canary.controller.observe.foreign import Foreign, ForeignObjects
from canary.kube.client import KubeClient
from canary.kube.errors import NotLeading, Unreachable
from canary.kube.types import CONFIG_MAP, Json, Resource
from canary.workloads.autoscalers import AUTOSCALERS
from canary.workloads.deployment import Deployment

MANAGED = [{"manager": "flagger", "operation": "Update", "fieldsV1": {"f:spec": {"f:selector": {}}, "f:data": {}}}]


class Cluster:
    """The objects of a namespace by name, as caches hold them and as the API server has them."""

    def __init__(self, *objects: Json, managed: list[Json] | None = None, error: Exception | None = None) -> None:
        self.objects = {obj["metadata"]["name"]: obj for obj in objects}
        self.managed = managed or []
        self.error = error
        self.reads = 0

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return self.objects.get(name) if resource == CONFIG_MAP else None

    async def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        self.reads += 1
        if self.error is not None:
            raise self.error
        found = self.objects.get(name)
        return None if found is None else {**found, "metadata": {**found["metadata"], "managedFields": self.managed}}


def obj(name: str, uid: str = "1", **metadata: object) -> Json:
    return {"metadata": {"name": name, "uid": uid, **metadata}}


def canary_of(**spec: object) -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    metadata = {"name": "shop", "namespace": "test", "uid": "mine"}
    return parse_canary({"metadata": metadata, "spec": {"targetRef": target, "service": {"port": 80}, **spec}})


class Look:
    """Looks at a cluster again and again."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.objects = ForeignObjects(cast("KubeClient", cluster), cast("Caches", cluster))

    def __call__(self, *, services: tuple[str, ...] = (), configs: tuple[str, ...] = ()) -> Foreign:
        there = self.cluster.objects
        found = {name: there[name] for name in services}
        primary = None if services or configs else there.get("shop-primary")
        scaler = AUTOSCALERS["ScaledObject"]
        return asyncio.run(self.objects.find(canary_of(), Deployment(), primary, found, configs, scaler))


def test_a_stranger_is_told_and_read_once() -> None:
    look = Look(Cluster(obj("shop-primary")))
    for _ in range(3):
        (problem,) = look().problems
        assert problem.message == "Deployment shop-primary is not this Canary's, and would be overwritten"
    assert look.cluster.reads == 1


def test_one_that_is_made_anew_is_read_again() -> None:
    look = Look(Cluster(obj("shop-primary")))
    assert look().problems
    look.cluster.objects["shop-primary"] = obj("shop-primary", uid="2")
    look.cluster.managed = MANAGED
    assert look() == Foreign()
    assert look.cluster.reads == 2


def test_one_that_says_whose_it_is_is_not_read() -> None:
    owner = {"kind": "Canary", "name": "shop", "uid": "mine"}
    look = Look(Cluster(obj("shop-primary", ownerReferences=[owner])))
    assert look() == Foreign()
    assert look.cluster.reads == 0


def test_the_service_that_users_call_may_be_anybodys() -> None:
    look = Look(Cluster(obj("shop"), obj("shop-primary"), obj("shop-canary")))
    told = look(services=("shop", "shop-primary", "shop-canary")).problems
    assert [problem.message.split(" is ")[0] for problem in told] == ["Service shop-primary", "Service shop-canary"]
    assert {problem.field for problem in told} == {"spec.service.name"}


def test_only_copies_that_would_be_written_count() -> None:
    look = Look(Cluster(obj("one-primary"), obj("two-primary")))
    (problem,) = look(configs=("configmap/one", "secret/two")).problems
    assert problem.message.startswith("ConfigMap one-primary ")


def test_what_can_not_be_read_is_a_fact() -> None:
    """Nothing begins by it, and nobody is refused for it."""
    look = Look(Cluster(obj("shop-primary"), error=Unreachable("GET", "/x", "gone")))
    assert look().unread
    assert look().problems == ()


def test_a_controller_that_leads_no_more_stops() -> None:
    look = Look(Cluster(obj("shop-primary"), error=NotLeading("GET", "/x", "no")))
    with pytest.raises(NotLeading):
        look()
