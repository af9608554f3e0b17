"""A Knative Service as target: its Revisions by their names, and how far one has come by its own condition."""

from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.api.knative import PRIMARY_REVISION
from canary.api.traffic import Readiness
from canary.kube.types import Json
from canary.workloads.base import Rules, SelectorLabel
from canary.workloads.knative import KnativeService
from tests.tools.knative import revision_status

KIND = KnativeService()


def canary(promoted: str = "") -> Canary:
    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
    status = {"lastPromotedSpec": promoted}
    return parse_canary(
        {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"targetRef": target}, "status": status}
    )


def service(mark: str = "", **status: Any) -> Json:
    annotations = {"annotations": {PRIMARY_REVISION: mark}} if mark else {}
    return {"metadata": {"name": "web", "namespace": "shop", **annotations}, "spec": {}, "status": status}


def test_a_new_version_is_a_revision_that_was_made_ready_or_not() -> None:
    there = service(latestCreatedRevisionName="web-00002", latestReadyRevisionName="web-00001")
    assert KIND.revision(there) == KIND.carried(there, {"configmap/x": "y"}) == "web-00002"
    assert KIND.revision(service()) == ""


def test_what_is_promoted_is_told_by_the_mark_then_by_the_status_then_by_what_serves() -> None:
    there = {"latestCreatedRevisionName": "web-00003", "latestReadyRevisionName": "web-00002"}
    assert KIND.promoted(service("web-00001", **there), canary("web-00009")) == "web-00001"
    assert KIND.promoted(service(**there), canary("web-00001")) == "web-00001"
    assert KIND.promoted(service(**there), canary("6cd5b")) == "web-00002"
    assert KIND.promoted(service(), canary()) == ""


def test_promoting_a_revision_is_to_mark_it_once() -> None:
    assert KIND.promotion(service("a"), "b") == {"metadata": {"annotations": {PRIMARY_REVISION: "b"}}}
    assert KIND.promotion(service("b"), "b") == {}


@pytest.mark.parametrize(
    ("ready", "count", "stalled"), [(True, 1, ""), (None, 0, ""), (False, 0, "the image can't be pulled")]
)
def test_a_revision_is_ready_by_its_own_condition(ready: bool | None, count: int, stalled: str) -> None:
    """Without a pod too: the first request gives it one."""
    seen = KIND.readiness({"status": revision_status(ready=ready)})
    assert seen == Readiness(desired=1, updated=1, ready=count, available=count, total=1, stalled=stalled)
    assert KIND.readiness({}).ready == 0, "one that is yet to be seen"


def test_its_pods_are_those_of_the_latest_revision() -> None:
    there = service(latestCreatedRevisionName="web-00002")
    assert KIND.selector_label(there, Rules()) == SelectorLabel("serving.knative.dev/revision", "web-00002")
    assert KIND.selector_label(service(), Rules()) is None


def test_nothing_is_made_scaled_or_handed_back() -> None:
    there, rules = service(latestCreatedRevisionName="web-00002"), Rules()
    with pytest.raises(ValueError, match="no copy"):
        KIND.primary(there, canary(), tracked={}, rules=rules)
    assert KIND.version_services(there, canary(), rules=rules, observed={}) == ()
    assert KIND.apex_services(there, canary(), rules=rules, observed={}) == ()
    assert KIND.handed_back_services(there, canary(), rules=rules, observed={}) == ()
    assert (KIND.scaled(there, 3), KIND.template(there), KIND.replicas(there)) == ({}, {}, 1)
