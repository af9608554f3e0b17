"""A StatefulSet as target: what its pods run, which of them are new, and the one field of it that is ours."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.partitions import NO_POD
from canary.api.traffic import Readiness
from canary.kube.types import Json
from canary.workloads.base import Rules, SelectorLabel
from canary.workloads.statefulset import StatefulSet

KIND = StatefulSet()
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LONG_AGO = "2026-01-01T11:00:00Z"


def canary(**spec: Any) -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}
    return parse_canary({"metadata": {"name": "db", "namespace": "shop"}, "spec": {"targetRef": target, **spec}})


def stateful_set(status: Json | None = None, **spec: Any) -> Json:
    """Three pods; arguments are fields of its spec, `partition` of its update strategy."""
    partition = spec.pop("partition", None)
    strategy: Json = {"type": "RollingUpdate"}
    if partition is not None:
        strategy["rollingUpdate"] = {"partition": partition}
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}}
    spec = {
        "replicas": 3,
        "selector": {"matchLabels": labels},
        "template": template,
        "updateStrategy": strategy,
        **spec,
    }
    metadata = {"name": "db", "namespace": "shop", "uid": "set", "generation": 4}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec, "status": status or {}}


def pod(name: str, revision: str = "db-old", *, ready: str | None = LONG_AGO, **metadata: Any) -> Json:
    conditions = [] if ready is None else [{"type": "Ready", "status": "True", "lastTransitionTime": ready}]
    made = {
        "name": name,
        "uid": f"uid-{name}",
        "labels": {"controller-revision-hash": revision},
        "ownerReferences": [{"uid": "set"}],
        **metadata,
    }
    return {"metadata": made, "status": {"conditions": conditions}}


def test_what_its_status_counts() -> None:
    status = {"observedGeneration": 4, "replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "updatedReplicas": 1}
    assert KIND.readiness(stateful_set(status)) == Readiness(desired=3, updated=1, ready=2, available=1, total=3)
    assert not KIND.readiness(stateful_set({"observedGeneration": 3})).observed


def test_a_version_is_its_template_whatever_its_configuration_holds() -> None:
    """Pods read configuration by its name: what is in it can't be taken back with them."""
    before, after = stateful_set(), stateful_set(replicas=5, partition=2)
    assert KIND.carried(before, {"configmap/db": "a"}) == KIND.carried(after, {"configmap/db": "b"})
    after["spec"]["template"]["spec"]["containers"][0]["image"] = "db:2"
    assert KIND.revision(before) != KIND.revision(after)


class TestPods:
    def test_by_number_with_what_each_was_made_from(self) -> None:
        target = stateful_set({"currentRevision": "db-old", "updateRevision": "db-new"}, partition=2)
        found = KIND.partitions(target, [pod("db-2", "db-new"), pod("db-0"), pod("db-1", ready=None)], NOW)

        assert (found.partition, found.current, found.update) == (2, "db-old", "db-new")
        assert [(each.index, each.revision, each.ready) for each in found.pods] == [
            (0, "db-old", True),
            (1, "db-old", False),
            (2, "db-new", True),
        ]
        assert [each.name for each in found.strays] == ["db-2"]

    def test_those_of_others_and_those_beyond_the_last_are_none_of_them(self) -> None:
        """Labels can be shared, and scaling down leaves pods for a while."""
        others = [pod("db-1", ownerReferences=[{"uid": "other"}]), pod("db-3"), pod("db-x"), pod("db-migrate")]
        assert KIND.partitions(stateful_set(), [*others, pod("db-0")], NOW).pods[0].name == "db-0"
        assert len(KIND.partitions(stateful_set(), [*others, pod("db-0")], NOW).pods) == 1

    def test_are_numbered_from_where_their_ordinals_start(self) -> None:
        target = stateful_set(ordinals={"start": 5}, partition=1)
        assert [each.index for each in KIND.partitions(target, [pod("db-5"), pod("db-7")], NOW).pods] == [0, 2]
        assert KIND.updated_pods(target) == "db-(6|7)"

    def test_on_their_way_out_serve_nobody(self) -> None:
        (leaving,) = KIND.partitions(stateful_set(), [pod("db-0", deletionTimestamp=LONG_AGO)], NOW).pods
        assert (leaving.ready, leaving.available, leaving.terminating) == (False, False, True)

    @pytest.mark.parametrize(("seconds", "available"), [(9, False), (10, True)])
    def test_are_available_once_they_were_ready_for_long_enough(self, seconds: int, *, available: bool) -> None:
        since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        (young,) = KIND.partitions(stateful_set(minReadySeconds=10), [pod("db-0", ready=since)], NOW).pods
        assert (young.ready, young.available) == (True, available)

    @pytest.mark.parametrize(
        ("status", "spec", "calm"),
        [
            ({"replicas": 3, "currentReplicas": 3}, {"partition": NO_POD}, True),
            ({"replicas": 3, "currentReplicas": 2}, {"partition": NO_POD}, False),
            ({"replicas": 2, "currentReplicas": 2}, {"partition": NO_POD}, False),
            ({"replicas": 3, "currentReplicas": 3}, {"partition": 2}, False),
            ({"replicas": 3, "currentReplicas": 3}, {}, False),
            ({}, {"partition": NO_POD, "replicas": 0}, True),
        ],
    )
    def test_need_no_look_where_all_run_the_current_revision(self, status: Json, spec: Json, *, calm: bool) -> None:
        """So that a settled Canary costs the API server no request."""
        assert KIND.is_calm(stateful_set(status, **spec)) is calm

    def test_are_found_by_the_whole_selector(self) -> None:
        expressions = [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "tier", "operator": "NotIn", "values": ["c"]},
            {"key": "app", "operator": "Exists"},
            {"key": "old", "operator": "DoesNotExist"},
        ]
        target = stateful_set(selector={"matchLabels": {"app": "db"}, "matchExpressions": expressions})
        assert KIND.pod_selector(target) == "app=db,tier in (a,b),tier notin (c),app,!old"

    @given(st.integers(0, 12), st.integers(0, 15), st.integers(0, 3))
    def test_of_the_new_version_are_those_from_the_partition_on(self, count: int, partition: int, start: int) -> None:
        """What metrics are asked by; no pod at all where none is updated."""
        target = stateful_set(replicas=count, partition=partition, ordinals={"start": start})
        pattern = re.compile(KIND.updated_pods(target))
        for index in range(count):
            matched = pattern.fullmatch(f"db-{start + index}") is not None
            assert matched is (index >= partition)
        assert pattern.fullmatch("") is None

    @pytest.mark.parametrize("partition", [0, 2, NO_POD])
    def test_are_named_without_a_backslash(self, partition: int) -> None:
        r"""In a query it would have to be doubled: Prometheus 3 takes "db\-(0)" for an unknown escape sequence."""
        target = stateful_set(partition=partition) | {"metadata": {"name": "shop.db-main", "namespace": "shop"}}
        assert "\\" not in KIND.updated_pods(target) + KIND.all_pods(target)
        assert re.fullmatch(KIND.all_pods(target), "shop.db-main-12")
        assert not re.fullmatch(KIND.all_pods(target), "shopxdb-main-1")
        assert bool(re.fullmatch(KIND.updated_pods(target), "shop.db-main-2")) is (partition != NO_POD)


