"""`kubectl wait`, on the statuses of every phase as a real API server stores them."""

import asyncio
from datetime import timedelta
from pathlib import Path

from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json
from canary.rollout.simulation import SafeWorld
from canary.sandbox.cluster import Cluster
from tests.cluster.test_command_line import made_in
from tests.tools.health import argo, kstatus
from tests.unit.rollout.conftest import _canary, _story
from tests.unit.rollout.test_kstatus import CELLS


def statuses() -> dict[str, Json]:
    """A status of each phase, and of each way to be stalled."""
    found = {}
    for name, (analysis, changes, fields, at, _) in CELLS.items():
        world = SafeWorld(_story(_canary(**analysis), *changes, **fields))
        found[name.replace(" ", "-").replace("'", "")] = world.run(timedelta(seconds=at)).status.to_json()
    return found


async def stored(client: KubeClient, namespace: str, name: str, status: Json) -> Json:
    """A Canary with this status, which speaks of its spec."""
    made = made_in(namespace)
    made["metadata"]["name"] = name
    made["spec"]["targetRef"]["name"] = name
    generation = (await client.create(CANARY, made))["metadata"]["generation"]
    patch = {"status": {**status, "observedGeneration": generation}}
    return await client.merge_patch(CANARY, namespace, name, patch, subresource="status")


async def is_so(cluster: Cluster, namespace: str, name: str, condition: str) -> bool:
    """Whether `kubectl wait` finds a condition met."""
    words = ("wait", f"canary/{name}", f"--for=condition={condition}", "--timeout=0s", "-n", namespace)
    process = await asyncio.create_subprocess_exec(
        *("kubectl", *words),
        env=cluster.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 0 or b"timed out" in said or b"condition not met" in said, said
    return process.returncode == 0


async def test_ready_is_met_at_rest_and_stalled_where_it_can_not_go_on(
    cluster: Cluster, namespace: str, installation: Path
) -> None:
    await cluster.apply(installation)
    async with KubeClient.connect(cluster.kubeconfig) as client:
        for name, status in statuses().items():
            canary = await stored(client, namespace, name, status)
            said = kstatus(canary)
            seen = [await is_so(cluster, namespace, name, each) for each in ("Ready", "Stalled")]
            assert seen == [said == "Current", said == "Failed"], (name, said)
            assert argo(canary).status in ("Healthy", "Progressing", "Degraded", "Unknown")

        # What is said of the spec before is no word of this one.
        rests = await client.get(CANARY, namespace, "has-succeeded")
        assert kstatus(rests) == "Current"
        edited = await client.merge_patch(CANARY, namespace, "has-succeeded", {"spec": {"suspend": True}})
        assert kstatus(edited) == "InProgress"
        assert not await is_so(cluster, namespace, "has-succeeded", "Ready")
