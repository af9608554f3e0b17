"""What one Canary says that can't work, found without looking at anything else.

Where the analysis is skipped its rules are skipped too: `skipAnalysis` is the way out when the analysis is broken.
Which strategies and fields a traffic provider can do is the providers' own statement, checked elsewhere.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from canary.api import (
    baseline,
    bounds,
    comparisons,
    conditions,
    field_conflicts,
    hooks,
    in_place,
    knative,
    names,
    ports,
    requirements,
    route_refs,
    scheduling,
    step_rules,
)
from canary.api.addresses import is_web_address
from canary.api.analysis import MAX_ITERATIONS, Metric, ThresholdRange
from canary.api.canary import MIN_INTERVAL, Canary
from canary.api.durations import duration_text, parse_duration
from canary.api.meta import INT32
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT

MAX_SERVICE_NAME: Final = 63 - len("-primary")
"""A Service's name has 63 characters at most, and the longest generated one ends in `-primary`."""

SERVICE_NAME: Final = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""What a Service's name looks like. Older API servers take no digit at its beginning either."""

_Rule = Callable[[Canary, str], Iterator[Problem]]


def problems(canary: Canary, provider: str) -> tuple[Problem, ...]:
    """Everything in the spec that can't work with this traffic provider.

    Args:
        canary: the resource, parsed.
        provider: the provider in force: the spec's own, else the controller's.
    """
    rules = _RULES if canary.skip_analysis else (*_RULES, *_ANALYSIS_RULES)
    found = [problem for rule in rules for problem in rule(canary, provider)]
    named = {problem.field for problem in found}
    # A rule of its own has the better words.
    found += [problem for problem in bounds.problems(canary, provider) if problem.field not in named]
    return tuple(found)


def _target(canary: Canary, _provider: str) -> Iterator[Problem]:
    target = canary.spec.target_ref
    if not target.name:
        yield Problem("spec.targetRef.name", "is empty", "name the workload that is rolled out")
    if not target.kind:
        yield Problem("spec.targetRef.kind", "is missing", "set kind, such as Deployment")
    if target.name == f"{canary.name}-primary":
        yield Problem(
            "spec.targetRef.name",
            f"{target.name} is the workload that is made for this Canary",
            f"name the workload that you deploy, such as {canary.name}",
        )


def _knative(canary: Canary, provider: str) -> Iterator[Problem]:
    target = canary.spec.target_ref
    if canary.targets_knative and provider != "knative":
        yield Problem("spec.provider", f"{provider} can't roll out a Knative Service", "set provider: knative")
    if provider == "knative" and not canary.targets_knative:
        yield Problem(
            "spec.targetRef",
            f"provider knative can't roll out {target.api_version} {target.kind}",
            "name a Service of serving.knative.dev/v1, or set another provider",
        )


def _service_target(canary: Canary, provider: str) -> Iterator[Problem]:
    kubernetes_own = canary.spec.target_ref.kind == "Service" and not canary.targets_knative
    if kubernetes_own and provider == "kubernetes" and not canary.spec.route_refs:
        yield Problem(
            "spec.provider",
            "provider kubernetes divides no traffic, and a Service has no pods to take over from others",
            "set a provider that divides traffic by weight, such as gatewayapi:v1",
        )


def _service(canary: Canary, _provider: str) -> Iterator[Problem]:
    service = canary.spec.service
    if canary.is_copied:
        if service.port == 0:
            yield Problem("spec.service.port", "is missing", "set the port that users call, such as 80")
        else:
            yield from ports.number("spec.service.port", service.port)
    if isinstance(service.target_port, int) and service.target_port != 0:
        yield from ports.number("spec.service.targetPort", service.target_port)
    if canary.is_copied and not SERVICE_NAME.fullmatch(canary.service_name or "x"):
        yield Problem(
            "spec.service.name",
            f"{canary.service_name!r} can't be the name of a Service",
            "write a name of lower-case letters, digits and hyphens",
        )
    if canary.is_copied and len(canary.service_name) > MAX_SERVICE_NAME:
        yield Problem(
            "spec.service.name",
            f"{canary.service_name}-primary is longer than a Service's name can be (63 characters)",
            f"set a name of {MAX_SERVICE_NAME} characters at most",
        )
    for index, mirror in enumerate(service.mirror):
        backend = mirror.backend_ref
        if (backend.group, backend.kind) == ("", "Service") and backend.port is None:
            yield Problem(f"spec.service.mirror[{index}].backendRef.port", "is missing", "set the Service's port")
    for field, text in (("timeout", service.timeout), ("backendTimeout", service.backend_timeout)):
        yield from _written_duration(f"spec.service.{field}", text)


def _written_duration(field: str, text: str) -> Iterator[Problem]:
    try:
        positive = not text or parse_duration(text) > timedelta(0)
    except ValueError:
        positive = False
    if not positive:
        yield Problem(field, f"{text!r} is no time limit", "write a duration such as 15s")


