"""The kustomizations, as far as they can be read without kustomize; `tests/cluster` renders and applies them."""

import argparse
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.cli import hub_command, run_command
from canary.controller.options import Options
from canary.controller.run import LEASE
from canary.fleet.members.registry import SOURCES
from canary.hub.options import HubOptions
from canary.hub.run import LEASE as HUB_LEASE
from canary.routers.registry import supported
from deploy.rights import COMPONENTS, families, needing, written
from loadtest.cli import Settings, settings

Json = dict[str, Any]

OVERLAYS = {name: of[0].names[0] for name, of in families().items()}


def load(path: Path) -> Json:
    document: Json = yaml.safe_load(path.read_text())
    return document


def options(arguments: list[str]) -> Options:
    """The controller's settings out of its container's arguments."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    run_command.add(parser.add_subparsers())
    # The kubelet fills in what the field of the pod is that the variable takes.
    return run_command.options_of(parser.parse_args([each.replace("$(POD_NAMESPACE)", "shop") for each in arguments]))


def container(deployment: Json) -> Json:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Json = only
    return found


def kustomizations(root: Path) -> list[Path]:
    return sorted([*(root / "deploy/kustomize").rglob("kustomization.yaml"), root / "crds/kustomization.yaml"])


def test_every_file_is_used_by_its_kustomization_and_there(root: Path) -> None:
    for path in kustomizations(root):
        resources = load(path).get("resources", [])
        assert all((path.parent / each).exists() for each in resources)
        files = {each.name for each in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
        assert {each for each in resources if each.endswith(".yaml")} == files


def test_images_carry_the_version_of_the_project(root: Path) -> None:
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    for name, image in (
        ("controller", "canary-controller"),
        ("fleet/hub", "canary-controller"),
        ("loadtester", "canary-loadtest"),
    ):
        folder = root / "deploy/kustomize" / name
        assert load(folder / "kustomization.yaml")["images"] == [{"name": image, "newTag": version}]
        assert container(load(folder / "deployment.yaml"))["image"] == image


def test_the_controllers_arguments_are_flags_that_it_has(controller: Json) -> None:
    run = options(container(controller)["args"])
    assert run.leader_election
    assert run.lease_namespace == "shop"
    assert run.port == container(controller)["ports"][0]["containerPort"]


@pytest.mark.parametrize(("overlay", "provider"), OVERLAYS.items())
def test_an_overlay_names_its_traffic_provider_and_changes_nothing_else(
    deploy: Path, controller: Json, overlay: str, provider: str
) -> None:
    (patch,) = load(deploy / f"kustomize/{overlay}/kustomization.yaml")["patches"]
    (operation,) = yaml.safe_load(patch["patch"])
    assert operation["op"] == "add"
    assert operation["path"] == "/spec/template/spec/containers/0/args/-"
    arguments = [*container(controller)["args"], operation["value"]]
    assert options(arguments).mesh_provider == provider
    assert provider in supported()


def test_rights_and_overlays_are_those_of_the_providers() -> None:
    """And nothing is left of a provider that is no more."""
    stale = {str(path) for path, text in written().items() if not path.exists() or path.read_text() != text}
    assert not stale, "run `python -m deploy.rights`"
    assert {path.parent.name for path in COMPONENTS.glob("providers/*/*")} == set(needing())


def test_a_flag_that_an_overlay_adds_counts_before_the_bases(controller: Json) -> None:
    added = options([*container(controller)["args"], "--metrics-server=http://mine:9090", "--log-level=debug"])
    assert added.metrics_server == "http://mine:9090"


def test_the_lease_that_may_be_renewed_is_the_one_that_the_controller_takes(deploy: Path) -> None:
    role = next(yaml.safe_load_all((deploy / "kustomize/controller/lease-role.yaml").read_text()))
    (named,) = (rule for rule in role["rules"] if "resourceNames" in rule)
    assert named["resourceNames"] == [LEASE]


def test_the_namespace_is_not_that_of_flaggers_own_manifests(deploy: Path) -> None:
    """Whose pods the standard that ours enforces would keep from coming back, and which would go with it."""
    namespace = load(deploy / "kustomize/controller/namespace.yaml")["metadata"]
    assert namespace["name"] != "flagger-system"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", ["controller", "fleet/hub", "loadtester"])
def test_pods_are_nobodys_have_no_powers_and_write_where_they_are_told_to_alone(deploy: Path, name: str) -> None:
    pod = load(deploy / "kustomize" / name / "deployment.yaml")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in [*pod.get("initContainers", []), *pod["containers"]]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_probes_and_annotations_lead_to_what_the_controller_serves(controller: Json) -> None:
    pod = controller["spec"]["template"]
    probes = {name: container(controller)[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    annotations = pod["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(container(controller)["ports"][0]["containerPort"])
    assert annotations["prometheus.io/path"] == "/metrics"


def test_a_container_that_takes_long_to_start_is_given_two_minutes_and_then_ended_soon(controller: Json) -> None:
    startup, liveness = (container(controller)[f"{name}Probe"] for name in ("startup", "liveness"))
    assert startup["periodSeconds"] * startup["failureThreshold"] == 120
    assert "initialDelaySeconds" not in liveness, "the startup probe is what it waits for"


def test_where_alerts_go_may_stand_in_a_secret(controller: Json) -> None:
    """Without which the controller runs all the same."""
    (source,) = container(controller)["envFrom"]
    assert source["secretRef"]["optional"] is True


def test_a_token_is_mounted_for_the_controller_alone(deploy: Path, controller: Json) -> None:
    account = load(deploy / "kustomize/controller/service-account.yaml")
    assert account["automountServiceAccountToken"] is False
    assert controller["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_storage_has_a_limit_above_what_its_volumes_may_take(controller: Json) -> None:
    """The kubelet counts logs and volumes that go with the pod, and evicts a pod that takes more."""
    limit = container(controller)["resources"]["limits"]["ephemeral-storage"]
    volumes = controller["spec"]["template"]["spec"]["volumes"]
    kept_logs = 50
    assert mebibytes(limit) > kept_logs + sum(mebibytes(each["emptyDir"]["sizeLimit"]) for each in volumes)


def mebibytes(quantity: str) -> int:
    assert quantity.endswith("Mi")
    return int(quantity.removesuffix("Mi"))


def test_the_load_tester_has_the_address_that_specs_expect(deploy: Path) -> None:
    folder = deploy / "kustomize/loadtester"
    service = load(folder / "service.yaml")
    assert (service["metadata"]["name"], load(folder / "kustomization.yaml")["namespace"]) == (
        "flagger-loadtester",
        "test",
    )
    assert service["spec"]["ports"][0]["port"] == 80
    labels = load(folder / "deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_nobody_but_the_controller_reaches_the_load_tester(deploy: Path, controller: Json) -> None:
    policy = load(deploy / "kustomize/loadtester/network-policy.yaml")["spec"]
    labels = load(deploy / "kustomize/loadtester/deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    ((caller,),) = (rule["from"] for rule in policy["ingress"])
    assert caller["podSelector"]["matchLabels"].items() <= labels_of_pods(deploy, "controller", controller).items()


def labels_of_pods(deploy: Path, folder: str, deployment: Json) -> Json:
    """The labels of a Deployment's pods, those included that the kustomization adds."""
    (added,) = load(deploy / f"kustomize/{folder}/kustomization.yaml")["labels"]
    own: Json = deployment["spec"]["template"]["metadata"]["labels"]
    return own | (added["pairs"] if added.get("includeTemplates") else {})


