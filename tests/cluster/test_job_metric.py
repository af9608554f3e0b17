"""A Job that answers for a step, on a real API server and with the Job's own controller; its pods are processes."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.errors import Invalid
from canary.kube.types import CANARY, JOB, METRIC_TEMPLATE, Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application, phase_of
from tests.cluster.conftest import KUSTOMIZE, SYSTEM
from tests.tools.kustomized import put_folder

pytestmark = pytest.mark.long

NAME = "shop"


@pytest.fixture
def with_jobs(installation: Path) -> Path:
    """What is installed, with the rights to Jobs."""
    kustomization = installation / "kustomization.yaml"
    document = json.loads(kustomization.read_text())
    document["components"].append(os.path.relpath(KUSTOMIZE / "components/jobs", installation))
    kustomization.write_text(json.dumps(document))
    return installation


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str, with_jobs: Path) -> AsyncIterator[Rig]:
    """A controller with these rights alone."""
    async with Rig.on(cluster, namespace) as rig:
        await put_folder(rig, with_jobs)
        await rig.start_controller(
            "--mesh-provider=kubernetes", f"--leader-election-namespace={SYSTEM}", f"--namespace={namespace}"
        )
        yield rig
    await cluster.parts["controller"].stop()


def template(namespace: str, command: str) -> Json:
    container = {"name": "test", "image": "process://true", "command": ["sh", "-c", command]}
    return {
        "apiVersion": METRIC_TEMPLATE.api_version,
        "kind": METRIC_TEMPLATE.kind,
        "metadata": {"name": "smoke", "namespace": namespace},
        "spec": {
            "provider": {"type": "job"},
            "job": {"spec": {"template": {"spec": {"containers": [container]}}}},
        },
    }


def canary(namespace: str) -> Json:
    metric = {"name": "smoke", "templateRef": {"name": "smoke"}, "thresholdRange": {"max": 5}}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "service": {"port": 9898},
            "analysis": {"interval": "2s", "threshold": 1, "iterations": 2, "metrics": [metric]},
        },
    }


async def jobs(site: Rig) -> list[Json]:
    found: list[Json] = (await site.client.list(JOB, site.namespace))["items"]
    return found


def check(canary: Json) -> Json:
    return next(iter((canary.get("status") or {}).get("checks") or []), {})


@pytest.mark.parametrize(
    ("command", "phase", "number", "words", "count"),
    [
        ("exit 0", "Succeeded", 1.0, "has ended well", 2),
        ('mkdir -p dev && echo 4.5 > "$POD_DIR/dev/termination-log"', "Succeeded", 4.5, "smoke 4.5 is at most 5", 2),
        ('mkdir -p dev && echo 7 > "$POD_DIR/dev/termination-log"', "Failed", 7.0, "smoke 7 is above 5", 1),
        ("echo no page for {{ name }}; exit 3", "Failed", 0.0, "exit code 3): no page for shop", 1),
    ],
)
async def test_a_rollout_goes_by_how_its_jobs_end(
    site: Rig, command: str, phase: str, number: float, words: str, count: int
) -> None:
    async with site.recording(CANARY, NAME) as recording:
        await site.apply(template(site.namespace, command))
        await site.apply(application(NAME, site.namespace, "1.0.0", replicas=1))
        await site.apply(canary(site.namespace))
        await recording.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        await site.apply(application(NAME, site.namespace, "1.0.1", replicas=1))
        ended = await recording.until(lambda each: phase_of(each) == phase, within=90, what=phase)
    seen = check(ended.value or {})
    assert seen["value"] == number
    assert words in seen["message"]
    made = await jobs(site)
    assert len(made) == count, "one a step"
    (owner,) = {each["metadata"]["ownerReferences"][0]["uid"] for each in made}
    assert owner == recording.last["metadata"]["uid"]


async def test_a_job_goes_with_the_version_that_it_was_for(site: Rig) -> None:
    async with site.recording(CANARY, NAME) as recording:
        await site.apply(template(site.namespace, "sleep 600"))
        await site.apply(application(NAME, site.namespace, "1.0.0", replicas=1))
        await site.apply(canary(site.namespace))
        await recording.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization")
        await site.apply(application(NAME, site.namespace, "1.0.1", replicas=1))
        (job,) = await eventually(lambda: jobs(site), bool, within=60)
        await site.apply(application(NAME, site.namespace, "1.0.0", replicas=1))
        await eventually(lambda: jobs(site), lambda each: not each, within=60)
        assert job["spec"]["activeDeadlineSeconds"] == 600


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"provider": {"type": "job"}}, "spec.job is missing"),
        ({"provider": {"type": "prometheus"}}, "spec.query is missing"),
        ({"provider": {"type": "job"}, "job": {"spec": {}}}, ""),
        ({"provider": {"type": "prometheus"}, "query": "up"}, ""),
    ],
)
async def test_the_api_server_says_what_a_template_lacks(
    cluster: Cluster, namespace: str, spec: Json, told: str
) -> None:
    made = {**template(namespace, "true"), "spec": spec}
    async with KubeClient.connect(cluster.kubeconfig) as client:
        try:
            await client.create(METRIC_TEMPLATE, made)
            said = ""
        except Invalid as error:
            said = str(error)
    assert told in said
    assert bool(said) is bool(told)
