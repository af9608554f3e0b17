"""Fields of gates: what is made, looked at and asked for by each."""

import base64
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qs

import pytest

from canary.api.canary import Canary
from canary.controller.ask.builds import BUILDS, Builds
from canary.gates import argocd, flux, jenkins, job, tekton, trivy
from canary.gates.base import Moment, Said, State
from canary.kube.client import KubeClient
from canary.kube.types import SECRET, Json, Resource
from outbound.connections import Connections
from outbound.message import Request, Response, basic

Make = Callable[..., Canary]

GATE = "spec.analysis.webhooks[]"
JOB_GATE = {"job": {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "{{ repository }}:test"}]}}}}}


@pytest.mark.parametrize("field", [f"{GATE}.gate.job"])
def test_a_gate_makes_its_job(make: Make, field: str) -> None:
    canary = make({f"{GATE}.name": "gate", f"{GATE}.gate": JOB_GATE})
    moment = Moment(canary, canary.analysis.webhooks[0], "m1", {"c": "shop:1"})
    made = job.GATE.start(moment)
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:test"


@pytest.mark.parametrize("field", [f"{GATE}.gate.tekton.pipelineRun", f"{GATE}.gate.tekton.taskRun"])
def test_a_gate_makes_its_run_of_tekton(make: Make, field: str) -> None:
    spec = {"params": [{"name": "tag", "value": "{{ tag }}"}]}
    canary = make({f"{GATE}.name": "gate", field: {"spec": spec}})
    run = tekton.GATE.start(Moment(canary, canary.analysis.webhooks[0], "m1", {"c": "shop:1"}))
    assert run["kind"].lower() == field.rpartition(".")[2].lower()
    assert run["spec"]["params"] == [{"name": "tag", "value": "1"}]


def of_gate(make: Make, kind: str, gate: object) -> Moment:
    canary = make({f"{GATE}.name": "gate", f"{GATE}.gate": {kind: gate}})
    return Moment(canary, canary.analysis.webhooks[0], "m1", {"c": "shop:1"})


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        (f"{GATE}.gate.argocd.application", "other", ("argocd", "other")),
        (f"{GATE}.gate.argocd.namespace", "gitops", ("gitops", "app")),
        (f"{GATE}.gate.flux.kustomization", "other", ("shop", "other")),
        (f"{GATE}.gate.flux.helmRelease", "app", ("shop", "app")),
        (f"{GATE}.gate.flux.namespace", "gitops", ("gitops", "app")),
    ],
)
def test_a_gate_looks_at_the_object_that_is_named(make: Make, field: str, value: str, place: tuple[str, str]) -> None:
    kind, name = field.split(".")[-2:]
    given = {"application": "app"} if kind == "argocd" else {} if name == "helmRelease" else {"kustomization": "app"}
    moment = of_gate(make, kind, {**given, name: value})
    looking = argocd.GATE if kind == "argocd" else flux.GATE
    ref = looking.ref(moment.canary.namespace, moment.gate)
    assert (ref.namespace, ref.name) == place
    assert (ref.resource.kind == "HelmRelease") is (name == "helmRelease")


@pytest.mark.parametrize("field", [f"{GATE}.gate.argocd.revision", f"{GATE}.gate.flux.revision"])
def test_a_gate_waits_for_the_revision_that_is_named(make: Make, field: str) -> None:
    synced = {"sync": {"status": "Synced", "revision": "1"}, "health": {"status": "Healthy"}}
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "lastAppliedRevision": "1", "observedGeneration": 1}
    for revision, passes in (("{{ tag }}", True), ("2", False)):
        if "argocd" in field:
            moment = of_gate(make, "argocd", {"application": "app", "revision": revision})
            said = argocd.GATE.said(moment, {"status": synced})
        else:
            moment = of_gate(make, "flux", {"kustomization": "app", "revision": revision})
            said = flux.GATE.said(moment, {"metadata": {"generation": 1}, "status": ready})
        assert (said.state is State.PASSED) is passes


