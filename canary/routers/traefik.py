"""Traefik: a weighted TraefikService for each port, which the users' IngressRoute names."""

from collections.abc import Mapping
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.routers.base import (
    TRAEFIK_FOLLOWS,
    Capabilities,
    Granularity,
    Json,
    Observed,
    items,
    mapping,
    refused,
    route_metadata,
    route_names,
    routed_ports,
    share,
    together,
)

_KIND = "TraefikService"


class TraefikRouter:
    """Owns the list of weighted services; stickiness and the like, set by others on the same object, stay.

    The list is one value to the API server. The canary is on it only while it gets requests: Traefik drops a
    weighted service whole when it can't resolve one of its parts.
    """

    capabilities: Capabilities = Capabilities(
        Granularity.PERCENT,
        frozenset(
            {"service.ports", "analysis.stepWeight", "analysis.stepWeightPromotion", "analysis.stepWeightRollback"}
        ),
    )
    settle: timedelta = TRAEFIK_FOLLOWS
    shared: None = None

    def resources(self, canary: Canary) -> tuple[str, ...]:
        """The kinds of object that its functions want to see among the observed."""
        return (_KIND,)

    def desired(self, canary: Canary, split: Split, observed: Observed) -> tuple[Json, ...]:
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

    def observed_split(self, canary: Canary, observed: Observed) -> Split | None:
        """How the TraefikServices divide requests."""
        return together(_split_of(canary, observed.get((_KIND, name), {})) for name in route_names(canary))

    def unsettled(self, canary: Canary, observed: Observed) -> str:
        """Always empty: a TraefikService has no status."""
        return ""

    def handed_back(self, canary: Canary, observed: Observed) -> tuple[Json, ...]:
        """The TraefikServices with all requests to the Service that users call, and no owner."""
        return _manifests(canary, {canary.service_name: TOTAL_WEIGHT}, observed, owned=False)

    def unsupported(self, canary: Canary) -> tuple[Problem, ...]:
        """The fields of the spec that this router can't honour."""
        return refused(canary, "traefik", self.capabilities)


def _split_of(canary: Canary, route: Json) -> Split | None:
    """How one TraefikService divides requests; None where it doesn't exist or leads elsewhere."""
    weights: dict[str, int] = {}
    for service in items(mapping(mapping(route.get("spec")).get("weighted")).get("services")):
        name = str(service.get("name"))
        weights[name] = weights.get(name, 0) + int(service.get("weight", 1))
    primary = weights.pop(canary.service_primary_name, 0)
    percent = share(weights.pop(canary.service_canary_name, 0), primary)
    return None if weights or percent is None else Split(canary=percent)


def _manifests(canary: Canary, weights: Mapping[str, int], observed: Observed, *, owned: bool) -> tuple[Json, ...]:
    """The TraefikService of each port, with these weights of Services."""
    namespace = canary.metadata.namespace
    return tuple(
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": _KIND,
            "metadata": route_metadata(canary, name, observed.get((_KIND, name)), owned=owned),
            "spec": {
                "weighted": {
                    "services": [
                        {"name": service, "namespace": namespace, "port": port.port, "weight": weight}
                        for service, weight in weights.items()
                    ]
                }
            },
        }
        for name, port in routed_ports(canary)
    )
