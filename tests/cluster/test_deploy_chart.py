"""The chart makes what kustomize makes; Helm itself reads it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from canary.kube.types import Json
from canary.sandbox import binaries
from deploy.plain import folders, objects, within
from deploy.rights import COMPONENTS, families

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "chart"
NAMESPACE = "canary-system"
PROVIDERS = {name: of[0].names[0] for name, of in families().items()}
SWITCHES = {
    "admission": "admission.enabled=true",
    "network-policy": "networkPolicy.enabled=true",
    "network-policy-egress": "networkPolicyEgress.enabled=true",
    "v1beta2": "admission.v1beta2=true",
    "cert-manager": "admission.certManager=true",
    "vote-policy": "votePolicy.enabled=true",
    "votes": "votes.enabled=true",
    "votes-tls": "votes.tls=true",
    "owner-references": "ownerReferences.enabled=true",
    "baselines": "baselines.enabled=true",
    "jobs": "jobs.enabled=true",
    "metric-apis": "metricApis.enabled=true",
    "route-refs": "routeRefs.enabled=true",
    "gates/argocd": "gates[0]=argocd",
    "gates/flux": "gates[1]=flux",
    "gates/tekton": "gates[2]=tekton",
    "gates/trivy": "gates[3]=trivy",
    "pod-monitor": "podMonitor.enabled=true",
    "priority": "podPriorityClassName=system-cluster-critical",
    "prometheus-rule": "prometheusRule.enabled=true",
    "providers/gatewayapi": "providers={gatewayapi:v1}",
}
"""The value that adds what a component adds."""

HUB = "canary-fleet-hub"
HUB_COMPONENTS = [
    each for folder in ("gates", "components") for each in sorted((DEPLOY / "kustomize/fleet" / folder).iterdir())
]
"""What can be added to a hub."""

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
    done = run("helm", "template", "any", str(CHART), "--namespace", namespace, "--include-crds", *switched(*values))
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
    """But for those of the load tester, which the chart doesn't install."""
    folders = {each.name for each in COMPONENTS.iterdir() if not each.name.startswith("loadtester-")}
    assert {each.partition("/")[0] for each in SWITCHES} == folders
    (tmp_path / "deploy").symlink_to(DEPLOY)
    (tmp_path / "crds").symlink_to(DEPLOY.parent / "crds")
    document = {
        "resources": ["deploy/kustomize/traefik"],
        "components": [f"deploy/kustomize/components/{each}" for each in SWITCHES],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(document))
    found = charted("meshProvider=traefik", *SWITCHES.values(), labels=False)
    expected = kustomized(tmp_path, labels=False)
    # Helm changes no definition: what serves v1beta2 is applied by itself.
    (definitions,) = DEPLOY.glob("kustomize/definitions/v1beta2")
    key = "CustomResourceDefinition", "canaries.flagger.app"
    newer, plain = expected.pop(key), found.pop(key)
    assert newer == kustomized(definitions, labels=False)[key]
    assert [each["name"] for each in plain["spec"]["versions"]] == ["v1beta1"]
    assert found == expected


def test_the_hub_of_the_chart_is_kustomize_s_with_all_that_can_be_added(tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(DEPLOY)
    (tmp_path / "crds").symlink_to(DEPLOY.parent / "crds")
    fleet = "deploy/kustomize/fleet"
    added = [f"{fleet}/{each.parent.name}/{each.name}" for each in HUB_COMPONENTS]
    document = {"resources": [f"{fleet}/hub"], "components": added}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(document))
    gates = ",".join(each.name for each in HUB_COMPONENTS if each.parent.name == "gates")
    of_hub = ("hub.enabled=true", "hub.placements=true", "hub.traffic=true", f"hub.gates={{{gates}}}")
    of_both = ("meshProvider=traefik", "networkPolicy.enabled=true", "podMonitor.enabled=true")
    # What a component adds has no labels of the folder's.
    expected, found = kustomized(tmp_path, labels=False), charted(*of_both, *of_hub, labels=False)
    assert {key: found[key] for key in expected} == expected
    without = charted(*of_both)
    assert found.keys() - expected.keys() == without.keys(), "the hub adds nothing else"


