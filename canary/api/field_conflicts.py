"""What does not fit together: fields that make sense each, where one would be without effect beside the other."""

from collections.abc import Iterator
from typing import Final

from canary.api.analysis import Analysis, Metric
from canary.api.canary import Canary
from canary.api.meta import LocalReference
from canary.api.problems import Problem

_GROUPS: Final = {
    "DaemonSet": ("apps", "extensions"),
    "Deployment": ("apps", "extensions"),
    "StatefulSet": ("apps",),
    "HorizontalPodAutoscaler": ("autoscaling",),
    "Ingress": ("networking.k8s.io", "extensions"),
    "Route": ("route.openshift.io",),
    "ScaledObject": ("keda.sh",),
}
"""The API groups of each kind, the older ones that Kubernetes once had among them; any version of them will do."""

_SLIPS: Final = frozenset({"", "v1", "core/v1"})
"""Words of references that leave no doubt, as no other group has these kinds."""


_MIRRORING: Final = ("gatewayapi", "istio")
"""The providers that copy requests."""


def references(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Kinds of the same name in other groups are not the ones that are meant here."""
    yield from _group("spec.targetRef", canary.spec.target_ref)
    if canary.spec.autoscaler_ref is not None:
        yield from _group("spec.autoscalerRef", canary.spec.autoscaler_ref)
    if canary.spec.ingress_ref is not None:
        yield from _group("spec.ingressRef", canary.spec.ingress_ref)
    if canary.spec.route_ref is not None:
        yield from _group("spec.routeRef", canary.spec.route_ref)


def _group(field: str, reference: LocalReference) -> Iterator[Problem]:
    expected = _GROUPS.get(reference.kind)
    group = reference.api_version.partition("/")[0]
    if expected is None or reference.api_version in _SLIPS or group in expected:
        return
    ours = expected[0]
    yield Problem(
        f"{field}.apiVersion",
        f"{reference.api_version} is no version of {ours}, which has the kind {reference.kind}",
        f"write {ours}/{'v1alpha1' if ours == 'keda.sh' else 'v2' if ours == 'autoscaling' else 'v1'}",
    )


def two_analyses(canary: Canary, _provider: str) -> Iterator[Problem]:
    """The older name of the analysis beside the newer one."""
    if canary.spec.analysis is not None and canary.spec.canary_analysis is not None:
        yield Problem(
            "spec.canaryAnalysis", "spec.analysis is set too, of which it is the older name", "keep spec.analysis alone"
        )


def configuration(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Two modes of the same object."""
    seen: set[str] = set()
    for index, ref in enumerate(canary.spec.config_refs):
        if ref.key in seen:
            yield Problem(f"spec.configRefs[{index}]", f"{ref.kind} {ref.name} is named before", "keep one of the two")
        seen.add(ref.key)


def strategies(canary: Canary, provider: str) -> Iterator[Problem]:
    """Fields of one strategy in the analysis of another."""
    analysis, field = canary.analysis, canary.analysis_field
    if analysis.iterations > 0:
        yield from _counted(field, analysis, provider)
    if analysis.always_match and analysis.iterations > 0:
        message = "goes beside weights; with iterations there are none"
        yield Problem(f"{field}.alwaysMatch", message, "take it out, or set stepWeight in place of iterations")
    if analysis.mirror_weight and not analysis.mirror:
        mirrors = provider.startswith(_MIRRORING) and not analysis.match
        remedy = "set mirror: true, or take mirrorWeight out" if mirrors else "take it out"
        yield Problem(f"{field}.mirrorWeight", "no request is mirrored", remedy)


def counted(canary: Canary) -> str:
    """What to set where provider kubernetes has no weights."""
    blue_green = "iterations (such as 10) for blue/green"
    if canary.spec.target_ref.kind != "Deployment" or canary.spec.autoscaler_ref is not None:
        return blue_green
    return (
        f"{blue_green}, or replicaRatio: true to divide requests by the numbers of pods, with stepWeight (such as 10)"
    )


def _counted(field: str, analysis: Analysis, provider: str) -> Iterator[Problem]:
    """Blue/green and A/B: nobody is moved by weight."""
    strategy = "A/B testing" if analysis.match else "blue/green"
    if analysis.session_affinity is not None:
        counts = "iterations and match" if analysis.match else "iterations"
        keeps = "the conditions of match keep users on their version" if analysis.match else "all users move at once"
        yield Problem(
            f"{field}.sessionAffinity",
            f"goes with shifting weights, iterations with {strategy}: {keeps}",
            "take it out" if provider == "kubernetes" else f"take it out, or set stepWeight in place of {counts}",
        )
    if analysis.match and analysis.mirror:
        yield Problem(
            f"{field}.mirror",
            "in A/B testing the requests that match are answered by the canary, and none is copied",
            "take it out, or take match out for blue/green with mirroring",
        )
    for name, percent in (
        ("stepWeightPromotion", analysis.step_weight_promotion),
        ("stepWeightRollback", analysis.step_weight_rollback),
    ):
        if analysis.match and percent:
            message = "in A/B testing the requests that match go back to the primary all at once"
            yield Problem(f"{field}.{name}", message, "take it out")


def pod_counts(canary: Canary, provider: str) -> Iterator[Problem]:
    """Weights by the numbers of pods need pods whose number is the controller's to say."""
    analysis, field = canary.analysis, f"{canary.analysis_field}.replicaRatio"
    if not analysis.replica_ratio:
        return
    if provider != "kubernetes":
        message = f"provider {provider} divides requests by weights of its own"
        yield Problem(field, message, "take it out, or set provider: kubernetes")
    if canary.spec.target_ref.kind != "Deployment":
        message = f"the number of pods of a {canary.spec.target_ref.kind} is not the controller's to say"
        yield Problem(field, message, "take it out, or roll out a Deployment")
    if canary.spec.autoscaler_ref is not None:
        message = "an autoscaler changes the numbers of pods that requests are divided by"
        yield Problem(field, message, "take autoscalerRef out, or choose a provider with weights")
    if analysis.iterations > 0:
        message = "goes by stepWeight or stepWeights; with iterations no request reaches the canary"
        # Chosen requests go by iterations: weights in their place would lead back here.
        yield Problem(
            field, message, "take it out" if analysis.match else "set stepWeight in place of iterations, or take it out"
        )


def metrics(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Variables that no query asks for, and failures that nothing can follow from."""
    for index, metric in enumerate(canary.analysis.metrics):
        if metric.critical and metric.dry_run:
            field = f"{canary.analysis_field}.metrics[{index}].critical"
            yield Problem(field, "does not go with dryRun, with which nothing follows", "keep one of the two")
        if metric.template_variables and _is_fixed(metric):
            yield Problem(
                f"{canary.analysis_field}.metrics[{index}].templateVariables",
                f"the query of {metric.name} is built in, and has no variables",
                "take it out, or set templateRef",
            )


def _is_fixed(metric: Metric) -> bool:
    return metric.template_ref is None and not metric.query
