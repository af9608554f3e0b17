"""Every strategy, for every kind of target, on every router, to every end: each cell of the matrix.

A cell that can't be is refused by the names of its fields, and nothing is touched. In one that can, the rollout of the
simulation goes through the real kind of target and the real router: what they make is kept as an API server would keep
it, and the split that the router reads from it is what decides.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from canary.api import rules
from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import SERVICE, Json, ObjectRef
from canary.rollout.decision import (
    Action,
    CopyToPrimary,
    Ending,
    HandBack,
    KeepApexService,
    KeepVersionServices,
    Route,
    ScalePrimary,
    ScaleTarget,
)
from canary.rollout.facts import Facts
from canary.rollout.simulation import (
    Change,
    Delete,
    Deploy,
    Edit,
    Reading,
    SafeWorld,
    Scenario,
    Scheduled,
    Timeline,
    Version,
)
from canary.rollout.simulation.cluster import Cluster
from canary.rollout.simulation.statefulset import StatefulSet
from canary.routers.base import Granularity
from canary.routers.kubernetes import REPLICAS, WEIGHT_ANNOTATION
from canary.routers.registry import router_of
from canary.workloads.base import Rules
from canary.workloads.registry import TARGETS
from tests.tools.routes import after, by_ref
from tests.tools.starts import STARTS, USERS

Make = Callable[..., Canary]

MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]
COOKIE = {"cookieName": "track", "primaryCookieName": "stay"}
STEPS = {"stepWeight": 25, "maxWeight": 50}
WEIGHT, BACK, MIRROR, CHOICE, COOKIES = "stepWeight", "stepWeightPromotion", "mirror", "match", "sessionAffinity"
AHEAD = "alwaysMatch"
PODS = "replicaRatio"


@dataclass(frozen=True)
class Strategy:
    """How a version gets to its users.

    Args:
        analysis: fields of the analysis.
        needs: what a router must be able to do.
        spec: fields of the spec.
    """

    analysis: Mapping[str, Any]
    needs: frozenset[str]
    spec: Mapping[str, Any]


def strategy(analysis: Mapping[str, Any], *needs: str, **spec: Any) -> Strategy:
    return Strategy(analysis, frozenset(needs), spec)


STRATEGIES: dict[str, Strategy] = {
    "stepWeight": strategy(STEPS, WEIGHT),
    "numbers of pods": strategy({**STEPS, "replicaRatio": True}, WEIGHT, PODS),
    "stepWeights": strategy({"stepWeights": [10, 100]}, WEIGHT),
    "steps back": strategy({**STEPS, "stepWeightPromotion": 25}, WEIGHT, BACK),
    "mirrored": strategy({**STEPS, "mirror": True, "mirrorWeight": 40}, WEIGHT, MIRROR),
    "chosen beside": strategy({**STEPS, "alwaysMatch": MATCH}, WEIGHT, AHEAD),
    "session affinity": strategy({**STEPS, "sessionAffinity": COOKIE}, WEIGHT, COOKIES),
    "a/b": strategy({"iterations": 2, "match": MATCH}, CHOICE),
    "blue/green": strategy({"iterations": 2}),
    "blue/green mirrored": strategy({"iterations": 2, "mirror": True}, MIRROR),
    "unchecked": strategy(STEPS, skipAnalysis=True),
    "pod by pod": strategy({"iterations": 0, "maxWeight": 0}),
}
CONNECTIONS: dict[str, Json] = {"TCPRoute": {}, "TLSRoute": {"hosts": ["app.test"]}}
"""Kinds of route of `gatewayapi:v1`, each with what a spec says of it besides."""
CAN = {
    **{each: {WEIGHT, BACK} for each in ("alb", "apisix", "openshift", "routeRefs")},
    **{each: {WEIGHT, BACK} for each in ("skipper", "smi:v1alpha1", "traefik")},
    **{each: {WEIGHT, BACK, MIRROR, CHOICE} for each in ("contour", "gloo", "kuma")},
    **{each: {WEIGHT, BACK, MIRROR, CHOICE, COOKIES, AHEAD} for each in ("gatewayapi:v1", "istio")},
    **{each: {WEIGHT, BACK} for each in CONNECTIONS},
    "kubernetes": set[str](),
    "nginx": {WEIGHT, BACK, CHOICE},
    "in place": {WEIGHT},
}
ROUTERS = tuple(sorted(CAN.keys() - {"in place"}))
KINDS = ("Deployment", "DaemonSet", "Service", "StatefulSet")
OUTCOMES = ("promoted", "rolled back", "superseded", "suspended", "deleted")


def refusals(name: str, kind: str, provider: str) -> set[str]:
    """The fields that a cell is refused by; none where it can be."""
    needs, counted = STRATEGIES[name].needs, "iterations" in STRATEGIES[name].analysis and name != "pod by pod"
    if kind == "StatefulSet":
        found = {f"spec.analysis.{need}" for need in needs - CAN["in place"]}
        found |= {"spec.analysis.iterations"} if counted else set()
        return found | ({"spec.provider"} if provider != "kubernetes" else set())
    found = {f"spec.analysis.{need}" for need in needs - CAN[provider]}
    if PODS in needs and provider == "kubernetes":
        found = set() if kind == "Deployment" else {f"spec.analysis.{PODS}"}
    if kind == "Service" and provider == "kubernetes":
        found.add("spec.provider")
    missing = "iterations" if provider == "kubernetes" else "stepWeight"
    return found | ({f"spec.analysis.{missing}"} if name == "pod by pod" else set())


def target_of(kind: str, revision: str) -> Json:
    """The workload that users deploy."""
    metadata = {"name": "app", "namespace": "prod", "uid": "t-1"}
    if kind == "Service":
        ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]
        return {"kind": kind, "metadata": metadata, "spec": {"selector": {"version": revision}, "ports": ports}}
    container = {"name": "app", "image": f"app:{revision}", "ports": [{"containerPort": 80}]}
    labels = {"app": "app", "flagger.app/service": "app"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "kind": kind,
        "metadata": metadata,
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": template},
    }


class Service(Cluster):
    """Around a target that is a Service: it has no pods of its own to scale."""

    def do(self, action: Action, now: datetime) -> bool:
        return not isinstance(action, ScaleTarget | ScalePrimary) and super().do(action, now)


class Cell(SafeWorld):
    """A world whose objects are made by the real kind of target and the real router.

    Args:
        scenario: what happens.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        kind, router = TARGETS[self.canary.spec.target_ref.kind], router_of(self.canary, "")
        assert router is not None
        self.kind, self.router, self.rules = kind, router, Rules()
        self.objects: dict[ObjectRef, Json] = by_ref(USERS)
        if kind is TARGETS["Service"]:
            self.cluster = Service(scenario)
            self._keep([self.target])

    @property
    def target(self) -> Json:
        assert self.cluster.target is not None
        return target_of(self.kind.resource.kind, self.cluster.target.revision)

    @property
    def services(self) -> dict[str, Json]:
        return {each.name: obj for each, obj in self.objects.items() if each.resource is SERVICE}

    @property
    def found(self) -> tuple[Problem, ...]:
        """What the spec, its router and its target have against each other."""
        return (
            *rules.problems(self.canary, self.canary.spec.provider),
            *self.router.problems(self.canary),
            *self.kind.problems(self.canary, self.target, rules=self.rules, observed=self.services),
        )

    @property
    def routed(self) -> Split | None:
        """How the router's objects divide requests."""
        return self.router.split(self.canary, self.objects)

    def facts(self) -> Facts:
        facts = replace(super().facts(), problems=self.found)
        if self.scenario.in_place:
            return facts
        if facts.target is not None and self.kind is TARGETS["Service"]:
            facts = replace(facts, target=replace(facts.target, readiness=self.kind.readiness(self.target)))
        return replace(facts, split=self.routed)

    def after_action(self, action: Action, *, wrote: bool) -> None:
        super().after_action(action, wrote=wrote)
        target, canary, kind, given, there = self.target, self.canary, self.kind, self.rules, self.services
        match action:
            case KeepVersionServices():
                self._keep(kind.version_services(target, canary, rules=given, observed=there))
            case KeepApexService():
                self._keep(map(self._shifted, kind.apex_services(target, canary, rules=given, observed=there)))
            case CopyToPrimary():
                self._keep([kind.primary(target, canary, tracked={}, rules=given)])
            case Route(split):
                self.objects = after(self.router.plan(canary, split, self.objects), self.objects)
                assert self.routed in (split, None if self.cluster.managed else split)
            case HandBack():
                self._keep(kind.handed_back_services(target, canary, rules=given, observed=there))
                self.objects = after(self.router.hand_back(canary, self.objects), self.objects)

    def _shifted(self, service: Json) -> Json:
        """The users' Service as it is applied while the canary has traffic by what it selects, and what others keep."""
        if self.router is not REPLICAS:
            return service
        led = self.router.split(self.canary, self.objects)
        selected = self.services["app"]["spec"]["selector"] if led is not None and led.canary else {}
        marks = self.services.get("app", {}).get("metadata", {}).get("annotations", {})
        kept = {key: value for key, value in marks.items() if key == WEIGHT_ANNOTATION}
        metadata = {**service["metadata"], "annotations": {**service["metadata"].get("annotations", {}), **kept}}
        return {
            **service,
            "metadata": metadata,
            "spec": {**service["spec"], **({"selector": selected} if selected else {})},
        }

    def _keep(self, manifests: Iterable[Json]) -> None:
        self.objects |= by_ref(manifests, self.canary.namespace)

    @property
    def primary(self) -> Json:
        """The primary that was written last; empty where there is none."""
        return self.objects.get(ObjectRef(self.kind.resource, self.canary.namespace, "app-primary"), {})

    @property
    def has_pods(self) -> bool:
        """Whether the target has pods of its own."""
        target = self.cluster.target
        return target is not None and target.readiness(self.now).desired > 0 and self.kind is not TARGETS["Service"]

    @property
    def standing(self) -> object:
        """All that the controller writes."""
        target, primary = self.cluster.target, self.cluster.primary
        asked = target.spec if isinstance(target, StatefulSet) else target and target.desired
        return dict(self.objects), asked, primary and (primary.revision, primary.desired)

    @property
    def users(self) -> set[str]:
        """The revisions that answer users now."""
        return set(self.cluster.served(self.now))


