"""What `deploy/kustomize` installs, on a real API server: it is taken, it runs, and its rights are what it needs."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import pytest

from canary.kube.types import CANARY, KNATIVE_SERVICE, POD, Json
from canary.routers.registry import ROUTES
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Rig, application, phase_of
from canary.sandbox.options import CONTROLLER
from deploy.rights import families, rules_of
from tests.tools.kustomized import kubectl, objects_of

KUSTOMIZE = Path(__file__).parents[2] / "deploy/kustomize"
KEDA = Path(__file__).parent / "schemas/keda-scaledobject.json"
SYSTEM = "canary-system"
OVERLAYS = {name: of[0].names[0] for name, of in families().items()}


async def rendered(cluster: Cluster, folder: Path) -> dict[str, Json]:
    """The same by kind; of definitions, the last."""
    return {obj["kind"]: obj for obj in await objects_of(cluster, folder)}


def overlay(
    folder: Path, base: str, deployment: str, *operations: Json, components: tuple[str, ...] = (), namespace: str = ""
) -> Path:
    """A user's own kustomization over one of ours, with JSON patches of its Deployment."""
    document = {
        "resources": [os.path.relpath(KUSTOMIZE / base, folder)],
        "components": [os.path.relpath(KUSTOMIZE / "components" / each, folder) for each in components],
        "patches": [{"target": {"kind": "Deployment", "name": deployment}, "patch": json.dumps(operations)}],
        "namespace": namespace,
    }
    (folder / "kustomization.yaml").write_text(json.dumps(document))
    return folder


def as_process(module: str) -> tuple[Json, ...]:
    """Patches that let a container's program run from this checkout, at its pod's own address."""
    container = "/spec/template/spec/containers/0"
    return (
        {"op": "replace", "path": f"{container}/image", "value": f"process://{sys.executable} -m {module}"},
        {"op": "add", "path": f"{container}/args/-", "value": "--address=$(POD_IP)"},
    )


# -- what is rendered


@pytest.mark.parametrize(("name", "provider"), OVERLAYS.items())
async def test_an_overlay_differs_from_the_base_by_its_flag_and_the_rights_to_its_routes(
    cluster: Cluster, name: str, provider: str
) -> None:
    base, found = await rendered(cluster, KUSTOMIZE / "base"), await rendered(cluster, KUSTOMIZE / name)
    arguments = base["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"]
    arguments.append(f"--mesh-provider={provider}")
    for group, plurals, verbs in rules_of(*families()[name]):
        base["ClusterRole"]["rules"].append({"apiGroups": [group], "resources": [*plurals], "verbs": verbs.split(", ")})
    assert found == base


async def test_the_installation_can_live_in_another_namespace(cluster: Cluster, tmp_path: Path) -> None:
    folder = overlay(tmp_path, "traefik", "canary-controller", namespace="elsewhere")
    found = await rendered(cluster, folder)
    assert found["Namespace"]["metadata"]["name"] == "elsewhere"
    for kind in ("ServiceAccount", "Role", "RoleBinding", "Deployment", "PodDisruptionBudget"):
        assert found[kind]["metadata"]["namespace"] == "elsewhere"
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        assert [subject["namespace"] for subject in found[kind]["subjects"]] == ["elsewhere"]
    assert SYSTEM not in json.dumps(found["Deployment"]), "the Lease goes with it"


async def test_the_right_to_delete_is_an_addition_for_clusters_that_ask_for_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    folder = overlay(tmp_path, "traefik", "canary-controller", components=("owner-references",))
    base, found = await rendered(cluster, KUSTOMIZE / "traefik"), await rendered(cluster, folder)
    assert {verb for _, _, verb in rights(base["ClusterRole"])} == {
        "get",
        "list",
        "watch",
        "create",
        "patch",
        "update",
        "delete",
    }
    kept, remade = ("apps", "controllerrevisions"), ("", "pods")
    assert {each[:2] for each in rights(base["ClusterRole"]) if each[2] == "delete"} == {kept, remade}
    added = rights(found["ClusterRole"]) - rights(base["ClusterRole"])
    owned = {right[:2] for right in rights(base["ClusterRole"]) if right[2] == "create"} - {("", "events"), kept}
    # What is rolled out is never ours, whatever divides requests by it.
    owned |= {(each.group, each.plural) for each in ROUTES} - {(KNATIVE_SERVICE.group, KNATIVE_SERVICE.plural)}
    assert added == {(*resource, "delete") for resource in owned}


