"""The traffic providers, by the names that specs and the command line give them."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from canary.api.canary import Canary
from canary.kube.types import Resource
from canary.routers import route_refs
from canary.routers.alb import ALB
from canary.routers.apisix import APISIX
from canary.routers.base import Provider
from canary.routers.contour import CONTOUR
from canary.routers.gatewayapi import GATEWAY_API
from canary.routers.gloo import GLOO
from canary.routers.istio import ISTIO
from canary.routers.knative import KNATIVE
from canary.routers.kubernetes import KUBERNETES, REPLICAS
from canary.routers.kuma import KUMA
from canary.routers.nginx import NGINX
from canary.routers.openshift import OPENSHIFT
from canary.routers.pods import PODS
from canary.routers.route_kind import RouteKind
from canary.routers.route_refs import ROUTE_REFS
from canary.routers.skipper import SKIPPER
from canary.routers.smi import SMI
from canary.routers.traefik import TRAEFIK

ALL: tuple[Provider, ...] = (
    ALB,
    APISIX,
    CONTOUR,
    GATEWAY_API,
    GLOO,
    ISTIO,
    KNATIVE,
    KUBERNETES,
    KUMA,
    NGINX,
    OPENSHIFT,
    SKIPPER,
    *SMI,
    TRAEFIK,
)

ROUTERS: Mapping[str, Provider] = MappingProxyType({name: each for each in ALL for name in each.names})
"""The providers that specs can name, by each of their names."""


def _route_kinds() -> dict[Resource, tuple[RouteKind, ...]]:
    found: defaultdict[Resource, list[RouteKind]] = defaultdict(list)
    for provider in ALL:
        for resource, kind in provider.routes.items():
            found[resource].append(kind)
    return {resource: tuple(kinds) for resource, kinds in found.items()}


ROUTES: Mapping[Resource, tuple[RouteKind, ...]] = MappingProxyType(_route_kinds())
"""The kinds of object that divide traffic, each with the ways in which providers do so by it."""


KINDS: tuple[Resource, ...] = tuple(
    dict.fromkeys((*ROUTES, *route_refs.WEIGHTS, *(kind for each in ALL for kind in each.sources)))
)
"""Every kind of object that a provider makes or reads, beside Services, and those of routes of others."""


def provider_of(canary: Canary, default: str) -> str:
    """The traffic provider in force.

    Args:
        canary: the Canary.
        default: the controller's own, where the spec names none; pods that are rolled out in place need none.
    """
    return canary.spec.provider or ("kubernetes" if canary.in_place else default)


def router_of(canary: Canary, default: str) -> Provider | None:
    """The traffic provider of a Canary; None where there is none of that name."""
    provider = provider_of(canary, default)
    if canary.in_place:
        return PODS
    if canary.spec.route_refs and provider in ROUTERS:
        return ROUTE_REFS
    return REPLICAS if provider == "kubernetes" and canary.analysis.replica_ratio else router_for(provider)


def settle_of(canary: Canary, default: str, told: Mapping[str, timedelta]) -> timedelta:
    """How long the data plane of a Canary is given to follow.

    Args:
        canary: the Canary.
        default: the controller's own provider, where the spec names none.
        told: what the controller was told of providers by name, and under the empty name of all others.
    """
    router = router_of(canary, default)
    if canary.in_place or router is None:
        return timedelta(0)
    settle = route_refs.settle(canary) if router is ROUTE_REFS else router.settle
    return told.get(provider_of(canary, default), told.get("", settle))


def router_for(provider: str) -> Provider | None:
    """The provider of this name; None where there is none."""
    return ROUTERS.get(provider)


def supported() -> tuple[str, ...]:
    """The names of the providers that there are, sorted."""
    return tuple(sorted(ROUTERS))