class TestPartition:
    def test_is_the_only_field_that_is_applied(self) -> None:
        """To that very object: where it is gone, none is made."""
        manifest = KIND.partitioned(stateful_set(), 2)
        assert manifest["spec"] == {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
        assert manifest["metadata"] == {"name": "db", "namespace": "shop", "uid": "set"}

    def test_is_nobodys_again_where_it_is_applied_no_more(self) -> None:
        assert "spec" not in KIND.partitioned(stateful_set(partition=NO_POD), None)


class TestProblems:
    def found(self, target: Json, **spec: Any) -> str:
        problems = KIND.problems(canary(**spec), target, rules=Rules(), observed={})
        return "; ".join(str(problem) for problem in problems)

    def test_none_for_pods_that_are_replaced_one_by_one(self) -> None:
        assert self.found(stateful_set(), analysis={}) == ""
        assert self.found(stateful_set(podManagementPolicy="Parallel"), analysis={}) == ""
        assert self.found(stateful_set(replicas=0), analysis={}) == ""

    def test_pods_that_nobody_replaces(self) -> None:
        assert "OnDelete" in self.found(stateful_set(updateStrategy={"type": "OnDelete"}), analysis={})

    def test_one_pod_leaves_nothing_to_judge_unless_nobody_asks(self) -> None:
        assert "skipAnalysis" in self.found(stateful_set(replicas=1), analysis={})
        assert self.found(stateful_set(replicas=1), skipAnalysis=True) == ""


def test_nothing_stands_beside_it() -> None:
    """No primary, no Services: the author's own lead to all of its pods."""
    target, rules = stateful_set(), Rules()
    with pytest.raises(ValueError, match="no copy"):
        KIND.primary(target, canary(), tracked={}, rules=rules)
    assert KIND.version_services(target, canary(), rules=rules, observed={}) == ()
    assert KIND.apex_services(target, canary(), rules=rules, observed={}) == ()
    assert KIND.handed_back_services(target, canary(), rules=rules, observed={}) == ()
    assert KIND.scaled(target, 0) == {}


def test_its_pods_can_be_told_by_any_label() -> None:
    """Nothing has to be told from a primary, so that it needs no label of a certain name."""
    assert KIND.selector_label(stateful_set(), Rules()) == SelectorLabel("app", "db")
    other = stateful_set(selector={"matchLabels": {"database": "orders", "app.kubernetes.io/name": "x"}})
    assert KIND.selector_label(other, Rules()) == SelectorLabel("app.kubernetes.io/name", "x")
    assert KIND.selector_label(stateful_set(selector={"matchLabels": {"db": "x"}}), Rules()) == SelectorLabel("db", "x")
