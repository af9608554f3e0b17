"""Providers beside those of the matrix, on a real API server with their definitions: each strategy, to its end.

All but contour, of which nothing can be told where no Contour says that an HTTPProxy is valid. What a Canary does to
its objects is the controller's whole work here: nobody sends requests, and pods do nothing.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.store import Change
from canary.kube.types import CANARY, DEPLOYMENT, SERVICE, Json, ObjectRef, Resource
from canary.kube.watch import WatchCache
from canary.routers.registry import ROUTERS
from canary.sandbox.harness import Rig
from tests.tools.starts import APISIX_ROUTE, INGRESS, ROUTE

STEPS = {"stepWeight": 25, "maxWeight": 50}
MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]
NONE, SOME, HALF, ALL = ALL_PRIMARY, Split(25), Split(50), Split(100)
CHOSEN, COPIES = Split(100, matched=True), Split(0, mirror=100)
STRATEGIES: Mapping[str, tuple[Mapping[str, Any], str, tuple[Split, ...]]] = {
    "weights": (STEPS, "", (NONE, SOME, HALF, NONE)),
    "blue-green": ({"iterations": 2}, "", (NONE, ALL, NONE)),
    "chosen": ({"iterations": 2, "match": MATCH}, "match", (NONE, CHOSEN, NONE)),
    "copied": ({**STEPS, "mirror": True}, "mirror", (NONE, COPIES, SOME, HALF, NONE)),
    "remembered": ({**STEPS, "sessionAffinity": {"cookieName": "track"}}, "cookie", (NONE, SOME, HALF, NONE)),
}
"""The analysis, what it asks of a provider beside weights, and how a good rollout divides requests."""

_WEIGHTS = ("alb", "apisix", "linkerd", "openshift", "skipper", "smi:v1alpha1", "smi:v1alpha2", "smi:v1alpha3")
CAN: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_WEIGHTS, frozenset({""})),
    "nginx": frozenset({"", "match"}),
    **dict.fromkeys(("gloo", "kuma"), frozenset({"", "match", "mirror"})),
    "istio": frozenset({"", "match", "mirror", "cookie"}),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One Canary and how it ends."""

    provider: str
    strategy: str
    good: bool

    @property
    def name(self) -> str:
        return f"{self.provider}-{self.strategy}-{'good' if self.good else 'bad'}".replace(":", "-")

    @property
    def route(self) -> tuple[Split, ...]:
        """How it divides requests; a bad version is taken back at the first look."""
        whole = STRATEGIES[self.strategy][2]
        return whole if self.good else (*whole[:2], NONE)

    def canary(self, namespace: str) -> Json:
        metric = {"name": "quality", "query": "vector(1)" if self.good else "vector(0)", "interval": "1s"}
        analysis = {"interval": "1s", "threshold": 1, "metrics": [{**metric, "thresholdRange": {"min": 1}}]}
        spec: Json = {
            "provider": self.provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
            "service": {"port": 80},
            "analysis": {**analysis, **STRATEGIES[self.strategy][0]},
        }
        if self.provider in STARTS:
            (theirs,) = self.users(namespace)
            named = {"apiVersion": theirs["apiVersion"], "kind": theirs["kind"], "name": self.name}
            spec[STARTS[self.provider]] = named
        metadata = {"name": self.name, "namespace": namespace}
        return {"apiVersion": CANARY.api_version, "kind": CANARY.kind, "metadata": metadata, "spec": spec}

    def target(self, namespace: str, version: int) -> Json:
        """The workload that users deploy; its pods sleep."""
        labels = {"app": self.name}
        container = {"name": "app", "image": f"process://sleep {1000 + version}"}
        pods = {"containers": [container], "terminationGracePeriodSeconds": 1}
        template = {"metadata": {"labels": labels}, "spec": pods}
        return {
            "apiVersion": DEPLOYMENT.api_version,
            "kind": DEPLOYMENT.kind,
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        }

    def users(self, namespace: str) -> list[Json]:
        """What there is of the users before: a route that leads to the Service, where the provider starts from one."""
        if self.provider not in STARTS:
            return []
        theirs = {"apisix": APISIX_ROUTE, "openshift": ROUTE}.get(self.provider, INGRESS)
        spec = json.loads(json.dumps(theirs["spec"]).replace('"app"', f'"{self.name}"'))
        metadata: Json = {"name": self.name, "namespace": namespace}
        port: Json = {"number": 80}
        if self.provider == "alb":
            port = {"name": "use-annotation"}
            groups = [{"serviceName": self.name, "servicePort": 80, "weight": 100}]
            action = json.dumps({"type": "forward", "forwardConfig": {"targetGroups": groups}})
            metadata["annotations"] = {f"alb.ingress.kubernetes.io/actions.{self.name}": action}
        if theirs is APISIX_ROUTE:
            spec["http"][0]["backends"][0]["servicePort"] = 80
        if theirs is INGRESS:
            path = spec["rules"][0]["http"]["paths"][0]
            path |= {"pathType": "Prefix", "backend": {"service": {"name": self.name, "port": port}}}
        return [{**theirs, "metadata": metadata, "spec": spec}]


