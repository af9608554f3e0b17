"""The traffic providers, by the names that specs and the command line give them."""

from collections.abc import Mapping
from types import MappingProxyType

from canary.routers.base import Router
from canary.routers.gatewayapi import GatewayRouter
from canary.routers.kubernetes import KubernetesRouter
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


def router_for(provider: str) -> Router | None:
    """The router of this provider; None where there is none."""
    return ROUTERS.get(provider)


def supported() -> tuple[str, ...]:
    """The names of the providers that there are, sorted."""
    return tuple(sorted(ROUTERS))
