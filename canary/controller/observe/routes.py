"""The objects that divide traffic, as the cluster has them."""

from collections.abc import Callable

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.types import Json, ObjectRef, Resource
from canary.routers.base import Observed, Provider
from canary.routers.registry import ROUTERS, router_of


def providers_of(canary: Canary, default: str) -> tuple[Provider, ...]:
    """The traffic provider of a Canary, first, and those by whose objects its users were led before.

    Args:
        canary: the Canary.
        default: the controller's own provider, where the spec names none.
    """
    now = router_of(canary, default)
    before = (ROUTERS[name] for name in canary.status.routed_by if name in ROUTERS)
    return tuple(dict.fromkeys(each for each in (now, *before) if each is not None))


def made_for(canary: Canary, default: str) -> tuple[ObjectRef, ...]:
    """What its traffic provider makes; at its end also what those of before have, by the names of its spec."""
    ending = canary.metadata.deletion_timestamp is not None
    now = router_of(canary, default)
    providers = providers_of(canary, default) if ending else () if now is None else (now,)
    return tuple(dict.fromkeys(ref for each in providers for ref in each.makes(canary)))


def observed(provider: Provider, canary: Canary, get: Callable[[Resource, str, str], Json | None]) -> Observed:
    """The objects that a provider wants to see, as far as they are there."""
    found = ((ref, get(*ref)) for ref in provider.refs(canary))
    return {ref: obj for ref, obj in found if obj is not None}


def glanced(provider: Provider, canary: Canary, find: Callable[[Resource, str, str], object]) -> Observed:
    """What a provider glances at, as far as it can be seen."""
    seen: dict[ObjectRef, Json] = {}
    while True:
        found = {ref: find(*ref) for ref in provider.glances(canary, seen) if ref not in seen}
        new = {ref: obj for ref, obj in found.items() if isinstance(obj, dict)}
        if not new:
            return seen
        seen |= new


def not_installed(canary: Canary, resource: Resource) -> Problem:
    """What is said of a kind of object that a provider needs and the API server doesn't serve."""
    field = "spec.provider" if canary.spec.provider else "--mesh-provider"
    way_out = "set another provider"
    if canary.spec.route_refs:
        field, way_out = "spec.routeRefs", "take its routes out"
    return Problem(
        field,
        f"{resource.kind} of {resource.api_version} is not installed in this cluster",
        f"install the CustomResourceDefinition {resource.full_name} with the version"
        f" {' or '.join(resource.versions)}, or {way_out}",
    )
