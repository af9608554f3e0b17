"""The gates of a fleet's waves: those of a Canary, asked for a wave."""

from typing import Any

import pytest

from canary.api.fleet import CanaryFleet
from canary.gates.base import State
from canary.gates.waves import WaveMoment, looking, problems
from tests.unit.fleet.fleets import fleet_of


def gated(**gate: Any) -> CanaryFleet:
    return fleet_of([{"name": "all", "gates": [{"name": "synced", **gate}]}], release="v1.4.2")


def moment(**gate: Any) -> WaveMoment:
    fleet = gated(**gate)
    return WaveMoment(fleet, "all", fleet.spec.waves[0].gates[0])


def application(revision: str = "v1.4.2", health: str = "Healthy", **status: Any) -> dict[str, Any]:
    return {"status": {"sync": {"status": "Synced", "revision": revision}, "health": {"status": health}, **status}}


def test_a_revision_may_name_the_release() -> None:
    asked = moment(argocd={"application": "shop", "revision": "{{ release }}"})
    known = looking(asked.gate)
    assert known is not None
    assert known.said(asked, application()).state is State.PASSED
    assert known.said(asked, application("v1.4.1")).words == "it is Synced at v1.4.1, and to be at v1.4.2"


@pytest.mark.field(
    "CanaryFleet.spec.waves[].gates[].flux.helmRelease",
    "CanaryFleet.spec.waves[].gates[].flux.namespace",
    "CanaryFleet.spec.waves[].gates[].argocd.namespace",
)
@pytest.mark.parametrize(
    ("gate", "kind", "place"),
    [
        ({"flux": {"kustomization": "shop"}}, "Kustomization", "prod"),
        ({"flux": {"helmRelease": "shop", "namespace": "flux"}}, "HelmRelease", "flux"),
        ({"argocd": {"application": "shop"}}, "Application", "argocd"),
        ({"argocd": {"application": "shop", "namespace": "gitops"}}, "Application", "gitops"),
    ],
)
def test_a_gate_looks_at_the_object_that_is_named(gate: dict[str, Any], kind: str, place: str) -> None:
    """One of Flux is in the namespace of the fleet unless it says another."""
    asked = moment(**gate)
    known = looking(asked.gate)
    assert known is not None
    ref = known.ref(asked.fleet.namespace, asked.gate)
    assert (ref.resource.kind, ref.namespace, ref.name) == (kind, place, "shop")


@pytest.mark.field("CanaryFleet.spec.waves[].gates[].flux.revision")
def test_a_kustomization_is_to_be_at_the_revision() -> None:
    asked = moment(flux={"kustomization": "shop", "revision": "{{ release }}"})
    known = looking(asked.gate)
    assert known is not None
    status = {"conditions": [{"type": "Ready", "status": "True"}], "observedGeneration": 1, "lastAppliedRevision": "v1"}
    assert known.said(asked, {"metadata": {"generation": 1}, "status": status}).state is State.WAITING


def test_an_application_that_deploys_this_fleet_is_asked_for_its_sync_alone() -> None:
    """It is Progressing for as long as the release waits: each would wait for the other."""
    ours = {"group": "fleet.canary.dev", "kind": "CanaryFleet", "namespace": "prod", "name": "shop"}
    asked = moment(argocd={"application": "shop"})
    known = looking(asked.gate)
    assert known is not None
    said = known.said(asked, application(health="Progressing", resources=[ours]))
    assert said.state is State.PASSED
    assert "as it holds this CanaryFleet's own" in said.words
    canary = {**ours, "group": "flagger.app", "kind": "Canary"}
    assert known.said(asked, application(health="Progressing", resources=[canary])).state is State.WAITING


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        ({"argocd": {"application": "shop", "revision": "{{ tag }}"}}, "argocd"),
        ({"flux": {"kustomization": "shop", "revision": "{{ tag }}"}}, "flux"),
        ({"rancherFleet": {"gitRepo": "shop", "revision": "{{ tag }}"}}, "rancherFleet"),
    ],
)
def test_a_text_that_can_t_be_filled_in_is_told_with_its_field(gate: dict[str, Any], field: str) -> None:
    """What is known of a rollout in a Canary, such as its image, is not known of a release of several."""
    (found,) = problems(gated(**gate))
    assert found.field == f"spec.waves[0].gates[0].{field}.revision"
    assert [*problems(gated(url="https://gates.example.com/{{ tag }}"))] == []
