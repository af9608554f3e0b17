"""Settled Canaries, and then a rollout of each: what they cost, and how quick they are."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.audit import counted
from bench.figures import Figures
from bench.lane import Lane, Running
from bench.setting import ENDED, INTERVAL, STEPS, Setting, setting


@dataclass(frozen=True, slots=True)
class _Side:
    """One lane with its Canaries."""

    running: Running
    names: tuple[str, ...]
    begun: dict[str, float] = field(default_factory=dict)

    @property
    def lane(self) -> Lane:
        return self.running.lane

    @property
    def label(self) -> str:
        return self.running.lane.label


async def rollouts(lanes: Sequence[Lane], figures: Figures, count: int, idle: float) -> None:
    """Measure all lanes at once, on the same cluster: their Canaries change in turn.

    Args:
        lanes: what to measure.
        figures: take the numbers.
        count: how many Canaries each lane has.
        idle: seconds to watch settled Canaries for.
    """
    async with setting(lanes) as place:
        sides = []
        for lane in lanes:
            sides.append(_Side(await lane.start(place.rig.cluster), lane.names(count)))
            await place.settle(lane, sides[-1].names)
        await asyncio.sleep(5)
        await _idle(sides, figures, idle)
        await _roll_out(place, sides, figures)
        await _turn_bad(place, sides, figures, min(20, count))
        for side in sides:
            figures.add("memory in MiB, at the end", side.label, side.running.memory())
            figures.add("memory in MiB, at most", side.label, side.running.memory("VmHWM"))


async def _idle(sides: Sequence[_Side], figures: Figures, seconds: float) -> None:
    since, cpu = datetime.now(UTC), [side.running.cpu() for side in sides]
    await asyncio.sleep(seconds)
    until, minutes = datetime.now(UTC), seconds / 60
    for side, before in zip(sides, cpu, strict=True):
        asked = side.running.asked(since, until)
        figures.add(f"idle for {seconds:g} s: API requests", side.label, sum(each.counts for each in asked))
        figures.add("idle: CPU s a minute", side.label, (side.running.cpu() - before) / minutes)


async def _roll_out(place: Setting, sides: Sequence[_Side], figures: Figures) -> None:
    """Change every image in turn, and let all of them be promoted."""
    loop, log = asyncio.get_running_loop(), place.log
    since, cpu = datetime.now(UTC), [side.running.cpu() for side in sides]
    passes = [await side.running.passes() for side in sides]
    for turn in zip(*(side.names for side in sides), strict=True):
        for side, name in zip(sides, turn, strict=True):
            await place.deploy(side.lane, name, "2.0.0")
            side.begun[name] = loop.time()
            await asyncio.sleep(0.25)
    everybody = [name for side in sides for name in side.names]
    await log.all_in(everybody, ENDED, within=300)
    await asyncio.sleep(2)
    requests: dict[str, dict[str, float]] = {}
    for side, used, looked in zip(sides, cpu, passes, strict=True):
        count = len(side.names)
        figures.add("rollout: CPU s", side.label, (side.running.cpu() - used) / count)
        asked = counted(side.running.asked(since, datetime.now(UTC)))
        requests[side.label] = {what: number / count for what, number in asked.items()}
        figures.add("rollout: API requests", side.label, asked.total() / count)
        figures.add("rollout: passes", side.label, ((await side.running.passes()).total() - looked.total()) / count)
        _times(place, side, figures)
    figures.counts("rollout", requests)


def _times(place: Setting, side: _Side, figures: Figures) -> None:
    log, begun = place.log, side.begun
    noticed = [log.entered(name, {"Progressing"}, begun[name] - 1) - begun[name] for name in side.names]
    figures.quantiles("s from change to Progressing", side.label, noticed)
    took = [log.entered(name, ENDED, begun[name]) - begun[name] for name in side.names]
    pods = [_pods_took(place, name, begun[name] - 1) for name in side.names]
    ratios = [seconds / (STEPS * INTERVAL + wait) for seconds, wait in zip(took, pods, strict=True)]
    figures.add("rollout: its time, by steps x interval + pods, p50", side.label, statistics.median(ratios))
    ended = Counter(log.phase(name) for name in side.names)
    figures.add("rollouts that succeeded", side.label, ended["Succeeded"])


def _pods_took(place: Setting, name: str, since: float) -> float:
    """Seconds from new pods asked for to new pods ready, of the canary and of the primary."""
    log = place.log
    first = next(at for at, weight in log.weights[name] if at >= since and weight > 0)
    began, promoting = (log.entered(name, {phase}, since) for phase in ("Progressing", "Promoting"))
    back = next(at for at, weight in log.weights[name] if at >= promoting and weight == 0)
    return first - began + back - promoting


async def _turn_bad(place: Setting, sides: Sequence[_Side], figures: Figures, count: int) -> None:
    """A metric that turns bad in mid-rollout: from the look that is due to weight 0."""
    since = asyncio.get_running_loop().time()
    names = {side.label: side.names[:count] for side in sides}
    for turn in zip(*names.values(), strict=True):
        for side, name in zip(sides, turn, strict=True):
            await place.deploy(side.lane, name, "3.0.0")
            await asyncio.sleep(0.3)
    await asyncio.sleep(INTERVAL * 1.3)
    everybody = [name for each in names.values() for name in each]
    for name in everybody:
        place.quality.errors[name] = 5
    await place.log.all_in(everybody, {"Failed"}, within=90)
    for label, own in names.items():
        figures.quantiles("s from a look that fails to weight 0", label, [_late(place, name, since) for name in own])


def _late(place: Setting, name: str, since: float) -> float:
    """Seconds between the look that was due and the end of the canary's traffic."""
    weights = [(at, weight) for at, weight in place.log.weights[name] if at >= since and weight >= 0]
    zero = next(at for at, weight in weights if weight == 0)
    last = max((at for at, weight in weights if at < zero), default=zero)
    return zero - last - round((zero - last) / INTERVAL) * INTERVAL
