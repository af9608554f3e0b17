"""What does not fit together is refused with the field and the remedy, and fits once the remedy is applied."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from canary.api import rules
from canary.api.canary import Canary, Strategy
from canary.api.problems import Problem
from canary.kube.types import Json
from canary.rollout.plan import plan_of
from canary.routers.registry import router_of
from canary.workloads import autoscalers
from canary.workloads.base import Rules
from canary.workloads.registry import TARGETS

OUT = None
"""The remedy is to take the field out."""

Fields = Mapping[str, object]
GATEWAY: Fields = {"spec.provider": "gatewayapi:v1", "spec.service.gatewayRefs[].name": "gateway"}
TRAEFIK: Fields = {"spec.provider": "traefik"}
NOWHERE: Fields = {"spec.provider": "kubernetes"}
WEIGHTS: Fields = {"spec.analysis.stepWeight": 10}
COUNTED: Fields = {"spec.analysis.iterations": 5}
MATCH: Fields = {"spec.analysis.match[].headers.*.exact": "1"}
COOKIE: Fields = {"spec.analysis.sessionAffinity.cookieName": "track"}
METRIC = "spec.analysis.metrics[]"
RATE: Fields = {f"{METRIC}.name": "request-success-rate", f"{METRIC}.threshold": 99}
SERVICE: Fields = {"spec.targetRef.apiVersion": "v1", "spec.targetRef.kind": "Service"}
DAEMON_SET: Fields = {"spec.targetRef.kind": "DaemonSet"}
STATEFUL_SET: Fields = {"spec.targetRef.kind": "StatefulSet", "spec.service": {}}
SCALED: Fields = {
    "spec.autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "app"}
}
PODS: Fields = {"spec.analysis.replicaRatio": True, "spec.analysis.stepWeight": 10}
A_WEIGHT_INSTEAD: Fields = {"spec.analysis.iterations": OUT, "spec.analysis.stepWeight": 10}


class Pair(NamedTuple):
    """Fields that don't fit together.

    Args:
        what: what doesn't fit, in words.
        fields: the spec.
        refused: the field that is refused, as the problem names it.
        remedies: changes of the spec, each of which mends it.
    """

    what: str
    fields: Fields
    refused: str
    remedies: tuple[Fields, ...]


A = "spec.analysis"
PAIRS = [
    # Strategies.
    Pair("nothing reaches the canary", {**TRAEFIK}, f"{A}.stepWeight", (WEIGHTS, {f"{A}.stepWeights": [5]}, COUNTED)),
    Pair("match without iterations", {**GATEWAY, **MATCH}, f"{A}.match", (COUNTED, {f"{A}.match": OUT, **WEIGHTS})),
    Pair("nothing counts without weights", {**NOWHERE}, f"{A}.iterations", (COUNTED, PODS)),
    Pair(
        "weights where there are none", {**NOWHERE, **WEIGHTS, f"{A}.maxWeight": 50}, f"{A}.stepWeight", (COUNTED, PODS)
    ),
    Pair(
        "weights where there are none, by steps",
        {**NOWHERE, f"{A}.stepWeights": [5, 50]},
        f"{A}.stepWeight",
        (COUNTED, {f"{A}.replicaRatio": True}),
    ),
    Pair("a ratio of pods without weights", {**NOWHERE, f"{A}.replicaRatio": True}, f"{A}.stepWeight", (WEIGHTS,)),
    Pair(
        "stepWeights with stepWeight",
        {**TRAEFIK, **WEIGHTS, f"{A}.stepWeights": [5]},
        f"{A}.stepWeights",
        ({f"{A}.stepWeights": OUT}, {f"{A}.stepWeight": OUT}),
    ),
    Pair(
        "session affinity with blue/green",
        {**GATEWAY, **COUNTED, **COOKIE},
        f"{A}.sessionAffinity",
        ({f"{A}.sessionAffinity": OUT}, A_WEIGHT_INSTEAD),
    ),
    Pair(
        "session affinity with A/B",
        {**GATEWAY, **COUNTED, **MATCH, **COOKIE},
        f"{A}.sessionAffinity",
        ({f"{A}.sessionAffinity": OUT}, {**A_WEIGHT_INSTEAD, f"{A}.match": OUT}),
    ),
    Pair(
        "mirroring with A/B",
        {**GATEWAY, **COUNTED, **MATCH, f"{A}.mirror": True},
        f"{A}.mirror",
        ({f"{A}.mirror": OUT}, {f"{A}.match": OUT}),
    ),
    Pair(
        "a weight of copies without mirroring",
        {**GATEWAY, **WEIGHTS, f"{A}.mirrorWeight": 30},
        f"{A}.mirrorWeight",
        ({f"{A}.mirror": True}, {f"{A}.mirrorWeight": OUT}),
    ),
    Pair(
        "steps back with A/B",
        {**GATEWAY, **COUNTED, **MATCH, f"{A}.stepWeightPromotion": 10},
        f"{A}.stepWeightPromotion",
        ({f"{A}.stepWeightPromotion": OUT},),
    ),
    Pair(
        "two analyses",
        {**TRAEFIK, **WEIGHTS, "spec.canaryAnalysis": {"stepWeight": 10}},
        "spec.canaryAnalysis",
        ({"spec.canaryAnalysis": OUT},),
    ),
    Pair(
        "one cookie for both versions",
        {**GATEWAY, **WEIGHTS, **COOKIE, f"{A}.sessionAffinity.primaryCookieName": "track"},
        f"{A}.sessionAffinity.primaryCookieName",
        ({f"{A}.sessionAffinity.primaryCookieName": "stay"},),
    ),
    # Metrics.
    Pair(
        "a template with a query",
        {**TRAEFIK, **WEIGHTS, f"{METRIC}.name": "x", f"{METRIC}.query": "up", f"{METRIC}.templateRef.name": "x"},
        f"{A}.metrics[0].query",
        ({f"{METRIC}.query": OUT}, {f"{METRIC}.templateRef": OUT}),
    ),
    Pair(
        "variables of a query that has none",
        {**TRAEFIK, **WEIGHTS, **RATE, f"{METRIC}.templateVariables": {"a": "b"}},
        f"{A}.metrics[0].templateVariables",
        ({f"{METRIC}.templateVariables": OUT}, {f"{METRIC}.templateRef.name": "x"}),
    ),
    Pair(
        "a metric without a limit",
        {**TRAEFIK, **WEIGHTS, f"{METRIC}.name": "request-duration"},
        f"{A}.metrics[0].thresholdRange",
        ({f"{METRIC}.thresholdRange.max": 500}, {f"{METRIC}.threshold": 500}),
    ),
    # Providers.
    Pair(
        "weights without a data plane",
        {**NOWHERE, **WEIGHTS},
        f"{A}.stepWeight",
        ({f"{A}.stepWeight": OUT, **COUNTED}, GATEWAY, TRAEFIK),
    ),
    Pair(
        "steps back without a data plane",
        {**NOWHERE, **COUNTED, f"{A}.stepWeightPromotion": 10},
        f"{A}.stepWeightPromotion",
        ({f"{A}.stepWeightPromotion": OUT}, GATEWAY, TRAEFIK),
    ),
    Pair(
        "mirroring without a data plane",
        {**NOWHERE, **COUNTED, f"{A}.mirror": True},
        f"{A}.mirror",
        ({f"{A}.mirror": OUT}, GATEWAY),
    ),
    Pair("A/B without a data plane", {**NOWHERE, **COUNTED, **MATCH}, f"{A}.match", ({f"{A}.match": OUT}, GATEWAY)),
    Pair(
        "mirroring by Traefik",
        {**TRAEFIK, **WEIGHTS, f"{A}.mirror": True},
        f"{A}.mirror",
        ({f"{A}.mirror": OUT}, GATEWAY),
    ),
    Pair("A/B by Traefik", {**TRAEFIK, **COUNTED, **MATCH}, f"{A}.match", ({f"{A}.match": OUT}, GATEWAY)),
    Pair(
        "session affinity by Traefik",
        {**TRAEFIK, **WEIGHTS, **COOKIE},
        f"{A}.sessionAffinity",
        ({f"{A}.sessionAffinity": OUT}, GATEWAY),
    ),
    Pair(
        "a route without a gateway",
        {"spec.provider": "gatewayapi:v1", **WEIGHTS},
        "spec.service.gatewayRefs",
        (GATEWAY, TRAEFIK),
    ),
    Pair(
        "a gateway without a route",
        {**TRAEFIK, **WEIGHTS, "spec.service.gatewayRefs[].name": "gateway"},
        "spec.service.gatewayRefs",
        ({"spec.service.gatewayRefs": OUT}, GATEWAY),
    ),
    Pair(
        "a prefix that is replaced, and none that is matched",
        {
            **GATEWAY,
            **WEIGHTS,
            "spec.service.rewrite": {"uri": "/", "type": "ReplacePrefixMatch"},
            "spec.service.match[].uri.exact": "/a",
        },
        "spec.service.rewrite.type",
        ({"spec.service.rewrite.type": "ReplaceFullPath"}, {"spec.service.match[].uri": {"prefix": "/a"}}),
    ),
    Pair(
        "a part of a time limit that is longer than the whole",
        {**GATEWAY, **WEIGHTS, "spec.service.timeout": "1s", "spec.service.backendTimeout": "2s"},
        "spec.service.backendTimeout",
        ({"spec.service.backendTimeout": "1s"},),
    ),
    # Targets.
    Pair(
        "a Service without a data plane",
        {**NOWHERE, **SERVICE, **COUNTED},
        "spec.provider",
        (GATEWAY, TRAEFIK),
    ),
    Pair(
        "a Service with an autoscaler",
        {**TRAEFIK, **SERVICE, **WEIGHTS, **SCALED},
        "spec.autoscalerRef",
        ({"spec.autoscalerRef": OUT},),
    ),
    Pair(
        "a Service behind another one",
        {**TRAEFIK, **SERVICE, **WEIGHTS, "spec.service.name": "front"},
        "spec.service.name",
        ({"spec.service.name": OUT}, {"spec.service.name": "app"}),
    ),
    Pair(
        "a headless copy of a Service that isn't",
        {**TRAEFIK, **SERVICE, **WEIGHTS, "spec.service.headless": True},
        "spec.service.headless",
        ({"spec.service.headless": OUT},),
    ),
    Pair(
        "a DaemonSet with an autoscaler",
        {**TRAEFIK, **DAEMON_SET, **WEIGHTS, **SCALED},
        "spec.autoscalerRef",
        ({"spec.autoscalerRef": OUT},),
    ),
    Pair(
        "a DaemonSet of others",
        {**TRAEFIK, **DAEMON_SET, **WEIGHTS, "spec.targetRef.apiVersion": "apps.kruise.io/v1alpha1"},
        "spec.targetRef.apiVersion",
        ({"spec.targetRef.apiVersion": "apps/v1"},),
    ),
    Pair("a StatefulSet with routes", {**TRAEFIK, **STATEFUL_SET}, "spec.provider", ({"spec.provider": OUT}, NOWHERE)),
    Pair(
        "a StatefulSet with Services",
        {**STATEFUL_SET, "spec.service": {"port": 80}},
        "spec.service",
        ({"spec.service": {}},),
    ),
    Pair(
        "a StatefulSet with an autoscaler",
        {**STATEFUL_SET, **SCALED},
        "spec.autoscalerRef",
        ({"spec.autoscalerRef": OUT},),
    ),
    Pair(
        "a StatefulSet with blue/green",
        {**STATEFUL_SET, **COUNTED},
        f"{A}.iterations",
        ({f"{A}.iterations": OUT}, A_WEIGHT_INSTEAD),
    ),
    Pair(
        "a StatefulSet with steps back",
        {**STATEFUL_SET, f"{A}.stepWeightPromotion": 10},
        f"{A}.stepWeightPromotion",
        ({f"{A}.stepWeightPromotion": OUT},),
    ),
    Pair(
        "a StatefulSet with cookies",
        {**STATEFUL_SET, **COOKIE},
        f"{A}.sessionAffinity",
        ({f"{A}.sessionAffinity": OUT},),
    ),
    Pair("a StatefulSet with copies", {**STATEFUL_SET, f"{A}.mirror": True}, f"{A}.mirror", ({f"{A}.mirror": OUT},)),
    *(
        Pair(
            f"a StatefulSet with {name}",
            {**STATEFUL_SET, f"{A}.{name}": 50},
            f"{A}.{name}",
            ({f"{A}.{name}": OUT},),
        )
        for name in ("primaryReadyThreshold", "canaryReadyThreshold")
    ),
    Pair(
        "a StatefulSet with copies of configuration",
        {**STATEFUL_SET, "spec.configRefs": [{"kind": "Secret", "name": "keys"}]},
        "spec.configRefs",
        ({"spec.configRefs": OUT},),
    ),
    # Autoscalers.
    Pair(
        "queries of an autoscaler that has none",
        {**TRAEFIK, **WEIGHTS, **SCALED, "spec.autoscalerRef.primaryScalerQueries": {"a": "b"}},
        "spec.autoscalerRef.primaryScalerQueries",
        ({"spec.autoscalerRef.primaryScalerQueries": OUT},),
    ),
    Pair(
        "limits of an autoscaler that leave nothing",
        {
            **TRAEFIK,
            **WEIGHTS,
            **SCALED,
            "spec.autoscalerRef.primaryScalerReplicas": {"minReplicas": 3, "maxReplicas": 2},
        },
        "spec.autoscalerRef.primaryScalerReplicas",
        ({"spec.autoscalerRef.primaryScalerReplicas.minReplicas": 2},),
    ),
    Pair(
        "an autoscaler of others",
        {**TRAEFIK, **WEIGHTS, **SCALED, "spec.autoscalerRef.apiVersion": "autoscaling.example.com/v1"},
        "spec.autoscalerRef.apiVersion",
        ({"spec.autoscalerRef.apiVersion": "autoscaling/v2"},),
    ),
]


def target_of(canary: Canary) -> Json:
    """A workload that nothing can be said against."""
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}
    template = {
        "metadata": {"labels": {"app": "app", "flagger.app/service": "app"}},
        "spec": {"containers": [{"name": "app"}]},
    }
    service = {"selector": {"app": "app"}, "ports": [port]}
    workload = {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": template}
    kind = canary.spec.target_ref.kind
    return {"kind": kind, "metadata": {"name": "app"}, "spec": service if kind == "Service" else workload}


def problems(canary: Canary) -> tuple[Problem, ...]:
    """All that a spec, its traffic provider, its target and its autoscaler have against each other."""
    router, kind = router_of(canary, "kubernetes"), TARGETS[canary.spec.target_ref.kind]
    assert router is not None
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "app"}, "spec": {"maxReplicas": 2}}
    return (
        *rules.problems(canary, canary.spec.provider or "kubernetes"),
        *router.problems(canary),
        *kind.problems(canary, target_of(canary), rules=Rules(), observed={}),
        *autoscalers.problems(canary, scaler, needed=True),
    )


named = pytest.mark.parametrize("pair", PAIRS, ids=[pair.what for pair in PAIRS])


@named
def test_it_is_refused_with_the_field_and_a_remedy(make: Callable[..., Canary], pair: Pair) -> None:
    (problem,) = problems(make(pair.fields))
    assert problem.field == pair.refused
    assert problem.message
    assert problem.remedy


@named
def test_a_remedy_mends_it(make: Callable[..., Canary], pair: Pair) -> None:
    for remedy in pair.remedies:
        assert problems(make({**pair.fields, **remedy})) == ()


@pytest.mark.parametrize("provider", ["kubernetes", "traefik", "gatewayapi:v1"])
@pytest.mark.parametrize(
    "weights", [{**WEIGHTS, f"{A}.maxWeight": 50}, {f"{A}.stepWeights": [5, 50]}, {f"{A}.maxWeight": 100}]
)
def test_iterations_decide_beside_weights(make: Callable[..., Canary], provider: str, weights: Fields) -> None:
    """As in Flagger: weights are without effect beside them."""
    gateway = GATEWAY if provider == "gatewayapi:v1" else {}
    made = make({**gateway, "spec.provider": provider, **COUNTED, **weights})

    assert problems(made) == ()
    assert made.strategy is Strategy.BLUE_GREEN
    assert plan_of(made, weighted=True) == plan_of(make({"spec.provider": provider, **COUNTED}), weighted=True)
