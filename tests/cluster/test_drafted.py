"""From a Deployment that runs, or from a Rollout, to a Canary that the API server takes and that works."""

from pathlib import Path

import yaml

from canary.api.canary import parse_canary
from canary.kube.types import CANARY, Json, resource_of
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Rig, application, phase_of
from tests.cluster.test_command_line import Shell
from tests.unit.cli.argo import metric, named, rollout, template, weighted, written

NAME = "shop"


def service_in(namespace: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"selector": {"app": NAME}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def autoscaler_in(namespace: str) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3},
    }


async def test_what_is_drafted_and_applied_gets_initialized(rig: Rig, cluster: Cluster) -> None:
    canary, here = Shell(cluster, rig.namespace), f"-n={rig.namespace}"
    assert await canary("init", NAME, here) == (1, f'canary init: deployments.apps "{NAME}" not found\n')
    for each in (application(NAME, rig.namespace, "1.0.0"), service_in(rig.namespace), autoscaler_in(rig.namespace)):
        await rig.apply(each)
    code, said = await canary("init", NAME, here)
    assert code == 0, said
    drafted = parse_canary(yaml.safe_load(said))
    assert drafted.spec.autoscaler_ref is not None
    assert drafted.spec.service.target_port == "http"
    assert (await rig.client.list(CANARY, rig.namespace))["items"] == []

    async with rig.recording(CANARY, NAME) as seen:
        code, said = await canary("init", NAME, here, "--apply")
        assert code == 0, said
        await seen.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
    assert not [
        each for each in seen.last["status"]["conditions"] if (each["type"], each["status"]) == ("Stalled", "True")
    ]
    assert (await canary("init", NAME, here))[0] == 1


async def test_what_is_converted_is_taken(rig: Rig, cluster: Cluster, tmp_path: Path) -> None:
    """Each kind of step and strategy, with what it needs."""
    gated = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": "1h"}}]
    job = {"job": {"spec": {"template": {"spec": {"containers": [{"name": "t", "image": "t:1"}]}}}}}
    checks = template(metric(interval="1m", failureLimit=2, initialDelay="30s"), metric("test", provider=job))
    blue_green = {"activeService": "shop", "postPromotionAnalysis": named("checks"), "autoPromotionEnabled": False}
    for index, strategy in enumerate(
        (
            weighted(analysis=named("checks"), steps=gated),
            {"canary": {"steps": gated, "maxSurge": 1}},
            {"blueGreen": blue_green},
        )
    ):
        made = rollout(strategy, progressDeadlineSeconds=300)
        made["metadata"] = {"name": f"shop-{index}", "namespace": rig.namespace}
        here = {**checks, "metadata": {"name": "checks", "namespace": rig.namespace}}
        _, said = await Shell(cluster, rig.namespace)("convert", written(tmp_path, made, here), "-o", "json")
        found = yaml.safe_load(said)
        assert found["refused"] == []
        for each in found["objects"]:
            stored = await rig.client.apply(resource_of(each), each)
            assert stored["spec"].keys() >= each["spec"].keys()
