"""Two controllers at once: one acts, and the other takes over when it is gone."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio

from canary.kube.types import LEASE, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import Moment, Recording, Rig
from canary.sandbox.options import CONTROLLER
from canary.sandbox.process import Part
from canary.sandbox.scenario import STEPS, Scenario, canary_of

SECOND = "second-controller"
SYSTEM = "canary-system"
FLAGS = ("--mesh-provider=traefik", f"--leader-election-namespace={SYSTEM}", "--log-level=debug")
LEASE_SECONDS = 15.0
LATE_SECONDS = 4.0
"""What a busy machine takes more, until the lease is written and that is told."""
READS = {"get", "list", "watch"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two controllers: the first leads."""

    rig: Rig
    first: Part
    second: Part
    lease: Recording

    async def taken(self, since: int) -> Moment:
        """Wait until the Lease has another holder than none, in a state after the first `since` ones."""
        return await self.lease.until(
            lambda each: holder(each) not in {"", holder(self.lease.moments[since - 1].value or {})},
            within=40,
            what="new holder",
        )

    def writers(self) -> list[str]:
        """Who wrote each of the things that were written in the rig's namespace, in order."""
        lines = map(json.loads, self.rig.cluster.audit_log.read_text().splitlines())
        found = [
            (line["requestReceivedTimestamp"], line["user"]["username"])
            for line in lines
            if line["verb"] not in READS and line.get("objectRef", {}).get("namespace") == self.rig.namespace
        ]
        return [user for _, user in sorted(found)]


def holder(lease: Json) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


@pytest_asyncio.fixture
async def pair(site: Rig, cluster: Cluster) -> AsyncIterator[Pair]:
    leases = Rig(cluster, site.client, SYSTEM)
    async with leases.recording(LEASE, "flagger-leader-election") as lease:
        first = await site.start_controller(*FLAGS, name="first controller", user=CONTROLLER, port=10081)
        await lease.until(lambda each: bool(holder(each)), within=40, what="leader")
        second = await site.start_controller(*FLAGS, name="second controller", user=SECOND, port=10082)
        yield Pair(site, first, second, lease)
        await first.stop()
        await second.stop()


async def test_one_acts_and_the_other_takes_over(pair: Pair) -> None:
    """Within the lease's 15 s when the one that acts is killed, at once when it is told to stop."""
    now = asyncio.get_running_loop().time
    async with Scenario.on(pair.rig) as scenario:
        await scenario.initialise(canary_of(pair.rig.namespace, {"interval": "2s"}))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            assert set(pair.writers()) == {CONTROLLER}, "one of them acts"
            killed, states = now(), len(pair.lease.moments)
            pair.first.kill()
            taken = await pair.taken(states)
            assert taken.at - killed <= LEASE_SECONDS + LATE_SECONDS
            assert await scenario.ended() == "Succeeded"

            await pair.first.start()
            await scenario.deploy("1.0.2")
            await scenario.weight(25)
            stopped, states = now(), len(pair.lease.moments)
            await pair.second.stop()
            taken = await pair.taken(states)
            assert taken.at - stopped <= 2
            assert await scenario.ended() == "Succeeded"
        assert [str(each) for each in traffic.lost] == []
        assert scenario.weights == (*STEPS, *STEPS[1:])
        assert scenario.unserved == []
    turns = [user for user, _ in itertools.groupby(pair.writers())]
    assert turns == [CONTROLLER, SECOND, CONTROLLER], "never do both write"
