"""Canary: a workload whose new versions are judged before users get them."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from canary.api.analysis import MAX_INTERVAL, MAX_THRESHOLD, Analysis, HookType, Webhook
from canary.api.meta import INT32, JsonObject, LocalReference, Model, Resource, StringMap
from canary.api.parsing import parse, without_nulls, without_unreadable
from canary.api.route_refs import WeightedRoute
from canary.api.scheduling import Scheduling
from canary.api.service import Service
from canary.api.status import CanaryStatus
from canary.api.traffic import TOTAL_WEIGHT

MIN_INTERVAL = timedelta(seconds=1)
DEFAULT_INTERVAL = timedelta(minutes=1)
DEFAULT_PROGRESS_DEADLINE = timedelta(seconds=600)

LONGEST_PATIENCE = timedelta(days=365)
"""What threshold and interval say of patience counts up to here: more is no limit, and no date."""

PROVIDERS = (
    "alb",
    "apisix",
    "appmesh",
    "appmesh:v1beta2",
    "contour",
    "gatewayapi:v1",
    "gatewayapi:v1beta1",
    "gloo",
    "istio",
    "knative",
    "kubernetes",
    "kuma",
    "linkerd",
    "nginx",
    "openshift",
    "osm",
    "skipper",
    "smi:v1alpha1",
    "smi:v1alpha2",
    "smi:v1alpha3",
    "traefik",
)


class Strategy(StrEnum):
    """How traffic reaches the new version."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    AB_TESTING = "ab-testing"


class ScalerReplicas(Model):
    """Limits of the primary's autoscaler where they differ from the canary's."""

    min_replicas: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": INT32})
    """Least number of replicas."""
    max_replicas: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": INT32})
    """Greatest number of replicas."""


class TargetReference(LocalReference):
    """The workload that is rolled out."""

    api_version: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """API version of the workload, such as apps/v1."""
    kind: str = Field(
        default="",
        json_schema_extra={"x-crd-required": True, "enum": ["DaemonSet", "Deployment", "Service", "StatefulSet"]},
    )
    """Kind of the workload."""


class AutoscalerReference(LocalReference):
    """The autoscaler of the target."""

    api_version: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """API version of the autoscaler, such as autoscaling/v2."""
    kind: str = Field(
        default="",
        json_schema_extra={"x-crd-required": True, "enum": ["HorizontalPodAutoscaler", "ScaledObject"]},
    )
    """Kind of the autoscaler."""
    primary_scaler_queries: StringMap = Field(default_factory=dict)
    """Queries of the primary's autoscaler, by trigger name."""
    primary_scaler_replicas: ScalerReplicas | None = None
    """Limits of the primary's autoscaler where they differ."""


class ConfigKind(StrEnum):
    """The kinds of configuration object."""

    CONFIG_MAP = "ConfigMap"
    SECRET = "Secret"  # noqa: S105 - a kind of object, not a password


class ConfigMode(StrEnum):
    """How a change of a ConfigMap or Secret reaches the primary."""

    SNAPSHOT = "snapshot"
    FOLLOW = "follow"
    IGNORE = "ignore"


class ConfigReference(Model):
    """A ConfigMap or Secret of the target's pods, and how a change of it reaches the primary."""

    kind: ConfigKind
    """Kind of the object."""
    name: str = Field(json_schema_extra={"maxLength": 253, "minLength": 1})
    """Name of the object."""
    mode: ConfigMode = ConfigMode.SNAPSHOT
    """By a rollout as a new version (snapshot), at once (follow), or however the pods notice it (ignore)."""

    @property
    def key(self) -> str:
        """The reference as `status.trackedConfigs` spells it, such as `configmap/app`."""
        return f"{self.kind.lower()}/{self.name}"


class IngressReference(LocalReference):
    """The Ingress that leads to the target."""

    api_version: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """API version of the Ingress, such as networking.k8s.io/v1."""
    kind: str = Field(default="", json_schema_extra={"x-crd-required": True, "enum": ["Ingress"]})
    """Kind of the object."""


class RouteReference(LocalReference):
    """The route of somebody else's that leads to the target: an ApisixRoute, or a Route of OpenShift."""

    api_version: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """API version of the route, such as apisix.apache.org/v2."""
    kind: str = Field(default="", json_schema_extra={"x-crd-required": True, "enum": ["ApisixRoute", "Route"]})
    """Kind of the object."""