# -- what runs


@pytest.fixture(scope="module")
def installed(running_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The controller installed as a user would, except that its pods are processes: where its audit log begins."""
    begun = running_cluster.audit_log.stat().st_size
    argument, variable = "/spec/template/spec/containers/0/args/-", "/spec/template/spec/containers/0/env/-"
    user = {"name": "KUBECONFIG", "value": str(running_cluster.kubeconfig_for(CONTROLLER))}
    folder = overlay(
        tmp_path_factory.mktemp("installed"),
        "traefik",
        "canary-controller",
        *as_process("canary"),
        {"op": "add", "path": argument, "value": f"--metrics-server={addresses.PROMETHEUS_URL}"},
        {"op": "add", "path": variable, "value": user},
        components=("providers/gatewayapi",),
    )

    async def install() -> None:
        # Controllers of other tests have led by it; here it has to be created.
        await kubectl(running_cluster, "-n", SYSTEM, "delete", "leases", "--all")
        await kubectl(running_cluster, "apply", "-f", str(KEDA))
        await kubectl(running_cluster, "apply", "-k", str(folder))
        await kubectl(running_cluster, "-n", SYSTEM, "rollout", "status", "deployment", "--timeout=40s")

    asyncio.run(install())
    yield begun
    asyncio.run(kubectl(running_cluster, "delete", "-k", str(KUSTOMIZE / "controller")))


async def leading(cluster: Cluster) -> list[float]:
    """What each replica says about whether it leads, sorted."""
    async with Rig.on(cluster, SYSTEM) as rig, httpx.AsyncClient() as http:
        pods = await rig.client.list(POD, SYSTEM)
        found = []
        for pod in pods["items"]:
            answer = await http.get(f"http://{pod['status']['podIP']}:8080/metrics")
            (line,) = (each for each in answer.text.splitlines() if each.startswith("canary_controller_leader "))
            found.append(float(line.split()[1]))
        return sorted(found)


@pytest.mark.usefixtures("installed")
async def test_two_replicas_run_under_the_restricted_pod_standard_and_one_leads(cluster: Cluster) -> None:
    """The namespace enforces the standard, so the API server itself judges the pods."""
    assert await eventually(lambda: leading(cluster), lambda found: found == [0.0, 1.0], within=20)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["base", "traefik"])
async def test_the_api_server_takes_every_object_strictly_as_it_is(cluster: Cluster, name: str) -> None:
    """One overlay stands for all: they differ by a flag and by rights, as the first test here shows."""
    await kubectl(cluster, "apply", "-k", str(KUSTOMIZE / name), "--dry-run=server", "--validate=strict")


async def test_the_load_tester_answers_under_its_name_and_the_restricted_pod_standard(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    await kubectl(cluster, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    # Processes have no volumes: the folder of gates is one of this machine.
    gates = {
        "op": "add",
        "path": "/spec/template/spec/containers/0/args/-",
        "value": f"--gate-file={tmp_path}/gates.json",
    }
    patches = (*as_process("loadtest"), gates)
    folder = overlay(tmp_path, "loadtester", "flagger-loadtester", *patches, namespace=namespace)
    await kubectl(cluster, "apply", "-k", str(folder), "--validate=strict")

    async def ask() -> int:
        try:
            return (await http.get(f"http://flagger-loadtester.{namespace}/gate/approve")).status_code
        except httpx.TransportError:
            return 0

    async with httpx.AsyncClient() as http:
        assert await eventually(ask, lambda status: status == 200, within=30)


# -- what it may do

Right = tuple[str, str, str]
"""API group, resource with subresource, verb."""

NOBODY = "http://127.0.0.1:1/"
"""Where nobody listens."""

CONNECTIONS = ("tcproutes", "tlsroutes")
BLOCKING = ("flagger.app", "canaries/finalizers", "update")
"""Asked for by an admission plugin only, so no request is ever made with it."""


def rights(role: Json) -> set[Right]:
    """Every right that a role grants."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the controller, as the audit log has it."""

    right: Right
    status: int
    what: str

    @classmethod
    def of(cls, entry: Json) -> Self:
        ref = entry["objectRef"]
        resource = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
        what = f"{entry['verb']} {entry['requestURI']}: {entry['responseStatus'].get('message', '')}"
        return cls((ref.get("apiGroup", ""), resource, entry["verb"]), entry["responseStatus"]["code"], what)

    @property
    def used(self) -> set[Right]:
        """What it needed: server-side apply of what isn't there creates it."""
        group, resource, verb = self.right
        return {self.right} | ({(group, resource, "create")} if verb == "patch" and self.status == 201 else set())

    @property
    def is_forbidden(self) -> bool:
        """Whether it had no right to it. Namespaces of other tests may be on their way out, and take nothing new."""
        return self.status == 403 and not self.what.endswith("it is being terminated")


def streams_lists(seen: set[Right]) -> bool:
    """Whether this API server sends lists as parts of watches, as it does on an etcd that is new enough."""
    return ("flagger.app", "canaries", "list") not in seen


def requests(cluster: Cluster, since: int) -> list[Request]:
    """The controller's requests from a place in the audit log on."""
    with cluster.audit_log.open("rb") as log:
        log.seek(since)
        entries = [json.loads(line) for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]
    return [Request.of(each) for each in entries if each["user"]["username"] == CONTROLLER and "objectRef" in each]


def canary(name: str, namespace: str, **spec: object) -> Json:
    """A Canary that goes to half the traffic and then is promoted, in about two seconds."""
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 9898},
            "progressDeadlineSeconds": 20,
            "analysis": {"interval": "1s", "threshold": 2, "stepWeight": 50, "maxWeight": 50},
            **spec,
        },
    }


