"""From the start of a process to the moment at which it leads, with Canaries that are settled."""

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import suppress

import aiohttp

from bench.figures import Figures
from bench.lane import Lane, Running
from bench.setting import setting

ROUNDS = 31
OFTEN = 0.004
"""Seconds between two questions whether it leads: much less than what is to be told apart."""
LEADS = "\ncanary_controller_leader 1.0"
"""The line of a controller that leads; what is said of the metric begins with much the same."""


async def start(lanes: Sequence[Lane], figures: Figures, count: int) -> None:
    """Start and stop a controller of each lane, one after the other and in turn, and take the median."""
    times: dict[str, list[float]] = {lane.label: [] for lane in lanes}
    cpu: dict[str, list[float]] = {lane.label: [] for lane in lanes}
    looked: dict[str, list[float]] = {lane.label: [] for lane in lanes}
    loop = asyncio.get_running_loop()
    async with setting(lanes, prometheus=False) as place:
        for lane in lanes:
            running = await lane.start(place.rig.cluster)
            await place.settle(lane, lane.names(count), replicas=1)
            await running.stop()
        for _ in range(ROUNDS):
            for lane in lanes:
                begun = loop.time()
                running = await lane.start(place.rig.cluster, wait=False)
                await _leads(running)
                times[lane.label].append(loop.time() - begun)
                cpu[lane.label].append(running.cpu())
                await _has_looked(running, count)
                looked[lane.label].append(loop.time() - begun)
                await running.stop()
    for lane in lanes:
        figures.quantiles("s from start to leading", lane.label, times[lane.label])
        figures.add("CPU s from start to leading", lane.label, statistics.median(cpu[lane.label]))
        figures.quantiles("s from start until each Canary was looked at", lane.label, looked[lane.label])


async def _leads(running: Running) -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{running.url}/metrics") as answer:
                    if LEADS in await answer.text():
                        return
            await asyncio.sleep(OFTEN)


async def _has_looked(running: Running, count: int) -> None:
    for _ in range(3000):
        if (await running.passes()).total() >= count:
            return
        await asyncio.sleep(OFTEN)
