"""`spec.analysis`: how a new version is judged, step by step."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, FiniteFloat, WithJsonSchema
from pydantic.config import JsonDict

from canary.api.durations import GoDuration
from canary.api.gates import Gate
from canary.api.istio import AnalysisMatch
from canary.api.mann_whitney import MannWhitney, Scores
from canary.api.meta import INT32, Model, NamespacedName, Percent, SecretReference, StringMap
from canary.api.steps import MAX_STEPS, AnalysisStep

DAY_SECONDS = 86_400

REQUEST_SUCCESS_RATE = "request-success-rate"
REQUEST_DURATION = "request-duration"
REQUEST_RATE = "request-rate"
BUILT_IN_METRICS = (REQUEST_SUCCESS_RATE, REQUEST_DURATION, REQUEST_RATE)


MAX_ITERATIONS = 10_000
"""A rollout of more steps is a slip of the pen: one a minute, it would take a week."""

MAX_THRESHOLD = 10_000
"""Failed checks that nobody would ever count to; times the longest interval, still a time that there is a date for."""

MAX_IN_A_ROW = 100
"""Failing looks in a row that nobody would wait for longer."""

MAX_INTERVAL = timedelta(hours=720)
"""30 days."""

MAX_HOOK_TIMEOUT = timedelta(hours=24)

MAX_HOOK_RETRIES = 100
"""With waits of half a minute, the best part of an hour; whoever calls for longer never lets go of an event."""


Share = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100})]
"""Percent of requests, 1 to 100."""

MAX_EXPRESSION = 1024
"""Characters; an expression has no loops, so that its length bounds what it costs."""

MANY: JsonDict = {"maxItems": 128}
"""Lists that the API server's rules walk have an end, or the rules would be too costly."""


class NoDataPolicy(StrEnum):
    """What an empty answer of the metrics server does to a rollout."""

    HOLD = "Hold"
    FAIL = "Fail"
    PASS = "Pass"  # noqa: S105 - a verdict, not a password


class UnavailablePolicy(StrEnum):
    """What a metrics server that can't be asked does to a rollout."""

    HOLD = "Hold"
    FAIL = "Fail"


class CompareTo(StrEnum):
    """What the canary's numbers are compared with."""

    PRIMARY = "primary"
    """The promoted version's, at the same time."""
    BASELINE = "baseline"
    """Those of fresh pods of the promoted version, as many and as old as the canary's, with as large a share."""
    PREVIOUS = "previous"
    """The promoted version's before the rollout began."""


class Method(StrEnum):
    """How a comparison is judged."""

    SEQUENTIAL = "sequential"
    """By counts, right however often it is looked at."""
    MANN_WHITNEY = "mannWhitney"
    """By values, as Kayenta judges them."""


class Advance(StrEnum):
    """When a step of the analysis ends."""

    INTERVAL = "onInterval"
    EVIDENCE = "onEvidence"


class Series(StrEnum):
    """What is judged where an answer has several series."""

    EVERY = "every"
    """Every one: the worst counts."""
    LAST = "last"
    """The last of the answer."""
    FIRST = "first"
    """The first of the answer."""
    MIN = "min"
    """The least."""
    MAX = "max"
    """The greatest."""
    SUM = "sum"
    """All together."""


class Policies(Model):
    """What follows from a check: the same for metrics, and for conditions over them."""

    critical: bool = False
    """Whether one failed check of it is enough to roll back."""
    dry_run: bool = False
    """Whether it is looked at and shown in the status, and nothing follows from it."""
    no_data: NoDataPolicy = NoDataPolicy.HOLD
    """What an empty answer does: Hold waits, Fail counts as a failed check, Pass goes on."""
    unavailable: UnavailablePolicy = UnavailablePolicy.HOLD
    """What a metrics server that can't be asked does: Hold waits, Fail counts as a failed check."""
    initial_delay: GoDuration = Field(default=timedelta(0), json_schema_extra={"x-crd-longest": "720h"})
    """How long after the rollout's first step it is first looked at; from that step on where absent."""
    consecutive: int = Field(default=1, json_schema_extra={"minimum": 1, "maximum": MAX_IN_A_ROW})
    """How many looks in a row must fail before each counts as a failed check; 1 where absent."""
    failure_limit: int | None = Field(default=None, json_schema_extra={"minimum": 0, "maximum": MAX_THRESHOLD})
    """Failed checks of its own that a rollout takes: one more rolls back. They don't count for analysis.threshold."""

    @property
    def is_counted(self) -> bool:
        """Whether its failures are counted by themselves."""
        return self.consecutive > 1 or self.failure_limit is not None

    @property
    def tolerated(self) -> int:
        """How many looks in a row may fail before a failure counts for the threshold, or rolls back."""
        return self.consecutive - 1 + (self.failure_limit or 0)


