"""What all parts of the benchmark stand on: a cluster with Canaries."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.lane import ROOT, Lane
from bench.log import Log, keeping
from bench.quality import QUERY, TARGET, Quality
from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import AUTHOR, Rig, application
from canary.sandbox.options import Options
from canary.sandbox.prometheus import Scraping

INTERVAL = 10.0
STEPS = 5
READY = 0.5
"""Seconds after which pods, which are empty, are ready."""
ENDED = {"Succeeded", "Failed"}
SETTLED = {"Initialized", *ENDED}
_AT_ONCE = 20


def canary(name: str, namespace: str, *, checked: bool = True) -> Json:
    """A Canary with five steps and two metrics, or one that is promoted without any."""
    query = QUERY.format(app=name)
    metrics = [
        {"name": "errors", "query": query, "thresholdRange": {"max": 1}, "interval": "10s"},
        {"name": "latency", "query": f"{query} * 10", "thresholdRange": {"max": 10}, "interval": "10s"},
    ]
    analysis = {"interval": "10s", "threshold": 1, "stepWeight": 10, "maxWeight": 50, "metrics": metrics}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "provider": "traefik",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 9898},
            "skipAnalysis": not checked,
            "analysis": analysis,
        },
    }


@dataclass(frozen=True, slots=True)
class Setting:
    """A cluster in which a benchmark takes place."""

    rig: Rig
    log: Log
    quality: Quality

    async def deploy(self, lane: Lane, name: str, version: str, *, replicas: int = 2) -> None:
        """Apply an application, as its author."""
        await self.rig.apply(application(name, lane.namespace, version, replicas=replicas))

    async def create(self, lane: Lane, name: str, *, checked: bool = True) -> None:
        """Create a Canary."""
        self.quality.errors[name] = 0
        await self.rig.client.create(CANARY, canary(name, lane.namespace, checked=checked))

    async def settle(self, lane: Lane, names: Sequence[str], *, replicas: int = 2, checked: bool = True) -> None:
        """Stand up applications and their Canaries, and wait until they are settled."""
        await together(self.deploy(lane, name, "1.0.0", replicas=replicas) for name in names)
        await together(self.create(lane, name, checked=checked) for name in names)
        await self.log.all_in(names, SETTLED, within=120 + len(names))


async def together(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all of these, some at a time."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(each: Coroutine[None, None, None]) -> None:
        async with limit:
            await each

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


@asynccontextmanager
async def setting(lanes: Sequence[Lane], *, prometheus: bool = True) -> AsyncIterator[Setting]:
    """A cluster with a namespace for each lane, and this checkout's CRDs."""
    options = Options(
        namespaces=tuple(lane.namespace for lane in lanes),
        users={lane.user: ("system:masters",) for lane in lanes},
        audited=tuple(lane.user for lane in lanes),
        fake_delay=READY,
        prometheus=prometheus,
        scraping=Scraping(interval="1s", targets={"bench": [TARGET]}),
    )
    async with (
        Cluster(options) as cluster,
        Quality() as quality,
        KubeClient.connect(cluster.kubeconfig, user_agent=AUTHOR) as client,
        keeping(client) as log,
    ):
        rig = Rig(cluster, client, lanes[0].namespace)
        await rig.install(*sorted((ROOT / "crds").glob("[!k]*.yaml")))
        yield Setting(rig, log, quality)