def _provider_references(canary: Canary, provider: str) -> Iterator[Problem]:
    """What a provider attaches the generated routes to, where there are any."""
    if canary.in_place:
        return
    spec = canary.spec
    for each in requirements.missing(spec, provider):
        yield Problem(f"spec.{each.field}", f"is missing; provider {provider} {each.why}", each.remedy)
    if (
        provider.partition(":")[0] == "istio"
        and spec.service.delegation
        and (spec.service.hosts or spec.service.gateways)
    ):
        yield Problem(
            "spec.service.delegation",
            "a delegate VirtualService has neither hosts nor gateways",
            "take hosts and gateways out, or set delegation: false",
        )


def _route_refs(canary: Canary, _provider: str) -> Iterator[Problem]:
    return route_refs.problems(canary.spec.route_refs)


def _limits(canary: Canary, _provider: str) -> Iterator[Problem]:
    spec = canary.spec
    if spec.progress_deadline_seconds is not None and spec.progress_deadline_seconds < 1:
        yield Problem(
            "spec.progressDeadlineSeconds",
            f"{spec.progress_deadline_seconds} leaves no time to make progress",
            "write a number of seconds such as 600",
        )
    if spec.metrics_server and not is_web_address(spec.metrics_server):
        yield Problem(
            "spec.metricsServer",
            f"{spec.metrics_server!r} is no address",
            "write one such as http://prometheus:9090",
        )
    replicas = spec.autoscaler_ref and spec.autoscaler_ref.primary_scaler_replicas
    if replicas and (replicas.min_replicas or 0) > (replicas.max_replicas or INT32):
        yield Problem(
            "spec.autoscalerRef.primaryScalerReplicas",
            f"minReplicas {replicas.min_replicas} is more than maxReplicas {replicas.max_replicas}",
            "write minReplicas that is at most maxReplicas",
        )


def _interval(canary: Canary, _provider: str) -> Iterator[Problem]:
    interval = canary.analysis.interval
    if interval is not None and interval < MIN_INTERVAL:
        yield Problem(
            f"{canary.analysis_field}.interval",
            f"{duration_text(interval)} is too short",
            "write 1s or more",
        )


def _bake(canary: Canary, _provider: str) -> Iterator[Problem]:
    bake = canary.analysis.bake
    if bake is not None and canary.in_place:
        kind = canary.spec.target_ref.kind
        message = f"once all pods of a {kind} run a version, Kubernetes keeps no other to put back"
        yield Problem(f"{canary.analysis_field}.bake", message, "take it out, and set a longer interval")
    elif bake is not None and bake <= timedelta(0):
        message = f"{duration_text(bake)} leaves no time to check"
        yield Problem(f"{canary.analysis_field}.bake", message, "write a duration such as 10m")


def _strategy(canary: Canary, provider: str) -> Iterator[Problem]:
    analysis, field = canary.analysis, canary.analysis_field
    weights = [
        name for name, value in (("stepWeight", analysis.step_weight), ("stepWeights", analysis.step_weights)) if value
    ]
    if analysis.match and analysis.iterations <= 0 and not analysis.steps:
        yield Problem(
            f"{field}.match",
            "requests are matched in an A/B analysis only, which counts iterations",
            "set iterations (such as 10), or take match out",
        )
    elif analysis.iterations == 0 and not weights and not canary.in_place and not analysis.steps:
        yield _no_steps(canary, provider)
    if len(weights) > 1:
        yield Problem(f"{field}.stepWeights", "stepWeight is set too", "keep one of the two")
    if analysis.iterations < 0:
        yield Problem(f"{field}.iterations", f"{analysis.iterations} is no number of steps", "write 1 or more")
    if analysis.iterations > MAX_ITERATIONS:
        message = f"{analysis.iterations} are more steps than a rollout can have"
        yield Problem(f"{field}.iterations", message, f"write {MAX_ITERATIONS} or less")


def _no_steps(canary: Canary, provider: str) -> Problem:
    """An analysis without an end, with the remedies that its provider takes."""
    message, remedy = "is missing, so that no request would ever reach the canary", "set stepWeight (such as 10)"
    if provider != "kubernetes" or canary.spec.route_refs:
        remedy += " or stepWeights; for blue/green or A/B, iterations"
    elif not canary.analysis.replica_ratio:
        message, remedy = "is missing, and provider kubernetes has no weights", f"set {field_conflicts.counted(canary)}"
        return Problem(f"{canary.analysis_field}.iterations", message, remedy)
    return Problem(f"{canary.analysis_field}.stepWeight", message, remedy)


