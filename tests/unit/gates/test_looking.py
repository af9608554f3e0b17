"""Gates that look at what others do: pass, or wait in words, from objects as their documents show them."""

import pytest

from canary.api.problems import Problem
from canary.gates import argocd, flux, trivy
from canary.gates.base import State
from canary.gates.registry import astray, problems
from canary.kube.types import Json
from tests.unit.gates.test_base import canary, moment

HASH = "2f6d4e1a9b3c5d7e8f0a1b2c3d4e5f6a7b8c9d0e"


def application(sync: str = "Synced", health: str = "Healthy", **status: object) -> Json:
    return {"status": {"sync": {"status": sync, "revision": HASH}, "health": {"status": health}, **status}}


@pytest.mark.parametrize(
    ("obj", "revision", "state", "words"),
    [
        (application(), "", State.PASSED, f"it is Healthy and Synced at {HASH}"),
        (application(), HASH[:7], State.PASSED, "Healthy and Synced"),
        (application(), HASH[:6], State.WAITING, "to be at 2f6d4e"),
        (application(), "1.4", State.WAITING, f"it is Synced at {HASH}, and to be at 1.4"),
        (application("OutOfSync"), "", State.WAITING, "it is OutOfSync"),
        (application(health="Degraded"), "", State.WAITING, "and Degraded"),
        (application(operationState={"phase": "Running", "message": "waiting"}), "", State.WAITING, "synced: waiting"),
        (application(operationState={"phase": "Succeeded"}), "", State.PASSED, "Healthy"),
        ({"status": {"sync": {"status": "Synced", "revisions": ["a", HASH]}}}, HASH, State.WAITING, "and Unknown"),
        ({}, "", State.WAITING, "it is Unknown at no revision"),
        ({"status": {"sync": {"status": "Synced", "revisions": 5}}}, "", State.WAITING, "at no revision"),
    ],
)
def test_an_application_is_to_be_healthy_and_synced_there(obj: Json, revision: str, state: State, words: str) -> None:
    said = argocd.GATE.said(moment({"argocd": {"application": "db", "revision": revision}}), obj)
    assert said.state is state
    assert words in said.words


@pytest.mark.parametrize(
    ("revision", "wanted", "there"),
    [
        (HASH, HASH[:7], True),
        (HASH, HASH[:6], False),
        ("10.24.10", "10.24.1", False),
        ("1.4.0-rc10", "1.4.0-rc1", False),
        ("202601011", "20260101", False),
        ("10.24.1", "10.24.1", True),
    ],
)
def test_a_hash_may_be_named_by_its_beginning_and_a_version_may_not(revision: str, wanted: str, there: bool) -> None:
    assert argocd.is_at(revision, wanted) is there


def test_a_revision_that_comes_to_nothing_lets_nothing_pass() -> None:
    """Of an image with a tag there is no digest: whatever is applied would be what is asked for."""
    template, obj = '{{ if eq tag "x" }}{{ digest }}{{ end }}', {**application(), **flux_object()}
    for looking, gate in (
        (argocd.GATE, {"argocd": {"application": "db", "revision": template}}),
        (flux.GATE, {"flux": {"kustomization": "db", "revision": template}}),
    ):
        said = looking.said(moment(gate), obj)
        assert said.state is State.UNAVAILABLE
        assert "comes to nothing" in said.words


def test_an_application_that_deploys_this_canary_is_asked_for_its_sync_alone() -> None:
    """It is Progressing for as long as the rollout waits: each would wait for the other."""
    ours = {"group": "flagger.app", "kind": "Canary", "namespace": "prod", "name": "shop"}
    gate = moment({"argocd": {"application": "shop"}})
    said = argocd.GATE.said(gate, application(health="Progressing", resources=[ours]))
    assert said.state is State.PASSED
    assert "it holds this Canary's own" in said.words
    others = [{**ours, "name": "other"}]
    assert argocd.GATE.said(gate, application(health="Progressing", resources=others)).state is State.WAITING


def flux_object(ready: str = "True", seen: int = 2, **status: object) -> Json:
    conditions = [{"type": "Ready", "status": ready, "message": "dependency not ready"}]
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": seen, "conditions": conditions, **status}}


APPLIED: Json = {"lastAppliedRevision": f"main@sha1:{HASH}"}
RELEASED: Json = {"history": [{"chartVersion": "6.5.0", "appVersion": "1.4"}, {"chartVersion": "6.4.0"}]}


@pytest.mark.parametrize(
    ("obj", "revision", "state", "words"),
    [
        (flux_object(**APPLIED), "", State.PASSED, "it is Ready at main@sha1:"),
        (flux_object(**APPLIED), f"main@sha1:{HASH}", State.PASSED, "Ready"),
        (flux_object(**APPLIED), HASH, State.PASSED, "Ready"),
        (flux_object(**APPLIED), HASH[:8], State.PASSED, "Ready"),
        (flux_object(**APPLIED), "main@sha1:0", State.WAITING, "and to be at main@sha1:0"),
        (flux_object(**RELEASED), "6.5.0", State.PASSED, "it is Ready at 6.5.0, 1.4"),
        (flux_object(**RELEASED), "1.4", State.PASSED, "Ready"),
        (flux_object(**RELEASED), "6.4.0", State.WAITING, "and to be at 6.4.0"),
        (flux_object("False", **APPLIED), "", State.WAITING, "not Ready at main@sha1"),
        (flux_object("Unknown"), "", State.WAITING, "it is not Ready with nothing applied: dependency not ready"),
        (flux_object(seen=1, **APPLIED), "", State.WAITING, "yet to be looked at by Flux"),
        ({**flux_object("False"), "spec": {"suspend": True}}, "", State.WAITING, "it is suspended"),
    ],
)
def test_what_flux_applies_is_to_be_ready_there(obj: Json, revision: str, state: State, words: str) -> None:
    said = flux.GATE.said(moment({"flux": {"kustomization": "infra", "revision": revision}}), obj)
    assert said.state is state
    assert words in said.words


