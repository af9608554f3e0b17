"""The weights of clusters in an HTTPRoute or a VirtualService: how they are read and written.

Nothing else of such a route is ours. Its lists can only be written whole, as neither kind says by what their entries
are told apart: they are written as they were read, and only where nobody has written since.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from canary.api.fleet_traffic import ClusterRoute, FleetTraffic
from canary.fleet.facts import RouteSeen
from canary.kube.types import (
    HTTP_ROUTE,
    VIRTUAL_SERVICE,
    Json,
    ObjectRef,
    Resource,
    items,
    mapping,
    name_of,
    namespace_of,
)
from canary.routers import gatewayapi, istio
from canary.routers.route_kind import Lists

_BACKENDS: Final = {"Service": "", "ServiceImport": "multicluster.x-k8s.io"}
"""What an HTTPRoute may lead to that stands for a cluster, with its group."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of route.

    Args:
        resource: the kind.
        lists: where its backends are.
        settle: how long requests may go on as before after it was written.
        stands_for: by what a backend stands for a member; empty where it is none that may.
        not_taken: why its gateway has not taken it as it is now; empty where it has, or tells nothing.
    """

    resource: Resource
    lists: Lists
    settle: timedelta
    stands_for: Callable[[ClusterRoute, Json], Sequence[str]]
    not_taken: Callable[[Json], str] = lambda _route: ""


def _by_name(_route: ClusterRoute, backend: Json) -> list[str]:
    """A Service or a ServiceImport has its name."""
    kind = backend.get("kind", "Service")
    known = kind in _BACKENDS and backend.get("group", "") == _BACKENDS[kind]
    return [str(backend.get("name", ""))] if known else []


def _by_subset(route: ClusterRoute, backend: Json) -> list[str]:
    """A destination has its subset, or where it has none its host, by its whole or its short name."""
    destination = mapping(backend.get("destination"))
    host, subset = str(destination.get("host", "")), str(destination.get("subset", ""))
    if route.host and host != route.host:
        return []
    return [subset] if subset else [host, host.partition(".")[0]]


def _not_taken(route: Json) -> str:
    parents = items(mapping(route.get("spec")).get("parentRefs"))
    ref = ObjectRef(HTTP_ROUTE, namespace_of(route) or "", name_of(route))
    return gatewayapi.not_taken(route, ref, {str(each.get("name")) for each in parents})


KINDS: Final = {
    "HTTPRoute": Kind(HTTP_ROUTE, gatewayapi.ROUTE, gatewayapi.GATEWAY_API.settle, _by_name, _not_taken),
    "VirtualService": Kind(VIRTUAL_SERVICE, istio.ROUTES, istio.ISTIO.settle, _by_subset),
}
"""The kinds of route that divide requests between clusters."""


def seen(traffic: FleetTraffic, route: ClusterRoute, found: Json | None, namespace: str) -> RouteSeen:
    """What a route says of a fleet's clusters.

    Args:
        traffic: what the fleet says of its clusters.
        route: which route.
        found: the route; None where there is none.
        namespace: where it is, or is to be.
    """
    kind = KINDS[route.kind]
    about = RouteSeen(route.words, settle=kind.settle)
    if found is None:
        return replace(about, problem=f"it does not exist in {namespace}; create it, or correct its name")
    lists = [each for each in _lists(traffic, route, mapping(found.get("spec"))) if each]
    problem = next(_problems(traffic, lists), "")
    weights = tuple({name: _weight(backend) for name, backend in each} for each in lists)
    return replace(about, weights=weights, problem=problem, behind=kind.not_taken(found))


def patch(traffic: FleetTraffic, route: ClusterRoute, found: Json, weights: Mapping[str, int]) -> Json:
    """The merge patch that has a route give clusters so much, on the state that was read; empty where it does.

    Args:
        traffic: what the fleet says of its clusters.
        route: which route.
        found: the route as it was read.
        weights: percent of all requests by member.
    """
    kind, spec = KINDS[route.kind], copy.deepcopy(mapping(found.get("spec")))
    for each in _lists(traffic, route, spec):
        for name, backend in each:
            backend["weight"] = weights[name]
    part = kind.lists.part(spec)
    if part == kind.lists.part(mapping(found.get("spec"))):
        return {}
    version = str(mapping(found.get("metadata")).get("resourceVersion", ""))
    return {"metadata": {"resourceVersion": version}, "spec": part}


def _lists(traffic: FleetTraffic, route: ClusterRoute, spec: Json) -> Iterator[list[tuple[str, Json]]]:
    """Of each list of backends those that stand for members, with whom they stand for."""
    kind, members = KINDS[route.kind], {each.stands_for_it: each.name for each in traffic.members}
    for backends in kind.lists.backends(spec):
        found = ((kind.stands_for(route, each), each) for each in backends if not kind.lists.copied(each))
        yield [
            (members[name], backend)
            for names, backend in found
            for name in [next((name for name in names if name in members), None)]
            if name is not None
        ]


def _problems(traffic: FleetTraffic, lists: Sequence[Sequence[tuple[str, Json]]]) -> Iterator[str]:
    """Why weights of a route would not divide requests between all clusters."""
    names = [each.name for each in traffic.members]
    if not lists:
        backends = ", ".join(each.stands_for_it for each in traffic.members)
        yield f"it leads to none of {backends}; name them as its backends"
    for each in lists:
        counted = Counter(name for name, _ in each)
        missing = [name for name in names if name not in counted]
        if missing:
            yield f"a rule of it leads to {min(counted)} and not to {missing[0]}; name all members in it"
        twice = [name for name, count in counted.items() if count > 1]
        if twice:
            yield f"a rule of it leads to {twice[0]} twice; keep one of the two"


def _weight(backend: Json) -> int:
    """The weight of a backend; less than any where it says none, so that it gets one."""
    weight = backend.get("weight")
    return -1 if weight is None else int(weight)
