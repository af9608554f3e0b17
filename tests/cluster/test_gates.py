"""Gates on a real API server with the real definitions of Tekton, the Trivy operator, Argo CD and Flux.

The parts of their controllers are played step by step, by objects as their documents show them.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from canary.kube.client import KubeClient
from canary.kube.errors import Invalid
from canary.kube.types import (
    APPLICATION,
    CANARY,
    JOB,
    KUSTOMIZATION,
    PIPELINE_RUN,
    POD,
    TASK_RUN,
    VULNERABILITY_REPORT,
    Json,
    Resource,
    name_of,
)
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application, phase_of
from tests.cluster.conftest import KUSTOMIZE, SYSTEM
from tests.tools.kustomized import put_folder

pytestmark = pytest.mark.usefixtures("pipelines")

EXAMPLES = KUSTOMIZE.parents[1] / "docs/examples/gates"
NAME, WITHIN = "my-app", 240.0
TEKTON = {
    name: Resource("tekton.dev", "v1beta1", f"{name.lower()}s", name) for name in ("Pipeline", "PipelineRun", "Task")
}
STARTED = (JOB, TASK_RUN, PIPELINE_RUN)
LOG_OF_A_JOB: Json = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "process://true"}]}}}}


def example(name: str) -> list[Json]:
    return [each for each in yaml.safe_load_all((EXAMPLES / name).read_text()) if each]


@pytest.fixture
def with_gates(installation: Path) -> Path:
    """What is installed, with the rights of all gates."""
    kustomization = installation / "kustomization.yaml"
    document = json.loads(kustomization.read_text())
    added = [KUSTOMIZE / "components/jobs", *sorted(KUSTOMIZE.glob("components/gates/*"))]
    document["components"] += [os.path.relpath(each, installation) for each in added]
    kustomization.write_text(json.dumps(document))
    return installation


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str, with_gates: Path) -> AsyncIterator[Rig]:
    """A controller with these rights alone."""
    async with Rig.on(cluster, namespace) as rig:
        await put_folder(rig, with_gates)
        await rig.start_controller(
            "--mesh-provider=kubernetes", f"--leader-election-namespace={SYSTEM}", f"--namespace={namespace}"
        )
        yield rig
    await cluster.parts["controller"].stop()


async def only(client: KubeClient, resource: Resource, namespace: str) -> Json:
    """The one object of a kind in a namespace."""

    async def found() -> list[Json]:
        listed: list[Json] = (await client.list(resource, namespace))["items"]
        return listed

    (obj,) = await eventually(found, bool, within=WITHIN)
    return obj


async def succeed(client: KubeClient, resource: Resource, namespace: str) -> Json:
    """The part of Tekton's controller: a run starts, and ends well."""
    obj = await only(client, resource, namespace)
    results = [{"name": "report", "value": "all is well"}]
    running = {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": "Not all Tasks have completed"}
    ended = {"type": "Succeeded", "status": "True", "reason": "Succeeded", "message": "All Tasks have completed"}
    pod = {"podName": f"{name_of(obj)}-pod"} if resource == TASK_RUN else {}
    for status in ({**pod, "conditions": [running]}, {"conditions": [ended], "results": results}):
        await client.merge_patch(resource, namespace, name_of(obj), {"status": status}, subresource="status")
        await asyncio.sleep(1)
    return obj


async def until(client: KubeClient, namespace: str, *phases: str) -> Json:
    """The Canary, once it is in one of these phases."""
    return await eventually(
        lambda: client.get(CANARY, namespace, NAME), lambda each: phase_of(each) in phases, within=WITHIN
    )


async def told(site: Rig, words: str) -> None:
    """An event says so; one is written after the status of which it tells."""
    await eventually(lambda: site.events(NAME), lambda events: any(words in each for each in events), within=WITHIN)


async def test_the_articles_pipeline_and_task_are_gates_as_they_stand(site: Rig) -> None:
    client, namespace = site.client, site.namespace
    *theirs, canary = example("tekton.yaml")
    for obj in theirs:
        made = {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
        await client.create(TEKTON[obj["kind"]], made)
    await site.apply(application(NAME, namespace, "1.0.0", replicas=1))
    await site.apply({**canary, "metadata": {"name": NAME, "namespace": namespace}})
    await until(client, namespace, "Initialized")
    await client.delete(PIPELINE_RUN, namespace, "ci-pipeline-run-1")
    await site.apply(application(NAME, namespace, "1.0.1", replicas=1))
    scan = await succeed(client, TASK_RUN, namespace)
    assert scan["spec"]["params"] == [{"name": "image", "value": "sample/web:1.0.1"}]
    build = await succeed(client, PIPELINE_RUN, namespace)
    given = {each["name"]: each["value"] for each in build["spec"]["params"]}
    assert given == {"imageUrl": "sample/web", "imageTag": "1.0.1"}
    assert build["spec"]["timeouts"] == {"pipeline": "3600s"}
    await until(client, namespace, "Succeeded")
    await told(site, "Confirm-promotion check ci-pipeline passed (PipelineRun")
    await told(site, "report=all is well")


def gates(namespace: str) -> list[Json]:
    """One of each that looks at others, and a Job."""
    infra = {"kustomization": "infra", "revision": "a1b2c3d"}
    return [
        {"name": "db", "type": "confirm-rollout", "gate": {"argocd": {"application": "db", "namespace": namespace}}},
        {"name": "infra", "type": "confirm-rollout", "gate": {"flux": infra}},
        {"name": "scan", "type": "pre-rollout", "timeout": "10m", "gate": {"trivy": {}}},
        {"name": "smoke", "type": "pre-rollout", "timeout": "10m", "gate": {"job": LOG_OF_A_JOB}},
    ]


def canary(namespace: str, hooks: list[Json]) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    analysis = {"interval": "2s", "threshold": 1, "iterations": 2, "webhooks": hooks}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"provider": "kubernetes", "targetRef": target, "service": {"port": 9898}, "analysis": analysis},
    }


