"""What is known when a decision is made: values only, collected by the shell from its caches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from canary.api.analysis import HookType
from canary.api.freezes import FreezeWindow
from canary.api.partitions import Partitions
from canary.api.problems import Problem
from canary.api.status import Phase
from canary.api.traffic import Readiness, Split
from canary.rollout.dependencies import Dependency
from canary.rollout.groups import Member
from canary.rollout.turns import Turn
from metrics.reading import Reading


@dataclass(frozen=True, slots=True)
class Workload:
    """One of the two versions, as the cluster has it.

    Args:
        revision: what it runs, a hash over its pod template and its tracked configuration; empty when unknown.
        readiness: how far its pods have come.
        configs: checksum of each tracked ConfigMap and Secret, by `configmap/NAME` or `secret/NAME`.
        followed: a digest of the followed configuration that its pods have read; empty where they read none.
        images: the image of each container of its pod template, by the container's name.
        ready_since: since when it is seen settled as this revision; None where it is not.
    """

    revision: str
    readiness: Readiness
    configs: Mapping[str, str] = field(default_factory=dict)
    followed: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    ready_since: datetime | None = None

    @property
    def serving(self) -> bool:
        """Whether at least one ready pod stands behind it: without, it must get no request."""
        return self.readiness.ready > 0

    def settled(self, ready_threshold: int = 100) -> bool:
        """Whether all pods that its spec asks for run the current revision, and this percentage of them is available.

        Args:
            ready_threshold: percent of the pods that must be available; one ready pod is the least in any case.
        """
        seen = self.readiness
        return (
            seen.observed
            and self.serving
            and 0 < seen.desired <= seen.updated
            and seen.available >= seen.updated * ready_threshold // 100
            and seen.total <= seen.updated
        )


@dataclass(frozen=True, slots=True)
class HookQuestion:
    """Ask the webhook at `index` of the spec. `look` names the look: an answer counts for its own look only.

    `run` names the moment of the rollout that what a gate starts is for, over all looks at it; empty without a gate.
    """

    look: str
    index: int
    type: HookType
    phase: Phase
    run: str = ""


@dataclass(frozen=True, slots=True)
class MetricQuestion:
    """Ask for the metric at `index` of the spec: about the canary, or about the `primary` that it was promoted to."""

    look: str
    index: int
    primary: bool = False


@dataclass(frozen=True, slots=True)
class PodsQuestion:
    """Ask why the pods of the target are not ready, or those of the `baseline` beside it."""

    look: str
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class TrafficQuestion:
    """Ask how many requests have come to each version since a moment, not further back than an interval."""

    look: str
    since: datetime


@dataclass(frozen=True, slots=True)
class BudgetQuestion:
    """Ask for what is left of the error budget."""

    look: str


Question = BudgetQuestion | HookQuestion | MetricQuestion | PodsQuestion | TrafficQuestion


class Undecided(Enum):
    """Why a gate says neither yes nor no."""

    RUNNING = "what was started for it has not ended; that it has wakes the Canary"
    WAITING = "what others do is not done yet"
    UNAVAILABLE = "it can't be asked"


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What a webhook, or a gate, said.

    Args:
        approved: whether it approved.
        message: its reason when it did not; of a gate, its report.
        undecided: why it said neither yes nor no; None where it did.
        run: what answers for a gate, as people find it, such as a Job; empty for a webhook.
    """

    approved: bool
    message: str = ""
    undecided: Undecided | None = None
    run: str = ""


@dataclass(frozen=True, slots=True)
class PodsAnswer:
    """Why pods are not ready, in words; empty when nothing tells."""

    reason: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests came to one version: at least so many, and at most."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Counts:
    """The requests of both versions in a stretch of time, as the data plane has counted them.

    Args:
        window: how long that is.
        canary: those of the new version.
        primary: those of the promoted version.
        total: how many were counted of both, for what they prove.
        withheld: how many a data plane that does what it is asked to may give the canary less than its share.
        direct: whether requests that no route divides, as those straight to the canary's Service, are among them.
    """

    window: timedelta
    canary: Count
    primary: Count
    total: int
    withheld: int = 0
    direct: bool = False


@dataclass(frozen=True, slots=True)
class TrafficAnswer:
    """What came to each version; None where nothing tells."""

    counts: Counts | None