def _weights(canary: Canary, _provider: str) -> Iterator[Problem]:
    analysis, field = canary.analysis, canary.analysis_field
    shares = (
        ("stepWeight", analysis.step_weight),
        ("maxWeight", analysis.max_weight),
        ("stepWeightPromotion", analysis.step_weight_promotion),
        ("stepWeightRollback", analysis.step_weight_rollback),
        ("mirrorWeight", analysis.mirror_weight),
        ("primaryReadyThreshold", analysis.primary_ready_threshold),
        ("canaryReadyThreshold", analysis.canary_ready_threshold),
    )
    for name, share in shares:
        if not 0 <= share <= TOTAL_WEIGHT:
            yield Problem(f"{field}.{name}", f"{share} is no percentage", f"write 0 to {TOTAL_WEIGHT}")
    steps = analysis.step_weights
    for index, weight in enumerate(steps):
        if not 1 <= weight <= TOTAL_WEIGHT:
            where = f"{field}.stepWeights[{index}]"
            yield Problem(where, f"{weight} is no share of traffic", f"write 1 to {TOTAL_WEIGHT}")
        elif index and weight <= steps[index - 1]:
            where = f"{field}.stepWeights[{index}]"
            remedy = f"write more than {steps[index - 1]}, or take it out"
            yield Problem(where, f"{weight} is not more than the step before", remedy)


def _metrics(canary: Canary, _provider: str) -> Iterator[Problem]:
    for index, metric in enumerate(canary.analysis.metrics):
        yield from _metric(f"{canary.analysis_field}.metrics[{index}]", metric)


def _metric(field: str, metric: Metric) -> Iterator[Problem]:
    if metric.interval <= timedelta(0):
        text = duration_text(metric.interval)
        yield Problem(f"{field}.interval", f"{text} is no window", "write a duration such as 1m")
    if metric.template_ref is not None and metric.query:
        yield Problem(f"{field}.query", "templateRef asks for the number already", "keep one of the two")
    elif metric.template_ref is None and not metric.query:
        yield from _built_in(field, metric)
    if metric.threshold_range is not None:
        yield from _range(f"{field}.thresholdRange", metric.threshold_range)


def _built_in(field: str, metric: Metric) -> Iterator[Problem]:
    if not metric.is_built_in:
        yield Problem(
            f"{field}.name",
            f"there is no metric {metric.name!r}",
            "write request-success-rate, request-duration or request-rate, or set templateRef",
        )
    elif metric.threshold is None and metric.threshold_range is None and metric.compare_to is None:
        yield Problem(
            f"{field}.thresholdRange",
            f"is missing, and so is threshold, so that {metric.name} has no limit",
            "set thresholdRange, such as {min: 99} or {max: 500}",
        )


def _range(field: str, limits: ThresholdRange) -> Iterator[Problem]:
    if limits.min is not None and limits.max is not None and limits.min > limits.max:
        yield Problem(field, f"min {limits.min:g} is more than max {limits.max:g}", "write min that is at most max")


def _webhooks(canary: Canary, _provider: str) -> Iterator[Problem]:
    yield from hooks.names(f"{canary.analysis_field}.webhooks", canary.analysis.webhooks)
    for index, hook in enumerate(canary.analysis.webhooks):
        yield from hooks.problems(f"{canary.analysis_field}.webhooks[{index}]", hook)


def _alerts(canary: Canary, _provider: str) -> Iterator[Problem]:
    for index, alert in enumerate(canary.analysis.alerts):
        if not alert.provider_ref.name:
            where = f"{canary.analysis_field}.alerts[{index}].providerRef.name"
            yield Problem(where, "is empty", "name the AlertProvider")


def _session_affinity(canary: Canary, _provider: str) -> Iterator[Problem]:
    affinity = canary.analysis.session_affinity
    if affinity is None:
        return
    field = f"{canary.analysis_field}.sessionAffinity"
    if not affinity.cookie_name:
        yield Problem(f"{field}.cookieName", "is empty", "name the cookie, such as canary-cookie")
    elif affinity.cookie_name == affinity.primary_cookie_name:
        yield Problem(f"{field}.primaryCookieName", "is the canary's cookie too", "write a name other than cookieName")
    if affinity.max_age < 0:
        yield Problem(f"{field}.maxAge", f"{affinity.max_age} is in the past", "write a number of seconds")


def _scheduling(canary: Canary, _provider: str) -> Iterator[Problem]:
    yield from scheduling.problems(canary.spec.scheduling)


_RULES: Final[tuple[_Rule, ...]] = (
    _target,
    field_conflicts.references,
    _knative,
    _service_target,
    in_place.references,
    knative.references,
    _service,
    names.services,
    ports.further,
    _provider_references,
    _route_refs,
    ports.listeners,
    _limits,
    field_conflicts.two_analyses,
    field_conflicts.configuration,
    _scheduling,
)
_ANALYSIS_RULES: Final[tuple[_Rule, ...]] = (
    _interval,
    _bake,
    _strategy,
    step_rules.problems,
    in_place.strategy,
    knative.strategy,
    _weights,
    field_conflicts.strategies,
    _metrics,
    comparisons.problems,
    baseline.problems,
    conditions.problems,
    field_conflicts.metrics,
    field_conflicts.pod_counts,
    _webhooks,
    _alerts,
    _session_affinity,
)
