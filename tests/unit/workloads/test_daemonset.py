import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import Json
from canary.workloads.base import Rules
from canary.workloads.daemonset import NOWHERE, DaemonSet

DAEMON_SET = DaemonSet()
RULES = Rules()
CANARY = parse_canary(
    {
        "metadata": {"name": "agent", "namespace": "shop", "uid": "uid-1"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent"},
            "service": {"port": 9898},
        },
    }
)

selectors = st.dictionaries(st.sampled_from(["disk", "zone", "kubernetes.io/os"]), st.sampled_from(["a", "b"]))


def daemon_set(node_selector: dict[str, str] | None = None, **spec: Any) -> Json:
    pod: Json = {"containers": [{"name": "app", "image": "agent:1"}]}
    if node_selector is not None:
        pod["nodeSelector"] = node_selector
    labels = {"app": "agent"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    metadata = {"name": "agent", "namespace": "shop", "generation": 2}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def patched(workload: Any, patch: Json) -> Json:
    """The object after a JSON merge patch (RFC 7386)."""
    made: Json = copy.deepcopy(workload) if isinstance(workload, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = patched(made.get(key), value) if isinstance(value, dict) else value
    return made


def scaled(workload: Json, replicas: int) -> Json:
    return patched(workload, DAEMON_SET.scaled(workload, replicas))


def primary_of(target: Json) -> Json:
    return DAEMON_SET.primary(target, CANARY, tracked={}, rules=RULES)


def problems(target: Json, canary: Canary = CANARY) -> tuple[Problem, ...]:
    return DAEMON_SET.problems(canary, target, rules=RULES, observed={})


class TestScaling:
    @given(st.none() | selectors, st.integers(1, 9))
    def test_to_zero_and_back_is_what_it_was(self, selector: dict[str, str] | None, replicas: int) -> None:
        """The author's own node selector stays; the number of pods is the nodes'."""
        before = daemon_set(selector)
        asleep = scaled(before, 0)
        assert DAEMON_SET.replicas(asleep) == 0
        assert asleep["spec"]["template"]["spec"]["nodeSelector"][NOWHERE] == "true"
        awake = scaled(asleep, replicas)
        assert DAEMON_SET.replicas(awake) == 1
        assert awake["spec"]["template"]["spec"].get("nodeSelector", {}) == (selector or {})

    @given(st.none() | selectors)
    def test_is_no_new_revision(self, selector: dict[str, str] | None) -> None:
        before = daemon_set(selector)
        assert {DAEMON_SET.revision(each) for each in (scaled(before, 0), scaled(scaled(before, 0), 1))} == {
            DAEMON_SET.revision(before)
        }

    @given(st.none() | selectors)
    def test_the_primary_of_a_sleeping_target_runs_all_the_same(self, selector: dict[str, str] | None) -> None:
        before = daemon_set(selector)
        asleep = scaled(before, 0)
        assert primary_of(asleep) == primary_of(before)
        assert DAEMON_SET.replicas(primary_of(asleep)) == 1

    @pytest.mark.parametrize("replicas", [0, 1, 5])
    def test_nothing_is_written_where_it_is_so_already(self, replicas: int) -> None:
        assert DAEMON_SET.scaled(scaled(daemon_set(), replicas), replicas) == {}

    def test_another_node_selector_is_a_new_revision(self) -> None:
        assert DAEMON_SET.revision(daemon_set({"disk": "a"})) != DAEMON_SET.revision(daemon_set())

    def test_an_empty_node_selector_is_none(self) -> None:
        """It is what is left when the last key of the selector was ours."""
        assert DAEMON_SET.revision(daemon_set({})) == DAEMON_SET.revision(daemon_set())


class TestReadiness:
    def test_counts_nodes(self) -> None:
        workload = daemon_set()
        workload["status"] = {
            "observedGeneration": 2,
            "desiredNumberScheduled": 5,
            "currentNumberScheduled": 4,
            "updatedNumberScheduled": 3,
            "numberReady": 2,
            "numberAvailable": 1,
        }
        assert DAEMON_SET.readiness(workload) == Readiness(5, updated=3, ready=2, available=1, total=4)

    def test_scaled_to_zero_it_wants_none_whatever_the_status_still_says(self) -> None:
        workload = scaled(daemon_set(), 0)
        workload["status"] = {"observedGeneration": 2, "desiredNumberScheduled": 5}
        assert DAEMON_SET.readiness(workload).desired == 0

    def test_without_a_node_it_wants_one_pod_and_is_never_ready(self) -> None:
        """Else a version that fits no node would look like one that is scaled to zero, and wait without a deadline."""
        workload = daemon_set()
        workload["status"] = {"observedGeneration": 2, "desiredNumberScheduled": 0}
        assert DAEMON_SET.readiness(workload) == Readiness(1, updated=0, ready=0, available=0, total=0)

    def test_a_status_of_an_older_generation_is_not_observed(self) -> None:
        assert not DAEMON_SET.readiness({**daemon_set(), "status": {"observedGeneration": 1}}).observed


class TestProblems:
    def test_rolling_updates_have_none(self) -> None:
        assert problems(daemon_set()) == ()
        assert problems(daemon_set(updateStrategy={"type": "RollingUpdate"})) == ()

    def test_pods_that_are_replaced_by_hand_only_are_one(self) -> None:
        (problem,) = problems(daemon_set(updateStrategy={"type": "OnDelete"}))
        assert problem.field == "spec.targetRef"
        assert "OnDelete" in problem.message
        assert "RollingUpdate" in problem.remedy

    def test_a_port_of_the_node_is_one_as_two_versions_share_each_node(self) -> None:
        target = daemon_set()
        target["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 9898, "hostPort": 80}]
        (problem,) = problems(target)
        assert "port 80 of their node" in problem.message

    def test_an_autoscaler_is_one(self) -> None:
        raw = CANARY.to_json()
        raw["spec"]["autoscalerRef"] = {"kind": "HorizontalPodAutoscaler", "name": "agent"}
        (problem,) = problems(daemon_set(), parse_canary(raw))
        assert problem.field == "spec.autoscalerRef"

    def test_labels_are_told_apart_as_those_of_deployments(self) -> None:
        target = daemon_set(selector={"matchLabels": {"tier": "front"}})
        (problem,) = problems(target)
        assert "DaemonSet agent selects its pods by none of the labels" in problem.message


def test_the_primary_is_a_daemon_set_that_rolls_as_the_target_does() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    made = primary_of(daemon_set({"disk": "ssd"}, updateStrategy=strategy, minReadySeconds=3, revisionHistoryLimit=2))
    assert (made["apiVersion"], made["kind"], made["metadata"]["name"]) == ("apps/v1", "DaemonSet", "agent-primary")
    assert made["spec"].keys() == {"selector", "template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"}
    assert made["spec"]["selector"] == {"matchLabels": {"app": "agent-primary"}}
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "agent-primary"}
    assert made["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}


def test_the_revision_is_the_same_in_every_release() -> None:
    """Statuses hold it: another hash would roll out every Canary when the controller is updated."""
    assert DAEMON_SET.revision(daemon_set({"disk": "ssd"})) == "b7f74ae038cd0c02"