class ThresholdRange(Model):
    """The values that pass, both ends included."""

    min: FiniteFloat | None = None
    """Least value that passes."""
    max: FiniteFloat | None = None
    """Greatest value that passes."""


class Metric(Policies):
    """One number that is checked at every step."""

    name: str = Field(json_schema_extra={"maxLength": 253})
    """Name of the metric; request-success-rate, request-duration and request-rate are built in."""
    interval: GoDuration = Field(default=timedelta(minutes=1), json_schema_extra={"x-crd-longest": "8760h"})
    """Window that the number is taken over; 1m where absent."""
    threshold: FiniteFloat | None = None
    """Limit: the least for request-success-rate (percent) and request-rate (a second), else the most (duration: ms)."""
    threshold_range: ThresholdRange | None = None
    """The values that pass; goes before threshold."""
    query: str = ""
    """A Prometheus query (older form of templateRef)."""
    template_ref: NamespacedName | None = None
    """The MetricTemplate that asks for the number."""
    template_variables: StringMap = Field(default_factory=dict)
    """Values for the template's variables."""
    compare_to: CompareTo | None = None
    """Judges request-success-rate, or request-duration, by the primary's, a baseline's or the time before."""
    method: Method = Method.SEQUENTIAL
    """How a comparison is judged: sequential, or mannWhitney as Kayenta does; sequential where absent."""
    mann_whitney: MannWhitney = Field(default_factory=MannWhitney)
    """How values are compared where the method is mannWhitney."""
    tolerance: Annotated[FiniteFloat, Field(json_schema_extra={"minimum": 0, "maximum": 99})] = 0.1
    """By how many percent of its requests the canary may fail, or be slow, more often; 0.1 where absent."""
    min_samples: int = Field(default=100, json_schema_extra={"minimum": 0, "maximum": INT32})
    """Requests that a verdict needs: a comparison's in each step, 100 where absent; of others in interval, 0."""
    series: Series = Series.EVERY
    """What is judged of several series in an answer; every one where absent, so that the worst counts."""

    @property
    def is_built_in(self) -> bool:
        """Whether the number is asked for by a query that comes with the provider."""
        return self.template_ref is None and not self.query and self.name in BUILT_IN_METRICS

    @property
    def least_requests(self) -> int:
        """How many requests there must be in the interval for its number to be judged; 0 for any."""
        return self.min_samples if self.compare_to is None and "min_samples" in self.model_fields_set else 0

    @property
    def limits(self) -> ThresholdRange:
        """The values that pass: `thresholdRange`, else from `threshold`.

        A threshold is the least for request-success-rate and the most for any other; an absent one is 0.
        """
        if self.threshold_range is not None:
            return self.threshold_range
        threshold = self.threshold or 0.0
        if self.is_built_in and self.name in (REQUEST_SUCCESS_RATE, REQUEST_RATE):
            return ThresholdRange(min=threshold)
        return ThresholdRange(max=threshold)


