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


class CheckStatus(Model):
    """The last verdict of one check."""

    name: str
    """Name of the metric or webhook."""
    verdict: Verdict
    """Pass, Fail, NoData or Unavailable."""
    value: Annotated[float | None, BeforeValidator(_finite)] = None
    """The number that was judged."""
    threshold: str = ""
    """The limit that it was held against."""
    query: str = ""
    """The query that asked for it."""
    time: MicroTime | None = None
    """When it was asked for."""
    samples: int | None = None
    """How many samples it rests on."""
    message: str = ""
    """The verdict in words."""


class BakeStatus(Model):
    """How a version does that is promoted and still checked."""

    last_good_spec: str = ""
    """Hash of the last version that did well for as long as it was checked; a failed bake puts it back."""
    start_time: MicroTime | None = None
    """When the promoted version had all traffic; absent while it is being promoted."""
    failed_checks: Tally = 0
    """Failed checks since then."""
    held_since: MicroTime | None = None
    """Since when nothing has told good from bad; absent while something does."""


class NoticeEvent(Model):
    """A line for the Canary's events and event webhooks."""

    message: str
    """What happened."""
    type: str = "Normal"
    """Normal or Warning."""


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
    """When the checks were last run."""
    last_progress_time: MicroTime | None = None
    """From when on the progress deadline counts."""
    held_since: MicroTime | None = None
    """Since when metrics have told nothing, so that the rollout is held; absent while they do."""
    analysis_start_time: MicroTime | None = None
    """When the current rollout took its first step: what metrics say of the time before is about other versions."""
    off_share_weight: Share | None = None
    """Weight of the last step of which it was told that the canary gets another share of the requests."""
    traffic_removed_time: MicroTime | None = None
    """When traffic last left the canary, until it is scaled down."""
    last_retry: str = ""
    """The value of the annotation flagger.app/retry that was last heeded."""
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
    outbox: tuple[Notice, ...] = ()
    """What is still to be told, or was told a moment ago."""
    told: int | None = None
    """Number of the last notice that was told."""
    reason: str = ""
    """Why the rollout stands where it does, in one CamelCase word."""
    message: str = ""
    """Why the rollout stands where it does, in words."""

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, where there is one."""
        return next((each for each in self.conditions if each.type == type_), None)

    def to_json(self) -> JsonObject:
        """The status as the API server stores it; what is empty is left out, save Flagger's counters."""
        dump = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        always = {"phase", "failedChecks", "canaryWeight", "iterations", "trackedConfigs"}
        return {name: value for name, value in dump.items() if name in always or value not in ("", [])}
