"""What the controller would say of a spec before it does anything, as far as that can be told without a cluster."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.rules import problems as spec_problems
from canary.cli.rehearse.specs import Spec
from canary.controller.ask.metric_questions import Asking, question_of
from canary.routers.base import TRAEFIK_FOLLOWS, Granularity
from canary.routers.registry import router_of
from canary.routers.registry import supported as supported_providers
from canary.workloads.registry import kind_of, target_for
from canary.workloads.registry import supported as supported_kinds
from metrics.errors import MisconfiguredError
from metrics.templates import TemplateError

ANY_PROVIDER: Final = "istio"
"""What the rules are told where neither the spec nor the command line names a provider: the controller's default."""


def problems_of(canary: Canary, provider: str) -> Iterator[Problem]:
    """Everything that keeps a spec from working.

    Args:
        canary: the Canary.
        provider: the traffic provider in force; empty where it is not known, and any is taken for good.
    """
    yield from spec_problems(canary, provider or ANY_PROVIDER)
    router = router_of(canary, provider)
    if router is not None:
        yield from router.unsupported(canary)
    elif provider:
        field = "spec.provider" if canary.spec.provider else "--mesh-provider"
        message = f"traffic provider {provider} is not supported"
        yield Problem(field, message, f"write one of {', '.join(supported_providers())}")
    if target_for(canary) is None:
        message = f"targets of kind {kind_of(canary)} are not supported"
        yield Problem("spec.targetRef.kind", message, f"write one of {', '.join(supported_kinds())}")


def is_weighted(canary: Canary, provider: str) -> bool:
    """Whether requests are divided by weight; a traffic provider that is not known is taken for one that does."""
    router = router_of(canary, provider)
    return router is None or router.capabilities.weights is not Granularity.NONE


def settle_of(canary: Canary, provider: str) -> timedelta:
    """How long the data plane is given to follow; one that is not known is taken for the slowest that is."""
    router = router_of(canary, provider)
    return TRAEFIK_FOLLOWS if router is None else router.settle


def unaskable(spec: Spec, provider: str) -> Mapping[str, str]:
    """The metrics that the controller could not ask for, by name, with the reason; it would hold at each of them.

    A MetricTemplate that is not in the same stream is taken to be in the cluster, and to be good.
    """
    found: dict[str, str] = {}
    canary = spec.canary
    for metric in canary.analysis.metrics:
        ref = metric.template_ref
        template = spec.templates.get((ref.namespace or canary.namespace, ref.name)) if ref is not None else None
        if (ref is not None and template is None) or (metric.is_built_in and not provider):
            continue
        try:
            question_of(canary, metric, Asking(provider=provider, server="http://prometheus", template=template))
        except (MisconfiguredError, TemplateError) as error:
            found[metric.name] = str(error)
    return found
