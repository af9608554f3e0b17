"""What a controller with many settled Canaries does when one of its watches breaks off."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from bench.figures import Figures
from bench.lane import Lane
from bench.relay import QUIET, Relay, relayed
from bench.setting import setting

CUTS = 15
PAUSE = 2.0
"""Seconds in which a watch is followed again, and whoever was woken has looked."""


async def breaks(lanes: Sequence[Lane], figures: Figures, count: int) -> None:
    """Measure one lane after the other, each with Canaries of its own on the same cluster."""
    async with setting(lanes, prometheus=False) as place:
        for lane in lanes:
            async with relayed(place.rig.cluster.kubeconfig_for(lane.user)) as (relay, kubeconfig):
                running = await lane.start(place.rig.cluster, kubeconfig=kubeconfig)
                await place.settle(lane, lane.names(count), replicas=1)
                await asyncio.sleep(QUIET + 10)
                figures.add(f"memory in MiB, with {count} settled Canaries", lane.label, running.memory())
                since, cpu = datetime.now(UTC), running.cpu()
                await asyncio.sleep(20)
                idle = (running.cpu() - cpu) / (datetime.now(UTC) - since).total_seconds()
                since, cpu = datetime.now(UTC), running.cpu()
                passes = (await running.passes()).total()
                cuts = await _cut(relay)
                until = datetime.now(UTC)
                used = running.cpu() - cpu - idle * (until - since).total_seconds()
                asked = running.asked(since, until)
                label = lane.label
                figures.add("a watch's break: CPU s", label, used / cuts)
                figures.add("a watch's break: passes", label, ((await running.passes()).total() - passes) / cuts)
                figures.add("a watch's break: API requests", label, sum(e.counts for e in asked) / cuts)
                await running.stop()


async def _cut(relay: Relay) -> int:
    """Break off one watch after the other; return how many."""
    cuts = 0
    for _ in range(CUTS):
        cuts += relay.cut()
        await asyncio.sleep(PAUSE)
    return cuts