def cell(canary: Make, name: str, kind: str, provider: str, outcome: str) -> Cell:
    """A world in which a version is deployed after a minute, and comes to this end."""
    chosen = STRATEGIES[name]
    gateway: Json = {"gatewayRefs": [{"name": "gateway"}]} if provider in ("gatewayapi:v1", *CONNECTIONS) else {}
    if provider in CONNECTIONS:
        gateway |= {"routeKind": provider, **CONNECTIONS[provider]}
        provider = "gatewayapi:v1"
    start = STARTS.get(provider, {}) if kind != "StatefulSet" else {}
    spec = {
        "targetRef": {"apiVersion": "v1" if kind == "Service" else "apps/v1", "kind": kind, "name": "app"},
        "provider": provider if provider != "routeRefs" else "istio",
        "service": {} if kind == "StatefulSet" else {"port": 80, **gateway},
        **start,
    }
    made = canary(spec={**spec, **chosen.spec}, **chosen.analysis)
    good = Version(ready_after=timedelta(0) if kind == "Service" else timedelta(seconds=5))
    bad = replace(good, readings=(Reading(1.0),))
    if name == "unchecked" and kind != "Service":
        bad = replace(good, ready_after=None)
    versions = {"v1": good, "v2": bad if outcome == "rolled back" else good, "v3": good}
    changes: list[tuple[float, Change]] = [(60, Deploy("v2"))]
    match outcome:
        case "superseded":
            changes.append((moment(name, kind), Deploy("v3")))
        case "suspended":
            changes.append((moment(name, kind), Edit(made.spec.replace(suspend=True))))
        case "deleted":
            changes.append((moment(name, kind), Delete()))
    scheduled = tuple(Scheduled(timedelta(seconds=at), change) for at, change in changes)
    router = router_of(made, "")
    assert router is not None
    weighted = router.weights is not Granularity.NONE
    in_place = kind == "StatefulSet"
    story = Scenario(canary=made, versions=versions, changes=scheduled, weighted=weighted, in_place=in_place)
    return Cell(replace(story, replicas=4) if in_place else story)


