"""What traffic providers can't do without, and those that nobody can use any more: for rules, CRDs and documents."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from canary.api.canary import CanarySpec


@dataclass(frozen=True, slots=True)
class Requirement:
    """A field that some traffic providers need.

    Args:
        providers: the providers, without a version behind a colon.
        field: the field, below `spec`.
        why: what they need it for, after "provider NAME".
        remedy: what to do where it is missing.
        is_met: whether a spec has it.
        cel: the same for the API server, where `self` is the spec.
    """

    providers: tuple[str, ...]
    field: str
    why: str
    remedy: str
    is_met: Callable[[CanarySpec], bool]
    cel: str

    @property
    def concerns(self) -> str:
        """For the API server: whether a spec that names a provider names one of these."""
        return " || ".join(
            f"self.provider == '{each}' || self.provider.startsWith('{each}:')" for each in self.providers
        )


def _names_an_ingress(spec: CanarySpec) -> bool:
    return spec.ingress_ref is not None and bool(spec.ingress_ref.name)


def _names_a_route(spec: CanarySpec) -> bool:
    return spec.route_ref is not None and bool(spec.route_ref.name)


REQUIREMENTS: Final = (
    Requirement(
        providers=("gatewayapi",),
        field="service.gatewayRefs",
        why="attaches the route to a gateway",
        remedy="name the gateway, such as [{name: gateway, namespace: gateway-system}]",
        is_met=lambda spec: bool(spec.service.gateway_refs),
        cel="has(self.service) && has(self.service.gatewayRefs) && self.service.gatewayRefs.size() > 0",
    ),
    Requirement(
        providers=("alb", "nginx", "skipper"),
        field="ingressRef",
        why="starts from an Ingress",
        remedy="name the Ingress that leads to the target",
        is_met=_names_an_ingress,
        cel="has(self.ingressRef)",
    ),
    Requirement(
        providers=("apisix",),
        field="routeRef",
        why="starts from an ApisixRoute",
        remedy="name the ApisixRoute that leads to the target",
        is_met=_names_a_route,
        cel="has(self.routeRef)",
    ),
    Requirement(
        providers=("openshift",),
        field="routeRef",
        why="starts from a Route",
        remedy="name the Route that leads to the target",
        is_met=_names_a_route,
        cel="has(self.routeRef)",
    ),
)
"""One row for each field; a provider may be in several."""

RETIRED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "appmesh": "AWS App Mesh has ended; move to the Gateway API and set provider: gatewayapi:v1, or to Istio",
        "osm": "Open Service Mesh is archived; move to another mesh, such as Linkerd or Istio",
    }
)
"""Traffic providers that Flagger knows and nobody can use any more, without a version, each with the way out."""


def missing(spec: CanarySpec, provider: str) -> Iterator[Requirement]:
    """What a spec lacks for a traffic provider; nothing is made beside routes of others."""
    if spec.route_refs:
        return iter(())
    family = provider.partition(":")[0]
    return (each for each in REQUIREMENTS if family in each.providers and not each.is_met(spec))
