"""`make bench`: 100 settled Canaries at a 10 s interval, and what the controller costs and how quick it is.

Pods are empty and become ready after half a second; API server, controllers of Kubernetes and Prometheus are real.
"""

import argparse
import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bench.audit import requests, table
from bench.process import cpu_seconds, memory_mib
from bench.quality import QUERY, TARGET, Quality
from canary.kube.client import KubeClient
from canary.kube.store import Change
from canary.kube.types import CANARY, TRAEFIK_SERVICE, Json
from canary.kube.watch import WatchCache
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import CONTROLLER_PORT, Rig, application, phase_of, weight_of
from canary.sandbox.options import CONTROLLER, Options
from canary.sandbox.prometheus import Scraping

ROOT = Path(__file__).parents[1]
NAMESPACE = "test"
INTERVAL = 10.0
STEPS = 5
READY = 0.5
ENDED = {"Succeeded", "Failed"}


@dataclass(slots=True)
class Log:
    """When each Canary entered each phase, and each route each weight: loop time, in seconds."""

    phases: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    weights: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def canary(self, change: Change[Json]) -> None:
        """Take in a change of a Canary."""
        entries = self.phases.setdefault(change.key.name, [])
        phase = phase_of(change.new or {})
        if not entries or entries[-1][1] != phase:
            entries.append((asyncio.get_running_loop().time(), phase))
            self.news.set()

    def route(self, change: Change[Json]) -> None:
        """Take in a change of a TraefikService."""
        entries = self.weights.setdefault(change.key.name, [])
        weight = weight_of(change.new or {})
        if weight is not None and (not entries or entries[-1][1] != weight):
            entries.append((asyncio.get_running_loop().time(), weight))

    def phase(self, name: str) -> str:
        """The phase that a Canary is in."""
        entries = self.phases.get(name)
        return entries[-1][1] if entries else ""

    async def all_in(self, names: Sequence[str], phases: set[str], within: float) -> None:
        """Wait until every one of these is in one of the phases."""
        async with asyncio.timeout(within):
            while not all(self.phase(name) in phases for name in names):
                self.news.clear()
                await self.news.wait()

    def entered(self, name: str, phases: set[str], since: float) -> float:
        """When a Canary first entered one of the phases after a time."""
        return next(at for at, phase in self.phases[name] if at >= since and phase in phases)


def canary(name: str) -> Json:
    """A Canary with five steps and two metrics."""
    query = QUERY.format(app=name)
    metrics = [
        {"name": "errors", "query": query, "thresholdRange": {"max": 1}, "interval": "10s"},
        {"name": "latency", "query": f"{query} * 10", "thresholdRange": {"max": 10}, "interval": "10s"},
    ]
    analysis = {"interval": "10s", "threshold": 1, "stepWeight": 10, "maxWeight": 50, "metrics": metrics}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "provider": "traefik",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 9898},
            "analysis": analysis,
        },
    }


