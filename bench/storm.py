"""Thousands of Canaries created at once, and what a change of a settled one waits for meanwhile."""

import asyncio
from collections.abc import Sequence
from itertools import cycle

from bench.figures import Figures
from bench.lane import Lane
from bench.setting import SETTLED, Setting, setting, together

EARLIER = 40
"""How many Canaries are settled beforehand, and changed meanwhile."""
EVERY = 3.0
"""Seconds between two such changes."""


async def storm(lanes: Sequence[Lane], figures: Figures, count: int, within: float) -> None:
    """Measure one lane after the other, each on a cluster of its own.

    Args:
        lanes: what to measure.
        figures: take the numbers.
        count: how many Canaries are created at once.
        within: seconds after which those that are not settled are given up.
    """
    for lane in lanes:
        async with setting([lane], prometheus=False) as place:
            running = await lane.start(place.rig.cluster)
            names = lane.names(count + EARLIER)
            earlier, new = names[:EARLIER], names[EARLIER:]
            await place.settle(lane, earlier, replicas=1, checked=False)
            await together(place.deploy(lane, name, "1.0.0", replicas=1) for name in new)
            await asyncio.sleep(30)
            began, cpu = asyncio.get_running_loop().time(), running.cpu()
            noticing = asyncio.create_task(_noticed(place, lane, earlier))
            await together(place.create(lane, name) for name in new)
            try:
                await place.log.all_in(new, SETTLED, within=within)
            except TimeoutError:
                print(f"{lane.label}: not all of them within {within:g} s")
            took = asyncio.get_running_loop().time() - began
            noticing.cancel()
            await asyncio.wait([noticing])
            label = lane.label
            figures.add(f"{count} new Canaries: Initialized", label, place.log.count(new, SETTLED))
            times = sorted(at - began for name in new for at, phase in place.log.phases[name] if phase == "Initialized")
            figures.add("new Canaries: s until half were", label, times[len(times) // 2])
            figures.add("new Canaries: s until the last was, or none was waited for", label, took)
            figures.add("new Canaries: CPU s", label, running.cpu() - cpu)
            passes = await running.passes()
            figures.add("new Canaries: passes", label, passes.total())
            figures.add("new Canaries: passes that failed", label, passes["retry"])
            waits = noticing.result() if not noticing.cancelled() else []
            figures.add("meanwhile: changes of settled ones", label, len(waits))
            figures.quantiles("meanwhile: s from change to Progressing", label, waits)
            figures.add("new Canaries: memory in MiB, at most", label, running.memory("VmHWM"))


async def _noticed(place: Setting, lane: Lane, names: Sequence[str]) -> list[float]:
    """Change settled Canaries in turn until cancelled; return how long each took to be noticed, in seconds."""
    loop, begun = asyncio.get_running_loop(), list[tuple[str, float]]()
    try:
        for number, name in enumerate(cycle(names), start=2):
            if place.log.phase(name) in SETTLED:
                await place.deploy(lane, name, f"{number}.0.0", replicas=1)
                begun.append((name, loop.time()))
            await asyncio.sleep(EVERY)
    except asyncio.CancelledError:
        pass
    return [_waited(place, name, at) for name, at in begun]


def _waited(place: Setting, name: str, since: float) -> float:
    """Seconds from a change to its rollout, or until now."""
    try:
        return max(0.0, place.log.entered(name, {"Progressing"}, since - 1) - since)
    except StopIteration:
        return asyncio.get_running_loop().time() - since
