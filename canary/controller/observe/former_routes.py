"""Finds what still leads requests to a canary by a name, or for a provider, that its spec has no more."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from canary.api.canary import Canary
from canary.gates.registry import STARTED
from canary.kube.store import Change
from canary.kube.types import CANARY, DEPLOYMENT, SERVICE, Json, ObjectRef, Resource, name_of, namespace_of
from canary.routers import former, route_refs
from canary.routers.registry import ROUTES
from canary.routers.route_kind import CANARY as CANARY_SUFFIX
from canary.routers.route_kind import PRIMARY as PRIMARY_SUFFIX
from canary.routers.route_kind import RouteKind
from canary.workloads.base import owners_of
from canary.workloads.origin import APPLIED_ANNOTATION

INDEXED = (SERVICE, DEPLOYMENT, *STARTED, *ROUTES)
"""The kinds of object that users' requests go by, and what is run for a Canary."""


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
    """Which Services, routes, Deployments and Jobs were made for which Canary, whatever its spec says by now."""

    def __init__(self) -> None:
        self._places: dict[str, set[ObjectRef]] = defaultdict(set)

    def note(self, resource: Resource, change: Change[Json]) -> None:
        """Take in a change of an object."""
        place = ObjectRef(resource, change.key.namespace, change.key.name)
        before, after = _keys(resource, change.old), _keys(resource, change.new)
        for key in before - after:
            self._places[key].discard(place)
            if not self._places[key]:
                del self._places[key]
        for key in after - before:
            self._places[key].add(place)

    def of(self, canary: Canary) -> Collection[ObjectRef]:
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
    if resource in ROUTES and (keys or APPLIED_ANNOTATION in (obj["metadata"].get("annotations") or {})):
        services = {name for kind in ROUTES.get(resource, ()) for name in kind.canaries(obj)}
        keys |= {f"{namespace_of(obj)}/{name}" for name in services}
    return keys


def former_routes(
    canary: Canary,
    places: Collection[ObjectRef],
    current: Collection[ObjectRef],
    get: Callable[[Resource, str, str], Json | None],
) -> Iterator[FormerRoute]:
    """What still gives requests to the canary beside its route.

    Args:
        canary: the Canary.
        places: what was made for it.
        current: its routes as the spec is.
        get: the object of a kind, a namespace and a name; None where there is none.
    """
    called = tuple(former_services(canary, places))
    for each in called:
        yield from _former_service(canary, each, get)
    yield from _former_weights(canary, called, get)
    stored = {_stored(each) for each in current}
    for place, route, kind in _routes(places, get):
        if _stored(place) not in stored and (share := kind.share(route)):
            yield FormerRoute(place.resource, place.name, share, _guarded(route, kind.without_canary(route)))


def _former_weights(
    canary: Canary, called: tuple[str, ...], get: Callable[[Resource, str, str], Json | None]
) -> Iterator[FormerRoute]:
    """Routes of others that the spec named before, or that lead to the canary by a name of before."""
    named = (*route_refs.refs(canary), *route_refs.remembered(canary))
    there = {ref: route for ref in named if (route := get(*ref)) is not None}
    for ref, share, patch in route_refs.left(canary, called, there):
        yield FormerRoute(ref.resource, ref.name, share, _guarded(there[ref], patch))


def _stored(place: ObjectRef) -> tuple[str, str, str, str]:
    """What the API server keeps there: versions of a kind are views of the same objects."""
    return place.resource.group, place.resource.plural, place.namespace, place.name


def _routes(
    places: Collection[ObjectRef], get: Callable[[Resource, str, str], Json | None]
) -> Iterator[tuple[ObjectRef, Json, RouteKind]]:
    """The routes that are there, each with every way in which a provider divides requests by it."""
    for place in sorted(places, key=lambda place: (place.resource.kind, place.name)):
        route = get(*place) if place.resource in ROUTES else None
        if route is not None:
            yield from ((place, route, kind) for kind in ROUTES[place.resource])


def former_services(canary: Canary, places: Collection[ObjectRef]) -> Iterator[str]:
    """The names of the Services that users called before the spec was edited."""
    called = {name.removesuffix(CANARY_SUFFIX) for resource, _, name in places if resource is SERVICE}
    owned = {name for resource, _, name in places if resource is SERVICE}
    return (each for each in sorted(called) if f"{each}{CANARY_SUFFIX}" in owned and each != canary.service_name)


def _former_service(
    canary: Canary, called: str, get: Callable[[Resource, str, str], Json | None]
) -> Iterator[FormerRoute]:
    names = (called, called + PRIMARY_SUFFIX, called + CANARY_SUFFIX)
    service, primary, own = (get(SERVICE, canary.namespace, each) for each in names)
    if service is None or primary is None or own is None:
        return
    if share := former.service_share(service, own):
        patch = _guarded(service, former.leading_to(service, primary))
        yield FormerRoute(SERVICE, name_of(service), share, patch)


def handed_back(
    canary: Canary, places: Collection[ObjectRef], get: Callable[[Resource, str, str], Json | None]
) -> Iterator[tuple[Resource, str, Json]]:
    """What the spec named before it was edited, each with the merge patch by which it outlives the Canary.

    The Services that users called lead to the target, and the routes to these Services. The route of the spec as it is
    is handed back before, and leads to none of the versions' Services any more.
    """
    for called in former_services(canary, places):
        own, service = (get(SERVICE, canary.namespace, each) for each in (called + CANARY_SUFFIX, called))
        if service is None or own is None:
            continue
        if not former.leads_as(service, own) or _owns(canary, service):
            yield SERVICE, called, _guarded(service, former.leading_to(service, own), without=canary)
    for place, route, kind in _routes(places, get):
        if kind.versions(route):
            yield place.resource, place.name, _guarded(route, kind.past_versions(route), without=canary)


def _owns(canary: Canary, obj: Json) -> bool:
    return any(owner.get("uid") == canary.metadata.uid for owner in owners_of(obj))


def _guarded(obj: Json, patch: Json, *, without: Canary | None = None) -> Json:
    """The patch, for the object as it was looked at; one that is to outlive the Canary loses it as its owner."""
    metadata = {**patch.get("metadata", {}), "resourceVersion": obj["metadata"]["resourceVersion"]}
    if without is not None:
        metadata["ownerReferences"] = [each for each in owners_of(obj) if each.get("uid") != without.metadata.uid]
    return {**patch, "metadata": metadata}