def test_values_of_the_hub_become_its_flags_and_its_rights() -> None:
    values = ("hub.enabled=true", "hub.members={cluster-api,argocd}", "hub.memberNamespaces={clusters,argocd}")
    done = run("helm", "template", "any", str(CHART), "--set", "meshProvider=traefik", *switched(*values))
    assert done.returncode == 0, done.stderr
    made = [each for each in yaml.safe_load_all(done.stdout) if each]
    (hub,) = (each for each in made if (each["kind"], each["metadata"]["name"]) == ("Deployment", HUB))
    assert hub["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == [
        "--members=cluster-api,argocd",
        "--member-namespaces=clusters,argocd",
    ]
    bound = {
        each["metadata"]["namespace"]: each["subjects"][0]["namespace"]
        for each in made
        if each["kind"] == "RoleBinding" and each["roleRef"]["name"] == f"{HUB}-members"
    }
    assert bound == dict.fromkeys(("default", "clusters", "argocd"), "default")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (("hub.enabled=true", "namespace=shop"), "hub.enabled needs rights to CanaryFleets in all namespaces"),
        (("hub.members={rancher}",), "members"),
        (("hub.gates={jenkins}",), "gates"),
        (("hub.membersNamespace={x}",), "membersNamespace"),
    ],
)
def test_values_of_the_hub_that_can_t_be_are_refused_by_name(values: tuple[str, ...], why: str) -> None:
    done = run("helm", "template", "any", str(CHART), "--set", "meshProvider=traefik", *switched(*values))
    assert done.returncode != 0
    assert why in done.stderr


def switched(*values: str) -> list[str]:
    """Values as Helm's flags."""
    return [word for value in values for word in ("--set", value)]


def test_one_namespace_is_all_that_it_has_rights_in_where_it_works_in_no_other() -> None:
    found, wide = charted("meshProvider=traefik", "namespace=shop", namespace="mine"), charted("meshProvider=traefik")
    assert not {kind for kind, _ in found if kind.startswith("Cluster")}
    name = "canary-controller-canaries"
    binding, role = found["RoleBinding", name], found["Role", name]
    assert (binding["metadata"]["namespace"], binding["subjects"][0]["namespace"]) == ("shop", "mine")
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == ("Role", name)
    assert role["metadata"]["namespace"] == "shop"
    assert role["rules"] == wide["ClusterRole", "canary-controller"]["rules"]
    assert "--namespace=shop" in container(found)["args"]


def test_helm_finds_nothing_to_mend() -> None:
    done = run("helm", "lint", "--strict", str(CHART), "--set", "meshProvider=traefik")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout + done.stderr


def test_within_a_namespace_the_plain_yaml_is_what_the_chart_makes_for_it() -> None:
    made = {(each["kind"], each["metadata"]["name"]): each for each in within("shop", objects(folders()["traefik"]))}
    charts = charted("meshProvider=traefik", "namespace=shop", namespace="shop")
    assert made.keys() == {key for key in charts if key[0] != "CustomResourceDefinition"}
    args, other = container(made)["args"], container(charts)["args"]
    assert sorted(args) == sorted(other)
    container(made)["args"] = other
    assert [key for key, each in made.items() if each != charts[key]] == []


def test_whose_a_token_is_is_asked_of_the_cluster_wherever_it_works() -> None:
    """Votes by HTTP alone take a right that is the cluster's."""
    found = charted("meshProvider=traefik", "namespace=shop", "votes.enabled=true", namespace="mine")
    assert [name for kind, name in found if kind.startswith("Cluster")] == ["canary-controller-votes"]
    binding = found["ClusterRoleBinding", "canary-controller-votes"]
    assert binding["subjects"][0]["namespace"] == "mine"
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:auth-delegator",
    }


def test_admission_in_one_namespace_asks_about_that_one_alone() -> None:
    found = charted("meshProvider=traefik", "namespace=shop", "admission.enabled=true", namespace="mine")
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        (webhook,) = found[kind, "canary-controller-admission"]["webhooks"]
        assert webhook["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}
        assert webhook["clientConfig"]["service"]["namespace"] == "mine"
    (binding,) = (each for (kind, _), each in found.items() if kind == "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "canary-controller-admission"
    assert found["Role", "canary-controller-admission"]["metadata"]["namespace"] == "mine"


def test_cert_managers_certificate_is_for_the_service_of_the_release() -> None:
    found = charted("meshProvider=traefik", "admission.enabled=true", "admission.certManager=true", namespace="mine")
    name = "canary-controller-admission"
    assert found["Certificate", name]["spec"]["dnsNames"] == [f"{name}.mine.svc"]
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        assert found[kind, name]["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": f"mine/{name}"}
    assert not {("Secret", name), ("Role", name), ("ClusterRole", name)} & found.keys()


@pytest.mark.parametrize("provider", sorted(folders()))
def test_the_plain_yaml_of_a_provider_is_what_kustomize_makes_of_its_folder(provider: str) -> None:
    made = {(each["kind"], each["metadata"]["name"]): each for each in objects(folders()[provider])}
    assert made.pop(("Namespace", NAMESPACE))
    assert made == kustomized(folders()[provider])


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
