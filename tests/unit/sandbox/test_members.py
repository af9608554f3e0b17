"""`canary sandbox up --clusters`: whole clusters in one network, a hub that knows them, and what is applied to them."""

import ipaddress
import itertools
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from canary.api.fleet import parse_fleet
from canary.api.fleet_rules import canary_in
from canary.cli import sandbox_command
from canary.cli.main import main
from canary.cli.sandbox_command import how_to_use
from canary.fleet.members.registry import members as members_of
from canary.kube.access import Access
from canary.kube.types import SECRET
from canary.sandbox import addresses, background, binaries, credentials, daemon, members
from canary.sandbox.addresses import MOST_SITES, OWN, Site
from canary.sandbox.credentials import User, Way
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.installation import installed
from canary.sandbox.instance import Instance, Status
from canary.sandbox.options import CONTROLLER, Options
from deploy import sandbox
from tests.tools.authority import Authority

THREE = members.with_members(installed(Options(nodes=1), [Path("crds")]), 3, Path("crds"))


def networks(site: Site) -> Iterator[ipaddress.IPv4Network]:
    """Where the addresses of a cluster are: its parts and nodes, its Services, its pods."""
    own = ipaddress.IPv4Network(f"10.{site.number}.0.0/16")
    assert {site.api_server, site.gateway, site.prometheus, site.tools, site.node(1), site.node(100)} <= {
        str(each) for each in own.hosts()
    }
    yield own
    yield ipaddress.IPv4Network(site.service_range)
    yield ipaddress.IPv4Network(f"{site.pod(0)}/16", strict=False)
    assert ipaddress.ip_address(site.pod(63_999)) in ipaddress.IPv4Network(f"{site.pod(0)}/16", strict=False)


def test_no_two_clusters_share_an_address() -> None:
    every = [each for number in range(MOST_SITES) for each in networks(Site(number))]
    assert not [pair for pair in itertools.combinations(every, 2) if pair[0].overlaps(pair[1])]
    assert all(each.subnet_of(ipaddress.IPv4Network("10.0.0.0/8")) for each in every), "which is local in the network"
    ports = {Site(number).api_port for number in range(MOST_SITES)}
    assert len(ports) == MOST_SITES, "API servers listen at every address"


def test_there_are_as_many_members_as_there_are_addresses() -> None:
    assert sandbox_command.MOST_CLUSTERS == members.MOST == MOST_SITES - 1


def test_each_member_has_addresses_and_a_gateway_of_its_own_and_no_names() -> None:
    assert [*THREE.members] == ["cluster1", "cluster2", "cluster3"]
    assert [each.site for each in THREE.members.values()] == [Site(1), Site(2), Site(3)]
    assert [each.gateways[0].host for each in THREE.members.values()] == ["10.1.0.80", "10.2.0.80", "10.3.0.80"]
    assert (THREE.site, THREE.names_served, THREE.gateways) == (OWN, True, (TRAEFIK,))
    assert not any(each.names_served for each in THREE.members.values())


def test_the_hub_and_the_members_controllers_have_no_rights_but_those_of_deploy() -> None:
    assert THREE.users[members.HUB] == ()
    for each in THREE.members.values():
        assert each.users == {CONTROLLER: (), members.HUB_IN_MEMBER: ()}
        assert each.companions[0].user == CONTROLLER
    applied = {path for each in (THREE, *THREE.members.values()) for path in each.manifests} - {Path("crds")}
    written = sandbox.written()
    assert applied == {*written}
    assert {path: path.read_text() for path in written} == written, "write them by python -m deploy.sandbox"


