"""Where each field of v1beta1 stands in v1beta2. What is not in a table has the same place in both."""

from typing import Final

from canary.api.meta import GROUP

VERSION: Final = "v1beta2"
API_VERSION: Final = f"{GROUP}/{VERSION}"

Pairs = tuple[tuple[str, str], ...]
"""Paths in v1beta1, each with its path in v1beta2; those of parts stand before that of the whole."""

_ROUTING: Final = (
    "backendTimeout",
    "backends",
    "corsPolicy",
    "delegation",
    "gatewayRefs",
    "gateways",
    "headers",
    "hosts",
    "match",
    "meshName",
    "retries",
    "rewrite",
    "routeKind",
    "timeout",
)

_NUMBER: Final[Pairs] = (
    ("interval", "window"),
    ("thresholdRange", "range"),
    ("templateRef", "template"),
    ("templateVariables", "variables"),
)
"""Of what asks for a number."""

SPEC: Final[Pairs] = (
    ("targetRef", "target"),
    ("autoscalerRef", "autoscaler"),
    ("configRefs", "configs"),
    ("provider", "traffic.provider"),
    ("ingressRef", "traffic.ingress"),
    ("routeRef", "traffic.route"),
    ("routeRefs", "traffic.routes"),
    ("upstreamRef", "traffic.upstream"),
    *((f"service.{each}", f"traffic.{each}") for each in _ROUTING),
    ("service.trafficPolicy", "traffic.policy"),
    ("service.mirror", "traffic.mirrorTo"),
    ("analysis.sessionAffinity", "traffic.sessionAffinity"),
    ("analysis.replicaRatio", "traffic.replicaRatio"),
    ("analysis.threshold", "rollout.failureThreshold"),
    ("analysis.stepWeight", "rollout.ramp.by"),
    ("analysis.maxWeight", "rollout.ramp.to"),
    ("analysis.stepWeights", "rollout.ramp.weights"),
    ("analysis.stepWeightPromotion", "rollout.promoteBy"),
    ("analysis.stepWeightRollback", "rollout.rollBackBy"),
    ("analysis.primaryReadyThreshold", "rollout.ready.primary"),
    ("analysis.canaryReadyThreshold", "rollout.ready.canary"),
    ("analysis.alerts", "alerts"),
    ("analysis", "rollout"),
    ("skipAnalysis", "skipChecks"),
    *((f"scheduling.errorBudget.{old}", f"scheduling.errorBudget.{new}") for old, new in _NUMBER),
)
"""Of the spec."""

METRIC: Final[Pairs] = (
    *_NUMBER,
    ("compareTo", "compare.to"),
    ("method", "compare.method"),
    ("tolerance", "compare.tolerance"),
    ("mannWhitney", "compare.mannWhitney"),
)
"""Of a metric, as a check."""

CALL: Final[Pairs] = (
    ("type", "when"),
    *((each, f"webhook.{each}") for each in ("url", "retries", "disableTLS", "metadata", "headers", "secretRef")),
)
"""Of a webhook, or a gate in its place, as a check."""

CONDITION: Final[Pairs] = ()
"""Of a condition over metrics, as a check."""
