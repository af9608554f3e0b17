"""A model of what a controller acts on: the workloads with their pods, the users' Service, and a route."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, assert_never

from canary.api.canary import CanarySpec
from canary.api.partitions import Partitions
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT, Split
from canary.rollout.decision import (
    Action,
    Adopt,
    CopyToPrimary,
    DeletePod,
    DropBaseline,
    DropFinalizer,
    DropVotes,
    EndRuns,
    HandBack,
    HoldFinalizer,
    KeepApexService,
    KeepAutoscaler,
    KeepBaseline,
    KeepRevision,
    KeepVersionServices,
    LeaveRoutes,
    Orphan,
    RestAutoscaler,
    RestorePrimary,
    RollPrimary,
    Route,
    ScalePrimary,
    ScaleTarget,
    SetPartition,
    WakeAutoscaler,
)
from canary.rollout.facts import Workload
from canary.rollout.simulation.deployment import Deployment, Pods
from canary.rollout.simulation.scenario import ClusterChange, Deploy, Drift, Forget, Kill, Remove, Scale, Scenario, Side
from canary.rollout.simulation.statefulset import Spec, StatefulSet


def _given(split: Split) -> tuple[int, int]:
    """What a route gives to others than the primary."""
    return split.canary, split.baseline


class _Way(NamedTuple):
    """Where requests go by the objects that say so."""

    managed: bool
    split: Split | None
    former: Split | None


class Refused(Exception):  # noqa: N818 - reads as what it is where it is caught
    """An action can't be done as things stand."""