def shop(namespace: str, version: str) -> Json:
    """A Deployment with a ConfigMap and a Secret."""
    deployment = application("shop", namespace, version, replicas=1)
    sources = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}]
    deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"] = sources
    return deployment


def agent(namespace: str, version: str) -> Json:
    """A DaemonSet."""
    made = application("agent", namespace, version)
    del made["spec"]["replicas"]
    return {**made, "kind": "DaemonSet"}


def ledger(namespace: str, version: str, image: str = "sample/web") -> Json:
    """A StatefulSet of two pods."""
    made = application("ledger", namespace, version, image=image)
    made["spec"].pop("strategy", None)
    return {**made, "kind": "StatefulSet", "spec": {**made["spec"], "serviceName": "ledger"}}


def ledgers_canary(namespace: str) -> Json:
    """A Canary that replaces the StatefulSet's pods one by one."""
    made = canary("ledger", namespace, targetRef={"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "ledger"})
    del made["spec"]["service"]
    # The pod before serves on for six seconds before the one that can't start takes its place.
    made["spec"]["progressDeadlineSeconds"] = 12
    made["spec"]["analysis"] = {"interval": "1s", "threshold": 2}
    return made


def companions(namespace: str) -> list[Json]:
    """What the applications and their Canaries refer to."""

    def named(api_version: str, kind: str, name: str, **fields: object) -> Json:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}

    def scaling(name: str, **spec: object) -> Json:
        return {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, **spec}}

    provider = {"type": "prometheus", "address": addresses.PROMETHEUS_URL, "secretRef": {"name": "password"}}
    trigger = {"type": "cpu", "metadata": {"value": "60"}}
    return [
        named("autoscaling/v2", "HorizontalPodAutoscaler", "shop", **scaling("shop", maxReplicas=1)),
        named("keda.sh/v1alpha1", "ScaledObject", "cafe", **scaling("cafe", triggers=[trigger])),
        named("v1", "ConfigMap", "settings", data={"COLOUR": "blue"}),
        named("v1", "Secret", "password", stringData={"username": "me", "password": "secret"}),
        named("flagger.app/v1beta1", "MetricTemplate", "always", spec={"provider": provider, "query": "vector(1)"}),
        named("flagger.app/v1beta1", "AlertProvider", "nobody", spec={"type": "slack", "address": NOBODY}),
    ]


async def phase(rig: Rig, name: str, wanted: str) -> None:
    async with rig.recording(CANARY, name) as recording:
        await recording.until(lambda each: phase_of(each) == wanted, within=60, what=f"{wanted} of {name}")


