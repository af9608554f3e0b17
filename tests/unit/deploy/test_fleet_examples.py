"""Objects of others in `docs/examples/fleet` are as their definitions have them, and work with a fleet of ours."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.api.fleet import WaveGate, parse_fleet
from canary.cli.main import main
from canary.fleet.traffic.routes import seen
from tests.tools.their_schemas import problems

EXAMPLES = Path(__file__).parents[3] / "docs/examples/fleet"
OURS = "canary-fleet.yaml"
BY_CLUSTER = "canary-fleet-by-cluster.yaml"
OBJECTS: dict[str, dict[str, Any]] = {
    f"{path.name}/{each['kind']} {each['metadata']['name']}": each
    for path in sorted(EXAMPLES.glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
}
THEIRS = {
    name: each
    for name, each in OBJECTS.items()
    # Definitions of the Gateway API come with the gateways that the tests run.
    if not name.startswith((OURS, BY_CLUSTER)) and each["kind"] != "HTTPRoute"
}


def of(file: str) -> list[dict[str, Any]]:
    return [each for name, each in OBJECTS.items() if name.startswith(f"{file}/")]


@pytest.mark.parametrize("name", THEIRS)
def test_each_fits_the_definition_of_those_who_read_it(name: str) -> None:
    assert problems(THEIRS[name]) == []


def test_a_field_that_a_definition_does_not_have_is_found() -> None:
    (entry,) = of("istio.yaml")
    (found,) = problems({**entry, "spec": {**entry["spec"], "endpoint": []}})
    assert "'endpoint' was unexpected" in found


def test_the_names_by_which_submariner_s_fields_are_often_written_are_none() -> None:
    """As the comment of the example says."""
    (cluster,) = of("submariner.yaml")
    spec = {"clusterId": "cluster1", "globalCIDR": "242.0.0.0/8", "serviceCIDR": "10.96.0.0/12"}
    found = problems({**cluster, "spec": spec})
    assert any("'clusterId', 'globalCIDR', 'serviceCIDR' were unexpected" in each for each in found)
    assert any("'cluster_id' is a required property" in each for each in found)


def test_an_application_without_a_project_is_refused() -> None:
    """As the comment of the example says."""
    spec = {key: value for key, value in of("argocd.yaml")[1]["spec"].items() if key != "project"}
    assert problems({**of("argocd.yaml")[1], "spec": spec}) == ["spec: 'project' is a required property"]


def test_the_fleet_waits_for_the_objects_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(EXAMPLES / OURS)]) == 0, capsys.readouterr()
    (fleet,) = of(OURS)
    gates: list[WaveGate] = [gate for wave in parse_fleet(fleet).spec.waves for gate in wave.gates]
    applications = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in of("argocd.yaml")}
    repos = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in of("rancher-fleet.yaml")}
    assert [gate for gate in gates if gate.argocd or gate.rancher_fleet]
    assert {(each.argocd.namespace, each.argocd.application) for each in gates if each.argocd} <= applications
    assert {
        (each.rancher_fleet.namespace, each.rancher_fleet.git_repo) for each in gates if each.rancher_fleet
    } <= repos


def test_its_waves_choose_by_the_labels_that_the_git_repo_does() -> None:
    (repo,) = of("rancher-fleet.yaml")
    targets = {each["clusterSelector"]["matchLabels"]["env"] for each in repo["spec"]["targets"]}
    first, last = parse_fleet(of(OURS)[0]).spec.waves
    assert {first.selector.match_labels["env"], last.name} == targets


def test_the_routes_of_clusters_lead_to_all_members_of_the_fleet_beside_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["lint", str(EXAMPLES / BY_CLUSTER)]) == 0, capsys.readouterr()
    (raw,) = of(BY_CLUSTER)
    fleet, routes = parse_fleet(raw), {(each["kind"], each["metadata"]["name"]): each for each in of("routes.yaml")}
    assert fleet.spec.traffic is not None
    shares = {each.name: each.share for each in fleet.spec.traffic.members}
    for route in fleet.spec.traffic.routes:
        found = seen(fleet.spec.traffic, route, routes[route.kind, route.name], fleet.namespace)
        assert (found.problem, found.weights) == ("", (shares,))