class UpstreamReference(LocalReference):
    """The Gloo Upstream that generated upstreams are copied from."""

    api_version: str = Field(default="", json_schema_extra={"x-crd-required": True})
    """API version of the Upstream, such as gloo.solo.io/v1."""
    kind: str = Field(default="", json_schema_extra={"x-crd-required": True, "enum": ["Upstream"]})
    """Kind of the object."""
    namespace: str = ""
    """Namespace of the Upstream; the Canary's own where absent."""


class CanarySpec(Model):
    """What is rolled out, how traffic reaches it and how it is judged."""

    provider: str = Field(default="", json_schema_extra={"enum": list(PROVIDERS)})
    """Traffic provider; the controller's own where absent."""
    metrics_server: str = ""
    """Address of the Prometheus server; the controller's own where absent."""
    target_ref: TargetReference
    """The workload that is rolled out."""
    autoscaler_ref: AutoscalerReference | None = None
    """The autoscaler of the target."""
    ingress_ref: IngressReference | None = None
    """The Ingress that leads to the target (NGINX, Skipper, AWS Load Balancer Controller)."""
    route_ref: RouteReference | None = None
    """The route that leads to the target (APISIX, OpenShift)."""
    route_refs: tuple[WeightedRoute, ...] = ()
    """Routes of others that lead to both versions: in all of them the weights are set, and no route is made."""
    upstream_ref: UpstreamReference | None = None
    """The Upstream that generated upstreams are copied from (Gloo)."""
    service: Service = Service()
    """How the Services and the traffic provider's objects are generated."""
    analysis: Analysis | None = None
    """How a new version is judged."""
    canary_analysis: Analysis | None = None
    """Older name of analysis."""
    config_refs: tuple[ConfigReference, ...] = Field(
        default=(), json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["kind", "name"]}
    )
    """How changes of ConfigMaps and Secrets reach the primary, where not by a rollout."""
    progress_deadline_seconds: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": INT32})
    """Seconds without progress after which a rollout has failed; 600 where absent."""
    skip_analysis: bool = False
    """Whether new versions are promoted without being judged."""
    revert_on_deletion: bool = False
    """Whether the target gets all traffic when the Canary is deleted, even if it runs what is not promoted."""
    scheduling: Scheduling = Scheduling()
    """When a rollout may begin, whatever is thought of its version."""
    suspend: bool = False
    """Whether nothing is done, whatever changes; a rollout under way waits."""


def _legible(raw: Any, read: ValidatorFunctionWrapHandler) -> CanaryStatus:
    """What can be read of a status; a hand may have written the rest, and what is stored next is whole again."""
    try:
        status: CanaryStatus = read(raw)
    except ValidationError:
        left = without_unreadable(CanaryStatus, without_nulls(raw)) if isinstance(raw, dict) else None
        status = read(left or {})
    return status


