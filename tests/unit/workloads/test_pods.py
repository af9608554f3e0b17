"""The reason why pods are not ready: the most telling first, in words that a person can act on."""

from typing import Any

import pytest

from canary.kube.types import Json
from canary.workloads.pods import LIMIT, diagnose


def pod(name: str = "a", **status: Any) -> Json:
    return {"metadata": {"name": name}, "status": status}


def container(*, state: Json, name: str = "app", **more: Any) -> Json:
    return pod(containerStatuses=[{"name": name, "image": "my-app:2", "state": state, **more}])


def waiting(reason: str, message: str = "", **more: Any) -> Json:
    return container(state={"waiting": {"reason": reason, "message": message}}, **more)


UNSCHEDULABLE = pod(
    conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: cpu"}]
)
CRASHING = waiting(
    "CrashLoopBackOff",
    "back-off 40s restarting",
    restartCount=4,
    lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "out of\n memory"}},
)
UNREADY = container(state={"running": {}}, ready=False, started=True)
PULLING = waiting("ImagePullBackOff", "Back-off pulling image")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (PULLING, 'pod a: container "app" can\'t pull my-app:2: ImagePullBackOff: Back-off pulling image'),
        (waiting("ErrImagePull", "not found"), 'container "app" can\'t pull my-app:2: ErrImagePull: not found'),
        (CRASHING, 'container "app" keeps crashing: 4 restarts, last with exit code 137 (OOMKilled): out of memory'),
        (waiting("CrashLoopBackOff", restartCount=2), 'container "app" keeps crashing: 2 restarts'),
        (
            waiting("CreateContainerConfigError", 'configmap "x" not found'),
            'container "app" can\'t start: CreateContainerConfigError: configmap "x" not found',
        ),
        (waiting("RunContainerError", "no such file"), "can't start: RunContainerError: no such file"),
        (UNSCHEDULABLE, "pod a: can't be scheduled: Unschedulable: 0/3 nodes: cpu"),
        (UNREADY, 'container "app" runs but its readiness probe has not passed'),
        (
            container(state={"running": {}}, ready=False, started=False),
            'container "app" runs but its startup probe has not passed',
        ),
        (
            container(
                state={"running": {}},
                ready=False,
                restartCount=3,
                lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
            ),
            "its readiness probe has not passed; 3 restarts, last with exit code 1",
        ),
        (
            container(state={"terminated": {"exitCode": 2, "reason": "Error"}}),
            'container "app" stopped: exit code 2',
        ),
        (
            pod(initContainerStatuses=[{"name": "migrate", "state": {"terminated": {"exitCode": 1}}}]),
            'init container "migrate" stopped: exit code 1',
        ),
        (pod(phase="Failed", reason="Evicted", message="low on disk"), "pod a: failed: Evicted: low on disk"),
        (
            pod(conditions=[{"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": "lb"}]),
            "pod a: is not ready: ReadinessGatesNotReady: lb",
        ),
    ],
)
def test_each_trouble_has_its_words(found: Json, said: str) -> None:
    assert said in diagnose([found])


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param([], id="no pods"),
        pytest.param([{}], id="a pod without status"),
        pytest.param([waiting("ContainerCreating")], id="on its way"),
        pytest.param([container(state={"running": {}}, ready=True)], id="ready"),
        pytest.param(
            [pod(initContainerStatuses=[{"name": "i", "state": {"terminated": {"exitCode": 0}}}])],
            id="initialised",
        ),
        pytest.param([{**PULLING, "metadata": {"name": "a", "deletionTimestamp": "now"}}], id="on its way out"),
        pytest.param(
            [pod(conditions=[{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}])],
            id="only the condition that counts containers",
        ),
    ],
)
def test_nothing_is_said_where_nothing_tells(pods: list[Json]) -> None:
    assert diagnose(pods) == ""


def test_the_most_telling_comes_first_and_the_rest_of_its_kind_is_counted() -> None:
    def named(name: str, found: Json) -> Json:
        return {**found, "metadata": {"name": name}}

    pods = [
        named("d", UNREADY),
        named("c", UNSCHEDULABLE),
        named("e", CRASHING),
        named("b", PULLING),
        named("a", PULLING),
    ]
    assert diagnose(pods).startswith('pod a: container "app" can\'t pull')
    assert diagnose(pods).endswith("(and 1 more pod like it)")
    assert diagnose(reversed(pods)) == diagnose(pods)
    assert diagnose(pods[:3]).startswith("pod e: container")


def test_a_workload_that_can_make_no_pods_says_why() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    workload = {"metadata": {"name": "my-app"}, "status": {"conditions": [condition]}}
    assert diagnose([], workload) == "my-app: can't make pods: exceeded quota"


def test_a_daemon_set_that_fits_no_node_says_so() -> None:
    workload = {"metadata": {"name": "agent"}, "status": {"desiredNumberScheduled": 0}}
    assert diagnose([], workload) == "agent: no node fits its node selector, affinity and tolerations"
    assert diagnose([], {**workload, "status": {"desiredNumberScheduled": 1}}) == ""


def test_a_diagnosis_is_bounded() -> None:
    long = [{**waiting("ErrImagePull", "x" * 5000), "metadata": {"name": name}} for name in ("a", "b", "c")]
    said = diagnose(long)
    assert len(said) == LIMIT
    assert said.endswith("… (and 2 more pods like it)")
