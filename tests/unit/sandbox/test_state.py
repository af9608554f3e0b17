"""How containers read as a pod's status."""

import pytest

from canary.kube.types import Json
from canary.sandbox.node.state import ContainerState, PodState, Running, Terminated, Waiting


def pod(*states: Waiting | Running | Terminated, ready: bool = False, policy: str = "Always") -> PodState:
    containers = [ContainerState(f"c{number}", "web:1", now=state, ready=ready) for number, state in enumerate(states)]
    return PodState("10.244.0.2", "10.0.1.1", [], containers, policy, initialized=True, start_time="t0")


def condition(status: Json, kind: str) -> Json:
    (found,) = [each for each in status["conditions"] if each["type"] == kind]
    return dict(found)


DONE, BAD = Terminated(0, "Completed", "a", "b"), Terminated(1, "Error", "a", "b")


@pytest.mark.parametrize(
    ("states", "policy", "phase"),
    [
        ([Waiting()], "Always", "Pending"),
        ([Running("a"), Waiting()], "Always", "Running"),
        ([DONE], "Always", "Pending"),
        ([DONE, DONE], "OnFailure", "Succeeded"),
        ([DONE, BAD], "OnFailure", "Pending"),
        ([DONE, BAD], "Never", "Failed"),
        ([DONE, Running("a")], "Never", "Running"),
    ],
)
def test_the_phase_follows_from_the_containers(
    states: list[Waiting | Running | Terminated], policy: str, phase: str
) -> None:
    assert pod(*states, policy=policy).phase == phase


def test_a_restarted_pod_is_running() -> None:
    state = pod(Waiting("CrashLoopBackOff"))
    state.containers[0].restarts = 1
    assert state.phase == "Running"


def test_ready_is_when_every_container_is() -> None:
    state = pod(Running("a"), Running("a"), ready=True)
    assert condition(state.as_status("t1"), "Ready") == {"type": "Ready", "status": "True", "lastTransitionTime": "t1"}
    state.containers[1].ready = False
    found = condition(state.as_status("t2"), "Ready")
    assert found["status"] == "False"
    assert found["reason"] == "ContainersNotReady"
    assert "[c1]" in found["message"]


def test_a_transition_time_moves_only_with_its_condition() -> None:
    state = pod(Running("a"), ready=True)
    state.as_status("t1")
    state.containers[0].restarts = 5
    assert condition(state.as_status("t2"), "Ready")["lastTransitionTime"] == "t1"
    assert condition(state.as_status("t2"), "PodScheduled")["lastTransitionTime"] == "t1"


def test_a_containers_state_and_the_one_before() -> None:
    state = ContainerState("web", "web:1", now=Waiting("CrashLoopBackOff", "wait"), before=BAD, restarts=2)
    status = state.as_status()
    assert status["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "wait"}}
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["restartCount"] == 2


def test_what_a_container_has_left_as_its_last_message_is_told() -> None:
    state = pod(Terminated(1, "Error", "a", "b", "no such page"), policy="Never")
    (container,) = state.as_status("t1")["containerStatuses"]
    assert container["state"]["terminated"]["message"] == "no such page"