class Canary(Resource):
    """A workload whose new versions are judged before users get them."""

    kind: str = "Canary"
    spec: CanarySpec
    """What is rolled out, how traffic reaches it and how it is judged."""
    status: Annotated[CanaryStatus, WrapValidator(_legible)] = CanaryStatus()
    """What is stored between two looks."""

    @property
    def analysis(self) -> Analysis:
        """How a new version is judged, under either of its names; empty where there is none."""
        return self.spec.analysis or self.spec.canary_analysis or _NO_ANALYSIS

    @property
    def analysis_field(self) -> str:
        """Path of the analysis in the spec, under the name that was used."""
        older = self.spec.analysis is None and self.spec.canary_analysis is not None
        return "spec.canaryAnalysis" if older else "spec.analysis"

    @property
    def skip_analysis(self) -> bool:
        """Whether new versions are promoted without being judged."""
        return self.spec.skip_analysis or self.analysis is _NO_ANALYSIS

    @property
    def target_name(self) -> str:
        """Name of the workload that is rolled out."""
        return self.spec.target_ref.name

    @property
    def targets_knative(self) -> bool:
        """Whether the target is a Knative Service, which has revisions in place of workloads."""
        target = self.spec.target_ref
        return target.kind == "Service" and target.api_version.startswith("serving.knative.dev/")

    @property
    def in_place(self) -> bool:
        """Whether the target is rolled out pod by pod, without a primary and without routes."""
        return self.spec.target_ref.kind == "StatefulSet"

    @property
    def is_copied(self) -> bool:
        """Whether a copy of the target, the primary, is stood beside it, with Services of its own."""
        return not self.in_place and not self.targets_knative

    @property
    def primary_name(self) -> str:
        """Name of the workload that holds the promoted version."""
        return f"{self.spec.target_ref.name}-primary"

    @property
    def wants_baseline(self) -> bool:
        """Whether fresh pods of the promoted version are stood beside the canary, to be compared with."""
        return self.is_copied and not self.skip_analysis and self.analysis.wants_baseline

    @property
    def baseline_name(self) -> str:
        """Name of the workload that is the baseline."""
        return f"{self.spec.target_ref.name}-baseline"

    @property
    def service_name(self) -> str:
        """Name of the Service that users call."""
        return self.spec.service.name or self.spec.target_ref.name

    @property
    def service_primary_name(self) -> str:
        """Name of the primary's Service."""
        return f"{self.service_name}-primary"

    @property
    def service_canary_name(self) -> str:
        """Name of the canary's Service."""
        return f"{self.service_name}-canary"

    @property
    def service_baseline_name(self) -> str:
        """Name of the baseline's Service."""
        return f"{self.service_name}-baseline"

    @property
    def services(self) -> tuple[str, str, str]:
        """Names of the Services: the one that users call, the primary's and the canary's."""
        return self.service_name, self.service_primary_name, self.service_canary_name

    @property
    def analysis_interval(self) -> timedelta:
        """Time between two steps: 1 minute where absent, 1 second at least and 30 days at most."""
        interval = self.analysis.interval
        return DEFAULT_INTERVAL if interval is None else min(max(interval, MIN_INTERVAL), MAX_INTERVAL)

    @property
    def threshold(self) -> int:
        """Failed checks after which a rollout is rolled back, 1 at least and 10,000 at most."""
        return min(max(self.analysis.threshold, 1), MAX_THRESHOLD)

    @property
    def progress_deadline(self) -> timedelta:
        """Time without progress after which a rollout has failed; 68 years at most."""
        seconds = self.spec.progress_deadline_seconds
        return DEFAULT_PROGRESS_DEADLINE if seconds is None else timedelta(seconds=min(max(seconds, 0), INT32))

    @property
    def patience(self) -> timedelta:
        """How long a rollout is held by what says nothing of its version, or nothing that counts.

        The progress deadline bounds pods, and is often much shorter than the time in which `threshold` checks fail:
        what is no failed check must not end a rollout sooner than failed checks would.
        """
        tolerated = sum(each.tolerated for each in (*self.analysis.metrics, *self.analysis.conditions))
        looks = min(self.threshold + tolerated, LONGEST_PATIENCE // self.analysis_interval)
        return max(self.progress_deadline, looks * self.analysis_interval)

    def time_for(self, hook: Webhook) -> timedelta:
        """How long one of its webhooks, or what answers in its place, is waited for."""
        by_gate = hook.gate is not None and "timeout" not in hook.model_fields_set
        return self.progress_deadline if by_gate else hook.timeout

    @property
    def strategy(self) -> Strategy:
        """How traffic reaches the new version."""
        analysis = self.analysis
        if analysis.iterations <= 0:
            return Strategy.CANARY
        return Strategy.AB_TESTING if analysis.match else Strategy.BLUE_GREEN

    @property
    def max_weight(self) -> int:
        """Percent of requests that the canary gets in the last weighted step."""
        analysis = self.analysis
        if analysis.step_weights:
            return min(analysis.step_weights[-1], TOTAL_WEIGHT)
        return min(analysis.max_weight, TOTAL_WEIGHT) if analysis.max_weight > 0 else TOTAL_WEIGHT

    @property
    def steps(self) -> tuple[int, ...]:
        """Percent of requests that the canary gets, step by step; empty where the strategy has no weights."""
        analysis = self.analysis
        if self.strategy is not Strategy.CANARY:
            return ()
        if analysis.step_weight > 0:
            return (*range(analysis.step_weight, self.max_weight, analysis.step_weight), self.max_weight)
        return tuple(min(weight, TOTAL_WEIGHT) for weight in analysis.step_weights)

    def hooks(self, type_: HookType) -> tuple[Webhook, ...]:
        """The webhooks of that type, in the spec's order."""
        return tuple(hook for hook in self.analysis.webhooks if hook.type is type_)


_NO_ANALYSIS = Analysis()


def parse_canary(raw: JsonObject, known: tuple[JsonObject, Canary] | None = None) -> Canary:
    """Read a Canary from the API server's JSON.

    Args:
        raw: what the server has.
        known: an earlier state of it and what was read of that: a spec that is the same is not read again.

    Raises:
        InvalidResource: it can't be read; the error holds every problem.
    """
    if known is not None and raw.get("spec") == known[0].get("spec"):
        raw = {**raw, "spec": known[1].spec}
    return parse(Canary, raw)
