"""Autoscalers on a real API server: Kubernetes' own with its real controller, KEDA's by its definition."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from canary.kube.types import CANARY, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Json, Resource
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Recording, Rig, application, phase_of
from canary.workloads.autoscalers import PAUSE, STAY

KEDA = Path(__file__).parent / "schemas/keda-scaledobject.json"
NAME, PRIMARY = "app", "app-primary"
AT_ONCE = 3.0
CONTROLLERS_SECONDS = 40.0
"""The autoscaler's own controller looks every 15 s."""


@dataclass(frozen=True, slots=True)
class Stage:
    """An application with an autoscaler, and what became of each object."""

    rig: Rig
    canary: Recording
    target: Recording
    primary: Recording
    copy: Recording
    resource: Resource

    async def phase(self, wanted: str) -> None:
        await self.canary.until(lambda each: phase_of(each) == wanted, within=60, what=wanted)

    async def edit(self, patch: Json) -> None:
        await self.rig.client.merge_patch(self.resource, self.rig.namespace, NAME, patch)

    async def original(self) -> Json:
        return await self.rig.client.get(self.resource, self.rig.namespace, NAME)

    async def roll_out(self, version: str) -> None:
        await self.rig.apply(without_replicas(application(NAME, self.rig.namespace, version)))
        await self.phase("Progressing")


def without_replicas(deployment: Json) -> Json:
    """As it is written where an autoscaler decides."""
    spec = {key: value for key, value in deployment["spec"].items() if key != "replicas"}
    return {**deployment, "spec": spec}


def scaler(rig: Rig, resource: Resource, spec: Json) -> Json:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": NAME, "namespace": rig.namespace, "labels": {"team": "blue", "tier": "gold"}},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}, **spec},
    }


async def set_up(rig: Rig, resource: Resource, spec: Json, analysis: Json, ref: Json) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    document = {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": NAME, "namespace": rig.namespace},
        "spec": {
            "targetRef": target,
            "autoscalerRef": {"apiVersion": resource.api_version, "kind": resource.kind, "name": NAME, **ref},
            "service": {"port": 9898},
            "analysis": analysis,
        },
    }
    await rig.apply(without_replicas(application(NAME, rig.namespace, "1.0.0")))
    await rig.apply(scaler(rig, resource, spec))
    await rig.apply(document)


@asynccontextmanager
async def staged(rig: Rig, resource: Resource, spec: Json, *, analysis: Json, **ref: Any) -> AsyncIterator[Stage]:
    """The application behind its Canary, whose primary serves."""
    async with (
        rig.recording(CANARY, NAME) as canary,
        rig.recording(DEPLOYMENT, NAME) as target,
        rig.recording(DEPLOYMENT, PRIMARY) as primary,
        rig.recording(resource, PRIMARY) as copy,
    ):
        await set_up(rig, resource, spec, analysis, ref)
        stage = Stage(rig, canary, target, primary, copy, resource)
        await stage.phase("Initialized")
        yield stage


CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
SLOW = {"interval": "5s", "threshold": 1, "iterations": 3}
QUICK = {"interval": "1s", "threshold": 1, "iterations": 1}


def wants(least: int) -> Any:
    return lambda each: each.get("spec", {}).get("minReplicas") == least


def pods(count: int) -> Any:
    return lambda each: each.get("spec", {}).get("replicas") == count


@pytest.fixture
def hpa() -> Json:
    return {"minReplicas": 2, "maxReplicas": 6, "metrics": [CPU], "behavior": {"scaleUp": {"selectPolicy": "Max"}}}


async def test_an_hpa_is_copied_for_the_primary_and_rests_with_its_target(rig: Rig, hpa: Json) -> None:
    async with staged(rig, HORIZONTAL_POD_AUTOSCALER, hpa, analysis=QUICK) as stage:
        copy = stage.copy.last
        assert copy["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": PRIMARY}
        assert (copy["spec"]["maxReplicas"], copy["spec"]["metrics"]) == (6, [CPU])
        assert [owner["kind"] for owner in copy["metadata"]["ownerReferences"]] == ["Canary"]

        await stage.primary.until(pods(2), within=CONTROLLERS_SECONDS, what="the copy's least by its own controller")

        async def resting() -> list[str]:
            conditions = (await stage.original()).get("status", {}).get("conditions", [])
            return [each["reason"] for each in conditions if each["type"] == "ScalingActive"]

        await eventually(resting, lambda reasons: reasons == ["ScalingDisabled"], within=CONTROLLERS_SECONDS)
        assert stage.target.last["spec"]["replicas"] == 0


async def test_edits_of_an_hpa_reach_the_primary_at_once_and_what_is_taken_out_goes(rig: Rig, hpa: Json) -> None:
    async with staged(rig, HORIZONTAL_POD_AUTOSCALER, hpa, analysis=QUICK) as stage:
        # The floor of the first minutes is lower than what is asked for here.
        await stage.edit({"spec": {"minReplicas": 4}})
        await stage.copy.until(wants(4), within=AT_ONCE, what="the edit")
        await stage.primary.until(pods(4), within=CONTROLLERS_SECONDS, what="pods")

        await stage.edit({"spec": {"behavior": None}, "metadata": {"labels": {"tier": None}}})
        await stage.copy.until(
            lambda each: each["metadata"]["labels"] == {"team": "blue"} and "behavior" not in each["spec"],
            within=AT_ONCE,
            what="copy without what was taken out",
        )
        assert stage.primary.last["spec"]["replicas"] == 4, "its pods are the autoscaler's to count"


