"""What differs between what is deployed and what is promoted, what a rollout came to, and the way back."""

import json

from canary.kube.types import CANARY, DEPLOYMENT, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Rig, application, phase_of
from tests.cluster.test_command_line import NAME, Shell, made_in


def reading(namespace: str, version: str) -> Json:
    """The application, which reads a ConfigMap."""
    target = application(NAME, namespace, version, replicas=1)
    target["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    return target


def settings(namespace: str, value: str) -> Json:
    metadata = {"name": "settings", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"TIER": value}}


async def test_back_to_what_was_promoted_before(rig: Rig, cluster: Cluster) -> None:
    canary, here = Shell(cluster, rig.namespace), f"-n={rig.namespace}"
    made = made_in(rig.namespace)
    made["spec"] |= {"analysis": {"interval": "1s", "threshold": 1, "iterations": 1, "bake": "1s"}}
    await rig.apply(settings(rig.namespace, "one"))
    await rig.apply(reading(rig.namespace, "1.0.0"))
    async with rig.recording(CANARY, NAME) as seen:
        await rig.apply(made)
        await seen.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        first = seen.last["status"]["lastPromotedSpec"]
        code, said = await canary("diff", NAME, here)
        assert (code, said) == (0, "")

        await rig.apply(settings(rig.namespace, "two"))
        await rig.apply(reading(rig.namespace, "1.0.1"))
        await seen.until(lambda each: each["status"].get("reason") == "Succeeded", within=90, what="promotion")
        assert seen.last["status"]["lastPromotedSpec"] != first
        assert (await canary("diff", NAME, here))[0] == 0
        assert (await canary.data("report", NAME))["outcome"] == "Promoted"
        code, said = await canary("report", NAME, here, "-o=junit")
        assert (code, said.count("<testcase")) == (0, 1)

        code, said = await canary("undo", NAME, here, "--dry-run", "-o", "json", f"--to={first}")
        assert code == 0, said
        assert said.startswith("{"), said
        assert len(json.loads(said)["changes"]) == 2, said
        code, said = await canary("undo", NAME, here, f"--to={first}")
        assert code == 0, said
        await seen.until(
            lambda each: phase_of(each) == "Succeeded" and each["status"]["lastPromotedSpec"] == first,
            within=90,
            what="the way back",
        )
    target = await rig.client.get(DEPLOYMENT, rig.namespace, NAME)
    assert target["spec"]["template"]["spec"]["containers"][0]["image"] == "sample/web:1.0.0"
    assert (await canary("undo", NAME, here, f"--to={first}"))[0] == 1
