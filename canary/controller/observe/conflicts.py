"""Services and routes under the names that a Canary needs, whose users are others'."""

from collections.abc import Iterable, Iterator

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.types import CANARY, Json, ObjectRef
from canary.routers.registry import ROUTES
from canary.workloads.base import name_of, owners_of
from canary.workloads.origin import is_marked


def taken(canary: Canary, ref: ObjectRef, obj: Json) -> Iterator[Problem]:
    """One of another Canary: the two would undo each other's."""
    for owner in owners_of(obj):
        if owner.get("kind") == CANARY.kind and owner.get("name") != canary.name:
            message = f"{ref.resource.kind} {ref.name} belongs to Canary {owner.get('name')}"
            yield Problem("spec.service", message, "choose another name, or other names of ports")


def rerouted(canary: Canary, routes: Iterable[tuple[ObjectRef, Json]]) -> Iterator[Problem]:
    """Routes that have this Canary's names and lead to others too: their users would be led to this application.

    Args:
        canary: the Canary.
        routes: what divides requests under the names that it needs.
    """
    for ref, route in routes:
        if is_marked(route) or owners_of(route):
            continue
        named = {name for kind in ROUTES.get(ref.resource, ()) for name in kind.leads_to(route)}
        others = sorted(named - set(canary.services))
        if others:
            message = f"{route.get('kind')} {name_of(route)} leads to {', '.join(others)} too, and would not any more"
            remedy = "write another name, or move what leads there to a route of its own"
            yield Problem("spec.service.name", message, remedy)