def test_members_survive_the_way_to_the_daemon(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    daemon.write_options(instance, THREE)
    assert daemon.read_options(instance) == THREE


def test_each_api_server_and_each_gateway_is_reachable_from_outside() -> None:
    targets = daemon.targets_of(THREE)
    assert targets["apiserver"] == (addresses.API_SERVER, 6443)
    assert targets["cluster2-apiserver"] == ("10.2.0.2", 6445)
    assert targets["cluster2"] == ("10.2.0.80", 80)


def test_the_administrator_gets_to_each_by_a_context_and_to_the_hub_without(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("PEM")
    ways = {name: Way(User("admin", f"token of {name}"), f"https://{name}", tmp_path / "ca") for name in ("own", "a")}
    found = json.loads(credentials.kubeconfig(ways))
    assert found["current-context"] == "own"
    assert [each["context"] for each in found["contexts"]] == [
        {"cluster": "own", "user": "own"},
        {"cluster": "a", "user": "a"},
    ]
    assert [each["user"]["token"] for each in found["users"]] == ["token of own", "token of a"]


def test_what_makes_a_member_known_is_what_a_hub_takes(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text(Authority().certificate)
    secret = members.known_as("a", {"a": Way(User("hub", "t"), "https://10.1.0.2:6444", tmp_path / "ca")})
    (found,) = members_of([{**secret, "apiVersion": SECRET.api_version, "kind": SECRET.kind}]).values()
    assert found.name == "a"
    assert isinstance(found.connection, Access), found
    assert found.connection.server == "https://10.1.0.2:6444"


def test_how_to_use_it_names_every_cluster_its_gateway_and_its_logs() -> None:
    status = Status("ready", "k", "bin", "own/logs", {"cluster1": "http://x:1"}, members={"cluster1": "one/logs"})
    text = how_to_use(status).splitlines()
    assert "kubectl --context cluster1 get canaries -A" in text
    assert "Cluster1    http://x:1" in text
    assert text[text.index("Logs        own/logs") + 1] == "            one/logs"
    assert any("sandbox example --clusters 1 " in line for line in text)


def test_they_are_asked_for_by_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Options] = []

    def up(options: Options, progress: binaries.Progress) -> Status:
        asked.append(options)
        return Status("ready", "", "", "")

    monkeypatch.setattr(background, "status", lambda: None)
    monkeypatch.setattr(background, "up", up)
    assert main(["sandbox", "up", "--clusters", "2", "--nodes", "5"]) == 0
    assert [each.nodes for each in (asked[0], *asked[0].members.values())] == [5, 5, 5]
    assert main(["sandbox", "up", "--clusters", "10"]) == 2
    assert "'10' is not a whole number from 1 to 9" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_example_is_a_fleet_over_all_of_them_in_at_most_three_waves(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", "example", "--clusters", str(count)]) == 0
    route, document = yaml.safe_load_all(capsys.readouterr().out)
    led = [each["name"] for each in route["spec"]["rules"][0]["backendRefs"]]
    assert led == [*members.names(count)]
    fleet = parse_fleet(document)
    assert len(fleet.spec.waves) == min(count, 3)
    assert main(["sandbox", "example", "--member"]) == 0
    deployment, entrance = yaml.safe_load_all(capsys.readouterr().out)
    canary = canary_in(fleet)
    assert canary["spec"]["targetRef"]["name"] == deployment["metadata"]["name"]
    assert route["spec"]["hostnames"][0] in entrance["spec"]["routes"][0]["match"]


def test_a_service_of_the_members_name_leads_to_its_gateway() -> None:
    (_, service), (_, piece) = members.leading("a", "10.1.0.80", 80)
    assert (service["metadata"]["name"], service["spec"]["ports"]) == ("a", [{"port": 80}])
    assert piece["metadata"]["labels"] == {"kubernetes.io/service-name": "a"}
    assert piece["endpoints"][0]["addresses"] == ["10.1.0.80"]


def test_every_address_of_a_gateway_follows_its_cluster() -> None:
    """Nothing of a member's gateway leads to the sandbox's own cluster."""
    gateway = THREE.members["cluster2"].gateways[0]
    text = repr([getattr(gateway, each.name) for each in fields(gateway)])
    assert "10.0.0." not in text
    assert "10.96." not in text
    assert "10.2.0.80" in text
