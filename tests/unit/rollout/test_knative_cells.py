"""Every strategy on a Knative Service, to every end: its Revisions are the two versions, and no pod is ours to scale.

The rollout of the simulation goes through the real target and the real router; the division of requests that these
write is taken, or not, as Knative's controllers do.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from canary.api import rules
from canary.api.canary import Canary
from canary.api.knative import PRIMARY_REVISION, primary_revision
from canary.api.problems import Problem
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import KNATIVE_SERVICE, Json, ObjectRef
from canary.rollout.decision import (
    Action,
    CopyToPrimary,
    Ending,
    HandBack,
    KeepVersionServices,
    RestorePrimary,
    Route,
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
    Side,
    Version,
)
from canary.rollout.simulation.cluster import Cluster
from canary.rollout.simulation.deployment import Deployment, Pods
from canary.rollout.simulation.scenario import ClusterChange
from canary.routers.knative import KNATIVE
from canary.routers.registry import ROUTERS
from canary.workloads.base import Rules
from canary.workloads.registry import KNATIVE as TARGET
from tests.tools import knative
from tests.tools.routes import after, merged
from tests.unit.rollout.test_rollout_cells import KINDS, OUTCOMES, STRATEGIES, WEIGHT

Make = Callable[..., Canary]

FIRST, SECOND, THIRD = "app-00001", "app-00002", "app-00003"
REF = ObjectRef(KNATIVE_SERVICE, "prod", "app")
HONOURED = frozenset({WEIGHT})


def refusals(name: str) -> set[str]:
    """The fields that a strategy is refused by."""
    found = {f"spec.analysis.{need}" for need in STRATEGIES[name].needs - HONOURED}
    return found | ({"spec.analysis.stepWeight"} if name == "pod by pod" else set())


class Revisions(Cluster):
    """A cluster in which each version has pods of its own, which come and go without anybody's doing."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.made: dict[str, Deployment] = {}
        self.traffic: Mapping[str, int] = {FIRST: 100}
        self._make(FIRST, scenario.start)

    def _make(self, name: str, ready_at: datetime | None) -> None:
        pods = [Pods(name, 1, ready_at)]
        self.target = self.made[name] = Deployment(self.scenario, Side.CANARY, name, 1, pods)

    def happen(self, change: ClusterChange, now: datetime) -> None:
        assert isinstance(change, Deploy)
        takes = self.scenario.version(change.revision).ready_after
        self._make(change.revision, None if takes is None else now + takes)

    def do(self, action: Action, now: datetime) -> bool:
        match action:
            case CopyToPrimary(revision) | RestorePrimary(revision):
                changed = self.primary is not self.made[revision]
                self.primary = self.made[revision]
                return changed
            case KeepVersionServices():
                return False
        return type(action).__name__ not in ("ScaleTarget", "ScalePrimary", "KeepRevision") and super().do(action, now)

    def shares(self, now: datetime) -> Mapping[Side, float]:
        promoted = self.traffic.get(self.primary.revision, 0) / 100 if self.primary is not None else 0.0
        return {Side.CANARY: 1 - promoted, Side.PRIMARY: promoted, Side.BASELINE: 0.0}

    def reaching(self, now: datetime) -> Mapping[Side, float]:
        return self.shares(now)

    def served(self, now: datetime) -> dict[str, float]:
        ready = {name for name, each in self.made.items() if each.serving(now)}
        found: dict[str, float] = {}
        for name, percent in self.traffic.items():
            found[name if name in ready else ""] = found.get(name, 0) + percent / 100
        return found


