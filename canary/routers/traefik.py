"""Traefik: a weighted TraefikService, which the users' IngressRoute names."""

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.routers.base import (
    Capabilities,
    Granularity,
    Json,
    Observed,
    items,
    mapping,
    refused,
    route_metadata,
    share,
)

_KIND = "TraefikService"


class TraefikRouter:
    """Owns the list of weighted services; stickiness and the like, set by others on the same object, stay.

    The list is one value to the API server. The canary is on it only while it gets requests: Traefik drops a
    weighted service whole when it can't resolve one of its parts.
    """

    capabilities: Capabilities = Capabilities(
        Granularity.PERCENT,
        frozenset({"analysis.stepWeight", "analysis.stepWeightPromotion", "analysis.stepWeightRollback"}),
    )

    def resources(self, canary: Canary) -> tuple[str, ...]:
        """The kinds of object that its functions want to see among the observed."""
        return (_KIND,)

    def desired(self, canary: Canary, split: Split, observed: Observed) -> tuple[Json, ...]:
        """The TraefikService that divides requests so.

        Raises:
            ValueError: the split mirrors or matches requests.
        """
        if split.mirror or split.matched:
            msg = f"Traefik's weighted services neither mirror nor match requests: {split}"
            raise ValueError(msg)
        services = [_service(canary, canary.service_primary_name, split.primary)]
        if split.canary:
            services.append(_service(canary, canary.service_canary_name, split.canary))
        return (_manifest(canary, services, observed, owned=True),)

    def observed_split(self, canary: Canary, observed: Observed) -> Split | None:
        """How the TraefikService divides requests."""
        spec = mapping(observed.get((_KIND, canary.service_name), {}).get("spec"))
        weights: dict[str, int] = {}
        for service in items(mapping(spec.get("weighted")).get("services")):
            name = str(service.get("name"))
            weights[name] = weights.get(name, 0) + int(service.get("weight", 1))
        primary = weights.pop(canary.service_primary_name, 0)
        percent = share(weights.pop(canary.service_canary_name, 0), primary)
        return None if weights or percent is None else Split(canary=percent)

    def unsettled(self, canary: Canary, observed: Observed) -> str:
        """Always empty: a TraefikService has no status."""
        return ""

    def handed_back(self, canary: Canary, observed: Observed) -> tuple[Json, ...]:
        """The TraefikService with all requests to the Service that users call, and no owner."""
        services = [_service(canary, canary.service_name, TOTAL_WEIGHT)]
        return (_manifest(canary, services, observed, owned=False),)

    def unsupported(self, canary: Canary) -> tuple[Problem, ...]:
        """The fields of the spec that this router can't honour."""
        return refused(canary, "traefik", self.capabilities)


def _service(canary: Canary, name: str, weight: int) -> Json:
    return {
        "name": name,
        "namespace": canary.metadata.namespace,
        "port": canary.spec.service.port,
        "weight": weight,
    }


def _manifest(canary: Canary, services: list[Json], observed: Observed, *, owned: bool) -> Json:
    existing = observed.get((_KIND, canary.service_name))
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": _KIND,
        "metadata": route_metadata(canary, existing, owned=owned),
        "spec": {"weighted": {"services": services}},
    }
