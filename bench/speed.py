"""How soon requests go where a controller decided, beside a plain patch of the same object on the same gateway.

A rollout goes from 0 to 100 % once a webhook lets it, and back once another asks for that: the controller decides when
it hears their answers, which the benchmark gives. In between, while its process is stopped, the very same object is
patched to and fro with what the controller wrote. For a while before each change there is no other, so that no gateway
has anything else to do. From the change on one request is sent after the other; it is over with the first of 20 in a
row that the other version answers.
"""

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.behind import EVERYWHERE, ISTIO_ROUTE, Behind
from bench.gates import Gates, gates
from bench.stage import FLAGGER, THIS, USERS, Stage, Times, stage
from canary.sandbox.cluster import Cluster
from canary.sandbox.options import Options

OFTEN, SELDOM = 1, 10
"""Intervals in seconds: where nobody else is measured, and the shortest that Flagger has."""


async def speed(repetitions: int, only: str) -> list[Times]:
    """Measure all gateways, one after the other; on Istio, Flagger in turn with this controller.

    Args:
        repetitions: how many rollouts there are; each has two changes by a decision and two by a patch.
        only: the gateways whose label has this in it are measured.
    """
    chosen = [each for each in EVERYWHERE if only in each.label]
    pairs = {each: (THIS, FLAGGER) if each is ISTIO_ROUTE else (THIS,) for each in chosen}
    options = Options(
        namespaces=tuple(_namespace(each, who) for each, both in pairs.items() for who in both),
        users=dict.fromkeys(USERS.values(), ("system:masters",)),
        audited=tuple(USERS.values()),
        prometheus=False,
    )
    print(*HEADING, sep="\n", flush=True)
    found: list[Times] = []
    async with Cluster(options) as cluster, gates() as served:
        for behind, both in pairs.items():
            times = await _measure(cluster, served, behind, both, repetitions)
            print(*map(row, times), sep="\n", flush=True)
            found += times
    print("", *FELT, *(felt(each) for each in found if each.behind == ISTIO_ROUTE.label), sep="\n", flush=True)
    return found


async def _measure(
    cluster: Cluster, served: Gates, behind: Behind, controllers: Sequence[str], repetitions: int
) -> list[Times]:
    """All controllers behind one gateway, in turn."""
    await cluster.open(behind.gateway)
    beside = len(controllers) > 1
    async with AsyncExitStack() as stack:
        stages: list[Stage] = []
        for who in controllers:
            namespace = _namespace(behind, who)
            one = stage(cluster, served, namespace, behind, who, SELDOM if beside else OFTEN)
            stages.append(await stack.enter_async_context(one))
        for turn in range(repetitions):
            for each in stages:
                await each.turn(turn + 1, (turn + 0.5) / repetitions if beside else 0.0)
        return [each.times for each in stages]


def _namespace(behind: Behind, who: str) -> str:
    return f"{behind.provider}-{behind.gateway.name}-{who}".replace(":", "-")


HEADING = (
    "| gateway and route | controller | until written | to the first request | a patch, to the same | in all, later |",
    "| --- | --- | --- | --- | --- | --- |",
)
FELT = (
    "| controller | from a new image to the question whether requests may go there, s | from a webhook's yes, s |",
    "| --- | --- | --- |",
)


def row(times: Times) -> str:
    """What a change takes, in ms: least, median and greatest, and how much longer the whole is in the median."""
    later = statistics.median(times.decided) - statistics.median(times.patched)
    then = [whole - written for whole, written in zip(times.decided, times.written, strict=True)]
    spans = [_span(each, 1000, 0) for each in (times.written, then, times.patched)]
    return f"| {' | '.join([times.behind, times.controller, *spans, f'{later * 1000:+.0f}'])} |"


def felt(times: Times) -> str:
    """What users wait for."""
    return f"| {times.controller} | {_span(times.noticed, 1, 1)} | {_span(times.felt, 1, 1)} |"


def _span(values: Sequence[float], factor: float, places: int) -> str:
    chosen = min(values), statistics.median(values), max(values)
    return " / ".join(f"{each * factor:.{places}f}" for each in chosen)
