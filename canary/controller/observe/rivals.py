"""Two Canaries that want one workload: one of them goes on, and the other is told."""

from collections.abc import Callable, Iterable
from functools import partial

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.controller.observe.index import Claim, Claims
from canary.kube.types import Json, Resource
from canary.workloads.base import owners_of
from canary.workloads.registry import TARGETS

Get = Callable[[Resource, str, str], Json | None]
"""An object by its kind, namespace and name; None where there is none to be seen."""


def rival_problems(get: Get, claims: Claims, canary: Canary) -> tuple[Problem, ...]:
    """What is wrong where another Canary wants the same workload."""
    claim, rivals = claims.of(canary.key), claims.rivals(canary.key)
    found = problem(claim, rivals, partial(_holds, get)) if claim is not None and rivals else None
    return (found,) if found is not None else ()


def _holds(get: Get, claim: Claim) -> bool:
    kind, ref = TARGETS.get(claim.target.kind), claim.primary
    ours = kind is not None and not claim.target.group
    primary = get(kind.resource, ref.namespace, ref.name) if kind is not None and ours else None
    return primary is not None and any(owner.get("uid") == claim.uid for owner in owners_of(primary))


def problem(claim: Claim, rivals: Iterable[Claim], holds: Callable[[Claim], bool]) -> Problem | None:
    """What is wrong with a Canary that wants what another one has; None for the one that goes on.

    That is the one whose primary stands already; of several or none the one that was created first.

    Args:
        claim: what the Canary wants.
        rivals: what those want that want something of the same.
        holds: whether a Canary has the primary that it wants.
    """
    first = min((claim, *rivals), key=lambda each: (not holds(each), each.created, each.canary))
    if first == claim:
        return None
    both = next(ref for ref in claim.workloads if ref in first.workloads)
    part = "the target" if both == first.target else "the primary"
    message = f"{both.kind} {both.name} is {part} of Canary {first.canary} already"
    return Problem("spec.targetRef", message, "name another workload, or delete one of the two Canaries")