async def roll_out(rig: Rig, deployment: Json, ending: str) -> None:
    """Apply a version and wait for the end of its rollout."""
    name = deployment["metadata"]["name"]
    async with rig.recording(CANARY, name) as recording:
        await rig.apply(deployment)
        await recording.until(lambda each: phase_of(each) == "Progressing", within=20, what="start of the rollout")
        await recording.until(lambda each: phase_of(each) == ending, within=60, what=f"{ending} of {name}")


async def live(rig: Rig) -> None:
    """Some Canaries' lives: set up, rolled out, failed for want of an image, taken down."""
    namespace = rig.namespace
    always = {"name": "always", "templateRef": {"name": "always"}, "thresholdRange": {"min": 1}, "interval": "1m"}
    cafe = application("cafe", namespace, "1.0.0", replicas=1)
    for obj in (*companions(namespace), shop(namespace, "1.0.0"), cafe, agent(namespace, "1.0.0")):
        await rig.apply(obj)
    await rig.apply(ledger(namespace, "1.0.0"))
    await rig.apply(ledgers_canary(namespace))
    alert = {"name": "nobody", "severity": "info", "providerRef": {"name": "nobody"}}
    analysis = {"interval": "1s", "threshold": 2, "stepWeight": 50, "maxWeight": 50, "metrics": [always]}
    analysis |= {"alerts": [alert]}
    hpa = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"}
    await rig.apply(canary("shop", namespace, revertOnDeletion=True, analysis=analysis, autoscalerRef=hpa))
    web, app = ([{**(TRAEFIK.parent or {}), "sectionName": each}] for each in ("web", "app"))
    calls = {"name": "grpc", "port": 9090, "targetPort": 9898, "routeKind": "GRPCRoute", "gatewayRefs": app}
    await rig.apply(
        canary(
            "cafe",
            namespace,
            provider="gatewayapi:v1",
            autoscalerRef={"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "cafe"},
            progressDeadlineSeconds=4,
            service={"port": 9898, "gatewayRefs": web, "ports": [calls]},
        )
    )
    target = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent"}
    await rig.apply(canary("agent", namespace, targetRef=target))
    await asyncio.gather(*(phase(rig, name, "Initialized") for name in ("shop", "cafe", "agent", "ledger")))
    await asyncio.gather(
        roll_out(rig, shop(namespace, "1.0.1"), "Succeeded"),
        roll_out(rig, application("cafe", namespace, "1.0.1", replicas=1), "Succeeded"),
        roll_out(rig, agent(namespace, "1.0.1"), "Succeeded"),
    )
    # A pod that can't start is deleted, to be made anew from the version before.
    await roll_out(rig, ledger(namespace, "1.0.1", image="missing"), "Failed")
    # From the third revision on that is promoted, the oldest is kept no longer.
    await roll_out(rig, agent(namespace, "1.0.2"), "Succeeded")
    await roll_out(rig, application("cafe", namespace, "1.0.2", replicas=1, image="missing"), "Failed")
    async with rig.recording(CANARY, "shop") as recording:
        await rig.client.delete(CANARY, namespace, "shop")
        await recording.until(lambda each: not each, within=30, what="end of shop")


async def test_the_controllers_rights_are_all_that_it_needs_and_no_more(
    cluster: Cluster, installed: int, namespace: str
) -> None:
    """Nothing that it asks for is forbidden, and nothing is granted that it never asks for."""
    roles = [
        json.loads(await kubectl(cluster, "-n", SYSTEM, "get", kind, "canary-controller", "-o", "json"))
        for kind in ("clusterrole", "role")
    ]
    granted = {right for role in roles for right in rights(role)}
    async with Rig.on(cluster, namespace) as rig:
        await live(rig)
    # Watches are in the log once they have ended.
    await kubectl(cluster, "-n", SYSTEM, "delete", "pods", "--all")

    async def unused() -> set[Right]:
        seen = {right for each in requests(cluster, installed) for right in each.used}
        # Routes of connections are written as those of requests are, and need listeners that this gateway has not.
        seen |= {(group, each, verb) for group, kind, verb in seen if kind == "httproutes" for each in CONNECTIONS}
        return granted - seen - ({each for each in granted if each[2] == "list"} if streams_lists(seen) else set())

    assert await eventually(unused, lambda found: found <= {BLOCKING}, within=20) == {BLOCKING}
    assert [each.what for each in requests(cluster, installed) if each.is_forbidden] == []
