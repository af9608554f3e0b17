"""What is decided: a value that says what to do, what to store, what to tell and when to look again."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from canary.api.analysis import Severity
from canary.api.status import CanaryStatus
from canary.api.traffic import Split
from canary.rollout.facts import Question


@dataclass(frozen=True, slots=True)
class HoldFinalizer:
    """Put our finalizer on the Canary, so that its deletion waits for us."""


@dataclass(frozen=True, slots=True)
class DropFinalizer:
    """Take our finalizer off the Canary."""


@dataclass(frozen=True, slots=True)
class KeepVersionServices:
    """Have the Services that lead to each version alone."""


@dataclass(frozen=True, slots=True)
class KeepApexService:
    """Have the Service that users call, leading to the primary."""


@dataclass(frozen=True, slots=True)
class CopyToPrimary:
    """Make the primary, and its copies of the configuration, carry what the target carries at `revision`."""

    revision: str


@dataclass(frozen=True, slots=True)
class RollPrimary:
    """Make the primary's pods anew, as what they have read of followed configuration has changed.

    Args:
        followed: a digest of what it is now.
    """

    followed: str


@dataclass(frozen=True, slots=True)
class KeepRevision:
    """Keep what the primary carries, so that it can be made the same again.

    Args:
        revision: what it carries.
        configs: whether its copies of the configuration are kept too, as they are about to be replaced.
    """

    revision: str
    configs: bool = False


@dataclass(frozen=True, slots=True)
class RestorePrimary:
    """Make the primary, and its copies of the configuration, what was kept as `revision`."""

    revision: str


@dataclass(frozen=True, slots=True)
class ScalePrimary:
    """Ask for this many replicas of the primary."""

    replicas: int


@dataclass(frozen=True, slots=True)
class ScaleTarget:
    """Ask for this many replicas of the target."""

    replicas: int


@dataclass(frozen=True, slots=True)
class KeepBaseline:
    """Have fresh pods of what the primary runs, with a Service of their own.

    Args:
        revision: for which rollout: with another one, the pods are made anew.
        replicas: how many.
    """

    revision: str
    replicas: int


@dataclass(frozen=True, slots=True)
class DropBaseline:
    """Delete whatever was made as a baseline for this Canary; what is gone is no error."""


@dataclass(frozen=True, slots=True)
class KeepAutoscaler:
    """Have the primary's copy of the autoscaler.

    Args:
        floor: pods that the primary must not go below; 0 for what the original says.
    """

    floor: int


@dataclass(frozen=True, slots=True)
class RestAutoscaler:
    """Keep the target's autoscaler from giving it pods."""


@dataclass(frozen=True, slots=True)
class WakeAutoscaler:
    """Let the target's autoscaler scale it again.

    Args:
        held: whether it must not take the last pod.
    """

    held: bool


@dataclass(frozen=True, slots=True)
class Route:
    """Make the router divide traffic so."""

    split: Split


@dataclass(frozen=True, slots=True)
class LeaveRoutes:
    """Have routes, and Services, that the spec names no longer lead to the primary alone."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Own what Flagger wrote of the objects around the Canary, so that what later is no part of them goes."""


@dataclass(frozen=True, slots=True)
class HandBack:
    """Lead the users' Service to the target again, and let it and the route outlive the Canary."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Let everything that serves traffic outlive the Canary as it stands."""


