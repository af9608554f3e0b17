from collections.abc import Callable

import pytest

from canary.api.canary import PROVIDERS, Canary
from canary.routers.base import routed_fields
from canary.routers.registry import ROUTERS, router_for, supported


def test_every_provider_is_one_that_specs_may_name() -> None:
    assert set(supported()) <= set(PROVIDERS)
    assert {
        "alb",
        "apisix",
        "contour",
        "gatewayapi:v1",
        "gatewayapi:v1beta1",
        "istio",
        "kubernetes",
        "nginx",
        "traefik",
    } <= set(supported())


@pytest.mark.parametrize("provider", ["", "Istio", "Traefik", "Nginx"])
def test_a_provider_without_router_is_none(provider: str) -> None:
    assert router_for(provider) is None


def test_both_names_of_the_gateway_api_are_the_same_router() -> None:
    """Every Gateway API from 1.0 on serves both versions of the same objects."""
    assert router_for("gatewayapi:v1") is router_for("gatewayapi:v1beta1")


@pytest.mark.parametrize("provider", sorted(ROUTERS))
def test_capabilities_name_fields_that_routers_are_asked_about(
    provider: str, make_canary: Callable[..., Canary]
) -> None:
    assert ROUTERS[provider].fields <= routed_fields(make_canary()).keys()


def test_capabilities_read_as_words() -> None:
    gateway, traefik = ROUTERS["gatewayapi:v1"], ROUTERS["traefik"]
    assert (gateway.match, gateway.mirror, gateway.session_affinity) == (True, True, True)
    assert (traefik.match, traefik.mirror, traefik.session_affinity) == (False, False, False)