def test_the_load_tester_fills_no_disk_of_its_node(deploy: Path) -> None:
    pod = load(deploy / "kustomize/loadtester/deployment.yaml")
    assert "ephemeral-storage" in container(pod)["resources"]["limits"]
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["spec"]["template"]["spec"]["volumes"])


def test_the_load_testers_arguments_are_flags_that_it_has(deploy: Path) -> None:
    deployment = load(deploy / "kustomize/loadtester/deployment.yaml")
    read: Settings = settings(container(deployment)["args"])
    assert read.port == container(deployment)["ports"][0]["containerPort"]
    assert read.gate_file is not None
    mounts = {mount["mountPath"] for mount in container(deployment)["volumeMounts"]}
    assert str(read.gate_file.parent) in mounts, "the root file system can't be written to"


def test_the_hubs_arguments_are_flags_that_it_has(root: Path) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    hub_command.add(parser.add_subparsers())
    made = hub_command.options_of(parser.parse_args(container(load(hub_of(root) / "deployment.yaml"))["args"]))
    assert made == HubOptions()


def test_the_hub_sees_what_its_sources_need_and_its_lease_and_no_more(root: Path) -> None:
    roles = {
        (each["kind"], each["metadata"]["name"]): each.get("rules")
        for each in yaml.safe_load_all((hub_of(root) / "rights.yaml").read_text())
    }
    members = roles["ClusterRole", "canary-fleet-hub-members"]
    granted = {(group, kind) for rule in members for group in rule["apiGroups"] for kind in rule["resources"]}
    assert {(each.group, each.plural) for source in SOURCES.values() for each in source.resources} == granted
    assert {verb for rule in members for verb in rule["verbs"]} == {"list", "watch"}
    (_, lease) = roles["Role", "canary-fleet-hub"]
    assert lease["resourceNames"] == [HUB_LEASE]


def hub_of(root: Path) -> Path:
    return root / "deploy/kustomize/fleet/hub"
