"""No route: one Service leads to all pods, and each version gets requests by how many of them are its own."""

from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import Split
from canary.routers.base import Granularity, Observed, Provider, Write, routed_fields, spec_path


def _no_plan(_canary: Canary, _split: Split, _observed: Observed) -> tuple[Write, ...]:
    """Pods divide requests, not objects."""
    return ()


def _problems(canary: Canary) -> tuple[Problem, ...]:
    """The fields of the spec that only a route can honour; what is said of Services is refused by the rules."""
    kind = canary.spec.target_ref.kind
    return tuple(
        Problem(spec_path(canary, field), f"the pods of a {kind} get requests by their own Service", "take it out")
        for field, is_set in routed_fields(canary).items()
        if is_set and field not in PODS.fields and not field.startswith("service.")
    )


PODS = Provider(
    names=("kubernetes",),
    makes=lambda _canary: (),
    plan=_no_plan,
    split=lambda _canary, _observed: None,
    settle=timedelta(0),
    weights=Granularity.PERCENT,
    fields=frozenset({"analysis.stepWeight"}),
    problems=_problems,
)
"""Stands where a provider is asked for, for targets that are rolled out in place."""
