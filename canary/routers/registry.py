"""The traffic providers, by the names that specs and the command line give them."""

from collections.abc import Mapping
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


def router_for(provider: str) -> Router | None:
    """The router of this provider; None where there is none."""
    return ROUTERS.get(provider)


def supported() -> tuple[str, ...]:
    """The names of the providers that there are, sorted."""
    return tuple(sorted(ROUTERS))
