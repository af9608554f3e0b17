"""The traffic providers, by the names that specs and the command line give them."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from canary.api.canary import Canary
from canary.routers.base import Router
from canary.routers.gatewayapi import GatewayRouter
from canary.routers.kubernetes import KubernetesRouter
from canary.routers.pods import PodsRouter
from canary.routers.replicas import ReplicaRouter
from canary.routers.traefik import TraefikRouter

_GATEWAY = GatewayRouter()

ROUTERS: Mapping[str, Router] = MappingProxyType(
    {
        "gatewayapi:v1": _GATEWAY,
        # Every release of the Gateway API that is still maintained serves both names for the same objects.
        "gatewayapi:v1beta1": _GATEWAY,
        "kubernetes": KubernetesRouter(),
        "traefik": TraefikRouter(),
    }
)

_PODS = PodsRouter()
_REPLICAS = ReplicaRouter()


def provider_of(canary: Canary, default: str) -> str:
    """The traffic provider in force.

    Args:
        canary: the Canary.
        default: the controller's own, where the spec names none; pods that are rolled out in place need none.
    """
    return canary.spec.provider or ("kubernetes" if canary.in_place else default)


def router_of(canary: Canary, default: str) -> Router | None:
    """The router of a Canary; None where its provider has none."""
    provider = provider_of(canary, default)
    if canary.in_place:
        return _PODS
    return _REPLICAS if provider == "kubernetes" and canary.analysis.replica_ratio else router_for(provider)


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
    return told.get(provider_of(canary, default), told.get("", router.settle))


def router_for(provider: str) -> Router | None:
    """The router of this provider; None where there is none."""
    return ROUTERS.get(provider)


def supported() -> tuple[str, ...]:
    """The names of the providers that there are, sorted."""
    return tuple(sorted(ROUTERS))
