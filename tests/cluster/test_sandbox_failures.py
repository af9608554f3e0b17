"""A part that dies is named at once with the end of its log; parts that are stopped come back."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from canary.kube.client import KubeClient
from canary.kube.types import CONFIG_MAP, DEPLOYMENT, POD
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.process import PartFailed
from canary.sandbox.supervision import Guard

DOOMED = "import sys, time; print('the reason is here', flush=True); time.sleep(float(sys.argv[1])); sys.exit(3)"


@pytest.fixture
def bare_cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """The session's cluster without the guard that ends a test, and none the worse afterwards."""
    yield running_cluster
    running_cluster.watchers.failure = None


def doomed(seconds: float) -> list[str]:
    return [sys.executable, "-c", DOOMED, str(seconds)]


async def test_a_part_that_dies_at_its_start_is_named_with_its_log(bare_cluster: Cluster) -> None:
    with pytest.raises(PartFailed, match=r"doomed exited with status 3.*\n +the reason is here"):
        await bare_cluster.run("doomed", doomed(0), ready_url="http://10.0.0.9/")


async def test_a_part_that_dies_later_ends_what_waits_for_something_else(bare_cluster: Cluster) -> None:
    began = asyncio.get_running_loop().time()

    async def wait_for_something_else() -> None:
        async with Guard(bare_cluster.watchers):
            await bare_cluster.run("doomed", doomed(0.3))
            await asyncio.sleep(60)

    with pytest.raises(PartFailed, match="the reason is here"):
        await wait_for_something_else()
    assert asyncio.get_running_loop().time() - began < 10


async def test_a_part_that_is_killed_by_somebody_else_is_named(bare_cluster: Cluster) -> None:

    async def have_it_killed() -> None:
        async with Guard(bare_cluster.watchers):
            part = await bare_cluster.run("sleeper", ["sleep", "60"])
            os.kill(part.pid or 0, signal.SIGKILL)
            await asyncio.sleep(60)

    with pytest.raises(PartFailed, match="sleeper was ended by signal 9"):
        await have_it_killed()


async def test_a_part_that_is_told_to_end_has_not_failed(bare_cluster: Cluster) -> None:
    async with Guard(bare_cluster.watchers):
        part = await bare_cluster.run("sleeper", ["sleep", "60"])
        await part.stop()
        assert not part.running
        await part.start()
        part.kill()
        await asyncio.sleep(0.2)
    assert bare_cluster.failure is None


async def test_a_part_that_never_gets_ready_is_named(bare_cluster: Cluster) -> None:
    part = await bare_cluster.run("sleeper", ["sleep", "60"])
    part.ready = bare_cluster.parts["apiserver"].ready
    await part.wait_ready(5)

    async def never() -> bool:
        return False

    part.ready = never
    with pytest.raises(PartFailed, match=r"sleeper is not ready after 0\.1 s"):
        await part.wait_ready(0.1)
    part.kill()


async def test_an_unknown_program_is_named(bare_cluster: Cluster) -> None:
    with pytest.raises(PartFailed, match="ghost can't be started"):
        await bare_cluster.run("ghost", ["/none/ghost"])


async def test_everything_goes_on_after_the_api_server_was_away(cluster: Cluster, namespace: str) -> None:
    """State is kept, and pods, controllers and names follow again."""
    template = {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "web", "image": "sample/web:1"}], "terminationGracePeriodSeconds": 1},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    metadata = {"name": "shop", "namespace": namespace}

    async with KubeClient.connect(cluster.kubeconfig) as client:

        async def ready_pods() -> int:
            pods = (await client.list(POD, namespace))["items"]
            return sum(bool((p["status"].get("containerStatuses") or [{}])[0].get("ready")) for p in pods)

        await client.create(DEPLOYMENT, {"metadata": metadata, "spec": spec})
        await client.create(CONFIG_MAP, {"metadata": metadata, "data": {"a": "1"}})
        await eventually(ready_pods, lambda count: count == 1, within=20)
        await cluster.parts["apiserver"].stop()
        await cluster.parts["apiserver"].start()
        assert (await client.get(CONFIG_MAP, namespace, "shop"))["data"] == {"a": "1"}
        await client.scale(DEPLOYMENT, namespace, "shop", 3)
        await eventually(ready_pods, lambda count: count == 3, within=40)
