"""What can be added to an installation: that it is about the controller's pods, and says what it is to say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus import operator

Json = dict[str, Any]

POLICIES = ("network-policy", "network-policy-egress")


def added(deploy: Path, component: str) -> Json:
    """The object that a component adds."""
    folder = deploy / "kustomize/components" / component
    (name,) = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    document: Json = yaml.safe_load((folder / name).read_text())
    return document


def ports(controller: Json) -> set[str]:
    (container,) = controller["spec"]["template"]["spec"]["containers"]
    return {each["name"] for each in container["ports"]}


def test_every_component_is_told_of(deploy: Path, root: Path) -> None:
    page = (root / "docs/install.md").read_text()
    names = [each.name for each in (deploy / "kustomize/components").iterdir()]
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("component", [*POLICIES, "pod-monitor", "prometheus-rule"])
def test_what_is_added_goes_into_the_namespace_of_the_installation(deploy: Path, component: str) -> None:
    """Also where another one is set: kustomize moves all that has a namespace."""
    namespace = yaml.safe_load((deploy / "kustomize/controller/namespace.yaml").read_text())["metadata"]["name"]
    assert added(deploy, component)["metadata"]["namespace"] == namespace


@pytest.mark.parametrize("component", POLICIES)
def test_a_network_policy_is_about_the_controllers_pods(deploy: Path, controller: Json, component: str) -> None:
    spec = added(deploy, component)["spec"]
    assert spec["podSelector"] == controller["spec"]["selector"]


def test_prometheus_alone_may_reach_the_port_that_is_served(deploy: Path, controller: Json) -> None:
    """At admission, where that is on, everybody may: nobody can say where an API server calls from."""
    spec = added(deploy, "network-policy")["spec"]
    assert spec["policyTypes"] == ["Ingress"], "what goes out is another component's"
    rule, admission = spec["ingress"]
    assert admission == {"ports": [{"port": "admission", "protocol": "TCP"}]}
    assert "admission" not in ports(controller)
    assert {each["port"] for each in rule["ports"]} == ports(controller)
    (peer,) = rule["from"]
    (server,) = [arg for arg in arguments(controller) if arg.startswith("--metrics-server=")]
    assert server.split("//")[1].split(":")[0].split(".")[1] in peer["namespaceSelector"]["matchLabels"].values()


def arguments(controller: Json) -> list[str]:
    (container,) = controller["spec"]["template"]["spec"]["containers"]
    found: list[str] = container["args"]
    return found


def test_what_goes_out_reaches_all_but_the_addresses_of_the_node(deploy: Path) -> None:
    spec = added(deploy, "network-policy-egress")["spec"]
    assert spec["policyTypes"] == ["Egress"]
    names, pods, addresses = spec["egress"]
    assert {(each["port"], each["protocol"]) for each in names["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert pods == {"to": [{"namespaceSelector": {}}]}
    blocks = [peer["ipBlock"] for peer in addresses["to"]]
    assert {each["cidr"] for each in blocks} == {"0.0.0.0/0", "::/0"}
    assert "169.254.0.0/16" in blocks[0]["except"]


def test_the_pod_monitor_finds_the_port_and_keeps_the_canaries_namespaces(deploy: Path, controller: Json) -> None:
    spec = added(deploy, "pod-monitor")["spec"]
    assert spec["selector"] == controller["spec"]["selector"]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] in ports(controller)
    assert endpoint["honorLabels"] is True


@pytest.mark.parametrize("component", ["network-policy", "pod-monitor"])
def test_what_is_added_to_a_hub_is_about_its_pods(deploy: Path, component: str) -> None:
    """And is for a hub what the same is for the controller, but that nobody asks it at admission."""
    hub = yaml.safe_load((deploy / "kustomize/fleet/hub/deployment.yaml").read_text())
    ours, theirs = added(deploy, f"../fleet/components/{component}"), added(deploy, component)
    assert ours["metadata"]["namespace"] == hub["metadata"]["namespace"]
    names = {each["metadata"]["name"] for each in (hub, ours)}
    assert names == {"canary-fleet-hub"}
    chosen = ours["spec"].pop("selector", None) or ours["spec"].pop("podSelector")
    assert chosen == hub["spec"]["selector"]
    for spec in (ours["spec"], theirs["spec"]):
        spec["ingress"] = [each for each in spec.get("ingress", []) if "from" in each]
    assert ours["spec"].items() <= theirs["spec"].items()
    assert ports(hub) == {"http"}


def test_the_prometheus_rule_is_the_rules() -> None:
    assert operator.TARGET.read_text() == operator.prometheus_rule(), "run `python -m deploy.prometheus.operator`"
    assert yaml.safe_load(operator.TARGET.read_text())["spec"] == yaml.safe_load(operator.RULES.read_text())
