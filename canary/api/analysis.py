"""`spec.analysis`: how a new version is judged, step by step."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, FiniteFloat, WithJsonSchema
from pydantic.config import JsonDict

from canary.api.durations import GoDuration
from canary.api.istio import AnalysisMatch
from canary.api.meta import INT32, Model, NamespacedName, StringMap

DAY_SECONDS = 86_400

REQUEST_SUCCESS_RATE = "request-success-rate"
REQUEST_DURATION = "request-duration"
REQUEST_RATE = "request-rate"
BUILT_IN_METRICS = (REQUEST_SUCCESS_RATE, REQUEST_DURATION, REQUEST_RATE)


MAX_ITERATIONS = 10_000
"""A rollout of more steps is a slip of the pen: one a minute, it would take a week."""

MAX_THRESHOLD = 10_000
"""Failed checks that nobody would ever count to; times the longest interval, still a time that there is a date for."""

MAX_INTERVAL = timedelta(hours=720)
"""30 days."""

MAX_HOOK_TIMEOUT = timedelta(hours=24)

MAX_HOOK_RETRIES = 100
"""With waits of half a minute, the best part of an hour; whoever calls for longer never lets go of an event."""

Percent = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100})]
"""Percent, 0 to 100; the API server and the rules say so, a model takes any number."""

Share = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100})]
"""Percent of requests, 1 to 100."""

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


class Advance(StrEnum):
    """When a step of the analysis ends."""

    INTERVAL = "onInterval"
    EVIDENCE = "onEvidence"


class ThresholdRange(Model):
    """The values that pass, both ends included."""

    min: FiniteFloat | None = None
    """Least value that passes."""
    max: FiniteFloat | None = None
    """Greatest value that passes."""


class Metric(Model):
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
    """Judges request-success-rate by the primary's in place of a threshold, however often it is looked at."""
    tolerance: Annotated[FiniteFloat, Field(json_schema_extra={"minimum": 0, "maximum": 99})] = 0.1
    """By how many percent of its requests the canary may fail more often than the primary; 0.1 where absent."""
    min_samples: int = Field(default=100, json_schema_extra={"minimum": 0, "maximum": INT32})
    """Requests that the canary must have had in a step before its comparison passes; 100 where absent."""
    critical: bool = False
    """Whether one failed check of it is enough to roll back."""
    dry_run: bool = False
    """Whether it is looked at and shown in the status, and nothing follows from it."""
    no_data: NoDataPolicy = NoDataPolicy.HOLD
    """What an empty answer does: Hold waits, Fail counts as a failed check, Pass goes on."""
    unavailable: UnavailablePolicy = UnavailablePolicy.HOLD
    """What a metrics server that can't be asked does: Hold waits, Fail counts as a failed check."""

    @property
    def is_built_in(self) -> bool:
        """Whether the number is asked for by a query that comes with the provider."""
        return self.template_ref is None and not self.query and self.name in BUILT_IN_METRICS

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


class Webhook(Model):
    """A service that is asked, or told, during a rollout."""

    name: str
    """Name of the webhook."""
    type: Annotated[HookType, BeforeValidator(lambda value: value or HookType.ROLLOUT)] = Field(
        default=HookType.ROLLOUT, json_schema_extra={"x-crd-allow-empty": True}
    )
    """When the webhook is called; rollout where absent."""
    url: str = Field(default="", json_schema_extra={"x-crd-required": True, "maxLength": 4096})
    """Address, http or https."""
    timeout: GoDuration = Field(default=timedelta(seconds=10), json_schema_extra={"x-crd-longest": "24h"})
    """Time limit of one call; 10s where absent, 24h at most."""
    retries: int = Field(default=0, json_schema_extra={"minimum": 0, "maximum": MAX_HOOK_RETRIES})
    """How many times a call that failed is repeated, 100 at most."""
    mute_alert: bool = False
    """Whether no alert tells of this webhook."""
    disable_tls: bool = Field(default=False, alias="disableTLS")
    """Whether the server's certificate is not verified."""
    metadata: StringMap = Field(default_factory=dict)
    """Words for the service, part of the payload."""


class Severity(StrEnum):
    """How grave a message is; an alert gets those of its severity and graver."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


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
    bake: GoDuration | None = Field(default=None, json_schema_extra={"x-crd-longest": "8760h"})
    """Time after promotion in which checks go on, and bring the last good version back; none where absent."""
    always_match: tuple[AnalysisMatch, ...] = ()
    """Requests that reach the canary whatever its weight, while it has one; weighted canaries only."""
    match: tuple[AnalysisMatch, ...] = ()
    """Which requests reach the canary in an A/B analysis; any of them."""
    metrics: tuple[Metric, ...] = Field(default=(), json_schema_extra=MANY)
    """Numbers that are checked at every step."""
    webhooks: tuple[Webhook, ...] = Field(default=(), json_schema_extra=MANY)
    """Services that are asked, or told."""
    alerts: tuple[Alert, ...] = ()
    """Who is told."""
    session_affinity: SessionAffinity | None = None
    """Cookies that keep users on their version."""

    @property
    def comparisons(self) -> tuple[int, ...]:
        """The places of the metrics that are compared with another version's."""
        return tuple(index for index, each in enumerate(self.metrics) if each.compare_to is not None)