def moment(name: str, kind: str) -> float:
    """A second at which a rollout is on its way; one that nobody judges is soon over."""
    return 130.0 if name != "unchecked" else 60.5 if kind == "Service" else 62.0


def is_at_once(name: str, kind: str) -> bool:
    """Whether a version is promoted whatever it is: nobody judges it, and it has no pods of its own."""
    return name == "unchecked" and kind == "Service"


CELLS = [(name, kind, provider) for name in STRATEGIES for kind in KINDS for provider in ROUTERS]
POSSIBLE = [each for each in CELLS if not refusals(*each)]
IMPOSSIBLE = [
    (*each, OUTCOMES[number % len(OUTCOMES)]) for number, each in enumerate(each for each in CELLS if refusals(*each))
]
"""Each with one of the things that may happen afterwards, by turns."""


@pytest.mark.parametrize(("name", "kind", "provider"), POSSIBLE)
class TestPossible:
    """A cell that can be ends as it should, and whoever is asked has ready pods at every moment."""

    def test_a_good_version_is_promoted(self, canary: Make, name: str, kind: str, provider: str) -> None:
        world = cell(canary, name, kind, provider, "promoted")
        line = world.run()
        assert line.status.phase is Phase.SUCCEEDED
        assert line.endings == ended(name)
        holds(world, line, {"v2"})
        assert not world.primary or world.kind.primary_revision(world.primary) == world.kind.carried(world.target, {})

    def test_a_bad_version_is_taken_back(self, canary: Make, name: str, kind: str, provider: str) -> None:
        world = cell(canary, name, kind, provider, "rolled back")
        line = world.run()
        if is_at_once(name, kind):
            assert line.endings == (Ending.PROMOTED_UNCHECKED,)
            return
        assert line.status.phase is Phase.FAILED
        assert line.endings == (Ending.FAILED,)
        holds(world, line, {"v1"})

    def test_a_version_in_mid_rollout_takes_its_place(self, canary: Make, name: str, kind: str, provider: str) -> None:
        world = cell(canary, name, kind, provider, "superseded")
        line = world.run()
        assert line.status.phase is Phase.SUCCEEDED
        assert line.endings == ended(name)
        holds(world, line, {"v3"})

    def test_it_stays_where_it_is_while_it_is_suspended(
        self, canary: Make, name: str, kind: str, provider: str
    ) -> None:
        world = cell(canary, name, kind, provider, "suspended")
        world.run(timedelta(seconds=moment(name, kind)))
        standing = world.standing
        line = world.run()
        assert world.standing == standing
        assert line.status.phase in {Phase.PROGRESSING, Phase.PROMOTING, Phase.FINALISING}
        assert line.endings == ()
        holds(world, line, world.users, rests=False)

    def test_a_deleted_one_lets_go_and_users_are_served(
        self, canary: Make, name: str, kind: str, provider: str
    ) -> None:
        world = cell(canary, name, kind, provider, "deleted")
        line = world.run()
        assert world.gone
        assert line.endings == ()
        holds(world, line, {"v1"}, rests=False)