STARTS = {"apisix": "routeRef", "openshift": "routeRef", **dict.fromkeys(("alb", "nginx", "skipper"), "ingressRef")}
"""The field by which a spec names the users' route."""

CELLS = [
    Cell(provider, strategy, good)
    for provider, can in CAN.items()
    for strategy, (_, need, _) in STRATEGIES.items()
    for good in (True, False)
    if need in can and (good or strategy == "weights")
]


@dataclass(slots=True)
class Watched:
    """All Canaries of a namespace, and how their routes have divided requests."""

    rig: Rig
    caches: dict[Resource, WatchCache[Json]]
    cells: dict[ObjectRef, Cell] = field(default_factory=dict)
    splits: dict[str, list[Split]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, resource: Resource, change: Change[Json]) -> None:
        """Look at the route that has changed."""
        cell = self.cells.get(ObjectRef(resource, self.rig.namespace, change.key.name))
        canary = self.canary(cell.name) if cell is not None else None
        if cell is not None and canary is not None and resource is not CANARY:
            router = ROUTERS[cell.provider]
            there = {ref: found for ref in router.refs(canary) if (found := self.caches[ref.resource].get(*ref[1:]))}
            split, seen = router.split(canary, there), self.splits.setdefault(cell.name, [])
            seen += [split] if split is not None and seen[-1:] != [split] else []
        self.news.set()
        self.news = asyncio.Event()

    def canary(self, name: str) -> Canary | None:
        raw = self.caches[CANARY].get(self.rig.namespace, name)
        return None if raw is None else parse_canary(raw)

    async def phase(self, cell: Cell, phase: Phase) -> None:
        try:
            async with asyncio.timeout(200):
                while (found := self.canary(cell.name)) is None or found.status.phase is not phase:
                    await self.news.wait()
        except TimeoutError:
            status = found.status.to_json() if found is not None else "gone"
            raise AssertionError(f"no {phase}; {status}, {self.splits.get(cell.name)}") from None


@pytest_asyncio.fixture
async def watched(upstream: None, rig: Rig) -> AsyncIterator[Watched]:
    """A controller that waits for no gateway, as there is none."""
    flags = ("--mesh-provider=kubernetes", "--enable-leader-election=false", f"--namespace={rig.namespace}")
    await rig.start_controller(*flags, "--traffic-settle-time=1s")
    canaries = {cell: parse_canary(cell.canary(rig.namespace)) for cell in CELLS}
    cells = {ref: cell for cell, canary in canaries.items() for ref in ROUTERS[cell.provider].refs(canary)}
    resources = {CANARY, *(ref.resource for ref in cells)}
    caches = {each: WatchCache(rig.client, each, namespace=rig.namespace) for each in resources}
    board = Watched(rig, caches, cells)
    for each, cache in caches.items():
        cache.subscribe(partial(board.take, each))
    following = [asyncio.create_task(cache.run()) for cache in caches.values()]
    async with asyncio.timeout(20):
        await asyncio.gather(*(cache.synced.wait() for cache in caches.values()))
    yield board
    for task in following:
        task.cancel()
    await asyncio.wait(following)


async def play(board: Watched, cell: Cell) -> None:
    rig = board.rig
    for each in (*cell.users(rig.namespace), cell.target(rig.namespace, 1), cell.canary(rig.namespace)):
        await rig.apply(each)
    await board.phase(cell, Phase.INITIALIZED)
    await rig.apply(cell.target(rig.namespace, 2))
    await board.phase(cell, Phase.SUCCEEDED if cell.good else Phase.FAILED)
    primary = await rig.deployment(f"{cell.name}-primary")
    image = primary["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"process://sleep {1002 if cell.good else 1001}"
    assert tuple(board.splits[cell.name]) == cell.route
    await rig.client.delete(CANARY, rig.namespace, cell.name)
    while board.canary(cell.name) is not None:
        await board.news.wait()
    service = await rig.client.get(SERVICE, rig.namespace, cell.name)
    assert service["spec"]["selector"] == {"app": cell.name if cell.good else f"{cell.name}-primary"}


@pytest.mark.timeout(600)
async def test_every_strategy_of_every_provider_ends_as_it_should(watched: Watched) -> None:
    """And once the Canary is deleted, the Service selects the users' own pods again, but for what was not promoted."""
    places = asyncio.Semaphore(40)

    async def one(cell: Cell) -> None:
        async with places:
            await play(watched, cell)

    ends = await asyncio.gather(*map(one, CELLS), return_exceptions=True)
    wrong = [f"{cell.name}: {end!r}" for cell, end in zip(CELLS, ends, strict=True) if end is not None]
    assert not wrong, "\n".join(wrong)
