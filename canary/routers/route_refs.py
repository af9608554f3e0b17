"""`spec.routeRefs`: routes of somebody else's, in all of which the weights of the two versions are set together.

No route is made, and nothing of these is owned: who wrote them goes on writing them. The provider that the spec names
is whose metrics are asked.
"""

from collections.abc import Iterator
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.route_refs import WeightedRoute
from canary.api.status import Phase
from canary.api.traffic import Split
from canary.kube.types import (
    GRPC_ROUTE,
    HTTP_PROXY,
    HTTP_ROUTE,
    INGRESS,
    ROUTE,
    TCP_ROUTE,
    TLS_ROUTE,
    TRAEFIK_SERVICE,
    VIRTUAL_SERVICE,
    Json,
    ObjectRef,
    Resource,
    items,
    mapping,
)
from canary.routers import contour, gatewayapi, istio, traefik
from canary.routers.base import (
    BY_WEIGHT,
    Granularity,
    Observed,
    Patch,
    Provider,
    need_weights_alone,
    routed_fields,
    spec_path,
)
from canary.routers.single_weights import CanaryIngress, OpenShiftRoute, Pointed
from canary.routers.weights import InLists, Part, Versions, Weights

ANY_GATEWAY_FOLLOWS: Final = istio.ISTIO_FOLLOWS
"""How long requests may go on as before at a gateway of which nothing is known: as long as at the slowest."""


def _of_service(namespace: str, backend: Json) -> bool:
    """Whether a backend is a Service of a namespace, by fields of its own."""
    return (backend.get("kind", "Service"), backend.get("namespace", namespace)) == ("Service", namespace)


def _of_host(namespace: str, destination: Json) -> bool:
    """Whether a destination of Istio's is a Service of a namespace, by its short or its whole name."""
    _, _, where = str(mapping(destination.get("destination")).get("host", "")).partition(".")
    return where.partition(".")[0] in ("", namespace)


def _not_taken(ref: ObjectRef, route: Json) -> str:
    parents = items(mapping(route.get("spec")).get("parentRefs"))
    return gatewayapi.not_taken(route, ref, {str(each.get("name")) for each in parents})


_GATEWAY_ROUTE: Final = InLists(gatewayapi.ROUTE, gatewayapi.GATEWAY_API.settle, _of_service, _not_taken)

WEIGHTS: Final = MappingProxyType[Resource, Weights](
    {
        GRPC_ROUTE: _GATEWAY_ROUTE,
        HTTP_PROXY: InLists(contour.PROXY, contour.CONTOUR.settle, _of_service, contour.not_taken),
        HTTP_ROUTE: _GATEWAY_ROUTE,
        INGRESS: CanaryIngress(),
        ROUTE: OpenShiftRoute(),
        TCP_ROUTE: _GATEWAY_ROUTE,
        TLS_ROUTE: _GATEWAY_ROUTE,
        TRAEFIK_SERVICE: InLists(traefik.SERVICES, traefik.TRAEFIK.settle, _of_service),
        VIRTUAL_SERVICE: InLists(istio.ROUTES, istio.ISTIO.settle, _of_host),
    }
)
"""The kinds of route of which it is known where their weights stand."""

_BY_KIND: Final = {(resource.group, resource.kind): resource for resource in WEIGHTS}

_UNBORN: Final = (Phase.EMPTY, Phase.INITIALIZING)
"""Phases in which there are no Services yet for routes to lead to."""


def refs(canary: Canary) -> tuple[ObjectRef, ...]:
    """Where the routes are that the spec names."""
    return tuple(place for _, place, _ in _named(canary, canary.spec.route_refs))


def remembered(canary: Canary) -> tuple[ObjectRef, ...]:
    """Where the routes are that a spec of before named, and this one doesn't."""
    return tuple(place for _, place, _ in _named(canary, _dropped(canary)))


def left(canary: Canary, services: tuple[str, ...], observed: Observed) -> Iterator[tuple[ObjectRef, int, Json]]:
    """What routes still give the canary that are not the spec's any more, or by names that are not.

    Args:
        canary: the Canary.
        services: the names of the Service that users called before the spec was edited.
        observed: the routes that are there, those of before among them.

    Yields:
        Each route, the percent that the canary gets of a part of it, and the merge patch that gives it nothing.
    """
    for known, names in ((_dropped(canary), (canary.service_name, *services)), (canary.spec.route_refs, services)):
        for _, place, weights in _named(canary, known):
            for name in names:
                versions, route = Versions(canary.namespace, name), observed.get(place, {})
                percent = max((each.percent or 0 for each in weights.parts(versions, route) if each.primary), default=0)
                if percent and (patch := weights.divided(versions, route, 0)):
                    yield place, percent, patch


def settle(canary: Canary) -> timedelta:
    """How long requests may go on as before after its routes were written: as long as at the slowest gateway."""
    return max((weights.settle for _, _, weights in _named(canary, canary.spec.route_refs)), default=timedelta(0))


