"""`canary hub`: flags as settings, and what is wrong with one in a line."""

import argparse
from pathlib import Path

import pytest

from canary.cli import hub_command
from canary.cli.arguments import Parser
from canary.cli.failures import CommandError
from canary.fleet.members.registry import SOURCES
from canary.hub.options import HubOptions


def options(*words: str) -> HubOptions:
    """The settings that a command line says."""
    parser = Parser()
    hub_command.add(parser.add_subparsers(parser_class=Parser))
    return hub_command.options_of(parser.parse_args(["hub", *words]))


def test_without_flags_it_takes_kubeconfigs_of_its_own_namespace() -> None:
    assert options() == HubOptions()


def test_flags_are_settings() -> None:
    made = options(
        "--kubeconfig=/k",
        "--context=hub",
        "--namespace=shop",
        "--members=argocd, cluster-api,argocd",
        "--member-namespaces=argocd,clusters",
        "--no-leader-election",
        "--lease-namespace=system",
        "--workers=2",
        "--address=127.0.0.1",
        "--port=9090",
        "--deny-destination=10.0.0.0/8",
    )
    assert (made.kubeconfig, made.context, made.namespace) == (Path("/k"), "hub", "shop")
    assert (made.sources, made.member_namespaces) == (("argocd", "cluster-api"), ("argocd", "clusters"))
    assert (made.leader_election, made.lease_namespace, made.workers) == (False, "system", 2)
    assert (made.address, made.port) == ("127.0.0.1", 9090)
    assert [str(each) for each in made.destinations.denied] == ["10.0.0.0/8"]


def test_every_source_can_be_named() -> None:
    assert [*hub_command.SOURCES] == sorted(SOURCES)
    assert options(f"--members={','.join(SOURCES)}").sources == tuple(SOURCES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--members=rancher"], "'rancher' is no source of members; write some of argocd,cluster-api,"),
        (["--members=,"], "no source of members is named"),
        (["--member-namespaces=Shop"], "Shop"),
        (["--workers=0"], "from 1 to 100"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str) -> None:
    with pytest.raises((CommandError, argparse.ArgumentTypeError), match=said):
        options(*words)