def ended(name: str) -> tuple[Ending, ...]:
    return (Ending.PROMOTED_UNCHECKED if name == "unchecked" else Ending.PROMOTED,)


def holds(world: Cell, line: Timeline, users: set[str], *, rests: bool = True) -> None:
    """What is so at every end.

    Args:
        world: the cell.
        line: what has happened in it.
        users: the revisions that answer users.
        rests: whether the canary is to have no traffic, and no pods.
    """
    assert world.found == ()
    assert line.over
    assert "" not in line.served
    assert world.users == users
    if rests:
        assert line.status.canary_weight == 0
        assert world.routed in (ALL_PRIMARY, None)
        assert world.scenario.in_place or not world.has_pods


@pytest.mark.parametrize(("name", "kind", "provider", "outcome"), IMPOSSIBLE)
def test_what_cant_be_is_refused_and_touches_nothing(
    canary: Make, name: str, kind: str, provider: str, outcome: str
) -> None:
    """By the name of each field that is in the way, with a remedy, whatever happens afterwards."""
    world = cell(canary, name, kind, provider, outcome)
    line = world.run()
    assert {problem.field for problem in world.found} == refusals(name, kind, provider)
    assert all(problem.message and problem.remedy for problem in world.found)
    stalled = line.status.condition("Stalled")
    assert stalled is not None
    assert all(str(problem) in stalled.message for problem in world.found)
    assert line.status.phase is Phase.EMPTY
    assert world.objects.keys() <= {ObjectRef(SERVICE, "prod", "app"), *by_ref(USERS)}
    assert world.cluster.primary is None
    assert not world.cluster.managed
    assert world.gone is (outcome == "deleted")
