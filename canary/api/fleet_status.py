"""`status` of a CanaryFleet: what is stored between two looks at it.

A fleet's phases::

    Progressing ──► Succeeded
         │
         ├──► Failed              (hold; what is under way goes on by itself)
         └──► RollingBack ──► Failed

and the states of a member::

    Pending ──► Open ──► Progressing ──► Passed
                 └────────────┴──► Failed
    Open, Progressing, Passed, Failed ──► RollingBack ──► RolledBack | NotBack
    Joined        came after the release had ended

What a member says of itself decides between Open, Progressing, Passed and Failed, and may change its mind: a version
that turns bad after promotion has Passed and Fails. That a member can't be reached is no state: it stands beside it,
with its time.
"""

from enum import StrEnum

from canary.api.fleet_traffic import ShareState, ShareStatus
from canary.api.meta import Condition, JsonObject, MicroTime, Model
from canary.api.status import Evidence, NoticeEvent, Tally, Verdict


class FleetPhase(StrEnum):
    """Where a release stands."""

    EMPTY = ""
    PROGRESSING = "Progressing"
    ROLLING_BACK = "RollingBack"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class MemberState(StrEnum):
    """Where a member stands in the release."""

    PENDING = "Pending"
    OPEN = "Open"
    PROGRESSING = "Progressing"
    PASSED = "Passed"
    FAILED = "Failed"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    NOT_BACK = "NotBack"
    JOINED = "Joined"


class MetricEvidence(Evidence):
    """What the comparison of one metric has come to in a member."""

    name: str
    """Name of the metric."""
    lost: tuple[float, ...] = ()
    """What its bets had lost on versions that it has had before in this release, as logarithms; absent with none."""


class MemberEvidence(Model):
    """What a member has compared, as it was seen last."""

    uid: str = ""
    """The uid of its Canary: one that two members have counts once."""
    since: MicroTime
    """When its Canary's rollout took its first step: what began at another time is another version's."""
    metrics: tuple[MetricEvidence, ...] = ()
    """Of each metric; none of a rollout that does not count."""


class MemberStatus(Model):
    """Where one member stands."""

    name: str
    """Name of the member."""
    wave: Tally
    """Its wave, from 1."""
    state: MemberState = MemberState.PENDING
    """Pending, Open, Progressing, Passed, Failed, RollingBack, RolledBack, NotBack or Joined."""
    reason: str = ""
    """Why it stands there, in one CamelCase word."""
    message: str = ""
    """Why it stands there, in words."""
    since: MicroTime | None = None
    """Since when it stands there."""
    opened: MicroTime | None = None
    """From when on it may begin; absent before that."""
    unreachable_since: MicroTime | None = None
    """Since when it can't be reached; absent while it can."""
    revision: str = ""
    """What its Canary rolls out, or has rolled out last."""
    before: str | None = None
    """What its Canary had promoted when it was first seen after it might begin; absent before that."""
    applied: str | None = None
    """What its Canary had tried last at that time."""
    retry: str = ""
    """The value of the annotation flagger.app/retry by which it is asked to try again."""
    evidence: MemberEvidence | None = None
    """What it has compared, where the fleet has a joint verdict."""


class WaveState(StrEnum):
    """Where a wave stands."""

    PENDING = "Pending"
    GATED = "Gated"
    OPEN = "Open"
    SOAKING = "Soaking"
    PASSED = "Passed"
    FAILED = "Failed"


class WaveStatus(Model):
    """Where one wave stands."""

    name: str
    """Name of the wave."""
    state: WaveState = WaveState.PENDING
    """Pending, Gated, Open, Soaking, Passed or Failed."""
    members: Tally = 0
    """How many members it has."""
    required: Tally = 0
    """How many of them must pass."""
    passed: Tally = 0
    """How many have passed."""
    failed: Tally = 0
    """How many have failed."""
    passed_since: MicroTime | None = None
    """Since when enough have passed."""


class JointStatus(Model):
    """What all members that have begun say together of one metric."""

    name: str
    """Name of the metric."""
    verdict: Verdict
    """Fail where the release is worse, Pass where nothing says so."""
    value: float
    """The share of the new version's requests that were bad, in percent, of all members."""
    threshold: str
    """The same of the version before, and what is tolerated beyond it."""
    samples: Tally
    """How many requests of the new version it rests on."""
    p_value: float
    """How likely at most so much speaks against a release that is worse in no member, for all metrics together."""
    members: Tally
    """How many members it rests on."""
    message: str
    """The verdict in words."""


class FleetNotice(Model):
    """What one transition has to tell; it stays in the status until it was told."""

    number: int
    """Counts the notices of this fleet."""
    time: MicroTime
    """When it happened."""
    events: tuple[NoticeEvent, ...] = ()
    """Events, in their order."""


class FleetStatus(Model):
    """What is stored between two looks at a fleet."""

    phase: FleetPhase = FleetPhase.EMPTY
    """Where the release stands: Progressing, RollingBack, Succeeded or Failed."""
    reason: str = ""
    """Why it stands there, in one CamelCase word."""
    message: str = ""
    """Why it stands there, and for whom it waits, in words."""
    cause: str = ""
    """Why the release has failed, or is brought back, in words; empty where neither is so."""
    release: str = ""
    """The release that this status speaks of."""
    progress: str = ""
    """How many members have passed, of how many."""
    started: MicroTime | None = None
    """When the release began."""
    ended: MicroTime | None = None
    """When it ended; absent before that."""
    wave: Tally = 0
    """The wave that is under way, from 1; 0 before the first."""
    waves: tuple[WaveStatus, ...] = ()
    """Where each wave stands."""
    members: tuple[MemberStatus, ...] = ()
    """Where each member stands."""
    joint: tuple[JointStatus, ...] = ()
    """What all members say together, metric by metric, where the fleet has a joint verdict."""
    traffic: tuple[ShareStatus, ...] = ()
    """How much of all requests each cluster is to get."""
    promoted: str = ""
    """The order by which the release goes on past soaks, gates and failures."""
    resumed: Tally = 0
    """The last wave whose gates a person has opened."""
    attempt: Tally = 0
    """How often the release was tried again."""
    last_order: str = ""
    """The value of the annotation fleet.canary.dev/order that was last heeded."""
    paused: str = ""
    """The value of the annotation fleet.canary.dev/pause, by which the release stands still."""
    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    conditions: tuple[Condition, ...] = ()
    """Observed conditions: Ready, and Routed where routes are the fleet's to set."""
    outbox: tuple[FleetNotice, ...] = ()
    """What is still to be told."""
    told: int | None = None
    """Number of the last notice that was told."""

    def member(self, name: str) -> MemberStatus | None:
        """The member of that name, where there is one."""
        return next((each for each in self.members if each.name == name), None)

    def condition(self, type_: str) -> Condition | None:
        """Look up a condition by its type."""
        return next((each for each in self.conditions if each.type == type_), None)

    def share(self, name: str) -> ShareStatus | None:
        """How much of all requests the member of that name is to get, where that is the fleet's to say."""
        return next((each for each in self.traffic if each.name == name), None)

    @property
    def without_share(self) -> frozenset[str]:
        """The members that don't get the whole of their share."""
        return frozenset(each.name for each in self.traffic if each.state is not ShareState.WHOLE)

    def to_json(self) -> JsonObject:
        """The status as the API server stores it; what is empty is left out."""
        dump = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {name: value for name, value in dump.items() if value not in ("", [], 0) or name == "phase"}