class Cell(SafeWorld):
    """A world with a Knative Service, which the real target and the real router look at and write."""

    cluster: Revisions

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.cluster = Revisions(scenario)
        made = knative.defaulted(knative.service("app", "prod", FIRST))
        made["metadata"] |= {"uid": "t-1", "generation": 1}
        self.objects: dict[ObjectRef, Json] = {REF: made}
        self._refresh()

    @property
    def service(self) -> Json:
        return self.objects[REF]

    @property
    def found(self) -> tuple[Problem, ...]:
        problems = (*rules.problems(self.canary, "knative"), *KNATIVE.problems(self.canary))
        return (*problems, *TARGET.problems(self.canary, self.service, rules=Rules(), observed={}))

    @property
    def routed(self) -> Split | None:
        return KNATIVE.split(self.canary, self.objects)

    @property
    def users(self) -> set[str]:
        return set(self.cluster.served(self.now))

    def facts(self) -> Facts:
        self._refresh()
        assert self.cluster.target is not None
        assert TARGET.revision(self.service) == self.cluster.target.revision
        facts = super().facts()
        return replace(
            facts,
            split=self.routed,
            kept=frozenset(self.cluster.made),
            unsettled=KNATIVE.unsettled(self.canary, self.objects),
            problems=self.found,
        )

    def after_action(self, action: Action, *, wrote: bool) -> None:
        match action:
            case CopyToPrimary(revision) | RestorePrimary(revision):
                assert TARGET.versions is not None
                patch = TARGET.versions.promotion(self.service, revision)
                self.objects = {REF: merged(self.service, patch)}
            case Route(split):
                self.objects = after(KNATIVE.plan(self.canary, split, self.objects), self.objects)
                assert self.routed in (split, ALL_PRIMARY), "all is the primary's once it is what the canary was"
            case HandBack():
                self.objects = after(KNATIVE.hand_back(self.canary, self.objects), self.objects)
        self._refresh()
        super().after_action(action, wrote=wrote)

    def _refresh(self) -> None:
        """What Knative says now; what it was asked for, its webhook takes."""
        assert knative.objections(self.service["spec"]["traffic"]) == []
        revisions = [self._revision(name, each) for name, each in self.cluster.made.items()]
        status = knative.service_status(self.service, revisions)
        self.objects = {REF: {**self.service, "status": status}}
        self.cluster.traffic = knative.served(self.service)
        promoted = primary_revision(self.canary, self.service)
        self.cluster.primary = self.cluster.made.get(promoted)

    def _revision(self, name: str, pods: Deployment) -> Json:
        metadata = {"name": name, "labels": {knative.GENERATION: name.removeprefix("app-")}}
        return {"metadata": metadata, "status": knative.revision_status(ready=pods.serving(self.now))}


def cell(canary: Make, name: str, outcome: str, **analysis: str) -> Cell:
    """A world in which a version is deployed after a minute, and comes to this end; arguments are of the analysis."""
    chosen = STRATEGIES[name]
    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "app"}
    spec = {"targetRef": target, "provider": "knative", "service": {}, **chosen.spec}
    made = canary(spec=spec, **chosen.analysis, **analysis)
    good = Version(ready_after=timedelta(seconds=5))
    bad = replace(good, readings=(Reading(1.0),)) if name != "unchecked" else replace(good, ready_after=None)
    versions = {FIRST: good, SECOND: bad if outcome == "rolled back" else good, THIRD: good}
    changes: list[tuple[float, Change]] = [(60, Deploy(SECOND))]
    match outcome:
        case "superseded":
            changes.append((moment(name), Deploy(THIRD)))
        case "suspended":
            changes.append((moment(name), Edit(made.spec.replace(suspend=True))))
        case "deleted":
            changes.append((moment(name), Delete()))
    scheduled = tuple(Scheduled(timedelta(seconds=at), change) for at, change in changes)
    return Cell(Scenario(canary=made, versions=versions, changes=scheduled))


def moment(name: str) -> float:
    return 62.0 if name == "unchecked" else 130.0


POSSIBLE = [name for name in STRATEGIES if not refusals(name)]


def test_there_are_strategies_that_can_be() -> None:
    assert POSSIBLE == ["stepWeight", "stepWeights", "blue/green", "unchecked"]


@pytest.mark.parametrize("name", POSSIBLE)
class TestPossible:
    """A cell that can be ends as it should, and whoever is asked is ready at every moment."""

    def test_a_good_revision_is_promoted(self, canary: Make, name: str) -> None:
        world = cell(canary, name, "promoted")
        line = world.run()
        assert line.status.phase is Phase.SUCCEEDED
        assert line.endings == ended(name)
        rests(world, SECOND)
        assert "" not in line.served

    def test_a_bad_one_is_taken_back(self, canary: Make, name: str) -> None:
        world = cell(canary, name, "rolled back")
        line = world.run()
        assert line.status.phase is Phase.FAILED
        assert line.endings == (Ending.FAILED,)
        rests(world, FIRST)
        assert "" not in line.served

    def test_one_in_mid_rollout_takes_its_place(self, canary: Make, name: str) -> None:
        world = cell(canary, name, "superseded")
        line = world.run()
        assert line.status.phase is Phase.SUCCEEDED
        assert line.endings == ended(name)
        rests(world, THIRD)
        assert "" not in line.served

    def test_it_stays_where_it_is_while_it_is_suspended(self, canary: Make, name: str) -> None:
        world = cell(canary, name, "suspended")
        world.run(timedelta(seconds=moment(name)))
        standing = world.service["spec"]
        line = world.run()
        assert world.service["spec"] == standing
        assert line.status.phase is Phase.PROGRESSING
        assert line.endings == ()
        assert "" not in line.served

    def test_a_deleted_one_lets_go_and_users_are_served_by_what_is_promoted(self, canary: Make, name: str) -> None:
        world = cell(canary, name, "deleted")
        line = world.run()
        assert world.gone
        assert world.users == {FIRST}
        assert "" not in line.served


