"""Every strategy, kind of target and traffic provider on a real API server, many Canaries at once, to every end.

What a Canary does to its objects is the controller's whole work here: nobody sends requests, and pods do nothing.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest
import pytest_asyncio

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.errors import Invalid, Unreachable
from canary.kube.store import Change
from canary.kube.types import CANARY, HTTP_ROUTE, SERVICE, TRAEFIK_SERVICE, Json, resource_of
from canary.kube.watch import WatchCache
from canary.routers.base import Provider
from canary.routers.registry import router_of
from canary.sandbox import addresses
from canary.sandbox.harness import Rig

METRICS = f"http://{addresses.TOOLS}:9099"
MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]
COOKIE = {"cookieName": "track", "primaryCookieName": "stay"}
STEPS = {"stepWeight": 25, "maxWeight": 50}
GOOD, BAD, HURRY = "good", "bad", "hurry"
"""What the metrics server says of a Canary; one in a hurry has no patience with pods that never get ready."""
QUALITY = {"name": "quality", "query": "quality", "thresholdRange": {"min": 50}, "interval": "1s"}
FOUR = ("Deployment", "DaemonSet", "Service", "StatefulSet")
PROVIDERS = ("gatewayapi:v1", "traefik", "kubernetes")
EVERYBODY, CHOSEN = Split(100), Split(100, matched=True)
NONE, SOME, HALF, COPIES = ALL_PRIMARY, Split(25), Split(50), Split(0, mirror=40)


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a version gets to its users.

    Args:
        analysis: fields of the analysis.
        needs: what a provider must be able to do.
        route: how a good rollout divides requests, one division after the other.
    """

    analysis: Mapping[str, Any]
    needs: frozenset[str]
    route: tuple[Split, ...]


def strategy(analysis: Mapping[str, Any], needs: str, *route: Split) -> Strategy:
    return Strategy(analysis, frozenset(needs.split()), route)


