"""What happens around one Canary, as values: how each revision behaves, what hooks say, what changes and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from canary.api.analysis import HookType
from canary.api.canary import Canary, CanarySpec
from canary.api.status import Verdict
from canary.api.traffic import Split
from canary.rollout.facts import Undecided

NOW = timedelta(0)


class Side(StrEnum):
    """One of the workloads: the two versions', and the fresh copy of the primary that a canary may be compared with."""

    PRIMARY = "primary"
    CANARY = "canary"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a metric says of a revision, while the conditions hold; of several that hold, the last one counts.

    Args:
        value: the number; None is an empty answer. The metric's own limits judge it.
        metric: name of the metric; empty for all.
        after: how long the revision has had requests, or its pods have been ready where it has had none yet.
        side: which workload must run it; None for either.
        weight: percent of requests that the canary must have for it.
        verdict: what is said instead of judging the value.
        message: the verdict in words.
        others: the numbers of further series.
        requests: how many it is taken over; None for as many as are needed.
    """

    value: float | None = None
    metric: str = ""
    after: timedelta = NOW
    weight: int = 0
    side: Side | None = None
    verdict: Verdict | None = None
    message: str = ""
    others: tuple[float, ...] = ()
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """How one revision behaves.

    Args:
        ready_after: how long its pods take from their start until they are ready; None is never.
        why_not: what keeps its pods from being ready, in words.
        refused: what keeps its pods from being made, in its workload's own words.
        readings: what metrics say of it; what none of them speaks of passes.
        configs: checksum of each tracked ConfigMap and Secret.
        fits_primary: whether its pods become ready in the primary too, when it is promoted; in place, the last pod.
    """

    ready_after: timedelta | None = timedelta(seconds=5)
    why_not: str = ""
    refused: str = ""
    readings: tuple[Reading, ...] = ()
    configs: Mapping[str, str] = field(default_factory=dict)
    fits_primary: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What a webhook says in a window of time; of several replies that fit, the last one counts.

    Args:
        approved: whether it approves.
        name: name of the webhook; empty for any.
        type: type of the webhook; None for any.
        start: from when on, since the start of the scenario.
        end: until when; None is for good.
        message: its reason when it does not approve.
        undecided: why it says neither yes nor no, as gates may; None where it does.
    """

    approved: bool
    name: str = ""
    type: HookType | None = None
    start: timedelta = NOW
    end: timedelta | None = None
    message: str = "unexpected status 403"
    undecided: Undecided | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time since the start of the scenario; `end` is no part of it."""

    start: timedelta
    end: timedelta


@dataclass(frozen=True, slots=True)
class Deny:
    """The API server does not do some actions for a while.

    Args:
        actions: names of their types; empty for all.
        window: when.
        answered: whether it says so, or does not answer.
    """

    actions: frozenset[str]
    window: Window
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Blind:
    """A kind of object can't be seen for a while.

    Args:
        kind: its name.
        window: when.
        workload: whether it is the kind of the target.
        forbidden: whether the right to see it is gone.
    """

    kind: str
    window: Window
    workload: bool = False
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class Deploy:
    """Somebody sets the target to a revision, an older one perhaps; a target that was removed comes back."""

    revision: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Somebody edits the Canary's spec."""

    spec: CanarySpec


@dataclass(frozen=True, slots=True)
class Annotate:
    """Somebody puts an annotation on the Canary."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Somebody deletes the Canary."""


@dataclass(frozen=True, slots=True)
class Kill:
    """All pods of a side stop being ready.

    Args:
        side: whose pods.
        back_after: how long until they are ready again; None is never.
    """

    side: Side
    back_after: timedelta | None = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Remove:
    """Somebody deletes a workload."""

    side: Side


@dataclass(frozen=True, slots=True)
class Forget:
    """Somebody deletes every revision that was kept."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Somebody scales a side."""

    side: Side
    replicas: int


@dataclass(frozen=True, slots=True)
class Drift:
    """Somebody else writes the route; None deletes it."""

    split: Split | None


@dataclass(frozen=True, slots=True)
class SetClock:
    """The controller's clock jumps, forwards or backwards."""

    by: timedelta


ClusterChange = Deploy | Kill | Remove | Forget | Scale | Drift
"""What happens to the objects around the Canary."""

Change = ClusterChange | Edit | Annotate | Delete | SetClock
"""What happens while a controller works."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A change at its time since the start of the scenario."""

    at: timedelta
    change: Change


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story, from the moment that a Canary is applied to a target that serves.

    Args:
        canary: the Canary.
        versions: the revisions by name; the first is what the target runs at the start.
        changes: what happens, in any order.
        replies: what webhooks say; any approves of which nothing is said here, save rollback hooks.
        metrics_down: when the metrics server can't be asked.
        api_down: when the API server can't be had.
        denied: what the API server does not do.
        answers_lost: when the status is stored, and nobody hears that it was.
        blind: what can't be seen.
        latency: how long the answer to a question takes.
        settle: how long the router says that its data plane takes to do what its objects say.
        lag: how long the data plane takes in fact.
        tells: after how long the gateway says that it has taken a route; None where it never tells.
        requests: how many requests a second are counted of both versions; 0 where nobody counts them. By those that
            are divided metrics go; where the canary gets none by its weight, others ask it.
        astray: when requests of the canary's share go to the primary.
        weighted: whether the router can divide traffic by weight.
        in_place: whether the target is rolled out pod by pod, without a primary, as a StatefulSet is.
        resumes: whether somebody resumes a rollout at once whose step waits for a person.
        replicas: what the target is scaled to at the start.
        baseline_after: how long a baseline's pods take until they are ready; None is never.
        matching: percent of requests that the spec's `match` fits, where the canary gets those only.
        limit: when the story ends, if it is not over before.
        start: the time at its start.
    """

    canary: Canary
    versions: Mapping[str, Version]
    changes: tuple[Scheduled, ...] = ()
    replies: tuple[Reply, ...] = ()
    metrics_down: tuple[Window, ...] = ()
    api_down: tuple[Window, ...] = ()
    denied: tuple[Deny, ...] = ()
    answers_lost: tuple[Window, ...] = ()
    blind: tuple[Blind, ...] = ()
    latency: timedelta = timedelta(milliseconds=100)
    settle: timedelta = timedelta(seconds=1)
    lag: timedelta = NOW
    tells: timedelta | None = None
    requests: float = 0.0
    astray: tuple[Window, ...] = ()
    weighted: bool = True
    in_place: bool = False
    resumes: bool = False
    replicas: int = 2
    baseline_after: timedelta | None = timedelta(seconds=5)
    matching: int = 10
    limit: timedelta = timedelta(days=1)
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def version(self, revision: str) -> Version:
        """How a revision behaves; one of which nothing is said is healthy."""
        return self.versions.get(revision, _HEALTHY)


_HEALTHY = Version()
