"""One list of rules for all who ask: what is missing is told, what nobody can know is not held against a Canary."""

from collections.abc import Callable
from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.api.problems import Problem
from canary.controller.lookup import Configuration, Found, Gap
from canary.controller.observe.index import Claims
from canary.controller.options import Options
from canary.controller.problems import problems
from canary.kube.types import Json, Resource

TARGET: Json = {
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "app"}]}},
    },
}
SCALER: Json = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop"}, "spec": {"maxReplicas": 3}}
TEMPLATE: Json = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "errors", "namespace": "test"},
    "spec": {"provider": {"type": "prometheus"}, "query": "up"},
}
EVERYTHING: dict[str, Found] = {
    "Deployment shop": TARGET,
    "HorizontalPodAutoscaler shop": SCALER,
    "MetricTemplate errors": TEMPLATE,
}
TOLD = {
    "Deployment shop": "spec.targetRef: Deployment shop does not exist in test; create it, or correct its name",
    "HorizontalPodAutoscaler shop": "spec.autoscalerRef: HorizontalPodAutoscaler shop does not exist in test; ",
    "MetricTemplate errors": "spec.analysis.metrics[0].templateRef: MetricTemplate errors does not exist in test; ",
}


def canary_of(phase: str = "", **spec: Any) -> Canary:
    metric = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}
    made = {
        "provider": "traefik",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10, "metrics": [metric]},
        **spec,
    }
    return parse_canary({"metadata": {"name": "shop", "namespace": "test"}, "spec": made, "status": {"phase": phase}})


class Around:
    """What there is, by kind and name; of anything else there is none."""

    def __init__(self, objects: dict[str, Found] | None = None, configuration: Configuration | None = None) -> None:
        self.objects = EVERYTHING | (objects or {})
        self.known = configuration or Configuration()
        self.claims = Claims()

    def find(self, resource: Resource, namespace: str, name: str) -> Found:
        return self.objects.get(f"{resource.kind} {name}")

    def configuration(self, canary: Canary) -> Configuration:
        return self.known

    def strangers(self, canary: Canary) -> tuple[Problem, ...]:
        return ()


def told(around: Around, canary: Canary | None = None) -> list[str]:
    return [str(problem) for problem in problems(canary or canary_of(), around, Options())]


def test_nothing_is_wrong_where_everything_is_there() -> None:
    assert told(Around()) == []


@pytest.mark.parametrize("name", TOLD)
def test_what_is_missing_is_told_and_what_nobody_can_know_is_not(name: str) -> None:
    (problem,) = told(Around({name: None}))
    assert problem.startswith(TOLD[name])
    assert told(Around({name: Gap.UNKNOWN})) == []


@pytest.mark.parametrize("name", ["Deployment shop", "HorizontalPodAutoscaler shop"])
def test_what_disappears_in_mid_rollout_is_the_rollouts_concern(name: str) -> None:
    assert told(Around({name: None}), canary_of("Progressing")) == []


def test_a_kind_that_nobody_has_installed_is_told() -> None:
    (problem,) = told(Around({"TraefikService shop": Gap.UNSERVED}))
    assert problem.startswith("spec.provider: TraefikService of traefik.io/v1alpha1 is not installed in this cluster")


def test_configuration_that_pods_need_is_told_before_a_rollout() -> None:
    around = Around(configuration=Configuration(missing=("secret/keys",)))
    (problem,) = told(around)
    assert problem.startswith("spec.targetRef: the target's pods need secret/keys, which does not exist in test")
    assert told(around, canary_of("Progressing")) == []


def test_what_has_not_changed_is_not_found_again() -> None:
    """Whoever asks again and again remembers the parts by what they hang on."""
    kept: dict[str, tuple[object, ...]] = {}
    anew: list[str] = []

    def remember(part: str, given: tuple[object, ...], find: Callable[[], tuple[Problem, ...]]) -> tuple[Problem, ...]:
        if kept.get(part) != given:
            anew.append(part)
        kept[part] = given
        return find()

    canary, around = canary_of(), Around()
    problems(canary, around, Options(), remember)
    assert sorted(anew) == ["names", "spec", "target", "templates"]
    anew.clear()
    problems(canary.replace(status=canary.status.replace(failed_checks=1)), around, Options(), remember)
    assert anew == []
    around.objects["Service shop"] = {"metadata": {"name": "shop"}, "spec": {"ports": [{"port": 80}]}}
    problems(canary, around, Options(), remember)
    assert sorted(anew) == ["names", "target"]
