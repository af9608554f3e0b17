"""What `canary rehearse` predicts is what happens: ten specs over five scenarios, all at once, on the real parts.

Pods are processes that sleep, and metrics are numbers that Prometheus is asked for as they are, so that the scenario
alone decides how a rollout goes.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TypeVar

from canary.api.canary import Canary, parse_canary
from canary.cli.rehearse.builtin import BY_NAME
from canary.cli.rehearse.play import Rehearsal, Theatre
from canary.cli.rehearse.refusals import is_weighted, settle_of
from canary.cli.rehearse.staging import Stage
from canary.cli.rehearse.story import Story
from canary.kube.store import Change
from canary.kube.types import CANARY, DEPLOYMENT, EVENT, TRAEFIK_SERVICE, Json, Resource
from canary.kube.watch import WatchCache
from canary.rollout.plan import Step, plan_of
from canary.sandbox.harness import Moment, Rig, phase_of, weight_of, without_repeats

INTERVAL = 3.0
DEADLINE = 30
SOON = 0.2
"""Seconds until the user who waits for a step has applied a newer version."""

AT_ONCE = 4
"""Rollouts whose pods may be starting at the same time: those of all fifty at once would take too long."""

ENDED = {"Succeeded", "Failed"}
EVENTS_WITHIN = 30.0
TOLERANCE = 1.0
"""Seconds by which a rollout may be longer than rehearsed, beside what its pods took and how late the machine is."""

GATE = "http://flagger-loadtester.test/gate/approve"


def _hook(type_: str) -> Json:
    return {"name": type_, "type": type_, "url": GATE, "timeout": "5s"}


SPECS: dict[str, Json] = {
    "steps": {"stepWeight": 25, "maxWeight": 50},
    "weights": {"stepWeights": [1, 10, 60]},
    "to-all": {"stepWeight": 50},
    "patient": {"stepWeight": 30, "maxWeight": 60, "threshold": 3},
    "back-in-steps": {"stepWeights": [20, 75], "stepWeightPromotion": 50},
    "hooked": {
        "stepWeights": [40],
        "webhooks": [_hook(type_) for type_ in ("confirm-rollout", "pre-rollout", "rollout", "post-rollout")],
    },
    "gated": {
        "stepWeights": [15, 30],
        "webhooks": [_hook(type_) for type_ in ("confirm-traffic-increase", "confirm-promotion")],
    },
    "blue-green": {"iterations": 2},
    "gated-blue-green": {"iterations": 2, "threshold": 2, "webhooks": [_hook("confirm-promotion")]},
    "without-weights": {"iterations": 3, "provider": "kubernetes"},
}
"""What differs in their analysis, and their provider where it is another."""

READINGS = {
    "no-traffic": "vector(0) > 1",
    "pods-never-ready": "vector(0)",
    "new-revision-in-mid-rollout": "vector(0)",
    "healthy": "vector(0)",
    "dead-on-arrival": "vector(2)",
}
"""What Prometheus is asked for the number of errors, of which one is allowed; the longest scenario first."""


def canary_of(name: str, namespace: str, spec: str, scenario: str) -> Json:
    """A Canary of this spec, whose metric says what the scenario lets it say."""
    analysis = {**SPECS[spec]}
    provider = analysis.pop("provider", "traefik")
    metric = {"name": "errors", "query": READINGS[scenario], "thresholdRange": {"max": 1}, "interval": "1s"}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {
            "provider": provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 9898},
            "progressDeadlineSeconds": DEADLINE,
            "analysis": {"interval": f"{INTERVAL:g}s", "threshold": 1, "metrics": [metric], **analysis},
        },
    }


def workload(name: str, namespace: str, version: str, *, ready: bool = True) -> Json:
    """A Deployment of one pod that sleeps."""
    container: Json = {
        "name": "app",
        "image": "process://sleep infinity",
        "ports": [{"name": "http", "containerPort": 9898}],
        "env": [{"name": "VERSION", "value": version}],
    }
    if not ready:
        container["readinessProbe"] = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


@dataclass(slots=True)
class Log:
    """Every state of the objects of a namespace, and every event, in the order in which the API server told them."""

    canaries: defaultdict[str, list[Moment]] = field(default_factory=lambda: defaultdict(list))
    routes: defaultdict[str, list[Moment]] = field(default_factory=lambda: defaultdict(list))
    deployments: defaultdict[str, list[Moment]] = field(default_factory=lambda: defaultdict(list))
    events: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def of(cls, rig: Rig) -> AsyncIterator["Log"]:
        """Keep a log while the context lasts."""
        log = cls()
        async with AsyncExitStack() as stack:
            for resource, states in (
                (CANARY, log.canaries),
                (TRAEFIK_SERVICE, log.routes),
                (DEPLOYMENT, log.deployments),
                (EVENT, None),
            ):
                await stack.enter_async_context(log._follow(rig, resource, states))
            yield log

    @asynccontextmanager
    async def _follow(
        self, rig: Rig, resource: Resource, states: defaultdict[str, list[Moment]] | None
    ) -> AsyncIterator[None]:
        def take(change: Change[Json]) -> None:
            if states is not None:
                states[change.key.name].append(Moment(asyncio.get_running_loop().time(), change.new))
            elif change.new is not None and change.new["involvedObject"]["kind"] == CANARY.kind:
                self.events[change.new["involvedObject"]["name"]].append(change.new["message"])
            self.news.set()

        cache = WatchCache(rig.client, resource, namespace=rig.namespace)
        cache.subscribe(take)
        task = asyncio.create_task(cache.run(), name=f"log {resource.plural}")
        try:
            async with asyncio.timeout(20):
                await cache.synced.wait()
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def status(self, name: str) -> Json:
        """The status of a Canary as it is."""
        moments = self.canaries[name]
        status: Json = (moments[-1].value or {}).get("status") or {} if moments else {}
        return status

    async def until(self, names: Sequence[str], phases: set[str], within: float) -> None:
        """Wait until every one of these Canaries is in one of the phases."""
        try:
            await self.when(lambda: all(self.status(name).get("phase") in phases for name in names), within)
        except TimeoutError:
            late = {name: self.status(name) for name in names if self.status(name).get("phase") not in phases}
            msg = f"not {' or '.join(phases)} within {within:g} s: {late}"
            raise AssertionError(msg) from None

    async def until_told(self, names: Sequence[str], event: str, within: float) -> None:
        """Wait until every one of these Canaries has told this; events come after the status that they tell of."""
        await self.when(
            lambda: all(any(each.startswith(event) for each in self.events[name]) for name in names), within
        )

    async def when(self, accept: Callable[[], bool], within: float) -> None:
        """Wait until something holds of what was told; raises TimeoutError where it does not in time."""
        async with asyncio.timeout(within):
            while not accept():
                self.news.clear()
                await self.news.wait()


@dataclass(slots=True)
class Rollout:
    """One spec in one scenario: what is predicted, and what happens.

    Args:
        spec: name of the spec.
        scenario: name of the scenario.
        manifest: the Canary.
        predicted: the rehearsal, with pods that are ready at once.
        began: when the new version was applied, in loop time.
        told: how many events there were by then.
    """

    spec: str
    scenario: str
    manifest: Json
    predicted: Rehearsal
    began: float = 0.0
    told: int = 0

    @classmethod
    def of(cls, spec: str, scenario: str, namespace: str) -> "Rollout":
        """Rehearse one."""
        manifest = canary_of(f"{spec}-{list(READINGS).index(scenario)}", namespace, spec, scenario)
        canary = parse_canary(manifest)
        provider = canary.spec.provider
        stage = Stage(
            weighted=is_weighted(canary, provider),
            ready_after=timedelta(0),
            replicas=1,
            settle=settle_of(canary, provider),
        )
        return cls(spec, scenario, manifest, Theatre(canary, stage).play(_story(canary, scenario, stage.settle)))

    @property
    def name(self) -> str:
        """Of the Canary, the Deployment and the route."""
        return str(self.manifest["metadata"]["name"])

    async def play(self, rig: Rig, log: Log, starting: asyncio.Semaphore) -> None:
        """Apply the new version and, in mid-rollout where the scenario says so, a newer one."""
        ready = self.scenario != "pods-never-ready"
        async with starting:
            self.began, self.told = asyncio.get_running_loop().time(), len(log.events[self.name])
            await rig.apply(workload(self.name, rig.namespace, "new", ready=ready))
            await self._until(log, lambda status: status.get("phase") in ENDED or not ready or _has_begun(status))
        if self.scenario == "new-revision-in-mid-rollout":
            step = _half_way(parse_canary(self.manifest))[1]
            wanted = (step.split.canary, step.iteration)
            await self._until(log, lambda status: (status.get("canaryWeight"), status.get("iterations")) == wanted)
            await rig.apply(workload(self.name, rig.namespace, "newer"))

    async def _until(self, log: Log, accept: Callable[[Json], bool]) -> None:
        await log.when(lambda: accept(log.status(self.name)), 2 * DEADLINE)

    async def all_told(self, log: Log) -> None:
        """Wait until there are as many events as were predicted; they come after what they tell of."""
        with suppress(TimeoutError):
            await log.when(lambda: len(log.events[self.name]) - self.told >= len(self.predicted.events), EVENTS_WITHIN)

    def lateness(self, log: Log) -> float:
        """Seconds by which it has taken longer than was predicted."""
        since = [each for each in log.canaries[self.name] if each.at >= self.began]
        return self._took(since) - (self.predicted.took or timedelta(0)).total_seconds()

    def differences(self, log: Log, late: float) -> list[str]:
        """What is otherwise than predicted, in words.

        Args:
            log: what has happened.
            late: seconds by which the machine is late with a single decision.
        """
        since = [each for each in log.canaries[self.name] if each.at >= self.began]
        phases = _without_repeats([phase_of(each.value or {}) for each in since])
        predicted = self.predicted
        found: list[tuple[str, object, object]] = [("phases", phases, tuple(phase.value for phase in predicted.phases))]
        if self.manifest["spec"]["provider"] == "traefik":
            weights = without_repeats([weight_of(each.value or {}) for each in self._routes(log)])
            found.append(("weights", tuple(weights), predicted.weights))
        events = _without_repeats([_comparable(each) for each in log.events[self.name][self.told :]])
        found.append(("events", events, _without_repeats([_comparable(each) for each in predicted.events])))
        lines = [f"{what}: {seen}, predicted {said}" for what, seen, said in found if seen != said]
        longer, pods = self.lateness(log), self._pods_took(log)
        decisions = len({step.at for step in predicted.steps})
        if not -0.1 <= longer <= pods + TOLERANCE + decisions * late:
            lines.append(f"duration: {longer:.2f} s longer than predicted, and pods took {pods:.2f} s")
        return [f"{self.spec}, {self.scenario}: {line}" for line in lines]

    def _routes(self, log: Log) -> list[Moment]:
        """The states of the route since the new version was applied, with the one that it was in then."""
        states = log.routes[self.name]
        before = [each for each in states if each.at < self.began][-1:]
        return before + [each for each in states if each.at >= self.began]

    def _took(self, since: Sequence[Moment]) -> float:
        return next(each.at for each in reversed(_first_of_each_phase(since)) if _is_end(each)) - self.began

    def _pods_took(self, log: Log) -> float:
        """Seconds for which pods were asked for and not all there, in the canary and in the primary.

        Pods that never are take none of the time: the deadline does.
        """
        if self.scenario == "pods-never-ready":
            return 0.0
        return sum(_unsettled(log.deployments[each], self.began) for each in (self.name, f"{self.name}-primary"))


def _half_way(canary: Canary) -> tuple[int, Step]:
    """The step half-way through a plan, and how many come before it."""
    steps = plan_of(canary, weighted=is_weighted(canary, canary.spec.provider)).steps
    return len(steps) // 2, steps[len(steps) // 2]


def _story(canary: Canary, scenario: str, settle: timedelta) -> Story:
    """The scenario; the newer version comes as soon as the step half-way has begun, which leaves it time to come."""
    story = BY_NAME[scenario]
    if not story.changes:
        return story
    at = settle + timedelta(seconds=_half_way(canary)[0] * INTERVAL + SOON)
    return story.replace(changes=tuple(change.replace(at=at) for change in story.changes))


def _has_begun(status: Json) -> bool:
    """Whether a rollout has taken its first step."""
    return status.get("phase") == "Progressing" and bool(status.get("canaryWeight") or status.get("iterations"))


def _comparable(event: str) -> str:
    """An event without what only the real parts can know: why pods are not ready, why there is no value, the query."""
    told = event.partition(" updated replicas are available: ")[0].partition(", wanted ")[0]
    return re.sub(r" \((over [^,)]*, )?(the worst of \d+ series, )?query .*\)$| \(over [^)]*\)$", "", told)


T = TypeVar("T")


def _without_repeats(values: Sequence[T]) -> tuple[T, ...]:
    return tuple(each for index, each in enumerate(values) if not index or each != values[index - 1])


def _is_end(moment: Moment) -> bool:
    return phase_of(moment.value or {}) in ENDED


def _first_of_each_phase(moments: Sequence[Moment]) -> list[Moment]:
    return [
        each
        for index, each in enumerate(moments)
        if not index or phase_of(each.value or {}) != phase_of(moments[index - 1].value or {})
    ]


def _unsettled(moments: Sequence[Moment], since: float) -> float:
    """Seconds for which a Deployment had not the pods that it should have, while it should have any."""
    seconds = 0.0
    for before, after in pairwise(moments):
        spec, status = (before.value or {}).get("spec", {}), (before.value or {}).get("status", {})
        metadata = (before.value or {}).get("metadata", {})
        replicas = spec.get("replicas", 0)
        counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")]
        settled = status.get("observedGeneration") == metadata.get("generation") and counts == [replicas] * 3
        if before.at >= since and replicas and not settled:
            seconds += after.at - before.at
    return seconds


async def test_order_and_duration_are_as_rehearsed(rig: Rig) -> None:
    """The order of phases, weights and events is the same; a rollout takes longer by what its pods took, no more."""
    rollouts = [Rollout.of(spec, scenario, rig.namespace) for scenario in READINGS for spec in SPECS]
    names = [each.name for each in rollouts]
    async with Log.of(rig) as log:
        await asyncio.gather(*(rig.apply(workload(name, rig.namespace, "current")) for name in names))
        await asyncio.gather(*(rig.apply(each.manifest) for each in rollouts))
        await log.until(names, {"Initialized"}, within=90)
        await log.until_told(names, "Initialization done!", EVENTS_WITHIN)
        await asyncio.sleep(3)
        starting = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for each in rollouts:
                group.create_task(each.play(rig, log, starting))
        await log.until(names, ENDED, within=150)
        await asyncio.gather(*(each.all_told(log) for each in rollouts))
        late = max(each.lateness(log) for each in rollouts if each.scenario == "pods-never-ready")
        differences = [line for each in rollouts for line in each.differences(log, late)]

    assert not differences, "\n".join(differences)