async def test_a_rollout_waits_for_argo_cd_flux_trivy_and_a_job(site: Rig) -> None:
    client, namespace = site.client, site.namespace

    async def said() -> str:
        status = (await client.get(CANARY, namespace, NAME)).get("status") or {}
        return f"{status.get('message')} {status.get('checks')}"

    await site.apply(application(NAME, namespace, "1.0.0", replicas=1))
    await site.apply(canary(namespace, gates(namespace)))
    await until(client, namespace, "Initialized")
    await site.apply(application(NAME, namespace, "1.0.1", replicas=1))
    await eventually(said, lambda each: f"Application {namespace}/db does not exist" in each, within=WITHIN)
    await client.create(APPLICATION, synced(namespace, "db"))
    spec: Json = {
        "interval": "5m",
        "prune": True,
        "path": "./",
        "sourceRef": {"kind": "GitRepository", "name": "infra"},
    }
    flux = await client.create(KUSTOMIZATION, {"metadata": {"namespace": namespace, "name": "infra"}, "spec": spec})
    await eventually(said, lambda each: "infra: its spec is yet to be looked at by Flux" in each, within=WITHIN)
    condition = {"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied revision"}
    condition["lastTransitionTime"] = "2026-11-29T12:00:00Z"
    generation, applied = flux["metadata"]["generation"], f"main@sha1:a1b2c3d{'4' * 33}"
    status: Json = {"conditions": [condition], "observedGeneration": generation, "lastAppliedRevision": applied}
    await client.merge_patch(KUSTOMIZATION, namespace, "infra", {"status": status}, subresource="status")
    await eventually(said, lambda each: "no report on sample/web:1.0.1" in each, within=WITHIN)
    pods = (await client.list(POD, namespace, label_selector=f"app={NAME}"))["items"]
    (pod,) = [each for each in pods if each["spec"]["containers"][0]["image"] == "sample/web:1.0.1"]
    await client.create(VULNERABILITY_REPORT, report(namespace, pod))
    assert (await only(client, JOB, namespace))["metadata"]["ownerReferences"][0]["kind"] == "Canary"
    await until(client, namespace, "Succeeded")
    await told(site, "app: none that is CRITICAL or HIGH")


def synced(namespace: str, name: str) -> Json:
    """An Application as Argo CD leaves it."""
    destination = {"server": "https://kubernetes.default.svc", "namespace": namespace}
    source = {"repoURL": "https://github.com/myorg/gitops-repo", "path": "apps/db", "targetRevision": "HEAD"}
    compared = {"destination": destination, "source": source}
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"project": "default", "destination": destination, "source": source},
        "status": {
            "sync": {"comparedTo": compared, "status": "Synced", "revision": "f00"},
            "health": {"status": "Healthy"},
        },
    }


