"""Traefik: a weighted TraefikService for each port, which the users' IngressRoute names.

Ours is the list of weighted services; stickiness and the like, set by others on the same object, stay. The list is one
value to the API server. Canary and baseline are on it only while they get requests: Traefik drops a
weighted service whole when it can't resolve one of its parts.
"""

from collections.abc import Iterable, Mapping

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import TRAEFIK_SERVICE, Json, ObjectRef, items, mapping
from canary.routers.base import (
    BY_WEIGHT,
    TRAEFIK_FOLLOWS,
    Apply,
    Granularity,
    Observed,
    Provider,
    need_weights_alone,
    refused,
    route_refs,
    together,
    written,
)
from canary.routers.route_kind import Lists, lists, summed
from canary.routers.shares import by_weights, weights_of


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    return route_refs(canary, TRAEFIK_SERVICE)


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The TraefikServices that divide requests so, one for each port.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    need_weights_alone("Traefik's weighted services", split)
    weights = weights_of(canary, split)
    if not split.canary:
        del weights[canary.service_canary_name]
    return _manifests(canary, weights, observed, owned=True)


def _split(canary: Canary, observed: Observed) -> Split | None:
    return together(_split_of(canary, observed.get(ref, {})) for ref in _makes(canary))


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return _manifests(canary, {canary.service_name: TOTAL_WEIGHT}, observed, owned=False)


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return refused(canary, TRAEFIK)


def _split_of(canary: Canary, route: Json) -> Split | None:
    """How one TraefikService divides requests; None where it doesn't exist or leads elsewhere."""
    weights = summed(items(_weighted(mapping(route.get("spec"))).get("services")))
    return by_weights(canary, weights) if weights.keys() <= weights_of(canary, Split(1, baseline=1)).keys() else None


def _weighted(spec: Json) -> Json:
    return mapping(spec.get("weighted"))


def _manifests(canary: Canary, weights: Mapping[str, int], observed: Observed, *, owned: bool) -> tuple[Apply, ...]:
    """The TraefikService of each port, with these weights of Services."""
    return tuple(
        written(canary, ref, {"weighted": {"services": _services(canary, port, weights)}}, observed, owned=owned)
        for ref, port in zip(_makes(canary), canary.spec.service.all_ports, strict=True)
    )


def _services(canary: Canary, port: ServicePort, weights: Mapping[str, int]) -> list[Json]:
    return [
        {"name": service, "namespace": canary.namespace, "port": port.port, "weight": weight}
        for service, weight in weights.items()
    ]


def _backends(spec: Json) -> list[list[Json]]:
    return lists([_weighted(spec)], "services")


def _mirrored(spec: Json) -> Iterable[str]:
    mirroring = mapping(spec.get("mirroring"))
    return (str(mirroring["name"]),) if "name" in mirroring else ()


SERVICES = Lists(
    backends=_backends,
    part=lambda spec: {"weighted": {"services": _weighted(spec).get("services", [])}},
    keeps_idle=False,
    further=_mirrored,
)
"""Where a TraefikService has its backends."""

TRAEFIK = Provider(
    names=("traefik",),
    makes=_makes,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    settle=TRAEFIK_FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT | {"service.ports"},
    problems=_problems,
    routes={TRAEFIK_SERVICE: SERVICES.kind},
    baseline=True,
)
