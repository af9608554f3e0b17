"""An application behind a gateway whose requests are led by a controller, and by patches while that one is stopped."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from bench.audit import requests
from bench.behind import Behind
from bench.gates import INCREASE, ROLLBACK, Gate, Gates, hooks
from bench.lane import ROOT
from bench.shift import Asked, patch_between
from canary.kube.types import Json
from canary.sandbox import addresses, binaries
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Rig, application
from canary.sandbox.options import CONTROLLER
from canary.sandbox.process import Part
from canary.sandbox.scenario import NAME, Scenario

THIS, FLAGGER = "this", "flagger"
USERS = {THIS: CONTROLLER, FLAGGER: FLAGGER}
"""The controllers that can be measured, and who each is to the API server."""
SETTLED = "1.0.0"
_FLAGGER_PORT = 10190
_PATIENCE = 90.0
_REPLICAS = 1


@dataclass(slots=True)
class Times:
    """What was measured of one controller behind one gateway, in seconds.

    Args:
        behind: the gateway.
        controller: which.
        patched: from the return of a patch to the first request.
        decided: from a decision to the first request.
        written: from a decision until the API server has answered the write, which is a part of it.
        felt: from the change of a webhook's answer to the first request.
        noticed: from a new image to the first question whether requests may go there.
    """

    behind: str
    controller: str
    patched: list[float] = field(default_factory=list)
    decided: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    felt: list[float] = field(default_factory=list)
    noticed: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stage:
    """One application with its Canary and all that leads requests to it.

    Args:
        behind: how it is reached.
        interval: of its Canary, in seconds.
        scenario: what happens to it.
        asked: how it answers.
        gates: the webhooks of its Canary.
        controller: the process that leads requests.
        times: what is measured.
    """

    behind: Behind
    interval: int
    scenario: Scenario
    asked: Asked
    gates: Gates
    controller: Part
    times: Times

    async def turn(self, number: int, spread: float) -> None:
        """A rollout, with patches in its midst, and back again.

        Args:
            number: which one, from 1.
            spread: how much of an interval goes by, from a question of a webhook to the change of its answer.
        """
        version = f"1.0.{number}"
        increase, rollback = (self.gates.of(self.scenario.rig.namespace, each) for each in (INCREASE, ROLLBACK))
        begun = time.time()
        await self.scenario.deploy(version, replicas=_REPLICAS)
        await increase.next_question(_PATIENCE)
        self.times.noticed.append(time.time() - begun)
        before = await self._route()
        await self._decide(increase, version, spread)
        after = await self._route()
        with _stopped(self.controller):
            await self._patch(patch_between(after, before), SETTLED)
            await self._patch(patch_between(before, after), version)
        await self._decide(rollback, SETTLED, spread)
        await self.scenario.ended()
        await self.scenario.gone_to_the_last()
        increase.close()
        rollback.close()

    async def _decide(self, gate: Gate, version: str, spread: float) -> None:
        """Have a webhook's answer change, and see when requests follow."""
        await asyncio.sleep(self.behind.quiet)
        await gate.next_question(_PATIENCE)
        await asyncio.sleep(spread * self.interval)
        await self.asked.version()
        opened = time.time()
        decided = await gate.let_pass(_PATIENCE)
        turned = await self.asked.turned(version)
        self.times.decided.append(turned - decided)
        self.times.felt.append(turned - opened)
        self.times.written.append(self._written(decided, turned) - decided)

    def _written(self, decided: float, turned: float) -> float:
        """When the API server had answered the write that a decision led to."""
        since, until = (datetime.fromtimestamp(each, UTC) for each in (decided, turned))
        user = USERS[self.times.controller]
        found = requests(self.scenario.rig.cluster.audit_log, user, since, until)
        written = (each for each in found if each.verb in {"patch", "update"})
        return next(each.answered.timestamp() for each in written if each.resource == self.behind.route.plural)

    async def _patch(self, patch: Json, version: str) -> None:
        """Patch the route as anybody could, and see when requests follow."""
        await asyncio.sleep(self.behind.quiet)
        await self.asked.version()
        async with asyncio.TaskGroup() as group:
            turned = group.create_task(self.asked.turned(version))
            rig = self.scenario.rig
            await rig.client.merge_patch(self.behind.route, rig.namespace, self.behind.name, patch)
            returned = time.time()
        self.times.patched.append(turned.result() - returned)

    async def _route(self) -> Json:
        rig = self.scenario.rig
        return await rig.client.get(self.behind.route, rig.namespace, self.behind.name)


@asynccontextmanager
async def stage(
    cluster: Cluster, gates: Gates, namespace: str, behind: Behind, controller: str, interval: int
) -> AsyncIterator[Stage]:
    """An application at rest, with a controller of its own.

    Args:
        cluster: where.
        gates: the webhooks.
        namespace: where in there.
        behind: how it is reached.
        controller: which.
        interval: of its Canary, in seconds.
    """
    async with Rig.on(cluster, namespace) as rig, aiohttp.ClientSession() as session:
        await rig.install(*sorted((ROOT / "crds").glob("[!k]*.yaml")))
        part = await (_start_flagger(rig) if controller == FLAGGER else _start_this(rig))
        async with Scenario.on(rig, behind.route, behind.gateway.url) as scenario:
            if (theirs := behind.theirs(namespace, scenario.host)) is not None:
                await rig.apply(theirs)
            analysis: Json = {"interval": f"{interval}s", "threshold": 5, "stepWeight": 100, "maxWeight": 100}
            made = behind.canary(namespace, scenario.host, {**analysis, "webhooks": hooks(namespace)})
            await scenario.initialise(made, application(NAME, namespace, SETTLED, replicas=_REPLICAS))
            asked = Asked(session, behind.gateway.url, scenario.host)
            await asked.turned(SETTLED)
            # A pod that ends later is one more change, which a gateway may be busy with.
            await scenario.gone_to_the_last()
            yield Stage(behind, interval, scenario, asked, gates, part, Times(behind.label, controller))
        await part.stop()


async def _start_this(rig: Rig) -> Part:
    flags = ("--enable-leader-election=false", f"--namespace={rig.namespace}", "--traffic-settle-time=1s")
    return await rig.start_controller(*flags, name=THIS, user=USERS[THIS])


async def _start_flagger(rig: Rig) -> Part:
    program = binaries.ensure((FLAGGER,))[FLAGGER]
    command = [str(program), f"-kubeconfig={rig.cluster.kubeconfig_for(USERS[FLAGGER])}", f"-namespace={rig.namespace}"]
    command += ["-mesh-provider=istio", f"-metrics-server={addresses.PROMETHEUS_URL}", f"-port={_FLAGGER_PORT}"]
    command += ["-control-loop-interval=1s"]
    return await rig.cluster.run(FLAGGER, command, ready_url=f"http://127.0.0.1:{_FLAGGER_PORT}/healthz")


@contextmanager
def _stopped(part: Part) -> Iterator[None]:
    """Have a process do nothing at all for a while."""
    pid = part.pid
    if pid is None:
        msg = f"{part.name} is gone"
        raise RuntimeError(msg)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
