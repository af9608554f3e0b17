"""Finds what still leads requests to a canary by a name, or for a provider, that its spec has no more."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from canary.api.canary import Canary
from canary.kube.store import Change
from canary.kube.types import CANARY, HTTP_ROUTE, SERVICE, TRAEFIK_SERVICE, Json, Resource, name_of, namespace_of
from canary.routers import former
from canary.workloads.base import owners_of
from canary.workloads.origin import APPLIED_ANNOTATION

INDEXED = (SERVICE, HTTP_ROUTE, TRAEFIK_SERVICE)
"""The kinds of object that users' requests go by."""

Place = tuple[Resource, str, str]
"""A kind, a namespace and a name."""


@dataclass(frozen=True, slots=True)
class FormerRoute:
    """What gives requests to the canary, and is no route of the spec as it is.

    Args:
        resource: its kind.
        name: its name.
        share: percent of its requests.
        patch: the merge patch that has it lead to the primary alone.
    """

    resource: Resource
    name: str
    share: int
    patch: Json


class Owners:
    """Which Services and routes were made for which Canary, whatever its spec says by now."""

    def __init__(self) -> None:
        self._places: dict[str, set[Place]] = defaultdict(set)

    def note(self, resource: Resource, change: Change[Json]) -> None:
        """Take in a change of an object."""
        place = (resource, change.key.namespace, change.key.name)
        before, after = _keys(resource, change.old), _keys(resource, change.new)
        for key in before - after:
            self._places[key].discard(place)
            if not self._places[key]:
                del self._places[key]
        for key in after - before:
            self._places[key].add(place)

    def of(self, canary: Canary) -> Collection[Place]:
        """The objects that a Canary owns, and the routes that we have written which lead to a Service of its canary."""
        owned = set(self._places.get(canary.metadata.uid, ()))
        services = {canary.service_canary_name, *(name for resource, _, name in owned if resource is SERVICE)}
        for name in services:
            owned |= self._places.get(f"{canary.namespace}/{name}", set())
        return owned


def _keys(resource: Resource, obj: Json | None) -> set[str]:
    """Under what an object is found: the Canaries that own it, and the canary's Services that it leads to."""
    if obj is None:
        return set()
    keys = {str(owner.get("uid")) for owner in owners_of(obj) if owner.get("kind") == CANARY.kind}
    if resource is not SERVICE and (keys or APPLIED_ANNOTATION in (obj["metadata"].get("annotations") or {})):
        keys |= {f"{namespace_of(obj)}/{name}" for name in former.canary_services(obj)}
    return keys


def former_routes(
    canary: Canary,
    places: Collection[Place],
    current: Collection[tuple[str, str]],
    get: Callable[[Resource, str, str], Json | None],
) -> Iterator[FormerRoute]:
    """What still gives requests to the canary beside its route.

    Args:
        canary: the Canary.
        places: what was made for it.
        current: its Services and routes as the spec is, by kind and name.
        get: the object of a kind, a namespace and a name; None where there is none.
    """
    for called in former_services(canary, places):
        yield from _former_service(canary, called, get)
    for resource, namespace, name in sorted(places, key=lambda place: (place[0].kind, place[2])):
        if resource is SERVICE:
            continue
        route = get(resource, namespace, name)
        if route is not None and (resource.kind, name) not in current and (share := former.canary_share(route)):
            yield FormerRoute(resource, name, share, _guarded(route, former.without_canary(route)))


def former_services(canary: Canary, places: Collection[Place]) -> Iterator[str]:
    """The names of the Services that users called before the spec was edited."""
    called = {name.removesuffix(former.CANARY) for resource, _, name in places if resource is SERVICE}
    owned = {name for resource, _, name in places if resource is SERVICE}
    return (each for each in sorted(called) if f"{each}{former.CANARY}" in owned and each != canary.service_name)


def _former_service(
    canary: Canary, called: str, get: Callable[[Resource, str, str], Json | None]
) -> Iterator[FormerRoute]:
    names = (called, called + former.PRIMARY, called + former.CANARY)
    service, primary, own = (get(SERVICE, canary.namespace, each) for each in names)
    if service is None or primary is None or own is None:
        return
    if share := former.service_share(service, own):
        patch = _guarded(service, former.leading_to(service, primary))
        yield FormerRoute(SERVICE, name_of(service), share, patch)


def handed_back(
    canary: Canary, places: Collection[Place], get: Callable[[Resource, str, str], Json | None]
) -> Iterator[tuple[Resource, str, Json]]:
    """What the spec named before it was edited, each with the merge patch by which it outlives the Canary.

    The Services that users called lead to the target, and the routes to these Services. The route of the spec as it is
    is handed back before, and leads to none of the versions' Services any more.
    """
    for called in former_services(canary, places):
        own, service = (get(SERVICE, canary.namespace, each) for each in (called + former.CANARY, called))
        if service is None or own is None:
            continue
        if not former.leads_as(service, own) or _owns(canary, service):
            yield SERVICE, called, _guarded(service, former.leading_to(service, own), without=canary)
    for resource, namespace, name in sorted(places, key=lambda place: (place[0].kind, place[2])):
        route = get(resource, namespace, name) if resource is not SERVICE else None
        if route is not None and former.versions_of(route):
            yield resource, name, _guarded(route, former.past_versions(route), without=canary)


def _owns(canary: Canary, obj: Json) -> bool:
    return any(owner.get("uid") == canary.metadata.uid for owner in owners_of(obj))


def _guarded(obj: Json, patch: Json, *, without: Canary | None = None) -> Json:
    """The patch, for the object as it was looked at; one that is to outlive the Canary loses it as its owner."""
    metadata = {**patch.get("metadata", {}), "resourceVersion": obj["metadata"]["resourceVersion"]}
    if without is not None:
        metadata["ownerReferences"] = [each for each in owners_of(obj) if each.get("uid") != without.metadata.uid]
    return {**patch, "metadata": metadata}
