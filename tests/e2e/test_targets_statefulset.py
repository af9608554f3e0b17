"""A StatefulSet rolls out in place, pod by pod, and comes back the same way, under traffic through its own Service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from canary.api.partitions import NO_POD
from canary.kube.types import CANARY, CONFIG_MAP, POD, STATEFUL_SET, Json
from canary.sandbox import addresses
from canary.sandbox.harness import AUTHOR, LOADTESTER_PORT, Recording, Rig, application, phase_of, without_repeats
from canary.sandbox.history import instants
from canary.sandbox.scenario import (
    ENDED,
    NAME,
    PORT,
    READY_SECONDS,
    ROLLOUT_SECONDS,
    SUCCESS_RATE,
    canary_of,
    hook,
    service,
)
from canary.sandbox.traffic import Traffic
from tests.tools.killable import kill_and_start

TARGET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": NAME}
PODS = (f"{NAME}-0", f"{NAME}-1", f"{NAME}-2")
OLD, NEW = "1.0.0", "1.0.1"
SETTINGS = "settings"


def stateful_set(namespace: str, version: str, *, image: str = "sample/web", **environment: str) -> Json:
    """Three pods of the sample web service, each with a volume of its own."""
    made = application(NAME, namespace, version, replicas=len(PODS), image=image, environment=environment)
    template = made["spec"]["template"]["spec"]
    template["volumes"] = [{"name": "data", "emptyDir": {}}]
    template["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return {**made, "kind": "StatefulSet", "spec": {**made["spec"], "serviceName": NAME}}


def canary(namespace: str, analysis: Json | None = None, **spec: object) -> Json:
    """A step a pod, a look a second after its pod is ready."""
    made = canary_of(namespace, {"iterations": 0, **(analysis or {})}, targetRef=TARGET, **spec)
    del made["spec"]["service"]
    return made


@dataclass(slots=True)
class Stage:
    """The StatefulSet, its pods and its Canary, and every state that they went through."""

    rig: Rig
    canary: Recording
    target: Recording
    pods: dict[str, Recording]

    @classmethod
    @asynccontextmanager
    async def on(cls, rig: Rig, made: Json, target: Json | None = None) -> AsyncIterator["Stage"]:
        """Everything in place, and the Canary initialized."""
        async with AsyncExitStack() as stack:
            watched = ((CANARY, NAME), (STATEFUL_SET, NAME), *((POD, name) for name in PODS))
            seen, workload, *pods = [await stack.enter_async_context(rig.recording(*each)) for each in watched]
            stage = cls(rig, seen, workload, dict(zip(PODS, pods, strict=True)))
            await rig.apply(service(rig.namespace))
            await rig.apply(target or stateful_set(rig.namespace, OLD))
            await stage.ready()
            await rig.apply(made)
            await stage.phase("Initialized")
            yield stage

    def traffic(self) -> Traffic:
        """Steady requests to the Service that leads to all pods, on a connection each, so that all get some."""
        return Traffic(f"http://{NAME}.{self.rig.namespace}:{PORT}/", fresh=True)

    async def deploy(self, version: str, **changes: str) -> None:
        await self.rig.apply(stateful_set(self.rig.namespace, version, **changes))

    async def phase(self, *phases: str, within: float = ROLLOUT_SECONDS) -> str:
        def reached(each: Json) -> bool:
            return phase_of(each) in phases

        return phase_of((await self.canary.until(reached, within=within, what=" or ".join(phases))).value or {})

    async def partition(self, partition: int) -> None:
        await self.target.until(
            lambda each: partition_of(each) == partition, within=ROLLOUT_SECONDS, what=f"partition {partition}"
        )

    async def weight(self, percent: int) -> None:
        await self.canary.until(
            lambda each: each["status"]["canaryWeight"] == percent, within=ROLLOUT_SECONDS, what=f"weight {percent}"
        )

    async def serves(self, index: int, version: str) -> None:
        """Wait until a pod of this version is ready."""
        await self.pods[PODS[index]].until(
            lambda each: is_ready(each) and version_of(each) == version,
            within=READY_SECONDS,
            what=f"a pod of {version}",
        )

    async def gate(self, action: str) -> None:
        """Open or close a gate of the Canary at the load tester."""
        body = {"name": NAME, "namespace": self.rig.namespace}
        url = f"http://{addresses.TOOLS}:{LOADTESTER_PORT}/{action}"
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            answer.raise_for_status()

    async def ready(self) -> None:
        """Wait until all pods are ready."""

        def whole(each: Json) -> bool:
            status = each.get("status", {})
            return bool(status.get("readyReplicas") == status.get("replicas") == len(PODS))

        await self.target.until(whole, within=READY_SECONDS, what="ready pods")

    async def rolled_out(self, version: str, **changes: str) -> str:
        """Apply a version, and wait until its rollout has ended and all pods are as they should be."""
        await self.deploy(version, **changes)
        await self.phase("Progressing")
        ended = await self.phase(*ENDED)
        await self.canary.until(
            lambda each: "trafficRemovedTime" not in each["status"] and each["status"]["canaryWeight"] == 0,
            within=READY_SECONDS,
            what="pods that are back",
        )
        await self.ready()
        return ended

    @property
    def partitions(self) -> list[int]:
        """The partitions that were set, one after the other."""
        return without_repeats([partition_of(moment.value or {}) for moment in self.target.moments])

    @property
    def weights(self) -> list[int]:
        """The shares that the status told, one after the other."""
        told = [(moment.value or {}).get("status", {}).get("canaryWeight") for moment in self.canary.moments]
        return without_repeats(told)

    @property
    def versions(self) -> list[str]:
        """What the pods ran, whenever that changed and all were there."""
        found: list[str] = []
        for instant in instants(self.pods):
            images = [version_of(instant[name]) for name in PODS if name in instant]
            if len(images) == len(PODS) and (not found or found[-1] != " ".join(images)):
                found.append(" ".join(images))
        return found

    @property
    def fewest(self) -> int:
        """The smallest number of pods that were ready at once, since all were for the first time."""
        counts = [sum(map(is_ready, instant.values())) for instant in instants(self.pods)]
        return min(counts[counts.index(len(PODS)) :])

    def since(self, moments: int) -> list[str]:
        """The versions without the first ones."""
        return self.versions[moments:]


def partition_of(workload: Json) -> int | None:
    return ((workload.get("spec", {}).get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition")


def version_of(pod: Json) -> str:
    return str(pod["spec"]["containers"][0]["image"]).rpartition(":")[2]


def is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


async def test_a_good_version_goes_out_pod_by_pod_and_a_bad_one_comes_back_the_same_way(rig: Rig) -> None:
    analysis = {"metrics": [SUCCESS_RATE], "interval": "3s"}
    async with Stage.on(rig, canary(rig.namespace, analysis)) as stage, stage.traffic() as traffic:
        assert await stage.rolled_out(NEW) == "Succeeded"
        assert stage.versions == [
            f"{OLD} {OLD} {OLD}",
            f"{OLD} {OLD} {NEW}",
            f"{OLD} {NEW} {NEW}",
            f"{NEW} {NEW} {NEW}",
        ]
        assert stage.partitions == [0, NO_POD, 2, 1, 0, NO_POD]
        assert stage.weights == [0, 34, 67, 100, 0]
        assert [str(each) for each in traffic.lost] == []
        good = len(stage.versions)

        assert await stage.rolled_out("1.0.2", FAULT_ERROR_RATE="1") == "Failed"
        assert stage.since(good) == [f"{NEW} {NEW} 1.0.2", f"{NEW} {NEW} {NEW}"]
        assert stage.partitions[6:] == [2, NO_POD]
        assert {answer.version for answer in traffic.lost} <= {"1.0.2"}, "nothing but the bad version loses a request"
        assert set(traffic.versions()) == {OLD, NEW, "1.0.2"}
        assert stage.fewest == len(PODS) - 1
        assert stage.target.last["spec"]["template"]["spec"]["containers"][0]["image"] == "sample/web:1.0.2"
        asked = stage.canary.last["status"]["checks"][0]["query"]
        assert f"{NAME}-(2)" in asked, "metrics are asked about the new version's pods alone"


async def test_a_pod_that_cant_start_is_made_anew_of_the_version_before(rig: Rig) -> None:
    # The pod before it serves on for six seconds first.
    async with Stage.on(rig, canary(rig.namespace, progressDeadlineSeconds=12)) as stage, stage.traffic() as traffic:
        assert await stage.rolled_out(NEW, image="sample/missing") == "Failed"
        assert "missing" in stage.canary.last["status"]["message"]
        assert stage.versions[-1] == f"{OLD} {OLD} {OLD}"
        assert stage.fewest == len(PODS) - 1
        assert [str(each) for each in traffic.lost] == []

        assert await stage.rolled_out(NEW) == "Succeeded"
        assert [str(each) for each in traffic.lost] == []


@pytest.mark.long
async def test_a_mended_version_begins_anew_while_a_broken_one_is_stuck(rig: Rig) -> None:
    async with Stage.on(rig, canary(rig.namespace)) as stage, stage.traffic() as traffic:
        await stage.deploy(NEW, image="sample/missing")
        await stage.weight(34)
        await stage.deploy("1.0.2")
        assert await stage.phase(*ENDED) == "Succeeded"
        await stage.ready()
        assert stage.versions[-3:] == [f"{OLD} {OLD} 1.0.2", f"{OLD} 1.0.2 1.0.2", "1.0.2 1.0.2 1.0.2"]
        assert [str(each) for each in traffic.lost] == []


@pytest.mark.long
async def test_what_mends_a_version_that_cant_start_any_more_takes_the_last_pod_that_serves_last(rig: Rig) -> None:
    """The version before has lost its configuration and its pods; the only one that serves is of a failed version."""
    old = stateful_set(rig.namespace, OLD)
    old["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": SETTINGS}}]
    await rig.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SETTINGS, "namespace": rig.namespace}}
    )
    made = canary(rig.namespace, {"webhooks": [hook("rollback", "/rollback/check")]}, progressDeadlineSeconds=8)
    async with Stage.on(rig, made, old) as stage, stage.traffic() as traffic:
        await rig.client.delete(CONFIG_MAP, rig.namespace, SETTINGS)
        await stage.deploy(NEW)
        await stage.serves(2, NEW)
        await rig.client.delete(POD, rig.namespace, PODS[0])
        await rig.client.delete(POD, rig.namespace, PODS[1])
        await stage.gate("rollback/open")
        await stage.phase("Failed")
        await stage.canary.until(
            lambda each: "waiting for all pods" in each["status"]["message"], within=READY_SECONDS, what="word of it"
        )
        await stage.gate("rollback/close")

        await stage.deploy("1.0.2")
        assert await stage.phase("Succeeded")
        await stage.ready()
        assert stage.versions[-4:] == [
            f"{OLD} {OLD} {NEW}",
            f"1.0.2 {OLD} {NEW}",
            f"1.0.2 1.0.2 {NEW}",
            "1.0.2 1.0.2 1.0.2",
        ]
        assert [str(each) for each in traffic.lost] == []


async def test_a_canary_that_goes_leaves_nothing_in_the_target(rig: Rig) -> None:
    """From then on Kubernetes updates all pods by itself, as it did before."""
    async with Stage.on(rig, canary(rig.namespace)) as stage, stage.traffic() as traffic:
        await rig.client.delete(CANARY, rig.namespace, NAME)
        await stage.canary.until(lambda each: not each, within=READY_SECONDS, what="end of the Canary")
        left = await rig.client.get(STATEFUL_SET, rig.namespace, NAME)
        assert partition_of(left) == 0
        assert {each["manager"] for each in left["metadata"]["managedFields"]} == {AUTHOR, "kube-controller-manager"}

        await stage.deploy(NEW)
        await stage.target.until(
            lambda each: each["status"].get("updatedReplicas") == len(PODS), within=60, what="pods"
        )
        assert [str(each) for each in traffic.lost] == []


async def test_a_controller_that_is_killed_goes_on_where_the_pods_are(killable: Rig) -> None:
    """On the way out and on the way back."""
    made = canary(killable.namespace, {"webhooks": [hook("rollback", "/rollback/check")]})
    async with Stage.on(killable, made) as stage, stage.traffic() as traffic:
        await stage.deploy(NEW)
        await stage.partition(1)
        await kill_and_start(killable)
        assert await stage.phase(*ENDED) == "Succeeded"
        assert stage.partitions == [0, NO_POD, 2, 1, 0, NO_POD]
        good = len(stage.versions)

        await stage.deploy("1.0.2")
        await stage.weight(67)
        await stage.gate("rollback/open")
        await stage.phase("Failed")
        await kill_and_start(killable)
        await stage.weight(0)
        await stage.ready()
        assert stage.since(good)[-2:] == [f"{NEW} {NEW} 1.0.2", f"{NEW} {NEW} {NEW}"]
        assert stage.fewest == len(PODS) - 1
        assert [str(each) for each in traffic.lost] == []
