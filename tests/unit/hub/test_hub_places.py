"""What is watched of which members: pure."""

from typing import Any

import pytest

from canary.api.problems import Problem
from canary.fleet.members.base import Member, Unusable
from canary.hub.link import Place
from canary.hub.members import chosen, misplaced, places, rivals
from canary.kube.access import Access, Hidden, Token
from canary.kube.types import Json
from tests.unit.fleet.fleets import fleet_of

WAY = Access("https://eu.example.com", (Token(Hidden("t")),))
NONE = Unusable("Secret shop/us", Problem("data", "is empty", "fill it in"))


def member(name: str, connection: Access | Unusable = WAY, **labels: str) -> Member:
    return Member(name, labels, "kubeconfig", f"Secret shop/{name}", connection)


MEMBERS = {each.name: each for each in (member("eu", shop="yes"), member("us", NONE, shop="yes"), member("cn"))}
OURS = {"selector": {"matchLabels": {"shop": "yes"}}}


def test_those_that_a_fleet_chooses_are_watched_where_they_can_be() -> None:
    assert [each.name for each in chosen(fleet_of(members=OURS), MEMBERS)] == ["eu", "us"]
    assert places([fleet_of(members=OURS)], MEMBERS) == {Place("eu", "prod"): WAY}


def test_in_the_namespace_of_the_template_and_in_each_once() -> None:
    fleet = fleet_of(members=OURS)
    template = fleet.spec.template
    elsewhere = template.replace(metadata=template.metadata.replace(namespace="web"))
    other = fleet.replace(spec=fleet.spec.replace(template=elsewhere))
    assert places([fleet, fleet, other], MEMBERS).keys() == {Place("eu", "prod"), Place("eu", "web")}


def test_no_fleet_no_watch() -> None:
    assert places([], MEMBERS) == {}


def test_of_two_fleets_with_one_canary_in_a_member_the_older_one_writes_it() -> None:
    old = fleet_of(members=OURS)
    young = old.replace(metadata=old.metadata.replace(name="young"))
    (problem,) = rivals(young, [old, young], MEMBERS)
    assert str(problem) == (
        "spec.template.metadata.name: the Canary prod/shop of eu is written by the older fleet prod/shop; "
        "write another name, or choose other members"
    )
    assert [*rivals(old, [old, young], MEMBERS)] == []
    assert [*rivals(young, [old, young], {"cn": MEMBERS["cn"]})] == []
    assert [*rivals(fleet_of(members=OURS, mode="watch"), [old], MEMBERS)] == []


PLACED = {"placement": {"federatedDeployment": "my-app"}}


def federated(*names: str, **placement: Any) -> dict[tuple[str, str], Json]:
    """A FederatedDeployment beside the fleet, placed on clusters of these names."""
    metadata = {"name": "my-app", "namespace": "prod"}
    spec = {"placement": placement or {"clusters": [{"name": each} for each in names]}}
    kind = {"apiVersion": "types.kubefed.io/v1beta1", "kind": "FederatedDeployment"}
    return {("prod", "my-app"): {**kind, "metadata": metadata, "spec": spec}}


def test_a_placement_is_the_list_of_members() -> None:
    there = federated("eu", "cn")
    assert [each.name for each in chosen(fleet_of(members=PLACED), MEMBERS, there)] == ["eu", "cn"]
    assert places([fleet_of(members=PLACED)], MEMBERS, there).keys() == {Place("eu", "prod"), Place("cn", "prod")}
    selected = fleet_of(members={**PLACED, **OURS})
    assert [each.name for each in chosen(selected, MEMBERS, there)] == ["eu"], "of those with the labels"


@pytest.mark.field("CanaryFleet.spec.members.placement.namespace")
def test_it_is_beside_the_fleet_unless_it_says_where() -> None:
    elsewhere = {("web", "my-app"): federated("cn")["prod", "my-app"]}
    fleet = fleet_of(members={"placement": {"federatedDeployment": "my-app", "namespace": "web"}})
    assert [each.name for each in chosen(fleet, MEMBERS, {**federated("eu"), **elsewhere})] == ["cn"]


def test_a_cluster_that_none_is_called_is_a_member_that_says_so() -> None:
    (found,) = chosen(fleet_of(members=PLACED), MEMBERS, federated("atlantis"))
    assert found.name == "atlantis"
    assert "no member is called atlantis" in str(found.connection)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (None, "can't be known, as the hub does not see FederatedDeployments; start it with --placements"),
        ({}, "FederatedDeployment prod/my-app does not exist; create it"),
        (federated(clusters="all"), "FederatedDeployment prod/my-app can't be read: spec.placement.clusters"),
    ],
)
def test_a_placement_that_can_t_be_told_is_a_problem_and_never_none(
    there: dict[tuple[str, str], Json] | None, why: str
) -> None:
    """With none, every member would be taken for gone."""
    fleet = fleet_of(members=PLACED)
    assert chosen(fleet, MEMBERS, there) == []
    (problem,) = misplaced(fleet, there)
    assert str(problem).startswith(f"spec.members.placement: {why}")
    assert [*misplaced(fleet, federated("eu"))] == [*misplaced(fleet_of(members=OURS), None)] == []