def _dropped(canary: Canary) -> tuple[WeightedRoute, ...]:
    return tuple(each for each in canary.status.route_refs if each not in canary.spec.route_refs)


def _named(canary: Canary, known: tuple[WeightedRoute, ...]) -> Iterator[tuple[int, ObjectRef, Weights]]:
    """The references of which the weights are known, by their index."""
    for index, ref in enumerate(known):
        resource = _BY_KIND.get((ref.group, ref.kind))
        if ref.weights is not None and ref.kind and ref.version and ref.name:
            resource = Resource(ref.group, ref.version, ref.plural or f"{ref.kind.lower()}s", ref.kind)
            yield index, ObjectRef(resource, canary.namespace, ref.name), Pointed(ref.weights, ANY_GATEWAY_FOLLOWS)
        elif resource is not None and ref.name:
            yield index, ObjectRef(resource, canary.namespace, ref.name), WEIGHTS[resource]


def _versions(canary: Canary) -> Versions:
    return Versions(canary.namespace, canary.service_name)


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Patch, ...]:
    """The weights of all routes that are there.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    need_weights_alone("weights of routes", split)
    return tuple(
        Patch(ref, patch, guard=_version(observed[ref]))
        for _, ref, weights in _there(canary, observed)
        if (patch := weights.divided(_versions(canary), observed[ref], split.canary))
    )


def _split(canary: Canary, observed: Observed) -> Split | None:
    """The greatest share that a route gives the canary; None where none of them leads to both versions.

    They differ for a moment only, while they are written one after the other: nobody must think that it has less.
    """
    found = [each for _, ref, weights in _there(canary, observed) for each in _parts(canary, weights, observed[ref])]
    return Split(max(each.percent or 0 for each in found)) if found else None


def _hand_back(canary: Canary, observed: Observed) -> tuple[Patch, ...]:
    return tuple(
        Patch(ref, patch, guard=_version(observed[ref]))
        for _, ref, weights in _there(canary, observed)
        if (patch := weights.handed_back(_versions(canary), observed[ref]))
    )


def _unsettled(canary: Canary, observed: Observed) -> str:
    """Which gateway has not taken a route as it is now, and what it says about it."""
    said = (weights.not_taken(ref, observed[ref]) for _, ref, weights in _there(canary, observed))
    return next((each for each in said if each), "")


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    """Routes that are not there, or don't lead to both versions: once there are Services for them to lead to."""
    if canary.status.phase in _UNBORN:
        return ()
    named = _named(canary, canary.spec.route_refs)
    return tuple(each for index, ref, weights in named for each in _wrong(canary, index, ref, weights, observed))


def _wrong(canary: Canary, index: int, ref: ObjectRef, weights: Weights, observed: Observed) -> Iterator[Problem]:
    field, versions = f"spec.routeRefs[{index}].name", _versions(canary)
    name = f"{ref.resource.kind} {ref.name}"
    if ref not in observed:
        yield Problem(field, f"{name} does not exist in {ref.namespace}", "create it, or correct its name")
        return
    found = weights.parts(versions, observed[ref])
    if not any(each.primary for each in found):
        way = weights.way.format(canary=versions.canary, service=versions.service)
        why = f"{name} doesn't lead to both {versions.service} and {versions.canary}"
        yield Problem(field, why, f"where it leads to {versions.service}, {way}")
    elif not all(each.primary for each in found):
        why = f"a part of {name} leads to {versions.canary} alone, which has no pods between rollouts"
        yield Problem(field, why, f"name {versions.service} beside it")


def _problems(canary: Canary) -> tuple[Problem, ...]:
    """What is the routes' own to say, or beyond weights."""
    return tuple(
        Problem(spec_path(canary, path), "nothing of the routes of routeRefs but weights is set", _remedy(path))
        for path, is_set in routed_fields(canary).items()
        if is_set and path not in ROUTE_REFS.fields
    )


def _remedy(path: str) -> str:
    if path.startswith("analysis."):
        return "take it out, or take routeRefs out and set a provider that can"
    return "write it in these routes, and take it out here"


def _there(canary: Canary, observed: Observed) -> Iterator[tuple[int, ObjectRef, Weights]]:
    return (each for each in _named(canary, canary.spec.route_refs) if each[1] in observed)


def _parts(canary: Canary, weights: Weights, route: Json) -> Iterator[Part]:
    """The parts of a route in which weights are ours to set."""
    return (each for each in weights.parts(_versions(canary), route) if each.primary)


def _version(route: Json) -> str:
    return str(mapping(route.get("metadata")).get("resourceVersion", ""))


ROUTE_REFS: Final = Provider(
    names=("routeRefs",),
    makes=lambda _canary: (),
    adjusts=refs,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    unsettled=_unsettled,
    settle=ANY_GATEWAY_FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT | {"service.ports"},
    problems=_problems,
)
"""In place of the provider that a spec names, where it has `routeRefs`."""