def scanned(make: Make, gate: Json) -> Said:
    """A version with a vulnerability of the severity HIGH that nobody has fixed."""
    owner = {"kind": "ReplicaSet", "name": "app-1", "controller": True}
    pod = {"metadata": {"ownerReferences": [owner]}, "spec": {"containers": [{"name": "c", "image": "shop:1"}]}}
    labels = {"trivy-operator.container.name": "c"}
    found = [{"severity": "HIGH", "vulnerabilityID": "CVE-1", "resource": "libx", "fixedVersion": ""}]
    report = {"artifact": {"tag": "1"}, "vulnerabilities": found}
    reports = [{"metadata": {"ownerReferences": [owner], "labels": labels}, "report": report}]
    return trivy.GATE.said(of_gate(make, "trivy", gate), [pod], reports)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (f"{GATE}.gate.trivy.severities", ["CRITICAL"]),
        (f"{GATE}.gate.trivy.ignore", ["CVE-1"]),
        (f"{GATE}.gate.trivy.onlyFixed", True),
    ],
)
def test_a_gate_says_which_vulnerabilities_count(make: Make, field: str, value: object) -> None:
    assert scanned(make, {field.rpartition(".")[2]: value}).state is State.PASSED
    assert scanned(make, {}).state is State.FAILED


BUILD = {"url": "http://ci.test/job/smoke"}


@pytest.mark.parametrize(
    ("field", "value", "sent"),
    [
        (f"{GATE}.gate.jenkins.parameters", {"TAG": "{{ tag }}"}, {"TAG": ["1"]}),
        (f"{GATE}.gate.jenkins.runParameter", "RUN", {"RUN": ["shop/app/rollout/gate/uid-1/m1"]}),
    ],
)
def test_a_build_has_these_parameters(make: Make, field: str, value: object, sent: dict[str, list[str]]) -> None:
    for gate, expected in (({**BUILD, field.rpartition(".")[2]: value}, True), (BUILD, False)):
        form = parse_qs(jenkins.body_of(of_gate(make, "jenkins", gate)).decode())
        found = {name: [each.partition(".")[0] for each in form.get(name, [])] for name in sent}
        assert (found == sent) is expected


@pytest.mark.parametrize("field", [f"{GATE}.gate.jenkins.url"])
def test_a_build_is_started_there(make: Make, field: str) -> None:
    canary = make({f"{GATE}.name": "gate", field: "http://ci.test/x/job/smoke/"})
    gate = canary.analysis.webhooks[0].gate
    assert gate is not None
    assert jenkins.start_url(jenkins.of(gate).url) == "http://ci.test/x/job/smoke/buildWithParameters"
    assert jenkins.queue_url(jenkins.of(gate).url).startswith("http://ci.test/x/queue/api/json?tree=")


@pytest.mark.parametrize("field", [f"{GATE}.gate.jenkins.secretRef.name"])
async def test_a_build_is_let_in_by_its_secret(make: Make, field: str) -> None:
    asked: list[Request] = []

    async def answer(request: Request) -> Response:
        asked.append(request)
        return Response(401)

    data = {"username": base64.b64encode(b"robot").decode(), "password": base64.b64encode(b"11aa").decode()}

    class Api:
        async def get(self, resource: Resource, namespace: str, name: str) -> Json:
            return {"data": data if (resource, namespace, name) == (SECRET, "shop", "keys") else {}}

    for secret, sent in (({"secretRef": {"name": "keys"}}, basic("robot", "11aa")[1]), ({}, None)):
        async with Connections(BUILDS, answer) as connections:
            builds = Builds(cast("KubeClient", Api()), connections)
            said = await builds.ask(of_gate(make, "jenkins", {**BUILD, **secret}))
        assert said.state is State.UNAVAILABLE
        assert dict(asked[-1].headers).get("Authorization") == sent
