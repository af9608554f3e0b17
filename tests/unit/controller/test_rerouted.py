"""A route that has a Canary's name by chance is not taken from those whom it leads to."""

from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.controller.observe.conflicts import rerouted
from canary.kube.types import Json, ObjectRef
from tests.tools.routes import ref


@pytest.fixture
def canary() -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    spec = {"targetRef": target, "service": {"port": 80}}
    return parse_canary({"metadata": {"name": "shop", "namespace": "test", "uid": "1"}, "spec": spec})


def weighted(*names: str) -> Json:
    return {"kind": "TraefikService", "spec": {"weighted": {"services": [{"name": name} for name in names]}}}


def rules(*names: str) -> Json:
    return {"kind": "HTTPRoute", "spec": {"rules": [{"backendRefs": [{"name": name}]} for name in names]}}


def named(route: Json, **metadata: Any) -> tuple[ObjectRef, Json]:
    found = {"kind": "HTTPRoute", **route, "metadata": {"name": "shop", **metadata}}
    return ref(found), found


MIRRORING: Json = {"kind": "TraefikService", "spec": {"mirroring": {"name": "blog", "mirrors": [{"name": "shop"}]}}}


@pytest.mark.parametrize("route", [weighted("blog"), weighted("shop", "blog"), rules("shop", "blog"), MIRRORING])
def test_whoever_else_it_leads_to_is_named(canary: Canary, route: Json) -> None:
    (problem,) = rerouted(canary, [named(route)])
    assert problem.field == "spec.service.name"
    assert problem.message == f"{route['kind']} shop leads to blog too, and would not any more"


@pytest.mark.parametrize(
    "route", [weighted("shop"), weighted("shop-primary", "shop-canary"), rules("shop", "shop"), {}]
)
def test_one_that_leads_to_the_application_alone_is_taken_over(canary: Canary, route: Json) -> None:
    assert list(rerouted(canary, [named(route)])) == []


@pytest.mark.parametrize(
    "metadata",
    [{"annotations": {"flagger.app/applied": "x"}}, {"ownerReferences": [{"kind": "Canary", "name": "shop"}]}],
)
def test_what_was_taken_over_is_put_right_again(canary: Canary, metadata: Json) -> None:
    assert list(rerouted(canary, [named(weighted("blog"), **metadata)])) == []
