"""The chart makes what kustomize makes; Helm itself reads it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from canary.kube.types import Json
from canary.sandbox import binaries
from deploy.rights import COMPONENTS, families

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "chart"
NAMESPACE = "canary-system"
PROVIDERS = {name: of[0].names[0] for name, of in families().items()}
SWITCHES = {
    "network-policy": "networkPolicy.enabled=true",
    "network-policy-egress": "networkPolicyEgress.enabled=true",
    "owner-references": "ownerReferences.enabled=true",
    "metric-apis": "metricApis.enabled=true",
    "route-refs": "routeRefs.enabled=true",
    "pod-monitor": "podMonitor.enabled=true",
    "priority": "podPriorityClassName=system-cluster-critical",
    "prometheus-rule": "prometheusRule.enabled=true",
    "providers/gatewayapi": "providers={gatewayapi:v1}",
}
"""The value that adds what a component adds."""

Objects = dict[tuple[str, str], Json]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = binaries.ensure((program,))[program]
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60, check=False)


def by_name(text: str, *, labels: bool = True) -> Objects:
    found = {}
    for each in yaml.safe_load_all(text):
        if each and not labels:
            each["metadata"].pop("labels", None)
        if each:
            found[each["kind"], each["metadata"]["name"]] = each
    return found


def charted(*values: str, labels: bool = True, namespace: str = NAMESPACE) -> Objects:
    switches = [word for value in values for word in ("--set", value)]
    done = run("helm", "template", "any", str(CHART), "--namespace", namespace, "--include-crds", *switches)
    assert done.returncode == 0, done.stderr
    return by_name(done.stdout, labels=labels)


def kustomized(folder: Path, *, labels: bool = True) -> Objects:
    """What kustomize makes, but for the namespace, which Helm makes by itself."""
    done = run("kubectl", "kustomize", str(folder))
    assert done.returncode == 0, done.stderr
    return {key: each for key, each in by_name(done.stdout, labels=labels).items() if key[0] != "Namespace"}


@pytest.mark.parametrize("folder", PROVIDERS)
def test_the_chart_makes_what_the_folder_of_a_provider_makes(folder: str) -> None:
    assert charted(f"meshProvider={PROVIDERS[folder]}") == kustomized(DEPLOY / "kustomize" / folder)


def test_every_component_is_a_value(tmp_path: Path) -> None:
    assert {each.partition("/")[0] for each in SWITCHES} == {each.name for each in COMPONENTS.iterdir()}
    (tmp_path / "deploy").symlink_to(DEPLOY)
    (tmp_path / "crds").symlink_to(DEPLOY.parent / "crds")
    document = {
        "resources": ["deploy/kustomize/traefik"],
        "components": [f"deploy/kustomize/components/{each}" for each in SWITCHES],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(document))
    found = charted("meshProvider=traefik", *SWITCHES.values(), labels=False)
    assert found == kustomized(tmp_path, labels=False)


def test_one_namespace_is_all_that_it_has_rights_in_where_it_works_in_no_other() -> None:
    found = charted("meshProvider=traefik", "namespace=shop", namespace="mine")
    assert "ClusterRoleBinding" not in {kind for kind, _ in found}
    binding = found["RoleBinding", "canary-controller-canaries"]
    assert (binding["metadata"]["namespace"], binding["subjects"][0]["namespace"]) == ("shop", "mine")
    assert binding["roleRef"]["kind"] == "ClusterRole"
    assert "--namespace=shop" in container(found)["args"]


def container(found: Objects) -> Json:
    made: Json = found["Deployment", "canary-controller"]["spec"]["template"]["spec"]["containers"][0]
    return made


def test_values_of_flaggers_chart_that_are_known_become_its_flags() -> None:
    values = [
        "meshProvider=traefik",
        "metricsServer=http://flagger-prometheus.flagger-system:9090",
        "slack.url=https://hooks.example/x",
        "slack.user=flagger",
        "slack.channel=releases",
        "configTracking.enabled=false",
        "includeLabelPrefix=app.kubernetes.io",
        "threadiness=4",
        "env[0].name=SLACK_TOKEN",
        "env[0].valueFrom.secretKeyRef.name=slack",
        "env[0].valueFrom.secretKeyRef.key=token",
    ]
    made = container(charted(*values))
    assert {
        "--metrics-server=http://flagger-prometheus.flagger-system:9090",
        "--slack-url=https://hooks.example/x",
        "--slack-user=flagger",
        "--slack-channel=releases",
        "--enable-config-tracking=false",
        "--include-label-prefix=app.kubernetes.io",
        "--threadiness=4",
    } <= set(made["args"])
    assert made["args"].index("--metrics-server=http://flagger-prometheus.flagger-system:9090") > 5, "the last counts"
    assert [each["name"] for each in made["env"]] == ["POD_NAMESPACE", "SLACK_TOKEN"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("prometheus.install=true", "prometheus"),
        ("controlplane.kubeconfig.secretName=mesh", "controlplane"),
        ("meshProvider=smoke", "meshProvider"),
        ("image.tag=", "set meshProvider, such as traefik or gatewayapi:v1"),
    ],
)
def test_values_that_would_have_no_effect_are_refused_by_name(value: str, why: str) -> None:
    done = run("helm", "template", "any", str(CHART), "--set", value)
    assert done.returncode != 0
    assert why in done.stderr
