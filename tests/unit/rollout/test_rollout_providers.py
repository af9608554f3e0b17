"""The status remembers by which traffic providers users were led: what one of before has left is found by that."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.controller.observe.needs import of_spec
from canary.controller.observe.routes import made_for
from canary.kube.types import HTTP_ROUTE, TRAEFIK_SERVICE
from canary.rollout.decide import decide
from canary.rollout.facts import Facts
from canary.rollout.simulation import SafeWorld, Scenario, Version

Make = Callable[..., Canary]


def facts(canary: Canary, provider: str, *problems: Problem) -> Facts:
    return replace(
        SafeWorld(Scenario(canary=canary, versions={"v1": Version()})).facts(), provider=provider, problems=problems
    )


def led(canary: Canary, *by: str) -> Canary:
    return canary.replace(status=canary.status.replace(routed_by=by))


@pytest.mark.field("status.routedBy")
def test_each_provider_by_whose_objects_users_were_led_is_remembered_once(canary: Make) -> None:
    first = decide(canary(), facts(canary(), "traefik")).status
    assert first.routed_by == ("traefik",)
    edited = canary().replace(status=first)
    assert decide(edited, facts(edited, "gatewayapi:v1")).status.routed_by == ("traefik", "gatewayapi:v1")
    assert decide(edited, facts(edited, "traefik")).status.routed_by == ("traefik",)


def test_a_provider_that_leads_nobody_is_not_remembered(canary: Make) -> None:
    """Services alone have no objects of their own; and where a spec is refused, nothing is made."""
    assert decide(canary(), facts(canary(), "")).status.routed_by == ()
    refused = facts(canary(), "traefik", Problem("spec.service", "is wrong", "write another"))
    assert decide(canary(), refused).status.routed_by == ()


def test_what_a_provider_of_before_has_made_is_watched(canary: Make) -> None:
    made = led(canary(), "gatewayapi:v1", "one that is no more")
    assert {TRAEFIK_SERVICE, HTTP_ROUTE} <= of_spec(made, "traefik").kinds
    assert HTTP_ROUTE not in of_spec(canary(), "traefik").kinds


def test_at_its_end_a_canary_concerns_the_routes_of_all_its_providers(canary: Make) -> None:
    made = led(canary(), "gatewayapi:v1")
    going = made.replace(metadata=made.metadata.replace(deletion_timestamp="2026-01-01T00:00:00Z"))
    assert [ref.resource for ref in made_for(made, "traefik")] == [TRAEFIK_SERVICE]
    assert [ref.resource for ref in made_for(going, "traefik")] == [TRAEFIK_SERVICE, HTTP_ROUTE]