class MetricCondition(Policies):
    """An expression over the numbers of several metrics that is to be true at every look."""

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the condition, which no metric has."""
    expression: str = Field(json_schema_extra={"minLength": 1, "maxLength": MAX_EXPRESSION})
    """In CEL, such as metrics["error-rate"].value < 1 || metrics["requests"].value < 50."""


class OnFailure(StrEnum):
    """What is done with a version that has failed."""

    ROLLBACK = "rollback"
    HOLD = "hold"


class HookType(StrEnum):
    """When a webhook is called."""

    CONFIRM_ROLLOUT = "confirm-rollout"
    PRE_ROLLOUT = "pre-rollout"
    ROLLOUT = "rollout"
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    CONFIRM_PROMOTION = "confirm-promotion"
    POST_ROLLOUT = "post-rollout"
    ROLLBACK = "rollback"
    EVENT = "event"


GATES = (HookType.CONFIRM_ROLLOUT, HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION)
"""Hooks by which people say when a rollout goes on: by a refusal nothing is counted, and they are asked again."""


class Webhook(Model):
    """A service that is asked, or told, during a rollout."""

    name: str
    """Name of the webhook."""
    type: Annotated[HookType, BeforeValidator(lambda value: value or HookType.ROLLOUT)] = Field(
        default=HookType.ROLLOUT, json_schema_extra={"x-crd-allow-empty": True}
    )
    """When the webhook is called; rollout where absent."""
    url: str = Field(default="", json_schema_extra={"maxLength": 4096})
    """Address, http or https; in its place there may be a gate."""
    gate: Gate | None = None
    """What answers in place of a service: a Job, for example, by how it ends."""
    timeout: GoDuration = Field(default=timedelta(seconds=10), json_schema_extra={"x-crd-longest": "24h"})
    """Time limit of one call, 10s where absent, or of a gate's answer, progressDeadlineSeconds; 24h at most."""
    retries: int = Field(default=0, json_schema_extra={"minimum": 0, "maximum": MAX_HOOK_RETRIES})
    """How many times a call that failed is repeated, 100 at most."""
    mute_alert: bool = False
    """Whether no alert tells of this webhook."""
    disable_tls: bool = Field(default=False, alias="disableTLS")
    """Whether the server's certificate is not verified."""
    metadata: StringMap = Field(default_factory=dict)
    """Words for the service, part of the payload."""
    headers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Headers sent with every call; secret ones stand in the Secret."""
    secret_ref: SecretReference | None = None
    """Secret with what lets a call in (token, header.NAME, certificate) and the key that signs it (signing.key)."""


class Severity(StrEnum):
    """How grave a message is; an alert gets those of its severity and graver."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


MAX_LINKS = 5
"""Links of an alert at most: some messengers show no more."""


class Alert(Model):
    """Who is told of what happens in a rollout."""

    name: str
    """Name of the alert."""
    severity: Annotated[Severity, BeforeValidator(lambda value: value or Severity.INFO)] = Field(
        default=Severity.INFO, json_schema_extra={"x-crd-allow-empty": True}
    )
    """Least severity that is told; info where absent."""
    provider_ref: NamespacedName
    """The AlertProvider that tells."""
    links: StringMap = Field(default_factory=dict, json_schema_extra={"maxProperties": MAX_LINKS})
    """Links that go with it, by the words to be clicked: templates of addresses, such as of a runbook."""


class SessionAffinity(Model):
    """Cookies that keep a user on the version that the user was sent to."""

    cookie_name: str = Field(json_schema_extra={"maxLength": 4096})
    """Name of the cookie that keeps users on the canary."""
    primary_cookie_name: str = Field(default="", json_schema_extra={"maxLength": 4096})
    """Name of the cookie that keeps users on the primary; no such cookie where absent."""
    domain: str = ""
    """Host that the cookie is sent to."""
    http_only: bool = False
    """Whether the cookie is hidden from JavaScript."""
    max_age: Annotated[int, BeforeValidator(lambda value: value or DAY_SECONDS)] = Field(
        default=DAY_SECONDS, json_schema_extra={"x-crd-default": True, "minimum": 0, "maximum": INT32}
    )
    """Seconds until the cookie expires; a day where absent."""
    partitioned: bool = False
    """Whether the cookie is stored apart for each top-level site."""
    path: str = ""
    """Path that the cookie is sent for."""
    same_site: str = Field(default="", json_schema_extra={"enum": ["Strict", "Lax", "None"]})
    """Whether the cookie is sent with requests from other sites."""
    secure: bool = False
    """Whether the cookie is sent over https only."""