Answer = HookAnswer | Reading | PodsAnswer | TrafficAnswer


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that was tried and not done.

    Args:
        words: what the API server said.
        since: when it was first not done.
        answered: whether that was an answer; without one, nobody knows whether it was done.
        due: whether it is time to try again.
    """

    words: str
    since: datetime
    answered: bool = True
    due: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """A kind of object that a Canary needs and that can't be looked at now: what is known of it may be old.

    Args:
        kind: its name, as people know it.
        since: from when on it could not be seen.
        forbidden: whether the controller has no right to see it.
        workload: whether it is the kind of the target, so that nobody knows which pods are ready.
        words: why, in the API server's words.
    """

    kind: str
    since: datetime
    forbidden: bool = False
    workload: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that `decide` may look at beside the Canary itself.

    Args:
        now: the time, with a time zone.
        blind_until: when the cluster could be watched again after an outage; None where nothing was missed.
        clock_set: when the clock was last set, as it tells the time now; None where nobody has noticed that it was.
        target: the workload that the spec names; None when there is none.
        primary: the workload that serves the promoted version; None when there is none.
        baseline: fresh pods of the promoted version beside the canary, `revision` telling for which rollout; None where
            there are none, or no Service that leads to them.
        baseline_left: whether anything is there that was made as a baseline.
        split: the division of traffic that the router's own objects carry; None when they don't exist or say nothing.
        provider: name of the traffic provider by whose objects users are led; empty where Services alone do.
        settle: how long the data plane may go on as before, after the router's objects or the pods have changed.
        unsettled: why the gateway does not do yet what its route says; empty where it does, or never tells.
        caught_up: when a gateway that was behind was first seen to have taken its route; None where none was behind.
        left: percent of requests that routes which the spec names no longer still give the canary or its baseline.
        partitions: the pods of a target that is rolled out in place; None where a primary is stood beside the target.
        autoscaler_minimum: pods that the target's autoscaler would start it with; None where it has no autoscaler.
        weighted: whether the router can divide traffic by weight.
        countable: whether somebody counts the requests of each version, who can be asked.
        followed: a digest of the followed configuration that new pods of the primary would read; empty for none.
        kept: the revisions that the primary can be set to again.
        returnable: whether users can be led back to the target: Service and route can be written with what is known.
        problems: what keeps this spec from working, found by its rules, its router and its target.
        answers: what the outside world said to the questions of earlier decisions.
        refused: what the API server did not do of earlier decisions, by action.
        unseen: the kinds of object of which what is known may be old.
        contested: the objects and fields that somebody undoes again and again; empty where nobody does.
        told: the number of the last notice of the status that was told.
        called: whether anybody but Kubernetes was told of one that stands in the status still.
        looked_at: when this controller last asked those whose answers changed no status; None where it never did.
        running: what was started for this Canary and has not ended (`jobs/NAME`), each with the moment of the rollout
            that it answers for.
        group: the other Canaries of its group.
        freezes: the freeze windows that are everybody's.
        dependencies: the Canaries that it depends on.
        turn: whether it is its turn where only so many rollouts may go on at once; None where any number may.

    Raises:
        ValueError: the time has no time zone.
    """

    now: datetime
    target: Workload | None
    primary: Workload | None
    split: Split | None
    provider: str = ""
    settle: timedelta = timedelta(seconds=5)
    unsettled: str = ""
    caught_up: datetime | None = None
    left: int = 0
    partitions: Partitions | None = None
    autoscaler_minimum: int | None = None
    weighted: bool = True
    countable: bool = False
    followed: str = ""
    kept: frozenset[str] = frozenset()
    returnable: bool = True
    problems: tuple[Problem, ...] = ()
    answers: Mapping[Question, Answer] = field(default_factory=dict)
    blind_until: datetime | None = None
    refused: Mapping[Any, Refusal] = field(default_factory=dict)
    unseen: tuple[Unseen, ...] = ()
    contested: str = ""
    told: int = 0
    called: bool = True
    looked_at: datetime | None = None
    clock_set: datetime | None = None
    running: Mapping[str, str] = field(default_factory=dict)
    baseline: Workload | None = None
    baseline_left: bool = False
    turn: Turn | None = None
    freezes: tuple[FreezeWindow, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    group: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            msg = f"{self.now} has no time zone"
            raise ValueError(msg)

    def counted(self, since: datetime) -> datetime:
        """From when on a wait counts: from when the clock was set, where that was later; it looks longer since."""
        if self.clock_set is None:
            return since
        return self.clock_set if since > self.now else max(since, self.clock_set)