async def test_no_pod_is_taken_from_the_primary_while_a_rollout_runs(rig: Rig, hpa: Json) -> None:
    async with staged(rig, HORIZONTAL_POD_AUTOSCALER, {**hpa, "minReplicas": 3}, analysis=SLOW) as stage:
        await stage.primary.until(pods(3), within=CONTROLLERS_SECONDS, what="pods")
        before = len(stage.target.moments)
        await stage.roll_out("1.0.1")
        await stage.edit({"spec": {"minReplicas": 1, "maxReplicas": 2}})
        await stage.phase("Succeeded")

        assert next(count for count in replicas(stage.target, before) if count) == 3, "its autoscaler's least"
        floors = [moment.value["spec"] for moment in stage.copy.moments if moment.value]
        assert [spec["minReplicas"] for spec in floors][-1] == 3
        assert all(spec["minReplicas"] <= spec["maxReplicas"] for spec in floors)
        assert set(replicas(stage.primary, 0)[-3:]) == {3}
        assert stage.canary.last["status"]["primaryReplicas"] == 3, "for some minutes more"


def replicas(recording: Recording, since: int) -> list[int]:
    return [moment.value["spec"]["replicas"] for moment in recording.moments[since:] if moment.value]


TRIGGER = {
    "type": "prometheus",
    "name": "rate",
    "metadata": {"serverAddress": "http://prometheus:9090", "query": 'rate{app="app"}', "threshold": "5"},
}


async def test_a_scaled_object_is_paused_at_rest_and_held_while_its_canary_is_judged(rig: Rig) -> None:
    await rig.install(KEDA)
    spec = {"triggers": [TRIGGER, {"type": "cpu", "metadata": {"value": "60"}}]}
    queries = {"primaryScalerQueries": {"rate": "rate_of_primary"}}
    async with staged(rig, SCALED_OBJECT, spec, analysis=SLOW, **queries) as stage:

        async def annotations() -> Json:
            return {key: (await stage.original())["metadata"]["annotations"].get(key) for key in (PAUSE, STAY)}

        assert await annotations() == {PAUSE: "0", STAY: None}
        copy = stage.copy.last
        assert copy["spec"]["scaleTargetRef"]["name"] == PRIMARY
        assert copy["spec"]["triggers"][0]["metadata"]["query"] == "rate_of_primary"
        assert PAUSE not in copy["metadata"]["annotations"]
        assert (copy["spec"]["minReplicaCount"], copy["spec"]["maxReplicaCount"]) == (1, 100)

        await stage.roll_out("1.0.1")
        await eventually(annotations, lambda found: found == {PAUSE: None, STAY: "true"}, within=AT_ONCE)
        await stage.phase("Succeeded")
        await eventually(annotations, lambda found: found == {PAUSE: "0", STAY: None}, within=AT_ONCE)
        await stage.target.until(pods(0), within=AT_ONCE, what="a target without pods")


async def test_what_keda_writes_on_the_copy_is_left_alone(rig: Rig) -> None:
    """KEDA labels each ScaledObject with its own name, the original too."""
    await rig.install(KEDA)
    label = "scaledobject.keda.sh/name"
    async with staged(rig, SCALED_OBJECT, {"triggers": [TRIGGER]}, analysis=QUICK) as stage:
        for name in (NAME, PRIMARY):
            patch = {"metadata": {"labels": {label: name}}}
            labelled = await rig.client.merge_patch(SCALED_OBJECT, rig.namespace, name, patch)
        await stage.edit({"spec": {"pollingInterval": 7}})
        edited = await stage.copy.until(
            lambda each: each["spec"].get("pollingInterval") == 7, within=AT_ONCE, what="an edit beside it"
        )
        assert edited.value is not None
        assert edited.value["metadata"]["labels"] == labelled["metadata"]["labels"]
        await asyncio.sleep(1)
        version = stage.copy.last["metadata"]["resourceVersion"]
        assert version == edited.value["metadata"]["resourceVersion"], "nobody fights over it"


async def test_a_scaled_object_is_as_it_was_once_its_canary_has_gone(rig: Rig) -> None:
    await rig.install(KEDA)
    async with staged(rig, SCALED_OBJECT, {"triggers": [TRIGGER]}, analysis=QUICK) as stage:
        await rig.client.delete(CANARY, rig.namespace, NAME)
        await stage.canary.until(lambda each: not each, within=60, what="end of the Canary")
        left = (await stage.original())["metadata"]
        assert left.get("annotations") in (None, {})
        assert stage.target.last["spec"]["replicas"] == 1
        await stage.copy.until(lambda each: not each, within=30, what="end of the copy")


async def test_a_query_for_no_trigger_is_refused_by_name(rig: Rig) -> None:
    await rig.install(KEDA)
    await set_up(rig, SCALED_OBJECT, {"triggers": [TRIGGER]}, QUICK, {"primaryScalerQueries": {"lag": "x"}})
    (told,) = await eventually(lambda: rig.events(NAME), bool)
    assert told.startswith("spec.autoscalerRef.primaryScalerQueries: ScaledObject app has no trigger named lag")