OWNER = {"kind": "ReplicaSet", "name": "shop-7d4", "controller": True}
IMAGES = {"web": "r.test:5000/shop:1.4@sha256:ab", "side": "envoy:1"}
CVE = {"severity": "HIGH", "vulnerabilityID": "CVE-1", "resource": "libx", "fixedVersion": "2"}


def pod(images: Json | None = None, **digests: str) -> Json:
    containers = [{"name": name, "image": image} for name, image in (images or IMAGES).items()]
    statuses = [{"name": name, "imageID": f"docker.io/x@{digest}"} for name, digest in digests.items()]
    return {
        "metadata": {"ownerReferences": [OWNER]},
        "spec": {"containers": containers},
        "status": {"containerStatuses": statuses},
    }


def report(container: str, *found: Json, tag: str = "1", digest: str = "", owner: str = "shop-7d4") -> Json:
    labels = {"trivy-operator.container.name": container}
    owners = [{"kind": "ReplicaSet", "name": owner}]
    artifact = {"repository": "x", "tag": tag, **({"digest": digest} if digest else {})}
    content = {"artifact": artifact, "vulnerabilities": list(found)}
    return {"metadata": {"labels": labels, "ownerReferences": owners}, "report": content}


WEB, SIDE = report("web", digest="sha256:ab"), report("side", digest="sha256:cd")


@pytest.mark.parametrize(
    ("reports", "state", "words"),
    [
        ([WEB, SIDE], State.PASSED, "web: none that is CRITICAL or HIGH; side: none that is CRITICAL or HIGH"),
        ([WEB], State.WAITING, "there is no report on envoy:1 of container side"),
        ([WEB, report("side", digest="sha256:old")], State.WAITING, "there is one of sha256:old"),
        ([WEB, report("side", tag="1")], State.PASSED, "none"),
        ([WEB, report("side", tag="0")], State.WAITING, "there is one of 0"),
        ([WEB, report("side", digest="sha256:cd", owner="other")], State.WAITING, "no report on envoy:1"),
        ([WEB, report("side", CVE, digest="sha256:cd")], State.FAILED, "side: 1 HIGH (CVE-1 in libx)"),
        (
            [WEB, report("side", CVE, *[{**CVE, "severity": "CRITICAL", "vulnerabilityID": "CVE-0"}] * 4, tag="1")],
            State.FAILED,
            "side: 4 CRITICAL, 1 HIGH (CVE-0 in libx, CVE-0 in libx, CVE-0 in libx, …)",
        ),
        ([WEB, report("side", {**CVE, "severity": "LOW"}, digest="sha256:cd")], State.PASSED, "none"),
        ([WEB, report("side", {**CVE, "severity": []}, digest="sha256:cd")], State.PASSED, "none"),
    ],
)
def test_reports_count_for_what_runs(reports: list[Json], state: State, words: str) -> None:
    said = trivy.GATE.said(moment({"trivy": {}}), [pod(side="sha256:cd")], reports)
    assert said.state is state
    assert words in said.words


@pytest.mark.parametrize("image_id", ["", "sha256:0f", "docker.io/library/envoy:1"])
def test_where_the_runtime_tells_no_digest_the_tag_counts(image_id: str) -> None:
    new = pod()
    new["status"]["containerStatuses"] = [{"name": "side", "imageID": image_id}]
    assert (
        trivy.GATE.said(moment({"trivy": {}}), [new], [WEB, report("side", digest="sha256:cd")]).state is State.PASSED
    )


def test_without_pods_of_the_new_version_nobody_has_scanned_it() -> None:
    for pods in ([], [pod({"web": "shop:1.3", "side": "envoy:1"})]):
        assert trivy.GATE.said(moment({"trivy": {}}), pods, [WEB, SIDE]).state is State.WAITING


def test_only_reports_on_the_owners_of_pods_are_asked_for() -> None:
    expected = ("trivy-operator.resource.kind=ReplicaSet,trivy-operator.resource.name=shop-7d4",)
    assert trivy.GATE.selectors([pod(), pod()]) == expected
    assert trivy.GATE.selectors([]) == ()


@pytest.mark.parametrize(
    ("gate", "hook", "field"),
    [
        ({"argocd": {"application": ""}}, {}, ".gate.argocd.application"),
        ({"argocd": {"application": "x", "revision": "{{ x }}"}}, {}, ".gate.argocd.revision"),
        ({"flux": {}}, {}, ".gate.flux"),
        ({"flux": {"kustomization": "x", "helmRelease": "y"}}, {}, ".gate.flux"),
        ({"trivy": {"severities": []}}, {}, ".gate.trivy.severities"),
        ({"trivy": {}}, {"type": "confirm-rollout"}, ".type"),
    ],
)
def test_what_cant_be_is_told_with_its_field(gate: Json, hook: dict[str, object], field: str) -> None:
    assert [each.field for each in problems(canary(gate, **hook))] == [f"spec.analysis.webhooks[0]{field}"]


def test_other_namespaces_may_be_switched_off() -> None:
    def found(gate: Json) -> list[Problem]:
        return list(astray(canary(gate)))

    assert [each.field for each in found({"argocd": {"application": "x"}})] == [
        "spec.analysis.webhooks[0].gate.argocd.namespace"
    ]
    assert found({"argocd": {"application": "x", "namespace": "prod"}}) == []
    assert found({"flux": {"kustomization": "x"}}) == []
    assert found({"job": {}}) == []
