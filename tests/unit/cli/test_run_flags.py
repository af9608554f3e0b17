"""What `canary run` is told of how long data planes take to follow."""

import argparse
from datetime import timedelta

import pytest

from canary.api.canary import Canary, parse_canary
from canary.cli import run_command
from canary.controller.options import Options
from canary.routers.base import SERVICES_FOLLOW, TRAEFIK_FOLLOWS
from canary.routers.registry import settle_of

SECOND = timedelta(seconds=1)


def options(*arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    run_command.add(parser.add_subparsers())
    return run_command.options_of(parser.parse_args(["run", *arguments]))


def settle(provider: str, told: str = "", kind: str = "Deployment", **analysis: object) -> timedelta:
    """How long the data plane of a provider is given, on this command line."""
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "app"}
    spec = {"provider": provider, "targetRef": target, "analysis": analysis}
    made: Canary = parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "0-1"}, "spec": spec})
    said = options(f"--traffic-settle-time={told}") if told else options()
    return settle_of(made, "traefik", said.settle)


def test_each_provider_says_what_it_needs() -> None:
    assert [settle(each) for each in ("", "traefik", "gatewayapi:v1")] == [TRAEFIK_FOLLOWS] * 3
    assert settle("kubernetes") == settle("kubernetes", replicaRatio=True) == SERVICES_FOLLOW


def test_what_is_replaced_in_place_has_no_route_to_be_followed() -> None:
    assert settle("", "9s", kind="StatefulSet") == timedelta(0)


def test_a_time_without_a_name_is_for_all_that_have_none() -> None:
    told = "20s,gatewayapi:v1=1m30s"
    assert [settle(each, told) for each in ("traefik", "kubernetes", "gatewayapi:v1")] == [
        20 * SECOND,
        20 * SECOND,
        90 * SECOND,
    ]
    assert [settle(each, "traefik=0s") for each in ("traefik", "gatewayapi:v1")] == [timedelta(0), TRAEFIK_FOLLOWS]


@pytest.mark.parametrize(
    ("told", "why"),
    [("soon", "is not a duration"), ("envoy=3s", "traffic provider envoy is not supported"), ("-3s", "is negative")],
)
def test_what_is_no_time_is_refused(told: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"--traffic-settle-time={told}")
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--namespace", "--leader-election-namespace"])
@pytest.mark.parametrize("told", ["Shop", "shop,web", "a b", "-shop", "a.b", "s" * 64, "*"])
def test_what_no_namespace_can_be_called_is_refused(told: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"{flag}={told}")
    assert f"{flag}: {told!r} is no name of a namespace" in capsys.readouterr().err


def test_no_namespace_is_all_of_them_and_none_for_the_lease(capsys: pytest.CaptureFixture[str]) -> None:
    assert options("--namespace=").namespace is None
    with pytest.raises(SystemExit):
        options("--leader-election-namespace=")
    assert "'' is no name of a namespace" in capsys.readouterr().err


def test_a_namespace_that_can_be_is_taken() -> None:
    assert options("--namespace", "shop-7").namespace == "shop-7"
    assert options("--leader-election-namespace", "1").lease_namespace == "1"
