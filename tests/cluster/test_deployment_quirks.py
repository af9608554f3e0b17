"""What Deployments of Kubernetes 1.36 do otherwise than one would expect, and the controller keeps from users."""

import asyncio

from canary.kube.client import KubeClient
from canary.kube.types import DEPLOYMENT, Json, items, mapping
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.workloads.deployment import Deployment
from tests.tools.two_versions import create, deployment

DEADLINE = 2
"""Seconds."""


def unready(name: str, replicas: int, version: str = "1") -> Json:
    made = deployment(name, version)
    made["spec"] |= {"replicas": replicas, "progressDeadlineSeconds": DEADLINE}
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"]["httpGet"]["path"] = "/status/503"
    return made


async def test_one_that_is_scaled_up_from_nothing_never_gives_up(cluster: Cluster, namespace: str) -> None:
    """So a canary's pods have until the Canary's own `progressDeadlineSeconds`, whatever the Deployment tells."""
    async with KubeClient.connect(cluster.kubeconfig) as api:

        async def found(name: str) -> Json:
            return await api.get(DEPLOYMENT, namespace, name)

        async def told(name: str) -> tuple[str, str]:
            conditions = items(mapping((await found(name)).get("status")).get("conditions"))
            each = {str(item["type"]): item for item in conditions}.get("Progressing", {})
            return str(each.get("status", "")), str(each.get("reason", ""))

        await create(api, DEPLOYMENT, namespace, unready("at-once", 2))
        await create(api, DEPLOYMENT, namespace, unready("later", 0))
        there, given_up = ("True", "NewReplicaSetAvailable"), ("False", "ProgressDeadlineExceeded")
        await eventually(lambda: told("later"), lambda seen: seen == there, within=60)
        await api.merge_patch(DEPLOYMENT, namespace, "later", {"spec": {"replicas": 2}})

        async def pods() -> object:
            return mapping((await found("later")).get("status")).get("replicas")

        await eventually(pods, lambda seen: seen == 2, within=60)
        await eventually(lambda: told("at-once"), lambda seen: seen == given_up, within=60)
        await asyncio.sleep(2 * DEADLINE)
        assert await told("later") == there
        readiness = Deployment().readiness(await found("later"))
        assert (readiness.ready, readiness.stalled) == (0, "")
