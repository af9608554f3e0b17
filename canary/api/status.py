"""`status`: what is stored between two looks at a Canary."""

import math
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from canary.api.meta import INT32, Condition, JsonObject, MicroTime, Model, StringMap, Time
from canary.api.route_refs import WeightedRoute
from canary.api.traffic import TOTAL_WEIGHT


def _share(value: int) -> int:
    """What is no percentage says nothing of the traffic, and least of all that it is all of it."""
    return value if 0 <= value <= TOTAL_WEIGHT else 0


def _count(value: int) -> int:
    return min(max(value, 0), INT32)


def _pods(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= INT32 else None


Share = Annotated[int, AfterValidator(_share)]
"""Percent; what a person has written there that is none is 0."""

Tally = Annotated[int, AfterValidator(_count)]
"""How often something happened; what a person has written there that no count comes to is the nearest that one does."""

Pods = Annotated[int | None, AfterValidator(_pods)]
"""A number of pods; what is none is unknown."""


class Phase(StrEnum):
    """Where a rollout stands."""

    EMPTY = ""
    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


class Verdict(StrEnum):
    """What a check says; four things that are never one."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    FAIL = "Fail"
    NO_DATA = "NoData"
    UNAVAILABLE = "Unavailable"


def _finite(value: object) -> object:
    """JSON has no words for infinity; the message of the check tells of it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Measured(Model):
    """What one check has measured."""

    name: str
    """Name of the metric or webhook."""
    verdict: Verdict
    """Pass, Fail, NoData or Unavailable."""
    value: Annotated[float | None, BeforeValidator(_finite)] = None
    """The number that was judged."""
    threshold: str = ""
    """The limit that it was held against."""
    time: MicroTime | None = None
    """When it was asked for."""
    samples: int | None = None
    """How many samples it rests on."""
    since: MicroTime | None = None
    """Since which look the verdict has been this, one look after the other."""


def _all_finite(values: tuple[float, ...]) -> tuple[float, ...]:
    """Numbers of which one is none say nothing together."""
    return values if all(map(math.isfinite, values)) else ()


def _amount(value: float) -> float:
    return value if 0 <= value < math.inf else 0.0


Amount = Annotated[float, AfterValidator(_amount)]
"""A number of requests; what is none is 0."""


class Counted(Model):
    """Requests of one version."""

    requests: Amount = 0.0
    """How many there were."""
    bad: Amount = 0.0
    """How many of them failed, or took too long."""


class Evidence(Model):
    """What a comparison of requests has come to since the rollout's first step, for whoever judges several together."""

    bets: Annotated[tuple[float, ...], AfterValidator(_all_finite)] = ()
    """What each bet on a worse version has come to, as logarithms; metrics/judge/evidence.py says which there are."""
    canary: Counted = Counted()
    """Requests of the new version."""
    promoted: Counted = Counted()
    """Requests of the version that it is compared with."""


class CheckStatus(Measured):
    """The last verdict of one check."""

    query: str = ""
    """The query that asked for it."""
    message: str = ""
    """The verdict in words."""
    evidence: Evidence | None = None
    """What a comparison rests on; absent with any other check, after promotion, and where each step is judged alone."""


class Outcome(StrEnum):
    """How a rollout ended."""

    PROMOTED = "Promoted"
    PROMOTED_UNCHECKED = "PromotedUnchecked"
    ROLLED_BACK = "RolledBack"
    BAKE_FAILED = "BakeFailed"
    SUPERSEDED = "Superseded"
    REVERTED = "Reverted"
    ABORTED = "Aborted"


class ApprovalState(StrEnum):
    """How a gate stands that people open."""

    WAITING = "Waiting"
    APPROVED = "Approved"
    REJECTED = "Rejected"


class VoteStatus(Model):
    """What one of those has said who may approve."""

    by: str
    """Who has said it."""
    approves: bool
    """Whether that was yes."""
    time: MicroTime
    """When the controller has seen it."""
    message: str = ""
    """Why, in their own words."""


class ApprovalStatus(Model):
    """A gate that people open, at one moment of a rollout."""

    gate: str
    """Name of the webhook."""
    type: str
    """Its type, such as confirm-promotion."""
    moment: str
    """What is asked: this gate at this step of this revision. A vote names it, and counts for nothing else."""
    since: MicroTime
    """Since when it is waited for."""
    until: MicroTime | None = None
    """When it is decided without those who have not said anything; absent where it waits without end."""
    state: ApprovalState = ApprovalState.WAITING
    """Waiting, Approved or Rejected."""
    decided: MicroTime | None = None
    """When it was approved or rejected; absent while it waits."""
    votes: tuple[VoteStatus, ...] = ()
    """Who has said what, and when."""
    message: str = ""
    """How it stands, in words."""


class RolloutStatus(Model):
    """The rollout that is under way."""

    revision: str
    """What is rolled out, as lastAppliedSpec names it."""
    images: StringMap | None = None
    """The image of each container."""
    changes: tuple[str, ...] = ()
    """In what it differs from what is promoted, as far as that is known."""
    started: MicroTime
    """When it was noticed."""
    highest_weight: Share = 0
    """The most that the canary has had of the requests, in percent."""
    step: Tally = 0
    """Which step of the analysis it is at, from 1; 0 before the first."""
    steps: Tally = 0
    """How many steps the analysis has."""
    earliest_end: MicroTime | None = None
    """When the analysis ends at the earliest, if nothing holds it up; absent before its first step and after it."""
    order: str = ""
    """What was ordered of it last, and by whom."""
    override: str = ""
    """By what it passes by whatever would hold it: the value of the annotation flagger.app/override."""


class PastRollout(Model):
    """A rollout that has ended."""

    revision: str
    """What was rolled out, as lastAppliedSpec named it."""
    images: StringMap | None = None
    """The image of each container."""
    changes: tuple[str, ...] = ()
    """In what it differed from what was promoted, as far as that was known."""
    started: MicroTime
    """When it was noticed."""
    ended: MicroTime
    """When it ended."""
    outcome: Outcome
    """How it ended: Promoted, PromotedUnchecked, RolledBack, BakeFailed, Superseded, Reverted or Aborted."""
    cause: str = ""
    """Why it ended so, in words."""
    checks: tuple[Measured, ...] = ()
    """The checks that failed, where these ended it."""
    highest_weight: Share = 0
    """The most that the canary has had of the requests, in percent."""
    override: str = ""
    """By what it passed by whatever would have held it: the value of the annotation flagger.app/override."""
    approvals: tuple[ApprovalStatus, ...] = ()
    """The gates that people were asked to open, with who has said what, and when."""


class FailureCount(Model):
    """How often one check has failed that counts its failures by itself."""

    name: str
    """Name of the metric or condition."""
    failed: Tally = 0
    """Its failed checks, where it has a limit of its own for them."""
    in_a_row: Tally = 0
    """Its last looks, all of which failed, up to as many as it takes to count."""


class BakeStatus(Model):
    """How a version does that is promoted and still checked."""

    last_good_spec: str = ""
    """Hash of the last version that did well for as long as it was checked; a failed bake puts it back."""
    start_time: MicroTime | None = None
    """When the promoted version had all traffic; absent while it is being promoted."""
    failed_checks: Tally = 0
    """Failed checks since then."""
    failure_counts: tuple[FailureCount, ...] = ()
    """Those of checks that count them by themselves."""
    held_since: MicroTime | None = None
    """Since when nothing has told good from bad; absent while something does."""
    last_check_time: MicroTime | None = None
    """When it was looked at last; absent before the first look."""


class NoticeEvent(Model):
    """A line for the Canary's events and event webhooks."""

    message: str
    """What happened."""
    type: str = "Normal"
    """Normal or Warning."""
    evidence: str | None = None
    """What it rests on, which is told behind it."""


class NoticeAlert(Model):
    """A message for the people on call."""

    message: str
    """What happened."""
    severity: str
    """Who wants to hear of it: info, warn or error."""
    details: bool = False
    """Whether the target, threshold, deadline and routing go with it."""


class Notice(Model):
    """What one transition has to tell; it stays in the status until it was told."""

    number: int
    """Counts the notices of this Canary."""
    time: MicroTime
    """When it happened."""
    phase: Phase
    """The phase that it led to."""
    events: tuple[NoticeEvent, ...] = ()
    """Events, in their order."""
    alerts: tuple[NoticeAlert, ...] = ()
    """Alerts."""
    ending: str = ""
    """How a rollout ended; empty where none did."""


class CanaryStatus(Model):
    """What is stored between two looks at a Canary."""

    phase: Phase = Phase.EMPTY
    """Where the rollout stands."""
    failed_checks: Tally = 0
    """Failed checks of the current rollout."""
    canary_weight: Share = 0
    """Percent of requests that the canary gets."""
    iterations: Tally = 0
    """Steps done of a blue/green or A/B analysis."""
    tracked_configs: StringMap | None = None
    """Hashes of the tracked ConfigMaps and Secrets."""
    last_applied_spec: str = ""
    """Hash of the target's pod template that was last seen."""
    last_promoted_spec: str = ""
    """Hash of the target's pod template that was last promoted."""
    last_transition_time: Time | None = None
    """When the phase, weight or counters last changed."""
    session_affinity_cookie: str = ""
    """The canary's cookie in the current rollout."""
    primary_session_affinity_cookie: str = ""
    """The primary's cookie in the current rollout."""
    previous_session_affinity_cookie: str = ""
    """The canary's cookie in the rollout before."""
    conditions: tuple[Condition, ...] = ()
    """Observed conditions."""
    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    last_check_time: MicroTime | None = None
    """When the checks were last run; of a version that waits for a gate, when what it says last changed."""
    last_progress_time: MicroTime | None = None
    """From when on the progress deadline counts."""
    held_since: MicroTime | None = None
    """Since when metrics have told nothing, so that the rollout is held; absent while they do."""
    rollout_start_time: MicroTime | None = None
    """When the current rollout began, or the last one did: until then all that was promoted ran alone."""
    analysis_start_time: MicroTime | None = None
    """When the current rollout took its first step: what metrics say of the time before is about other versions."""
    step_since: MicroTime | None = None
    """Since when the rollout is at the step that it is at, where the spec writes its steps out."""
    step_looks: Tally = 0
    """Good looks at that step so far."""
    step_resumed: bool = False
    """Whether a person has let it go on from that step."""
    off_share_weight: Share | None = None
    """Weight of the last step of which it was told that the canary gets another share of the requests."""
    traffic_removed_time: MicroTime | None = None
    """When traffic last left the canary, until it is scaled down."""
    baseline_removed_time: MicroTime | None = None
    """When the baseline was last to have no traffic any more, until it is deleted."""
    queued_since: MicroTime | None = None
    """Since when a rollout waits for its turn, also while it waits for something else; absent once it begins."""
    last_retry: str = ""
    """The value of the annotation flagger.app/retry that was last heeded."""
    last_order: str = ""
    """The value of the annotation flagger.app/order that was last heeded."""
    last_override: str = ""
    """The value of the annotation flagger.app/override that a rollout took last."""
    paused: str = ""
    """The value of the annotation flagger.app/pause, by which the rollout stands still."""
    primary_replicas: Pods = None
    """Pods that the primary has come to since the rollout began, and has when it serves everybody again."""
    partition: Pods = None
    """The first pod, counted from 0, that is to run the new version; absent at rest, and where there is a primary."""
    routed_by: tuple[str, ...] = ()
    """Traffic providers whose objects were made for this Canary: what one of before has left is found by its name."""
    route_refs: tuple[WeightedRoute, ...] = ()
    """Routes of others in which weights were set: one that the spec names no more is led back."""
    bake: BakeStatus | None = None
    """The promoted version, while it is still checked."""
    checks: tuple[CheckStatus, ...] = ()
    """The last verdicts."""
    approvals: tuple[ApprovalStatus, ...] = ()
    """The gates that people open, as they stand in the current rollout."""
    rollout: RolloutStatus | None = None
    """The rollout that is under way; absent at rest."""
    history: tuple[PastRollout, ...] = ()
    """The last rollouts, the newest first."""
    failure_counts: tuple[FailureCount, ...] = ()
    """The failures of checks that count them by themselves, in the current rollout."""
    outbox: tuple[Notice, ...] = ()
    """What is still to be told, or was told a moment ago."""
    told: int | None = None
    """Number of the last notice that was told."""
    reason: str = ""
    """Why the rollout stands where it does, in one CamelCase word."""
    message: str = ""
    """Why the rollout stands where it does, in words."""

    @property
    def is_baking(self) -> bool:
        """Whether the promoted version is being checked by now."""
        return self.bake is not None and self.bake.start_time is not None

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, where there is one."""
        return next((each for each in self.conditions if each.type == type_), None)

    def to_json(self) -> JsonObject:
        """The status as the API server stores it; what is empty is left out, save Flagger's counters."""
        dump = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        always = {"phase", "failedChecks", "canaryWeight", "iterations", "trackedConfigs"}
        idle = {"stepLooks": 0, "stepResumed": False}
        return {
            name: value
            for name, value in dump.items()
            if name in always or (value not in ("", []) and idle.get(name) != value)
        }