STRATEGIES: dict[str, Strategy] = {
    "step-weight": strategy(STEPS, "weights", NONE, SOME, HALF, NONE),
    "step-weights": strategy({"stepWeights": [25, 100]}, "weights", NONE, SOME, EVERYBODY, NONE),
    "steps-back": strategy({**STEPS, "stepWeightPromotion": 25}, "weights back", NONE, SOME, HALF, SOME, NONE),
    "mirrored": strategy(
        {**STEPS, "mirror": True, "mirrorWeight": 40}, "weights copies", NONE, COPIES, SOME, HALF, NONE
    ),
    "affinity": strategy({**STEPS, "sessionAffinity": COOKIE}, "weights cookies", NONE, SOME, HALF, NONE),
    "a-b": strategy({"iterations": 2, "match": MATCH}, "match count", NONE, CHOSEN, NONE),
    "blue-green": strategy({"iterations": 2}, "count", NONE, EVERYBODY, NONE),
    "blue-green-mirrored": strategy(
        {"iterations": 2, "mirror": True, "mirrorWeight": 40}, "count copies", NONE, COPIES, EVERYBODY, NONE
    ),
    "unchecked": strategy(STEPS, "", NONE),
    "pod-by-pod": strategy({}, "pods"),
}
CAN = {
    "gatewayapi:v1": {"weights", "back", "copies", "cookies", "match", "count"},
    "traefik": {"weights", "back", "count"},
    "kubernetes": {"count"},
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One Canary of the matrix."""

    strategy: str
    kind: str
    provider: str
    outcome: str

    @property
    def name(self) -> str:
        return "-".join((self.strategy, self.kind, self.provider.partition(":")[0], self.outcome)).lower()

    @property
    def possible(self) -> bool:
        needs = STRATEGIES[self.strategy].needs
        if self.kind == "StatefulSet":
            return self.provider == "kubernetes" and needs <= {"weights", "pods"}
        return needs <= CAN[self.provider] and (self.kind, self.provider) != ("Service", "kubernetes")

    @property
    def refused(self) -> set[str]:
        """The fields that it may be refused by."""
        fields = {"weights": "stepWeight", "back": "stepWeightPromotion", "copies": "mirror", "match": "match"}
        fields |= {"cookies": "sessionAffinity", "count": "iterations", "pods": "stepWeight"}
        return {"spec.provider", *(f"spec.analysis.{fields[need]}" for need in STRATEGIES[self.strategy].needs)}

    @property
    def at_once(self) -> bool:
        """Whether a version is promoted without waiting for anything: nobody judges it, and it has no pods."""
        return self.strategy == "unchecked" and self.kind == "Service"

    @property
    def route(self) -> tuple[Split, ...]:
        return () if self.provider == "kubernetes" else STRATEGIES[self.strategy].route

    def went_well(self, seen: tuple[Split, ...]) -> bool:
        """Whether requests of a good version were divided as they should be.

        A DaemonSet's status counts a node by its oldest pod, which is on its way out: on a node alone none is ready for
        a moment by what it says, and the canary, which runs the same by then, serves all.
        """
        highest = max(range(len(self.route)), key=lambda at: self.route[at].canary, default=0)
        dip = (*self.route[: highest + 1], EVERYBODY)
        back = [split.canary for split in seen[len(dip) - 1 :]]
        falls = back == sorted(set(back), reverse=True) and seen[-1:] == (NONE,)
        return seen == self.route or (self.kind == "DaemonSet" and seen[: len(dip)] == dip and falls)

    def canary(self, namespace: str, server: str = GOOD) -> Json:
        analysis = {"interval": "1s", "threshold": 1, "metrics": [QUALITY], **STRATEGIES[self.strategy].analysis}
        gateway = {"gatewayRefs": [{"name": "gateway"}]} if self.provider == "gatewayapi:v1" else {}
        spec: Json = {
            "provider": self.provider,
            "metricsServer": f"{METRICS}/{server}",
            "targetRef": {
                "apiVersion": "v1" if self.kind == "Service" else "apps/v1",
                "kind": self.kind,
                "name": self.name,
            },
            "progressDeadlineSeconds": 3 if server == HURRY else 300,
            "skipAnalysis": self.strategy == "unchecked",
            "service": {"port": 80, **gateway},
            "analysis": analysis,
        }
        if self.kind == "StatefulSet":
            del spec["service"]
        metadata = {"name": self.name, "namespace": namespace}
        return {"apiVersion": CANARY.api_version, "kind": CANARY.kind, "metadata": metadata, "spec": spec}

    def target(self, namespace: str, version: int, *, works: bool = True) -> Json:
        """The workload that users deploy; its pods sleep, or never start."""
        metadata = {"name": self.name, "namespace": namespace}
        labels = {"app": self.name}
        if self.kind == "Service":
            spec: Json = {"selector": {**labels, "version": str(version)}, "ports": [{"name": "http", "port": 80}]}
            return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        image = f"process://sleep {1000 + version}" if works else "missing"
        container = {"name": "app", "image": image, "env": [{"name": "VERSION", "value": str(version)}]}
        template: Json = {
            "metadata": {"labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
        }
        spec = {"selector": {"matchLabels": labels}, "template": template}
        if self.kind == "DaemonSet":
            template["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "node-1"}
            spec["updateStrategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        if self.kind == "StatefulSet":
            spec |= {"replicas": 2, "serviceName": self.name, "podManagementPolicy": "Parallel"}
        return {"apiVersion": "apps/v1", "kind": self.kind, "metadata": metadata, "spec": spec}


@dataclass(slots=True)
class OpenChecks:
    """All Canaries of a namespace, and how their routes have divided requests."""

    rig: Rig
    canaries: WatchCache[Json]
    routes: Mapping[str, WatchCache[Json]]
    splits: dict[str, list[Split]] = field(default_factory=dict)
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(20))  # two cores have more to do
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def on(cls, rig: Rig) -> AsyncIterator["OpenChecks"]:
        caches = [
            WatchCache(rig.client, each, namespace=rig.namespace) for each in (CANARY, HTTP_ROUTE, TRAEFIK_SERVICE)
        ]
        board = cls(rig, caches[0], {each.resource.kind: each for each in caches[1:]})
        caches[0].subscribe(lambda change: board.wake())
        for cache in caches[1:]:
            cache.subscribe(board.on_route)
        following = [asyncio.create_task(cache.run()) for cache in caches]
        try:
            async with asyncio.timeout(20):
                await asyncio.gather(*(cache.synced.wait() for cache in caches))
            yield board
        finally:
            for task in following:
                task.cancel()
            await asyncio.wait(following)

    def on_route(self, change: Change[Json]) -> None:
        raw = self.canaries.get(self.rig.namespace, change.key.name)
        if change.new is None or raw is None:
            return
        split = split_of(parse_canary(raw), change.new)
        seen = self.splits.setdefault(change.key.name, [])
        seen += [split] if split is not None and seen[-1:] != [split] else []
        self.wake()

    async def route_of(self, name: str) -> Split:
        """How the route of a Canary divides requests at this moment, by the API server itself."""
        canary = self.canary(name)
        assert canary is not None
        route = next(each for each in router_for(canary).makes(canary) if each.name == name)
        split = split_of(canary, await self.rig.client.get(route.resource, route.namespace, name))
        assert split is not None
        return split

    def routed(self, name: str) -> tuple[Split, ...]:
        """How the route of a Canary has divided requests so far."""
        return tuple(self.splits.get(name, ()))

    def wake(self) -> None:
        """Have everybody who waits look again."""
        self._news.set()
        self._news = asyncio.Event()

    def canary(self, name: str) -> Canary | None:
        raw = self.canaries.get(self.rig.namespace, name)
        return None if raw is None else parse_canary(raw)

    async def apply(self, obj: Json) -> None:
        """Apply an object, however long the API server takes for what all the others want of it."""
        async with self.turn:
            while True:
                try:
                    await self.rig.apply(obj)
                except Unreachable:
                    continue
                return

    async def until(self, name: str, accept: Callable[[Canary | None], bool], what: str, within: float = 240) -> None:
        try:
            async with asyncio.timeout(within):
                while not accept(self.canary(name)):
                    await self._news.wait()
        except TimeoutError:
            canary = self.canary(name)
            status = json.dumps(canary.status.to_json()) if canary is not None else "gone"
            routed = self.routed(name)
            raise AssertionError(f"no {what} within {within:g} s; {status}, {routed}") from None

    async def phase(self, name: str, phase: Phase) -> None:
        await self.until(name, lambda each: each is not None and each.status.phase is phase, phase)


def router_for(canary: Canary) -> Provider:
    router = router_of(canary, "")
    assert router is not None
    return router


def split_of(canary: Canary, route: Json) -> Split | None:
    router = router_for(canary)
    return router.split(canary, {each: route for each in router.makes(canary) if each.name == canary.metadata.name})


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a metrics server that says 1 below /bad, and 100 elsewhere."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    value = "1" if head.split()[1].startswith(f"/{BAD}") else "100"
    body = json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [0, value]}})
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def board(rig: Rig) -> AsyncIterator[OpenChecks]:
    server = await asyncio.start_server(serve, addresses.TOOLS, 9099)
    async with server, OpenChecks.on(rig) as board:
        yield board


Play = Callable[[OpenChecks, Cell], Coroutine[None, None, None]]


async def serves(board: OpenChecks, cell: Cell, version: int) -> None:
    """The promoted version is this one, and the canary has nothing left."""
    await board.until(cell.name, lambda each: each is not None and not each.status.canary_weight, "weight 0")
    canary = board.canary(cell.name)
    assert canary is not None
    name = cell.name if cell.kind == "StatefulSet" else f"{cell.name}-primary"
    workload = await board.rig.client.get(resource_of(cell.target("", 1)), board.rig.namespace, name)
    if cell.kind != "StatefulSet" or canary.status.phase is Phase.SUCCEEDED:
        assert version_of(workload) == version
    await board.until(
        cell.name, lambda _: board.routed(cell.name)[-1:] in ((), (NONE,)), "route to the primary", within=10
    )


def version_of(workload: Json) -> int:
    spec = workload["spec"]
    if "ports" in spec:
        return int(spec["selector"]["version"])
    return int(spec["template"]["spec"]["containers"][0]["env"][0]["value"])


async def settled(board: OpenChecks, cell: Cell, server: str = GOOD) -> None:
    """Have a first version behind its Canary."""
    await board.apply(cell.target(board.rig.namespace, 1))
    await board.apply(cell.canary(board.rig.namespace, server))
    await board.phase(cell.name, Phase.INITIALIZED)


async def on_its_way(board: OpenChecks, cell: Cell, server: str = GOOD) -> None:
    """Have a second version that is being looked at; one that nobody judges never gets ready."""
    works = cell.strategy != "unchecked"
    await settled(board, cell, server)
    await board.apply(cell.target(board.rig.namespace, 2, works=works))

    def looked_at(canary: Canary | None) -> bool:
        if canary is None or canary.status.phase is not Phase.PROGRESSING:
            return False
        return not works or canary.status.last_check_time is not None or canary.status.partition is not None

    await board.until(cell.name, looked_at, "look at the new version")


async def promoted(board: OpenChecks, cell: Cell) -> None:
    await settled(board, cell)
    await board.apply(cell.target(board.rig.namespace, 2))
    await board.phase(cell.name, Phase.SUCCEEDED)
    await serves(board, cell, 2)
    # Routes come by a watch of their own, a moment before the status or after it.
    await board.until(cell.name, lambda _: cell.went_well(board.routed(cell.name)), f"{cell.route}", within=10)


async def rolled_back(board: OpenChecks, cell: Cell) -> None:
    await on_its_way(board, cell, HURRY if cell.strategy == "unchecked" else BAD)
    await board.phase(cell.name, Phase.FAILED)
    await serves(board, cell, 1)


async def superseded(board: OpenChecks, cell: Cell) -> None:
    await on_its_way(board, cell)
    await board.apply(cell.target(board.rig.namespace, 3))
    await board.phase(cell.name, Phase.SUCCEEDED)
    await serves(board, cell, 3)


async def suspended(board: OpenChecks, cell: Cell) -> None:
    await on_its_way(board, cell)
    patch = {"spec": {"suspend": True}}
    patched = await board.rig.client.merge_patch(CANARY, board.rig.namespace, cell.name, patch)
    generation = patched["metadata"]["generation"]
    await board.until(cell.name, lambda each: has_seen(each, generation), "word of the suspension")
    if cell.route:
        weight = (await board.route_of(cell.name)).canary

        def is_told(canary: Canary | None) -> bool:
            told = canary is not None and canary.status.canary_weight == weight
            return told and [split.canary for split in board.routed(cell.name)[-1:]] == [weight]

        # What was routed a moment before is told in a moment; routes come by a watch of their own.
        await board.until(cell.name, is_told, f"word of weight {weight}", within=60)
    canary = board.canary(cell.name)
    assert canary is not None
    splits = board.routed(cell.name)
    await asyncio.sleep(5 * canary.analysis_interval.total_seconds())
    later = board.canary(cell.name)
    assert later is not None
    assert (later.status.phase, later.status.iterations) == (Phase.PROGRESSING, canary.status.iterations)
    assert board.routed(cell.name) == splits


def has_seen(canary: Canary | None, generation: int) -> bool:
    return canary is not None and (canary.status.observed_generation or 0) >= generation


async def deleted(board: OpenChecks, cell: Cell) -> None:
    await on_its_way(board, cell)
    await board.rig.client.delete(CANARY, board.rig.namespace, cell.name)
    await board.until(cell.name, lambda each: each is None, "end of the Canary")
    if cell.kind == "StatefulSet":
        return
    # The target runs what nobody has promoted: the primary stays, and so does what leads to it.
    await board.rig.client.get(resource_of(cell.target("", 1)), board.rig.namespace, f"{cell.name}-primary")
    await board.rig.client.get(SERVICE, board.rig.namespace, cell.name)


async def refused(board: OpenChecks, cell: Cell) -> None:
    with suppress(Invalid):
        await board.apply(cell.canary(board.rig.namespace))

        def is_told(canary: Canary | None) -> bool:
            stalled = canary.status.condition("Stalled") if canary is not None else None
            return stalled is not None and any(each in stalled.message for each in cell.refused)

        await board.until(cell.name, is_told, f"word of {cell.refused}")
    services = await board.rig.client.list(SERVICE, board.rig.namespace)
    assert f"{cell.name}-primary" not in {each["metadata"]["name"] for each in services["items"]}


OUTCOMES: Mapping[str, Play] = {
    "promoted": promoted,
    "rolled-back": rolled_back,
    "superseded": superseded,
    "suspended": suspended,
    "deleted": deleted,
}
CELLS = [
    cell
    for name in STRATEGIES
    for kind in FOUR
    for provider in PROVIDERS
    for outcome in OUTCOMES
    if (cell := Cell(name, kind, provider, outcome)).possible or outcome == "promoted"
    if not cell.at_once or outcome == "promoted"
]


def one_each() -> list[Cell]:
    """Each strategy with each kind of target and each provider once, and the outcomes by turns."""
    ways = [list(cells) for _, cells in groupby(CELLS, key=lambda cell: (cell.strategy, cell.kind, cell.provider))]
    return [cells[number % len(cells)] for number, cells in enumerate(ways)]


@pytest.mark.parametrize(
    "cells", [pytest.param(one_each(), id="one each"), pytest.param(CELLS, id="all", marks=pytest.mark.long)]
)
@pytest.mark.timeout(1200)  # all of them: 80 s on two cores that have nothing else to do
async def test_every_cell_ends_as_it_should(board: OpenChecks, cells: list[Cell]) -> None:
    """A hundred at once, so that none waits for all others; each is told of that came out otherwise."""
    places = asyncio.Semaphore(100)

    async def play(cell: Cell) -> None:
        async with places:
            await (OUTCOMES[cell.outcome] if cell.possible else refused)(board, cell)

    ends = await asyncio.gather(*map(play, cells), return_exceptions=True)
    wrong = [f"{cell.name}: {end!r}" for cell, end in zip(cells, ends, strict=True) if end is not None]
    assert not wrong, "\n".join(wrong)
