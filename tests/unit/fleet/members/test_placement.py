"""Placements of KubeFed as lists of members."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given

from canary.fleet.members.base import Member, Unusable
from canary.fleet.members.placement import placed
from canary.kube.access import Access, Hidden, Token
from canary.kube.types import Json
from tests.unit.fleet.members.test_members import JSON_VALUES

EXAMPLES = Path(__file__).parents[4] / "docs/examples/fleet"


def member(name: str, **labels: str) -> Member:
    return Member(name, labels, "kubefed", f"KubeFedCluster x/{name}", Access("https://x", (Token(Hidden("t")),)))


MEMBERS = {
    each.name: each
    for each in (member("cluster1", region="eu", env="prod"), member("cluster2", region="us"), member("cluster3"))
}


def federated(placement: object) -> Json:
    metadata = {"name": "my-app", "namespace": "my-namespace"}
    kind = {"apiVersion": "types.kubefed.io/v1beta1", "kind": "FederatedDeployment"}
    return {**kind, "metadata": metadata, "spec": {"placement": placement}}


def expression(key: str, operator: str, *values: str) -> Json:
    return {"key": key, "operator": operator, "values": [*values]}


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ({"clusters": [{"name": "cluster1"}, {"name": "cluster3"}]}, {"cluster1", "cluster3"}),
        ({"clusters": [], "clusterSelector": {}}, set()),
        ({"clusters": [{"name": "cluster2"}], "clusterSelector": {"matchLabels": {"region": "eu"}}}, {"cluster2"}),
        ({"clusterSelector": {}}, {"cluster1", "cluster2", "cluster3"}),
        ({"clusterSelector": {"matchLabels": {"region": "eu"}}}, {"cluster1"}),
        ({"clusterSelector": {"matchLabels": {"region": "eu", "env": "test"}}}, set()),
        ({"clusterSelector": {"matchExpressions": [expression("region", "In", "eu", "us")]}}, {"cluster1", "cluster2"}),
        ({"clusterSelector": {"matchExpressions": [expression("region", "NotIn", "eu")]}}, {"cluster2", "cluster3"}),
        ({"clusterSelector": {"matchExpressions": [expression("env", "Exists")]}}, {"cluster1"}),
        ({"clusterSelector": {"matchExpressions": [expression("env", "DoesNotExist")]}}, {"cluster2", "cluster3"}),
        ({}, set()),
        (None, set()),
    ],
)
def test_clusters_count_before_a_selector_even_where_there_are_none(placement: object, expected: set[str]) -> None:
    found = placed(federated(placement), MEMBERS)

    assert found == {name: MEMBERS[name] for name in expected}


def test_a_cluster_that_is_named_and_not_there_says_so() -> None:
    found = placed(federated({"clusters": [{"name": "cluster1"}, {"name": "cluster9"}]}), MEMBERS)

    assert isinstance(found, dict)
    assert found["cluster1"] == MEMBERS["cluster1"]
    assert str(found["cluster9"].connection) == (
        "FederatedDeployment my-namespace/my-app: spec.placement.clusters[1].name: no member is called cluster9; "
        "register the cluster, or take it out of the placement"
    )


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        ({"clusters": ["cluster1"]}, "spec.placement.clusters[0]: has no fields of its own"),
        ({"clusters": [{}]}, "spec.placement.clusters[0].name: is empty"),
        ({"clusters": "cluster1"}, "spec.placement.clusters: is no list"),
        (
            {"clusterSelector": {"matchExpressions": [expression("a", "Is")]}},
            "spec.placement.clusterSelector.matchExpressions[0].operator: is no operator; write one of In, NotIn",
        ),
    ],
)
def test_a_placement_that_makes_no_sense_says_where(placement: object, words: str) -> None:
    assert words in str(placed(federated(placement), MEMBERS))


def test_the_articles_deployment_is_placed_on_three_clusters() -> None:
    (obj,) = yaml.safe_load_all((EXAMPLES / "federated-deployment.yaml").read_text())

    assert placed(obj, MEMBERS) == MEMBERS


@given(JSON_VALUES)
def test_any_placement_is_members_or_a_reason(placement: object) -> None:
    assert isinstance(placed(federated(placement), MEMBERS), dict | Unusable)
