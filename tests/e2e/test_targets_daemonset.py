"""A DaemonSet rolls out, and back, under traffic: it is scaled by its node selector, and its primary never is."""

import pytest

from canary.api.canary import parse_canary
from canary.kube.types import CANARY, DAEMON_SET, Json
from canary.sandbox import addresses
from canary.sandbox.harness import Recording, Rig, application, ingress_route, phase_of, weight_of, without_repeats
from canary.sandbox.history import ready_pods, unserved
from canary.sandbox.scenario import ENDED, NAME, PORT, READY_SECONDS, ROLLOUT_SECONDS, STEPS, SUCCESS_RATE, canary_of
from canary.sandbox.traffic import Traffic
from canary.workloads.daemonset import NOWHERE

TARGET = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": NAME}
LINUX = {"kubernetes.io/os": "linux"}
NODES = 2


def daemon_set(namespace: str, version: str, **environment: str) -> Json:
    """The sample web service on every node, with a node selector of its author's."""
    made = application(NAME, namespace, version, environment=environment)
    spec = made["spec"]
    del spec["replicas"]
    spec["template"]["spec"]["nodeSelector"] = LINUX
    return {**made, "kind": "DaemonSet"}


def node_selector(workload: Json) -> Json:
    selector: Json = workload["spec"]["template"]["spec"].get("nodeSelector", {})
    return selector


async def rolled_out(rig: Rig, canary: Recording, changed: Json) -> str:
    await rig.apply(changed)
    await canary.until(lambda each: phase_of(each) == "Progressing", within=20, what="start of the rollout")
    ended = await canary.until(lambda each: phase_of(each) in ENDED, within=ROLLOUT_SECONDS, what="end of the rollout")
    return phase_of(ended.value or {})


async def test_a_good_daemon_set_is_promoted_and_a_bad_one_taken_back(rig: Rig) -> None:
    namespace, host = rig.namespace, f"{NAME}.{rig.namespace}"
    spec = canary_of(namespace, {"metrics": [SUCCESS_RATE]}, targetRef=TARGET)
    async with (
        rig.watching(NAME) as (canary, route),
        rig.recording(DAEMON_SET, NAME) as target,
        rig.recording(DAEMON_SET, f"{NAME}-primary") as primary,
    ):
        await rig.apply(ingress_route(NAME, namespace, host, PORT))
        await rig.apply(daemon_set(namespace, "1.0.0"))
        await rig.apply(spec)
        await canary.until(lambda each: phase_of(each) == "Initialized", within=READY_SECONDS, what="initialization")
        await asleep(target)
        assert ready_pods(primary.last) == NODES

        async with Traffic(f"http://{addresses.GATEWAY}:{PORT}/", host) as traffic:
            assert await rolled_out(rig, canary, daemon_set(namespace, "1.0.1")) == "Succeeded"
            await asleep(target)
            assert await rolled_out(rig, canary, daemon_set(namespace, "1.0.2", FAULT_ERROR_RATE="1")) == "Failed"
            await asleep(target)
        weights = without_repeats([weight_of(moment.value or {}) for moment in route.moments])
        assert weights == [*STEPS, 25, 0]
        assert {answer.version for answer in traffic.lost} <= {"1.0.2"}, "nothing but the bad version loses a request"
        assert set(traffic.versions()) == {"1.0.0", "1.0.1", "1.0.2"}
        assert unserved(route, {f"{NAME}-primary": primary, f"{NAME}-canary": target}) == []

        assert node_selector(target.last) == {**LINUX, NOWHERE: "true"}
        assert all(node_selector(moment.value or {}) == LINUX for moment in primary.moments)
        container = primary.last["spec"]["template"]["spec"]["containers"][0]
        assert container["image"].endswith(":1.0.1")
        status = parse_canary(canary.last).status
        assert status.last_promoted_spec != status.last_applied_spec


async def asleep(target: Recording) -> None:
    """Wait until the target has left every node."""

    def left(workload: Json) -> bool:
        status = workload["status"]
        seen = status.get("observedGeneration") == workload["metadata"]["generation"]
        return seen and NOWHERE in node_selector(workload) and status["numberMisscheduled"] == 0

    await target.until(left, within=30, what="nodes without the target")


async def test_a_daemon_set_that_fits_no_node_is_taken_back_with_the_reason(rig: Rig) -> None:
    namespace = rig.namespace
    async with rig.recording(DAEMON_SET, NAME) as target, rig.watching(NAME) as (canary, _):
        await rig.apply(daemon_set(namespace, "1.0.0"))
        await rig.apply(canary_of(namespace, targetRef=TARGET, progressDeadlineSeconds=3))
        await canary.until(lambda each: phase_of(each) == "Initialized", within=READY_SECONDS, what="initialization")
        await asleep(target)
        nowhere = daemon_set(namespace, "1.0.1")
        nowhere["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "none-has-it"}
        assert await rolled_out(rig, canary, nowhere) == "Failed"
        assert f"{NAME}: no node fits its node selector" in canary.last["status"]["message"]


@pytest.mark.long
async def test_a_canary_that_goes_gives_the_target_its_nodes_back(rig: Rig) -> None:
    namespace, host = rig.namespace, f"{NAME}.{rig.namespace}"
    async with rig.recording(DAEMON_SET, NAME) as target, rig.watching(NAME) as (canary, _):
        await rig.apply(ingress_route(NAME, namespace, host, PORT))
        await rig.apply(daemon_set(namespace, "1.0.0"))
        await rig.apply(canary_of(namespace, targetRef=TARGET, revertOnDeletion=True))
        await canary.until(lambda each: phase_of(each) == "Initialized", within=READY_SECONDS, what="initialization")
        await asleep(target)
        async with Traffic(f"http://{addresses.GATEWAY}:{PORT}/", host) as traffic:
            await rig.client.delete(CANARY, namespace, NAME)
            await canary.until(lambda each: not each, within=READY_SECONDS, what="end of the Canary")
        assert traffic.answers
        assert traffic.lost == []
        assert node_selector(target.last) == LINUX
        assert ready_pods(target.last) == NODES
