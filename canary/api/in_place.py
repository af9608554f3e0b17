"""What can't work where the target is rolled out in place, pod by pod: there is no second workload, and no route."""

from collections.abc import Iterator

from canary.api.canary import Canary
from canary.api.problems import Problem


def references(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Fields that are about what stands beside the target."""
    if not canary.in_place:
        return
    spec, kind = canary.spec, canary.spec.target_ref.kind
    if spec.provider not in ("", "kubernetes"):
        message = f"{spec.provider} can't divide requests between the pods of one {kind}: its own Service leads to all"
        yield Problem("spec.provider", message, "take it out, or write kubernetes")
    if spec.route_refs:
        message = f"no route divides requests between the pods of one {kind}: its own Service leads to all"
        yield Problem("spec.routeRefs", message, "take it out")
    if spec.service.model_fields_set:
        message = f"the Services of a {kind} are their author's, and none is made"
        yield Problem("spec.service", message, "take it out")
    if spec.config_refs:
        message = f"the pods of a {kind} read their configuration by its name, and no copy is made"
        yield Problem("spec.configRefs", message, "take it out")
    if spec.autoscaler_ref is not None:
        message = f"an autoscaler of a {kind} goes on scaling it, and none is made beside it"
        yield Problem("spec.autoscalerRef", message, "take it out")


def strategy(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Fields of an analysis that no division of pods by their number can honour."""
    if not canary.in_place:
        return
    analysis, field, kind = canary.analysis, canary.analysis_field, canary.spec.target_ref.kind
    if analysis.iterations > 0:
        message = f"every new pod of a {kind} gets requests, so that there is no blue/green and no A/B"
        yield Problem(f"{field}.iterations", message, "take it out, for one pod a step, or set stepWeight")
    for name, percent in (
        ("primaryReadyThreshold", analysis.primary_ready_threshold),
        ("canaryReadyThreshold", analysis.canary_ready_threshold),
    ):
        if percent != 100:
            message = f"Kubernetes replaces no pod of a {kind} before the one before it is ready"
            yield Problem(f"{field}.{name}", message, "take it out")