@pytest.mark.parametrize("reverts", [False, True])
def test_deleted_with_a_failed_revision_on_top_users_get_that_only_if_asked_for(canary: Make, reverts: bool) -> None:
    world = cell(canary, "stepWeight", "rolled back")
    world.canary = world.canary.replace(spec=world.canary.spec.replace(revert_on_deletion=reverts))
    world.run(timedelta(minutes=20))
    assert (world.canary.status.phase, world.users) == (Phase.FAILED, {FIRST})
    world.change(Delete())
    world.run()
    assert world.gone
    pinned = {"revisionName": FIRST, "latestRevision": False, "percent": 100}
    assert world.service["spec"]["traffic"] == [knative.LATEST if reverts else pinned]
    assert (PRIMARY_REVISION in world.service["metadata"]["annotations"]) is not reverts
    assert world.users == {SECOND if reverts else FIRST}


def test_a_revision_that_turns_bad_after_its_promotion_gives_way_to_the_one_before(canary: Make) -> None:
    """Knative keeps it, so that the mark and the division are all that changes."""
    world = cell(canary, "stepWeight", "promoted", bake="10m")
    world.run(timedelta(minutes=10))
    assert world.users == {SECOND}
    bad = Version(readings=(Reading(1.0, side=Side.PRIMARY),))
    world.scenario = world.cluster.scenario = replace(world.scenario, versions={SECOND: bad})
    line = world.run()
    assert (line.status.phase, line.status.reason) == (Phase.FAILED, "BakeFailed")
    rests(world, FIRST)
    assert "" not in line.served


def ended(name: str) -> tuple[Ending, ...]:
    return (Ending.PROMOTED_UNCHECKED if name == "unchecked" else Ending.PROMOTED,)


def rests(world: Cell, revision: str) -> None:
    """All requests go to one Revision, by its name, and it is marked as the promoted one."""
    assert world.found == ()
    assert world.users == {revision}
    pinned = {"revisionName": revision, "latestRevision": False, "percent": 100}
    assert world.service["spec"]["traffic"] == [pinned]
    assert world.service["metadata"]["annotations"] == {PRIMARY_REVISION: revision}
    assert world.canary.status.canary_weight == 0
    assert world.canary.status.last_promoted_spec == revision


@pytest.mark.parametrize("provider", sorted({*ROUTERS} - {"knative"}))
def test_no_other_provider_divides_the_requests_of_a_knative_service(canary: Make, provider: str) -> None:
    made = cell(canary, "stepWeight", "promoted").canary
    other = made.replace(spec=made.spec.replace(provider=provider))
    assert "spec.provider" in {problem.field for problem in rules.problems(other, provider)}


@pytest.mark.parametrize("kind", KINDS)
def test_knative_divides_the_requests_of_nothing_else(canary: Make, kind: str) -> None:
    target = {"apiVersion": "v1" if kind == "Service" else "apps/v1", "kind": kind, "name": "app"}
    found = {problem.field for problem in rules.problems(canary(spec={"targetRef": target}), "knative")}
    assert found & {"spec.targetRef", "spec.provider"}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", [name for name in STRATEGIES if refusals(name)])
def test_what_cant_be_is_refused_and_touches_nothing(canary: Make, name: str, outcome: str) -> None:
    world = cell(canary, name, outcome)
    there = world.service["spec"]
    world.run()
    assert {problem.field for problem in world.found} == refusals(name)
    assert all(problem.message and problem.remedy for problem in world.found)
    assert world.service["spec"] == there
    assert "annotations" not in world.service["metadata"]
    assert world.canary.status.phase is Phase.EMPTY