@dataclass(frozen=True, slots=True)
class SetPartition:
    """Have the target's pods updated from this index on, and no other.

    Args:
        partition: the index; None gives the field back to whoever deploys the target, and so updates all pods.
    """

    partition: int | None


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete this very pod, so that its workload makes it anew; one that is gone already is no error."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class EndRuns:
    """End these runs (`jobs/NAME`), which answer for a moment of the rollout that is over; one gone is no error."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropVotes:
    """Take these annotations off the Canary: votes on what is not asked any more; one that is gone is no error."""

    keys: tuple[str, ...]


Action = (
    HoldFinalizer
    | DropFinalizer
    | KeepVersionServices
    | KeepApexService
    | CopyToPrimary
    | RollPrimary
    | KeepRevision
    | RestorePrimary
    | ScalePrimary
    | ScaleTarget
    | KeepBaseline
    | DropBaseline
    | KeepAutoscaler
    | RestAutoscaler
    | WakeAutoscaler
    | Route
    | LeaveRoutes
    | Adopt
    | HandBack
    | Orphan
    | SetPartition
    | DeletePod
    | EndRuns
    | DropVotes
)
"""Each is idempotent: doing it again, or after a crash half-way, ends in the same state."""

UPKEEP = (
    HoldFinalizer,
    KeepVersionServices,
    KeepApexService,
    KeepAutoscaler,
    KeepBaseline,
    DropBaseline,
    KeepRevision,
    RollPrimary,
    EndRuns,
    DropVotes,
)
"""What nobody's requests hang on, save where a decision says that it comes first; it never delays a verdict."""


class EventType(StrEnum):
    """The two types of a Kubernetes event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """A line for the Canary's events, and for the event webhooks.

    Args:
        message: what happened.
        type: whether somebody should look at it.
        evidence: what it rests on, which is told behind it.
    """

    message: str
    type: EventType = EventType.NORMAL
    evidence: str = ""

    @property
    def told(self) -> str:
        """All of it, in one line."""
        return f"{self.message} ({self.evidence})" if self.evidence else self.message


@dataclass(frozen=True, slots=True)
class Alert:
    """A message for the people on call.

    Args:
        message: what happened.
        severity: who wants to hear of it.
        details: whether the target, threshold, deadline and routing go with it.
    """

    message: str
    severity: Severity
    details: bool = False


class Ending(StrEnum):
    """How a rollout ended, for the counters."""

    PROMOTED = "promoted"
    PROMOTED_UNCHECKED = "promoted without analysis"
    FAILED = "failed"


def protecting(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Those of these actions on which requests hang."""
    return tuple(each for each in actions if not isinstance(each, UPKEEP))


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of a rollout.

    What `protect` names is done first, in order, and none is begun before the one before it is done. Then the status is
    stored, with what is to be told. Then comes `upkeep`, of which each is tried whatever became of the others.

    Args:
        status: the status to store once all that protects is done.
        reason: why, in words, for the log.
        actions: what to do, in this order; what is upkeep by its type comes after the status.
        events: what to tell once the status is stored.
        alerts: whom to call once the status is stored.
        asks: what to ask the outside world; the answers come back among the facts.
        wake: when to look again if nothing happens before.
        ending: set in the decision that ends a rollout.
        first: upkeep that what protects builds on: a Service before requests are led to it, a copy before it is
            overwritten.
        withheld: what would be done, had it not been refused a moment ago.
        tidy: when what was told is to be taken out of the status, if it is not stored before.
        looked_at: when those were asked whose answers change nothing, so that the status does not say it.
    """

    status: CanaryStatus
    reason: str
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    alerts: tuple[Alert, ...] = ()
    asks: tuple[Question, ...] = ()
    wake: datetime | None = None
    ending: Ending | None = None
    first: tuple[Action, ...] = ()
    withheld: tuple[Action, ...] = ()
    tidy: datetime | None = None
    looked_at: datetime | None = None

    @property
    def protect(self) -> tuple[Action, ...]:
        """What is done before the status is stored: traffic, and pods for whoever serves."""
        return (*self.first, *protecting(self.actions))

    @property
    def upkeep(self) -> tuple[Action, ...]:
        """What is done once the status is stored."""
        return tuple(each for each in self.actions if isinstance(each, UPKEEP) and each not in self.first)

    @property
    def done(self) -> tuple[Action, ...]:
        """All that is done, in its order."""
        return (*self.protect, *self.upkeep)

    @property
    def wanted(self) -> tuple[Action, ...]:
        """All that should be done."""
        return (*self.done, *self.withheld)
