"""Services and routes under the names that a Canary needs, whose users are others'."""

from collections.abc import Iterable, Iterator

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.types import CANARY, Json
from canary.workloads.base import items, mapping, name_of, owners_of
from canary.workloads.origin import is_marked


def taken(canary: Canary, kind: str, name: str, obj: Json) -> Iterator[Problem]:
    """One of another Canary: the two would undo each other's."""
    for owner in owners_of(obj):
        if owner.get("kind") == CANARY.kind and owner.get("name") != canary.name:
            message = f"{kind} {name} belongs to Canary {owner.get('name')}"
            yield Problem("spec.service", message, "choose another name, or other names of ports")


def rerouted(canary: Canary, routes: Iterable[Json]) -> Iterator[Problem]:
    """Routes that have this Canary's names and lead to others too: their users would be led to this application.

    Args:
        canary: the Canary.
        routes: what divides requests under the names that it needs.
    """
    for route in routes:
        if is_marked(route) or owners_of(route):
            continue
        others = sorted(set(_backends(route)) - set(canary.services))
        if others:
            message = f"{route.get('kind')} {name_of(route)} leads to {', '.join(others)} too, and would not any more"
            remedy = "write another name, or move what leads there to a route of its own"
            yield Problem("spec.service.name", message, remedy)


def _backends(route: Json) -> Iterator[str]:
    """The names that a TraefikService or an HTTPRoute leads to."""
    spec = mapping(route.get("spec"))
    mirroring = mapping(spec.get("mirroring"))
    found = [*items(mapping(spec.get("weighted")).get("services")), *([mirroring] if mirroring else [])]
    found += [backend for rule in items(spec.get("rules")) for backend in items(rule.get("backendRefs"))]
    return (str(each.get("name")) for each in found)