class Analysis(Model):
    """How a new version is judged, step by step."""

    interval: GoDuration | None = Field(
        default=None, json_schema_extra={"x-crd-required": True, "x-crd-longest": "720h"}
    )
    """Time between two steps, 1s to 720h; 1m where absent."""
    threshold: int = Field(default=0, json_schema_extra={"x-crd-required": True, "maximum": MAX_THRESHOLD})
    """Failed checks after which the new version is rolled back; 1 where absent."""
    iterations: int = Field(default=0, json_schema_extra={"minimum": 0, "maximum": MAX_ITERATIONS})
    """Number of steps of a blue/green or A/B analysis."""
    max_weight: Percent = 0
    """Percent of requests that the canary gets in the last step; 100 where absent."""
    step_weight: Percent = 0
    """Percent that is added at each step."""
    step_weights: tuple[Share, ...] = Field(default=(), json_schema_extra={"maxItems": 100})
    """Percent of requests that the canary gets, step by step."""
    steps: tuple[AnalysisStep, ...] = Field(default=(), json_schema_extra={"maxItems": MAX_STEPS})
    """The steps, written out one by one, in place of weights and iterations."""
    step_weight_promotion: Percent = 0
    """Percent by which traffic goes back to the primary at promotion; all at once where absent."""
    step_weight_rollback: Percent = 0
    """Percent by which traffic goes back to the primary when a version has failed; all at once where absent."""
    replica_ratio: bool = False
    """Whether requests are divided by the numbers of pods behind one Service (provider kubernetes)."""
    mirror: bool = False
    """Whether requests are mirrored to the canary before it answers any."""
    mirror_weight: Percent = 0
    """Percent of requests that are mirrored; 100 where absent."""
    primary_ready_threshold: Percent = 100
    """Percent of the primary's pods that must be available; 100 where absent."""
    canary_ready_threshold: Percent = 100
    """Percent of the canary's pods that must be available; 100 where absent."""
    on_failure: OnFailure = OnFailure.ROLLBACK
    """What is done with a version that has failed: taken back, or held at its weight until people decide."""
    advance: Advance = Advance.INTERVAL
    """When a step ends: after its interval, or as soon as all comparisons say that the canary is no worse."""
    false_rollback: Annotated[FiniteFloat, Field(json_schema_extra={"minimum": 0.01, "maximum": 50})] = 5.0
    """Percent of rollouts that comparisons may take back though the version is as good; 5 where absent."""
    scores: Scores | None = None
    """What the scores of metrics that are compared by mannWhitney mean together."""
    bake: GoDuration | None = Field(default=None, json_schema_extra={"x-crd-longest": "8760h"})
    """Time after promotion in which checks go on, and bring the last good version back; none where absent."""
    always_match: tuple[AnalysisMatch, ...] = ()
    """Requests that reach the canary whatever its weight, while it has one; weighted canaries only."""
    match: tuple[AnalysisMatch, ...] = ()
    """Which requests reach the canary in an A/B analysis; any of them."""
    metrics: tuple[Metric, ...] = Field(default=(), json_schema_extra=MANY)
    """Numbers that are checked at every step."""
    conditions: tuple[MetricCondition, ...] = Field(default=(), json_schema_extra={"maxItems": 32})
    """Expressions over the numbers of several metrics, each of which is to be true at every look."""
    webhooks: tuple[Webhook, ...] = Field(default=(), json_schema_extra=MANY)
    """Services that are asked, or told."""
    alerts: tuple[Alert, ...] = ()
    """Who is told."""
    session_affinity: SessionAffinity | None = None
    """Cookies that keep users on their version."""

    @property
    def comparisons(self) -> tuple[int, ...]:
        """The places of the metrics whose counts are compared, which may be looked at as often as one likes."""
        return tuple(
            index
            for index, each in enumerate(self.metrics)
            if each.compare_to is not None and each.method is Method.SEQUENTIAL
        )

    @property
    def wants_baseline(self) -> bool:
        """Whether a metric is compared with fresh pods of the promoted version."""
        return any(each.compare_to is CompareTo.BASELINE for each in self.metrics)

    @property
    def scored(self) -> tuple[int, ...]:
        """The places of the metrics whose values are compared, and scored together."""
        return tuple(
            index
            for index, each in enumerate(self.metrics)
            if each.compare_to is not None and each.method is Method.MANN_WHITNEY
        )