def running(script: str) -> list[Json]:
    """Gates that are a TaskRun, a PipelineRun and a Job, which takes as long as the script."""
    container = {"name": "test", "image": "process://true", "command": ["sh", "-c", script]}
    runs: list[tuple[str, Json]] = [
        ("scan", {"tekton": {"taskRun": {"spec": {"taskRef": {"name": "trivy-scan"}}}}}),
        ("build", {"tekton": {"pipelineRun": {"spec": {"pipelineRef": {"name": "ci-pipeline"}}}}}),
        ("smoke", {"job": {"spec": {"template": {"spec": {"containers": [container]}}}}}),
    ]
    return [{"name": name, "type": "pre-rollout", "timeout": "1h", "gate": gate} for name, gate in runs]


async def test_what_runs_ends_with_its_version(site: Rig) -> None:
    """The Job's pods too; runs of Tekton stay, for people to look at."""
    client, namespace = site.client, site.namespace

    async def cancelled() -> list[str | None]:
        return [(await only(client, each, namespace))["spec"].get("status") for each in (TASK_RUN, PIPELINE_RUN)]

    async def pods() -> list[Json]:
        listed: list[Json] = (await client.list(POD, namespace, label_selector="job-name"))["items"]
        return listed

    await site.apply(application(NAME, namespace, "1.0.0", replicas=1))
    await site.apply(canary(namespace, running("sleep 3600")))
    await until(client, namespace, "Initialized")
    await site.apply(application(NAME, namespace, "1.0.1", replicas=1))
    for each in STARTED:
        await only(client, each, namespace)
    await eventually(pods, bool, within=WITHIN)
    await site.apply(application(NAME, namespace, "1.0.0", replicas=1))
    await eventually(cancelled, lambda each: each == ["TaskRunCancelled", "Cancelled"], within=WITHIN)
    await eventually(pods, lambda each: not each, within=WITHIN)
    assert (await client.list(JOB, namespace))["items"] == []


def report(namespace: str, pod: Json) -> Json:
    """As the operator's documents show it."""
    owner = pod["metadata"]["ownerReferences"][0]["name"]
    labels = {
        "trivy-operator.container.name": "app",
        "trivy-operator.resource.kind": "ReplicaSet",
        "trivy-operator.resource.name": owner,
        "trivy-operator.resource.namespace": namespace,
    }
    counts = dict.fromkeys(("criticalCount", "highCount", "lowCount", "mediumCount", "unknownCount"), 0)
    content = {
        "updateTimestamp": "2026-11-29T12:00:00Z",
        "artifact": {"repository": "sample/web", "tag": "1.0.1"},
        "registry": {"server": "index.docker.io"},
        "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "0.72.0"},
        "summary": counts,
        "vulnerabilities": [],
        "os": {"family": "debian", "name": "12"},
    }
    owners = pod["metadata"]["ownerReferences"]
    metadata = {"name": f"replicaset-{owner}-app", "namespace": namespace, "labels": labels, "ownerReferences": owners}
    return {"metadata": metadata, "report": content}


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        ({"url": "http://x.test/", "gate": {"job": {}}}, "exactly one of url and gate"),
        ({}, "exactly one of url and gate"),
        ({"gate": {}}, "gate has exactly one field"),
        ({"gate": {"job": {}, "trivy": {}}}, "gate has exactly one field"),
        ({"gate": {"tekton": {}}}, "set either pipelineRun or taskRun"),
        ({"gate": {"flux": {}}}, "set either kustomization or helmRelease"),
        ({"gate": {"job": {}}, "type": "rollback"}, "a gate is no webhook of the type rollback"),
        ({"gate": {"job": LOG_OF_A_JOB}}, ""),
    ],
)
async def test_the_api_server_says_what_a_gate_lacks(cluster: Cluster, namespace: str, hook: Json, told: str) -> None:
    async with KubeClient.connect(cluster.kubeconfig) as client:
        try:
            await client.create(CANARY, canary(namespace, [{"name": "x", **hook}]))
            said = ""
        except Invalid as error:
            said = str(error)
    assert told in said
    assert bool(said) is bool(told)


async def test_the_example_of_jenkins_is_taken(cluster: Cluster, namespace: str) -> None:
    (document,) = example("jenkins.yaml")
    async with KubeClient.connect(cluster.kubeconfig) as client:
        await client.create(CANARY, {**document, "metadata": {"name": NAME, "namespace": namespace}})
