"""Traefik: a weighted TraefikService for each port, which the users' IngressRoute names.

Ours is the list of weighted services; stickiness and the like, set by others on the same object, stay. The list is one
value to the API server. The canary is on it only while it gets requests: Traefik drops a weighted service whole when it
can't resolve one of its parts.
"""

from collections.abc import Iterable, Mapping

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import TRAEFIK_SERVICE, Json, ObjectRef, items, mapping
from canary.routers.base import (
    BY_WEIGHT,
    TRAEFIK_FOLLOWS,
    Apply,
    Granularity,
    Observed,
    Provider,
    refused,
    route_metadata,
    route_refs,
    routed_ports,
    together,
)
from canary.routers.route_kind import Lists, share


def _makes(canary: Canary) -> tuple[ObjectRef, ...]:
    return route_refs(canary, TRAEFIK_SERVICE)


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The TraefikServices that divide requests so, one for each port.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    if split.mirror or split.matched:
        msg = f"Traefik's weighted services neither mirror nor match requests: {split}"
        raise ValueError(msg)
    weights = {canary.service_primary_name: split.primary}
    if split.canary:
        weights[canary.service_canary_name] = split.canary
    return _manifests(canary, weights, observed, owned=True)


def _split(canary: Canary, observed: Observed) -> Split | None:
    return together(_split_of(canary, observed.get(ref, {})) for ref in _makes(canary))


def _hand_back(canary: Canary, observed: Observed) -> tuple[Apply, ...]:
    return _manifests(canary, {canary.service_name: TOTAL_WEIGHT}, observed, owned=False)


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return refused(canary, TRAEFIK)


def _split_of(canary: Canary, route: Json) -> Split | None:
    """How one TraefikService divides requests; None where it doesn't exist or leads elsewhere."""
    weights: dict[str, int] = {}
    for service in items(_weighted(mapping(route.get("spec"))).get("services")):
        name = str(service.get("name"))
        weights[name] = weights.get(name, 0) + int(service.get("weight", 1))
    primary = weights.pop(canary.service_primary_name, 0)
    percent = share(weights.pop(canary.service_canary_name, 0), primary)
    return None if weights or percent is None else Split(canary=percent)


def _weighted(spec: Json) -> Json:
    return mapping(spec.get("weighted"))


def _manifests(canary: Canary, weights: Mapping[str, int], observed: Observed, *, owned: bool) -> tuple[Apply, ...]:
    """The TraefikService of each port, with these weights of Services."""
    namespace = canary.namespace
    return tuple(
        Apply(
            {
                "apiVersion": TRAEFIK_SERVICE.api_version,
                "kind": TRAEFIK_SERVICE.kind,
                "metadata": route_metadata(
                    canary, name, observed.get(ObjectRef(TRAEFIK_SERVICE, namespace, name)), owned=owned
                ),
                "spec": {
                    "weighted": {
                        "services": [
                            {"name": service, "namespace": namespace, "port": port.port, "weight": weight}
                            for service, weight in weights.items()
                        ]
                    }
                },
            }
        )
        for name, port in routed_ports(canary)
    )


def _backends(spec: Json) -> list[list[Json]]:
    services = _weighted(spec).get("services")
    return [services] if isinstance(services, list) else []


def _mirrored(spec: Json) -> Iterable[str]:
    mirroring = mapping(spec.get("mirroring"))
    return (str(mirroring["name"]),) if "name" in mirroring else ()


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
    routes={
        TRAEFIK_SERVICE: Lists(
            backends=_backends,
            part=lambda spec: {"weighted": {"services": _weighted(spec).get("services", [])}},
            keeps_idle=False,
            further=_mirrored,
        ).kind
    },
)
