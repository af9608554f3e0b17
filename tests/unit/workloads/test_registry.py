"""Which kinds can be targets."""

import pytest

from canary.api.canary import Canary, parse_canary
from canary.kube.types import KNATIVE_SERVICE, SERVICE
from canary.workloads.registry import KNATIVE, TARGETS, WORKLOADS, supported, target_for


def canary(kind: str, api_version: str = "") -> Canary:
    ref = {"apiVersion": api_version, "kind": kind, "name": "my-app"}
    return parse_canary({"metadata": {"name": "my-app", "namespace": "shop"}, "spec": {"targetRef": ref}})


@pytest.mark.parametrize("kind", supported())
def test_every_kind_is_registered_by_the_name_that_the_api_server_gives_it(kind: str) -> None:
    target = target_for(canary(kind))
    assert target is TARGETS[kind]
    assert target.resource.kind == kind


def test_other_kinds_are_nobodys() -> None:
    assert target_for(canary("CronJob", "batch/v1")) is None


def test_a_knative_service_is_not_one_of_kubernetes() -> None:
    assert target_for(canary("Service", "serving.knative.dev/v1")) is KNATIVE
    assert target_for(canary("Service", "v1")) is TARGETS["Service"]
    assert {KNATIVE_SERVICE, SERVICE} <= {*WORKLOADS}