@dataclass(frozen=True, slots=True)
class Bench:
    """A cluster with settled Canaries and the controller under test."""

    rig: Rig
    log: Log
    quality: Quality
    names: tuple[str, ...]

    @property
    def pid(self) -> int:
        """The controller's process."""
        pid = self.rig.cluster.parts["controller"].pid
        if pid is None:
            raise RuntimeError("the controller is gone")
        return pid

    async def passes(self) -> float:
        """How many times the controller has looked at a Canary."""
        url = f"http://{addresses.TOOLS}:{CONTROLLER_PORT}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            families = text_string_to_metric_families(await answer.text())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "canary_controller_reconcile_total"
        )

    async def idle(self, seconds: float) -> None:
        """What settled Canaries cost."""
        since, cpu = datetime.now(UTC), cpu_seconds(self.pid)
        await asyncio.sleep(seconds)
        asked = requests(self.rig.cluster.audit_log, CONTROLLER, since, datetime.now(UTC))
        work = [each for each in asked if each.counts]
        minutes = seconds / 60
        print(f"idle: {len(work) / minutes:.1f} API requests a minute (target 0) [{table(work) or 'none'}],", end=" ")
        print(f"{(cpu_seconds(self.pid) - cpu) / minutes:.2f} CPU s a minute, {memory_mib(self.pid):.0f} MiB")

    async def rollouts(self) -> None:
        """Change every image in turn, and let all of them be promoted."""
        loop = asyncio.get_running_loop()
        since, cpu, begun = datetime.now(UTC), cpu_seconds(self.pid), {}
        passes = await self.passes()
        for name in self.names:
            await self.rig.apply(application(name, NAMESPACE, "2.0.0"))
            begun[name] = loop.time()
            await asyncio.sleep(0.25)
        await self.log.all_in(self.names, ENDED, within=240)
        noticed = [self.log.entered(name, {"Progressing"}, begun[name] - 1) - begun[name] for name in self.names]
        took = [self.log.entered(name, ENDED, begun[name]) - begun[name] for name in self.names]
        await asyncio.sleep(2)
        asked = [
            each for each in requests(self.rig.cluster.audit_log, CONTROLLER, since, datetime.now(UTC)) if each.counts
        ]
        count = len(self.names)
        pods = [self._pods_took(name, begun[name] - 1) for name in self.names]
        ratios = [seconds / (STEPS * INTERVAL + wait) for seconds, wait in zip(took, pods, strict=True)]
        print(f"change to Progressing: {quantiles(noticed)} (target p50 0.05 s, p99 0.15 s)")
        print(f"rollout: {quantiles(took)}; pods took {statistics.median(pods):.2f} s of it;", end=" ")
        print(f"p50 {statistics.median(ratios):.3f} of steps x interval + pods (target 1.05)")
        print(f"each rollout: {len(asked) / count:.1f} API requests (target 40),", end=" ")
        print(f"{(cpu_seconds(self.pid) - cpu) / count:.3f} CPU s (target 0.09); {table(asked)}")
        print(f"each rollout: {(await self.passes() - passes) / count:.1f} passes over its Canary")
        first = self.names[0]
        steps = [*self.log.phases[first], *self.log.weights[first]]
        told = [f"{what} at {at - begun[first]:.2f}" for at, what in sorted(steps) if at >= begun[first]]
        print(f"{first}: {', '.join(told)}")
        ended = [self.log.phase(name) for name in self.names]
        print(f"ended: {ended.count('Succeeded')} Succeeded, {ended.count('Failed')} Failed")

    def _pods_took(self, name: str, since: float) -> float:
        """Seconds from new pods asked for to new pods ready, of the canary and of the primary."""
        first = next(at for at, weight in self.log.weights[name] if at >= since and weight > 0)
        began, promoting = (self.log.entered(name, {phase}, since) for phase in ("Progressing", "Promoting"))
        back = next(at for at, weight in self.log.weights[name] if at >= promoting and weight == 0)
        return first - began + back - promoting

    async def turn_bad(self, count: int) -> None:
        """A metric that turns bad in mid-rollout: from the look that is due to weight 0."""
        loop = asyncio.get_running_loop()
        names = self.names[:count]
        since = loop.time()
        for name in names:
            await self.rig.apply(application(name, NAMESPACE, "3.0.0"))
            await asyncio.sleep(0.3)
        await asyncio.sleep(INTERVAL * 1.3)
        for name in names:
            self.quality.errors[name] = 5
        await self.log.all_in(names, {"Failed"}, within=60)
        late = []
        for name in names:
            weights = [(at, weight) for at, weight in self.log.weights[name] if at >= since and weight >= 0]
            zero = next(at for at, weight in weights if weight == 0)
            last = max(at for at, weight in weights if at < zero)
            looks = round((zero - last) / INTERVAL)
            late.append(zero - last - looks * INTERVAL)
        print(f"bad metric: weight 0 {quantiles(late)} after the look was due (target 0.2 s)")


def quantiles(values: Sequence[float]) -> str:
    """Median, 99th percentile and greatest of some seconds."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.3f} s, p99 {p99:.3f} s, max {ordered[-1]:.3f} s"


async def prepare(rig: Rig, log: Log, quality: Quality, count: int) -> Bench:
    """Stand up the applications and their Canaries, and wait until they are settled."""
    await rig.install(*sorted((ROOT / "crds").glob("[!k]*.yaml")))
    await rig.start_controller("--enable-leader-election=true", "--leader-election-namespace=default")
    names = tuple(f"app-{number:03}" for number in range(count))
    for name in names:
        quality.errors[name] = 0
        await rig.apply(application(name, NAMESPACE, "1.0.0"))
        await rig.client.create(CANARY, canary(name))
    await log.all_in(names, {"Initialized"}, within=120)
    await asyncio.sleep(5)
    return Bench(rig, log, quality, names)


async def run(count: int, idle: float) -> None:
    """The whole benchmark."""
    options = Options(
        namespaces=(NAMESPACE,),
        users={CONTROLLER: ("system:masters",)},
        audited=(CONTROLLER,),
        fake_delay=READY,
        scraping=Scraping(interval="1s", targets={"bench": [TARGET]}),
    )
    log = Log()
    async with (
        Cluster(options) as cluster,
        Quality() as quality,
        KubeClient.connect(cluster.kubeconfig) as client,
        asyncio.TaskGroup() as watching,
    ):
        rig = Rig(cluster, client, NAMESPACE)
        await rig.install(*sorted((ROOT / "crds").glob("[!k]*.yaml")))
        tasks = []
        for resource, handler in ((CANARY, log.canary), (TRAEFIK_SERVICE, log.route)):
            cache = WatchCache(client, resource)
            cache.subscribe(handler)
            tasks.append(watching.create_task(cache.run()))
        print(f"{count} Canaries at a {INTERVAL:g} s interval, {STEPS} steps, 2 metrics, pods ready after {READY} s")
        bench = await prepare(rig, log, quality, count)
        await bench.idle(idle)
        await bench.rollouts()
        await bench.turn_bad(min(20, count))
        print(f"memory: {memory_mib(bench.pid):.0f} MiB now, {memory_mib(bench.pid, 'VmHWM'):.0f} MiB at most", end=" ")
        print("(target 120 MiB)")
        for task in tasks:
            task.cancel()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--canaries", type=int, default=100)
    parser.add_argument("--idle", type=float, default=60, help="seconds to watch settled Canaries for")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.canaries, arguments.idle))


if __name__ == "__main__":
    main()
