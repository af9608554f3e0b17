"""A hub of many members: how soon the status of its fleet says what a member says, and what the hub costs.

The hub is a process of its own, and its API server real; the members are simulated. A change is the message of a
Canary that is being rolled out; it is seen where a watch of the CanaryFleet says so, so that the API server's own time
is in it, and the benchmark's.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.audit import counted, requests
from bench.figures import Figures
from bench.lane import ROOT
from bench.members import SimulatedMember, SimulatedMembers, asked_of
from bench.process import cpu_seconds, memory_mib
from bench.setting import together
from canary.kube.client import KubeClient
from canary.kube.store import Change
from canary.kube.types import CANARY_FLEET, SECRET, Json
from canary.kube.watch import WatchCache
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import AUTHOR, Rig
from canary.sandbox.options import Options

LABEL = "this"
NAMESPACE = "bench"
USER = "bench-hub"
PORT = 10_090
EVERY = 0.1
"""Seconds between two changes, where one comes after the other."""
AT_ONCE = 5
"""How often all members change at once."""
SLOW = 3.0
"""Seconds that a slow member takes for each answer and event."""
WITHIN = 60.0
"""Seconds after which a change that is not seen is given up, and the benchmark with it."""
REST = 15.0
"""Seconds until nothing that has happened is to be told any more."""


@dataclass(slots=True)
class Seen:
    """When the fleet's status first said something of a member.

    Attributes:
        times: loop times in seconds, by member and message.
        members: what it says of each member now.
        writes: how often it has changed.
    """

    times: dict[tuple[str, str], float] = field(default_factory=dict)
    members: dict[str, Json] = field(default_factory=dict)
    writes: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, change: Change[Json]) -> None:
        """Take in a change of the fleet."""
        now = asyncio.get_running_loop().time()
        self.members = {each["name"]: each for each in ((change.new or {}).get("status") or {}).get("members", ())}
        for name, member in self.members.items():
            self.times.setdefault((name, member.get("message", "")), now)
        self.writes += 1
        self.news.set()

    async def until_said(self, said: Sequence[tuple[str, str]]) -> None:
        """Wait until all of this was said at some time.

        Raises:
            TimeoutError: it was not in time.
        """
        async with asyncio.timeout(WITHIN):
            while any(each not in self.times for each in said):
                self.news.clear()
                await self.news.wait()


@dataclass(frozen=True, slots=True)
class Stage:
    """The hub at work, with its members, and what is seen of it."""

    cluster: Cluster
    client: KubeClient
    members: Sequence[SimulatedMember]
    seen: Seen

    @property
    def pid(self) -> int:
        """The hub's process.

        Raises:
            RuntimeError: it is gone.
        """
        pid = self.cluster.parts["hub"].pid
        if pid is None:
            msg = "the hub is gone"
            raise RuntimeError(msg)
        return pid

    async def changes(self, members: Sequence[SimulatedMember], words: str, every: float) -> list[float]:
        """Change members, one after the other or at once; the seconds until the status says so, of each."""
        loop, sent = asyncio.get_running_loop(), dict[tuple[str, str], float]()
        for each in members:
            sent[each.name, words] = loop.time()
            await each.says(phase="Progressing", message=words)
            if every:
                await asyncio.sleep(every)
        await self.seen.until_said([*sent])
        return [self.seen.times[each] - at for each, at in sent.items()]

    async def rounds(self, figures: Figures, members: Sequence[SimulatedMember], when: str) -> None:
        """Measure both ways to change them."""
        cpu, writes = cpu_seconds(self.pid), self.seen.writes
        took = await self.changes(members, f"{when}, one by one", EVERY)
        figures.quantiles(f"{when}: s until seen, one by one", LABEL, took)
        took = []
        for number in range(AT_ONCE):
            took += await self.changes(members, f"{when}, all at once, {number}", 0)
        figures.quantiles(f"{when}: s until seen, all at once", LABEL, took)
        figures.add("silent: CPU ms of the hub, a write of the status", LABEL, self._cost(cpu, writes))

    def _cost(self, cpu: float, writes: int) -> float:
        return 1000 * (cpu_seconds(self.pid) - cpu) / max(1, self.seen.writes - writes)

    async def edit(self, threshold: int) -> None:
        """Edit the template, so that there is something to write into each member."""
        patch: Json = {"spec": {"template": {"spec": {"analysis": {"threshold": threshold}}}}}
        await self.client.merge_patch(CANARY_FLEET, NAMESPACE, "shop", patch)

    async def until_written(self, members: Sequence[SimulatedMember], threshold: int) -> float:
        """Wait until members have what is to be written into them; the seconds.

        Raises:
            TimeoutError: they do not in time.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(2 * WITHIN):
            for each in members:
                await each.until(lambda canary: _threshold(canary) == threshold)
        return loop.time() - began


