"""Whether a primary that somebody else has written is what its target would make of it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.kube.types import Json
from canary.workloads.base import REVISION_ANNOTATION, Rules
from canary.workloads.daemonset import NOWHERE, DaemonSet
from canary.workloads.deployment import Deployment
from canary.workloads.service_target import ServiceTarget

DEPLOYMENT, SERVICE, RULES = Deployment(), ServiceTarget(), Rules()
TRACKED = {"configmap/settings": "aa", "secret/keys": "bb"}
COPIES = {"configmap/settings-primary": "aa", "secret/keys-primary": "bb"}
READS = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]
NEAR = {"labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["my-app"]}]}}
AFFINITY = {
    "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [NEAR]},
    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [NEAR]},
}
SPREAD = [{"maxSkew": 1, "labelSelector": {"matchLabels": {"app": "my-app"}}}]

Make = Callable[..., Json]


def written_by_flagger(canary: Canary, target: Json) -> Json:
    """Its primary: pods are made anew by an id of chance, and selectors of affinities to pods stay the target's."""
    primary = DEPLOYMENT.primary(target, canary, tracked=TRACKED, rules=RULES)
    del primary["metadata"]["annotations"][REVISION_ANNOTATION]
    primary["spec"]["replicas"] = 5
    template = primary["spec"]["template"]
    template["metadata"]["annotations"]["flagger-id"] = "5f4a0d3c-1f0b-4d6e-8f8e-0c6f7a1c9b1e"
    if "affinity" in template["spec"]:
        kept = target["spec"]["template"]["spec"]["affinity"]["podAffinity"]
        template["spec"]["affinity"]["podAffinity"] = copy.deepcopy(kept)
    return primary


def carries(primary: Json, target: Json, copies: dict[str, str] | None = None) -> bool:
    copies = COPIES if copies is None else copies
    return DEPLOYMENT.carries(primary, target, tracked=TRACKED, copies=copies, rules=RULES)


@pytest.fixture
def canary(make_canary: Callable[..., Canary]) -> Canary:
    return make_canary()


@pytest.fixture
def target(make_deployment: Make) -> Json:
    made = make_deployment(affinity=AFFINITY, topologySpreadConstraints=SPREAD)
    made["spec"]["template"]["spec"]["containers"][0] |= {
        "envFrom": READS,
        "env": [{"name": "MODE", "value": "fast"}],
    }
    return copy.deepcopy(made)


def test_a_primary_of_the_same_pods_carries_the_target(canary: Canary, target: Json) -> None:
    assert carries(written_by_flagger(canary, target), target)


def test_a_primary_of_ours_does_too(canary: Canary, target: Json) -> None:
    assert carries(DEPLOYMENT.primary(target, canary, tracked=TRACKED, rules=RULES), target)


def test_neither_is_changed_by_the_comparison(canary: Canary, target: Json) -> None:
    primary = written_by_flagger(canary, target)
    before = copy.deepcopy((primary, target))
    carries(primary, target)
    assert (primary, target) == before


CHANGES: dict[str, Callable[[Json], object]] = {
    "image": lambda spec: spec["containers"][0].update(image="my-app:2"),
    "variable added": lambda spec: spec["containers"][0]["env"].append({"name": "MORE", "value": "1"}),
    "variable gone": lambda spec: spec["containers"][0].pop("env"),
    "configuration gone": lambda spec: spec["containers"][0]["envFrom"].pop(),
    "volume": lambda spec: spec.update(volumes=[{"name": "tmp", "emptyDir": {}}]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_pods_are_something_else(canary: Canary, target: Json, change: str) -> None:
    primary = written_by_flagger(canary, target)
    CHANGES[change](target["spec"]["template"]["spec"])
    assert not carries(primary, target)


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_so_are_other_labels_and_annotations(canary: Canary, target: Json, field: str) -> None:
    primary = written_by_flagger(canary, target)
    target["spec"]["template"]["metadata"].setdefault(field, {})["team"] = "web"
    assert not carries(primary, target)


@pytest.mark.parametrize("copies", [{}, {**COPIES, "secret/keys-primary": "cc"}])
def test_so_is_other_configuration(canary: Canary, target: Json, copies: dict[str, str]) -> None:
    """The copies' own contents count, whatever a status says of them."""
    assert not carries(written_by_flagger(canary, target), target, copies)


def test_marks_of_gitops_tools_on_the_target_make_no_difference(canary: Canary, target: Json) -> None:
    primary = written_by_flagger(canary, target)
    target["spec"]["template"]["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = "apps"
    assert carries(primary, target)


def test_a_target_that_nothing_tells_from_its_primary_is_carried_by_none(make_deployment: Make) -> None:
    target = make_deployment(labels={"team": "web"})
    assert not DEPLOYMENT.carries(target, target, tracked={}, copies={}, rules=RULES)


def test_a_daemon_set_that_runs_nowhere_is_carried_as_its_author_wrote_it(make_deployment: Make) -> None:
    target = make_deployment(nodeSelector={"disk": "fast"})
    primary = copy.deepcopy(target)
    target["spec"]["template"]["spec"]["nodeSelector"][NOWHERE] = "true"
    primary["spec"]["template"]["metadata"]["labels"] = {"app": "my-app-primary"}
    assert DaemonSet().carries(primary, target, tracked={}, copies={}, rules=RULES)


def test_a_service_carries_what_leads_to_the_same(make_canary: Callable[..., Canary]) -> None:
    """It has addresses of its own, and the Canary says how requests are spread over the zones."""

    def service(**spec: Any) -> Json:
        return {"metadata": {"name": "a"}, "spec": {"selector": {"app": "blue"}, "ports": [{"port": 80}], **spec}}

    primary = service(clusterIP="10.0.0.1", trafficDistribution="PreferClose")
    for target, same in [(service(clusterIP="10.0.0.2"), True), (service(selector={"app": "green"}), False)]:
        assert SERVICE.carries(primary, target, tracked={}, copies={}, rules=RULES) is same
    assert not SERVICE.carries(primary, service(ports=[{"port": 81}]), tracked={}, copies={}, rules=RULES)


def test_a_primary_that_a_canary_has_left_behind_is_owned_by_the_next(canary: Canary, target: Json) -> None:
    """So that it goes when it is no longer needed; one that nobody marked stays its author's."""
    left = DEPLOYMENT.primary(target, canary, tracked={}, rules=RULES)
    del left["metadata"]["ownerReferences"]
    made = DEPLOYMENT.primary(target, canary, tracked={}, rules=RULES, existing=left)
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-1"

    del left["metadata"]["annotations"][REVISION_ANNOTATION]
    made = DEPLOYMENT.primary(target, canary, tracked={}, rules=RULES, existing=left)
    assert "ownerReferences" not in made["metadata"]