class Cluster:
    """The objects around one Canary.

    Args:
        scenario: what it starts from: a target that serves users by itself.
    """

    def __init__(self, scenario: Scenario) -> None:
        first = next(iter(scenario.versions))
        self.scenario = scenario
        self.target: Deployment | StatefulSet | None = (
            StatefulSet.serving_since(scenario, first, scenario.start)
            if scenario.in_place
            else Deployment(
                scenario, Side.CANARY, first, scenario.replicas, [Pods(first, scenario.replicas, scenario.start)]
            )
        )
        self.primary: Deployment | None = None
        self.baseline: Deployment | None = None
        self.beside = ""
        """For which rollout the baseline was made."""
        self.split: Split | None = None
        self.managed = False
        """Whether the users' Service leads where the route and the primary are, and no longer to the target."""
        self.former: Split | None = None
        """How routes divide requests that the spec named before it was edited; None where there are none."""
        self._led: list[tuple[datetime, _Way]] = []
        """Where Service and routes led before, each with when that ended; the data plane may still go by it."""
        self.version_services = False
        self.followed = ""
        """A digest of the followed configuration, as new pods would read it."""
        self.kept: frozenset[str] = frozenset()
        """The revisions that the primary can be set to again."""
        self.finalizer = False
        self.orphaned = False

    def twin(self) -> "Cluster":
        """One like it, to go another way."""
        other = copy.copy(self)
        vars(other).update(_led=list(self._led))
        other.target = None if self.target is None else self.target.twin()
        other.primary = None if self.primary is None else self.primary.twin()
        other.baseline = None if self.baseline is None else self.baseline.twin()
        return other

    def settle(self, now: datetime) -> None:
        """Let time have its effect on pods."""
        for each in (self.target, self.primary, self.baseline):
            if each is not None:
                each.settle(now)

    def next_change(self, now: datetime) -> datetime | None:
        """When pods next become ready, or the gateway says that it has taken its route."""
        changes = [each.next_change(now) for each in map(self.side, Side) if each is not None]
        changes += [self.taken_at] if self.taken_at is not None and self.taken_at > now else []
        return min((each for each in changes if each is not None), default=None)

    @property
    def taken_at(self) -> datetime | None:
        """When the gateway says that it has taken its route; None where it never tells, or nothing was changed."""
        tells = self.scenario.tells
        return self._led[-1][0] + tells if self._led and tells is not None else None

    def side(self, side: Side) -> Deployment | StatefulSet | None:
        """One of the workloads."""
        match side:
            case Side.CANARY:
                return self.target
            case Side.PRIMARY:
                return self.primary
            case Side.BASELINE:
                return self.baseline

    def shares(self, now: datetime) -> Mapping[Side, float]:
        """The share of requests that each side is given, 0 to 1."""
        return self._divided(self._way, now)

    def reaching(self, now: datetime) -> Mapping[Side, float]:
        """The greatest share of requests that each side may get now, as the data plane follows late."""
        later = [way for ended, way in self._led if ended + self.scenario.lag > now]
        found = [self._divided(each, now) for each in (self._way, *later)]
        return {side: max(each[side] for each in found) for side in Side}

    def edited(self, old: CanarySpec, new: CanarySpec, now: datetime) -> None:
        """Where the spec names other routes from now on, those that there are stay, and are what users go by."""
        if (old.provider, old.service.name) == (new.provider, new.service.name):
            return
        before = self._way
        self.former = max((each for each in (self.former, self.split) if each), key=_given, default=None)
        self.split = None
        self._remember(before, now)

    @property
    def _way(self) -> "_Way":
        return _Way(self.managed, self.split, self.former)

    def _divided(self, way: "_Way", now: datetime) -> Mapping[Side, float]:
        if not way.managed:
            return {Side.CANARY: 1.0, Side.PRIMARY: 0.0, Side.BASELINE: 0.0}
        split = max(way.split or ALL_PRIMARY, way.former or ALL_PRIMARY, key=_given)
        if self.scenario.canary.analysis.replica_ratio and 0 < split.canary < TOTAL_WEIGHT:
            ready = {side: self._ready(side, now) for side in Side}
            return {side: count / max(1, sum(ready.values())) for side, count in ready.items()}
        part = split.canary / TOTAL_WEIGHT * (self.scenario.matching / 100 if split.matched else 1)
        fresh = split.baseline / TOTAL_WEIGHT
        return {Side.CANARY: part, Side.PRIMARY: 1 - part - fresh, Side.BASELINE: fresh}

    def served(self, now: datetime) -> dict[str, float]:
        """The share of requests that each revision answers; under the empty name, what nobody answers."""
        served: dict[str, float] = {}
        for side, share in self.shares(now).items():
            if share == 0:
                continue
            workload = self.side(side)
            ready = workload.ready_by_revision(now) if workload is not None else {}
            total = sum(ready.values())
            for revision, count in (ready or {"": 1}).items():
                served[revision] = served.get(revision, 0.0) + share * count / max(total, 1)
        return served

    def _ready(self, side: Side, now: datetime) -> int:
        workload = self.side(side)
        return sum(workload.ready_by_revision(now).values()) if workload is not None else 0

    def do(self, action: Action, now: datetime) -> bool:
        """Apply one action, and say whether that changed anything.

        Raises:
            Refused: it can't be done as things stand.
        """
        before = self._way
        changed = self._do(action, now)
        self._remember(before, now)
        return changed

    def _remember(self, before: "_Way", now: datetime) -> None:
        if before != self._way:
            self._led = [(ended, way) for ended, way in self._led if ended + self.scenario.lag > now]
            self._led.append((now, before))

    def _do(self, action: Action, now: datetime) -> bool:
        match action:
            case HoldFinalizer() | DropFinalizer():
                held, self.finalizer = self.finalizer, isinstance(action, HoldFinalizer)
                return held != self.finalizer
            case KeepVersionServices():
                self._target("the Services need the target's labels and ports")
                changed, self.version_services = not self.version_services, True
                return changed
            case KeepApexService():
                self._target("the Service needs the target's labels and ports")
                changed, self.managed = not self.managed, True
                return changed
            case CopyToPrimary() | KeepRevision() | RestorePrimary():
                return self._revise(action, now)
            case RollPrimary(followed):
                return self._roll(followed)
            case KeepBaseline() | DropBaseline() | ScalePrimary() | ScaleTarget():
                return self._size(action, now)
            case KeepAutoscaler() | RestAutoscaler() | WakeAutoscaler() | Adopt() | EndRuns() | DropVotes():
                return False  # nothing scales by itself here, nobody owns fields, no Job is run; votes are the world's
            case Route() | LeaveRoutes():
                return self._lead(action)
            case HandBack():
                self._target("the Service needs the target's labels and ports")
                changed = self.managed
                self.managed, self.split, self.former = False, None, None
                return changed
            case Orphan():
                changed, self.orphaned = not self.orphaned, True
                return changed
            case SetPartition() | DeletePod():
                return self._replace(action, now)
            case _:
                assert_never(action)

    def happen(self, change: ClusterChange, now: datetime) -> None:
        """Let somebody else change something."""
        before = self._way
        self._happen(change, now)
        self._remember(before, now)

    def _happen(self, change: ClusterChange, now: datetime) -> None:
        match change:
            case Deploy(revision):
                if self.target is None:
                    self.target = self._made_anew(revision)
                self.target.deploy(revision, now)
                self.target.settle(now)
            case Kill(side, back_after):
                if (workload := self.side(side)) is not None:
                    workload.kill(now, back_after)
            case Remove(side):
                setattr(self, "target" if side is Side.CANARY else side.value, None)
            case Forget():
                self.kept = frozenset()
            case Scale(side, replicas):
                if (workload := self.side(side)) is not None:
                    workload.scale(replicas, now)
            case Drift(split) if isinstance(self.target, StatefulSet):
                share = TOTAL_WEIGHT if split is None else split.canary
                self.target.set_partition(self.target.desired * (TOTAL_WEIGHT - share) // TOTAL_WEIGHT, now)
            case Drift(split):
                self.split = split if self.scenario.weighted else self.split
            case _:
                assert_never(change)

    def _size(self, action: KeepBaseline | DropBaseline | ScalePrimary | ScaleTarget, now: datetime) -> bool:
        match action:
            case KeepBaseline():
                return self._keep_baseline(action, now)
            case DropBaseline():
                changed, self.baseline = self.baseline is not None, None
                return changed
        return self._scale(self.primary if isinstance(action, ScalePrimary) else self.target, action.replicas, now)

    def _keep_baseline(self, action: KeepBaseline, now: datetime) -> bool:
        if self.primary is None:
            msg = "there is no primary to make a baseline of"
            raise Refused(msg)
        if self.baseline is None:
            self.baseline = Deployment(self.scenario, Side.BASELINE, self.primary.revision, 0)
        before = (self.beside, self.baseline.revision, self.baseline.desired)
        self.beside = action.revision
        self.baseline.deploy(self.primary.revision, now)
        if self.baseline.desired != action.replicas:
            self.baseline.scale(action.replicas, now)
        return before != (self.beside, self.baseline.revision, self.baseline.desired)

    def observe_baseline(self, now: datetime) -> Workload | None:
        """What a controller sees of the baseline."""
        return None if self.baseline is None else replace(self.baseline.observe(now), revision=self.beside)

    def partitions(self, now: datetime) -> Partitions | None:
        """What a controller sees of pods that are replaced in place."""
        if not self.scenario.in_place:
            return None
        return self.target.partitions(now) if isinstance(self.target, StatefulSet) else Partitions()

    def division(self, now: datetime) -> Split | None:
        """How requests are divided: by the route, or by what pods there are of each version."""
        if not isinstance(self.target, StatefulSet):
            return self.split
        strays = len(self.target.partitions(now).strays)
        return Split(min(TOTAL_WEIGHT, -(-TOTAL_WEIGHT * strays // max(self.target.desired, 1))))

    def _made_anew(self, revision: str) -> Deployment | StatefulSet:
        replicas = self.scenario.replicas
        if self.scenario.in_place:
            return StatefulSet(self.scenario, Spec(revision, replicas), revision)
        return Deployment(self.scenario, Side.CANARY, revision, replicas)

    def _replace(self, action: SetPartition | DeletePod, now: datetime) -> bool:
        if not isinstance(self.target, StatefulSet):
            msg = "there are no pods to be replaced in place"
            raise Refused(msg)
        if isinstance(action, DeletePod):
            return self.target.delete(action.uid, now)
        return self.target.set_partition(action.partition or 0, now)

    def _target(self, why: str) -> Deployment | StatefulSet:
        if self.target is None:
            msg = f"the target does not exist: {why}"
            raise Refused(msg)
        return self.target

    def _revise(self, action: CopyToPrimary | KeepRevision | RestorePrimary, now: datetime) -> bool:
        match action:
            case CopyToPrimary(revision):
                return self._copy(revision, now)
            case RestorePrimary(revision):
                return self._restore(revision, now)
            case KeepRevision(revision):
                self._keep(revision)
                return False  # nobody looks at what is kept
            case _:
                assert_never(action)

    def _copy(self, revision: str, now: datetime) -> bool:
        target = self._target("nothing to copy")
        if target.revision != revision:
            msg = f"the target has changed to {target.revision} since {revision} was looked at"
            raise Refused(msg)
        if self.primary is None:
            self.primary = Deployment(self.scenario, Side.PRIMARY, revision, 1, followed=self.followed)
        elif self.primary.revision == revision:
            return False
        self.primary.deploy(revision, now)
        self.primary.followed = self.followed
        return True

    def _keep(self, revision: str) -> None:
        if self.primary is None or self.primary.revision != revision:
            msg = f"the primary does not carry {revision}"
            raise Refused(msg)
        self.kept |= {revision}

    def _restore(self, revision: str, now: datetime) -> bool:
        if revision not in self.kept:
            msg = f"{revision} is not kept"
            raise Refused(msg)
        if self.primary is None:
            self.primary = Deployment(self.scenario, Side.PRIMARY, revision, 1)
        elif self.primary.revision == revision:
            return False
        self.primary.deploy(revision, now)
        self.primary.followed = self.followed
        return True

    def _roll(self, followed: str) -> bool:
        """New pods take the place of the old ones at once: how long they take is their revision's."""
        if self.primary is None or self.primary.followed == followed:
            return False
        self.primary.followed = followed
        return True

    def _scale(self, workload: Deployment | StatefulSet | None, replicas: int, now: datetime) -> bool:
        if workload is None:
            msg = "there is no workload to scale"
            raise Refused(msg)
        if workload.desired == replicas:
            return False
        workload.scale(replicas, now)
        return True

    def _lead(self, action: Route | LeaveRoutes) -> bool:
        if isinstance(action, Route):
            return self._route(action.split)
        changed = self.former is not None and self.former != ALL_PRIMARY
        self.former = ALL_PRIMARY if changed else self.former
        return changed

    def _route(self, split: Split) -> bool:
        if split.canary and not self.scenario.weighted:
            msg = "this router has no weights"
            raise ValueError(msg)
        changed, self.split = self.split != split, split
        return changed