async def hub(figures: Figures, count: int, idle: float) -> None:
    """Measure a hub.

    Args:
        figures: take the numbers.
        count: how many members, at least 3.
        idle: seconds to watch it for while all roll out and say nothing.

    Raises:
        TimeoutError: the status never said what it should.
    """
    async with _stage(count) as stage:
        members = stage.members
        figures.add("start: s until each member has its Canary", LABEL, await stage.until_written(members, 1))
        await stage.changes(members, "first", 0)
        await stage.rounds(figures, members, "all well")
        members[0].lag, members[1].lag = None, SLOW
        await stage.edit(2)
        took = await stage.until_written(members[2:], 2)
        figures.add("1 hangs, 1 slow: s until an edit is in each of the others", LABEL, took)
        await stage.rounds(figures, members[2:], "1 hangs, 1 slow")
        for each in members[:2]:
            each.lag = 0.0
        await stage.changes(members, "all back", 0)
        await stage.until_written(members, 2)
        await _silent(figures, stage, idle)
        figures.add("memory in MiB", LABEL, memory_mib(stage.pid))
        figures.add("memory in MiB, at most", LABEL, memory_mib(stage.pid, "VmHWM"))


async def _silent(figures: Figures, stage: Stage, idle: float) -> None:
    """Measure while all members roll out, and say nothing."""
    await asyncio.sleep(REST)
    since, cpu, asked = datetime.now(UTC), cpu_seconds(stage.pid), asked_of(stage.members)
    await asyncio.sleep(idle)
    figures.add("silent: cores", LABEL, (cpu_seconds(stage.pid) - cpu) / idle)
    own = requests(stage.cluster.audit_log, USER, since, datetime.now(UTC))
    figures.add("silent: requests to its own API server, a minute", LABEL, 60 * counted(own).total() / idle)
    renewals = sum(each.resource == "leases" for each in own)
    figures.add("silent: requests for its Lease, a minute", LABEL, 60 * renewals / idle)
    to_members = (asked_of(stage.members) - asked).total()
    figures.add("silent: requests to all members, watches too, a minute", LABEL, 60 * to_members / idle)
    wrong = [each for each in stage.members if stage.seen.members[each.name].get("message") != _message(each)]
    figures.add("silent: members of which the status says what is not so", LABEL, len(wrong))


@asynccontextmanager
async def _stage(count: int) -> AsyncIterator[Stage]:
    """A hub that has just been given a fleet of so many members."""
    options = Options(
        namespaces=(NAMESPACE,), users={USER: ("system:masters",)}, audited=(USER,), gateways=(), prometheus=False
    )
    async with (
        Cluster(options) as cluster,
        SimulatedMembers(count, cluster.certificate, cluster.certificate.with_suffix(".key")) as simulated,
        KubeClient.connect(cluster.kubeconfig, user_agent=AUTHOR) as client,
    ):
        rig = Rig(cluster, client, NAMESPACE)
        await rig.install(*(ROOT / f"crds/{each}.yaml" for each in ("canaries", "canaryfleets")))
        await together(_registered(client, simulated.secret(each, NAMESPACE)) for each in simulated.members)
        seen, cache = Seen(), WatchCache(client, CANARY_FLEET, namespace=NAMESPACE)
        cache.subscribe(seen.take)
        watching = asyncio.create_task(cache.run())
        try:
            await _start(cluster)
            await client.create(CANARY_FLEET, _fleet())
            yield Stage(cluster, client, simulated.members, seen)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            if "hub" in cluster.parts:
                await cluster.parts["hub"].stop()


async def _registered(client: KubeClient, secret: Json) -> None:
    await client.create(SECRET, secret)


async def _start(cluster: Cluster) -> None:
    command = [sys.executable, "-m", "canary", "hub", f"--kubeconfig={cluster.kubeconfig_for(USER)}"]
    command += [f"--namespace={NAMESPACE}", f"--member-namespaces={NAMESPACE}", f"--lease-namespace={NAMESPACE}"]
    command += [f"--address={addresses.TOOLS}", f"--port={PORT}"]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    ready = f"http://{addresses.TOOLS}:{PORT}/readyz"
    await cluster.run("hub", command, environment=environment, ready_url=ready)


def _fleet() -> Json:
    analysis = {"interval": "1m", "threshold": 1, "stepWeight": 50, "maxWeight": 50}
    metrics = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    canary = {"provider": "traefik", "targetRef": target, "service": {"port": 80}}
    template = {"metadata": {"name": "shop"}, "spec": {**canary, "analysis": {**analysis, "metrics": metrics}}}
    spec = {"release": "r1", "template": template, "waves": [{"name": "all"}]}
    return {"metadata": {"name": "shop", "namespace": NAMESPACE}, "spec": spec}


def _threshold(canary: Json) -> int:
    spec = canary.get("spec") or {}
    return int((spec.get("analysis") or {}).get("threshold", 0))


def _message(member: SimulatedMember) -> str:
    return str(((member.canary or {}).get("status") or {}).get("message", ""))
