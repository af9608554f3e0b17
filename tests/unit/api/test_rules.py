from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from canary.api.canary import Canary
from canary.api.rules import problems


class Make(Protocol):
    def __call__(self, changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary: ...


Changes = dict[str, Any]

KNATIVE = {
    "spec.targetRef": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "my-app"},
    "spec.service": {},
}
SERVICE = {"spec.targetRef": {"apiVersion": "v1", "kind": "Service", "name": "my-app"}}
STATEFUL_SET = {
    "spec.targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "my-app"},
    "spec.service": {},
}
LISTENER: Changes = {"spec.service.gatewayRefs": [{"name": "public", "sectionName": "web"}]}
ADMIN = [{"name": "public", "sectionName": "admin"}]


def further(*ports: Changes, **fields: Any) -> Changes:
    """Further ports; one named admin, of the number 81, unless told otherwise."""
    return {"spec.service.ports": [{"name": "admin", "port": 81, **each} for each in ports or (fields,)]}


HTTP_ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "x"}
CONFIG_REFS = [{"kind": "Secret", "name": "x", "mode": mode} for mode in ("follow", "ignore")]
HOOK = "spec.analysis.webhooks.0"
HEADERS, SECRET_REF = "spec.analysis.webhooks.0.headers", "spec.analysis.webhooks.0.secretRef"
RANGE = "spec.analysis.metrics.0.thresholdRange"
COUNTED: Changes = {"spec.analysis.stepWeight": 0, "spec.analysis.maxWeight": 0}
"""Without what shifts weights."""


def people(own: Changes | None = None, **approval: Any) -> Changes:
    """A webhook of which people say yes or no."""
    return {"name": "qa", "type": "confirm-promotion", "gate": {"approval": approval}, **(own or {})}


BAD: list[tuple[str, Changes, str, str]] = [
    ("kubernetes", {"spec.targetRef.name": ""}, "spec.targetRef.name", "name the workload"),
    ("kubernetes", {"spec.targetRef.kind": ""}, "spec.targetRef.kind", "Deployment"),
    ("kubernetes", {"spec.targetRef.name": "my-app-primary"}, "spec.targetRef.name", "my-app"),
    ("istio", KNATIVE, "spec.provider", "knative"),
    ("knative", {}, "spec.targetRef", "serving.knative.dev"),
    ("knative", KNATIVE | {"spec.autoscalerRef": {"name": "x"}}, "spec.autoscalerRef", "out"),
    ("knative", KNATIVE | {"spec.service": {"port": 80}}, "spec.service", "take it out"),
    ("knative", KNATIVE | {"spec.routeRefs": [HTTP_ROUTE]}, "spec.routeRefs", "take it out"),
    ("knative", KNATIVE | {"spec.configRefs": CONFIG_REFS[:1]}, "spec.configRefs", "take it out"),
    ("knative", KNATIVE | {"spec.analysis.canaryReadyThreshold": 50}, "spec.analysis.canaryReadyThreshold", "out"),
    ("knative", KNATIVE | {"spec.analysis.primaryReadyThreshold": 50}, "spec.analysis.primaryReadyThreshold", "out"),
    ("kubernetes", SERVICE, "spec.provider", "divides traffic by weight"),
    ("kubernetes", STATEFUL_SET | {"spec.provider": "istio"}, "spec.provider", "kubernetes"),
    ("kubernetes", STATEFUL_SET | {"spec.service": {"port": 80}}, "spec.service", "take it out"),
    ("kubernetes", STATEFUL_SET | {"spec.autoscalerRef": {"name": "x"}}, "spec.autoscalerRef", "take it out"),
    ("kubernetes", STATEFUL_SET | {"spec.configRefs": CONFIG_REFS[:1]}, "spec.configRefs", "take it out"),
    ("kubernetes", {"spec.configRefs": CONFIG_REFS}, "spec.configRefs[1]", "one of the two"),
    ("kubernetes", STATEFUL_SET | {"spec.analysis": {"iterations": 5}}, "spec.analysis.iterations", "stepWeight"),
    (
        "kubernetes",
        STATEFUL_SET | {"spec.analysis": {"canaryReadyThreshold": 50}},
        "spec.analysis.canaryReadyThreshold",
        "take it out",
    ),
    (
        "kubernetes",
        STATEFUL_SET | {"spec.analysis": {"primaryReadyThreshold": 50}},
        "spec.analysis.primaryReadyThreshold",
        "take it out",
    ),
    ("kubernetes", {"spec.service": {}}, "spec.service.port", "80"),
    (
        "gatewayapi:v1",
        LISTENER | {"spec.service.mirror": [{"backendRef": {"name": "shadow"}}]},
        "spec.service.mirror[0].backendRef.port",
        "set the Service's port",
    ),
    ("kubernetes", {"spec.service.port": 65_536}, "spec.service.port", "65535"),
    ("kubernetes", {"spec.service.port": -1}, "spec.service.port", "65535"),
    ("kubernetes", further(port=0), "spec.service.ports[0].port", "65535"),
    ("kubernetes", further(targetPort=70_000), "spec.service.ports[0].targetPort", "65535"),
    ("kubernetes", further(name="http"), "spec.service.ports[0].name", "another name"),
    ("kubernetes", further({}, {"port": 82}), "spec.service.ports[1].name", "another name"),
    ("kubernetes", further(port=9898), "spec.service.ports[0].port", "another number"),
    ("kubernetes", further({}, {"name": "more"}), "spec.service.ports[1].port", "another number"),
    ("gatewayapi:v1", LISTENER | further(), "spec.service.ports[0].gatewayRefs", "portDiscovery"),
    (
        "gatewayapi:v1",
        LISTENER | further(gatewayRefs=[{"name": "public"}]),
        "spec.service.ports[0].gatewayRefs",
        "sectionName",
    ),
    (
        "gatewayapi:v1",
        LISTENER | further(gatewayRefs=[{"name": "public", "sectionName": "web", "port": 81}]),
        "spec.service.ports[0].gatewayRefs",
        "in both",
    ),
    (
        "gatewayapi:v1",
        LISTENER | further({"gatewayRefs": ADMIN}, {"name": "more", "port": 82, "gatewayRefs": ADMIN}),
        "spec.service.ports[1].gatewayRefs",
        "in both",
    ),
    ("kubernetes", {"spec.service.targetPort": 70_000}, "spec.service.targetPort", "65535"),
    ("kubernetes", {"spec.service.name": "x" * 56}, "spec.service.name", "55 characters"),
    ("kubernetes", {"spec.service.timeout": "soon"}, "spec.service.timeout", "15s"),
    ("kubernetes", {"spec.service.timeout": "0s"}, "spec.service.timeout", "15s"),
    ("kubernetes", {"spec.service.backendTimeout": "5"}, "spec.service.backendTimeout", "15s"),
    ("gatewayapi:v1", {}, "spec.service.gatewayRefs", "name the gateway"),
    ("gatewayapi:v1beta1", {}, "spec.service.gatewayRefs", "name the gateway"),
    ("nginx", {}, "spec.ingressRef", "name the Ingress"),
    ("skipper", {}, "spec.ingressRef", "name the Ingress"),
    ("apisix", {}, "spec.routeRef", "name the ApisixRoute"),
    (
        "istio",
        {"spec.service.delegation": True, "spec.service.hosts": ["x"]},
        "spec.service.delegation",
        "hosts",
    ),
    ("kubernetes", {"spec.metricsServer": "http://xn--/"}, "spec.metricsServer", "http://prometheus:9090"),
    ("kubernetes", {"spec.analysis.webhooks.0.url": "http://xn--/"}, "spec.analysis.webhooks[0].url", "http://"),
    ("kubernetes", {"spec.analysis.webhooks.0.url": "http://a..b/"}, "spec.analysis.webhooks[0].url", "http://"),
    ("kubernetes", {"spec.progressDeadlineSeconds": 0}, "spec.progressDeadlineSeconds", "600"),
    ("kubernetes", {"spec.metricsServer": "prometheus:9090"}, "spec.metricsServer", "http://"),
    (
        "kubernetes",
        {"spec.autoscalerRef": {"name": "x", "primaryScalerReplicas": {"minReplicas": 3, "maxReplicas": 2}}},
        "spec.autoscalerRef.primaryScalerReplicas",
        "at most maxReplicas",
    ),
    ("traefik", {"spec.analysis.interval": "500ms"}, "spec.analysis.interval", "1s"),
    ("traefik", {"spec.analysis.interval": "0s"}, "spec.analysis.interval", "1s"),
    ("traefik", {"spec.analysis.stepWeight": 0}, "spec.analysis.stepWeight", "iterations"),
    ("kubernetes", {"spec.analysis.stepWeight": 0}, "spec.analysis.iterations", "replicaRatio: true"),
    (
        "traefik",
        {"spec.analysis.stepWeight": 0, "spec.analysis.iterations": -1},
        "spec.analysis.iterations",
        "1 or more",
    ),
    ("traefik", {"spec.analysis.stepWeights": [10]}, "spec.analysis.stepWeights", "one of the two"),
    (
        "traefik",
        COUNTED | {"spec.analysis.iterations": 2_000_000_000},
        "spec.analysis.iterations",
        "10000 or less",
    ),
    ("traefik", {"spec.analysis.match": [{}]}, "spec.analysis.match", "iterations"),
    ("traefik", {"spec.analysis.stepWeight": 101}, "spec.analysis.stepWeight", "0 to 100"),
    ("traefik", {"spec.analysis.maxWeight": 101}, "spec.analysis.maxWeight", "0 to 100"),
    ("traefik", {"spec.analysis.stepWeightPromotion": -1}, "spec.analysis.stepWeightPromotion", "0 to 100"),
    (
        "traefik",
        {"spec.analysis.mirror": True, "spec.analysis.mirrorWeight": 200},
        "spec.analysis.mirrorWeight",
        "0 to 100",
    ),
    ("traefik", {"spec.analysis.primaryReadyThreshold": 200}, "spec.analysis.primaryReadyThreshold", "0 to"),
    ("traefik", {"spec.analysis.canaryReadyThreshold": -5}, "spec.analysis.canaryReadyThreshold", "0 to"),
    (
        "traefik",
        {"spec.analysis.stepWeight": 0, "spec.analysis.stepWeights": [5, 101]},
        "spec.analysis.stepWeights[1]",
        "1 to 100",
    ),
    (
        "traefik",
        {"spec.analysis.stepWeight": 0, "spec.analysis.stepWeights": [0, 10]},
        "spec.analysis.stepWeights[0]",
        "1 to 100",
    ),
    (
        "traefik",
        {"spec.analysis.stepWeight": 0, "spec.analysis.stepWeights": [10, 10]},
        "spec.analysis.stepWeights[1]",
        "more than 10",
    ),
    ("traefik", {"spec.analysis.metrics.0.interval": "0s"}, "spec.analysis.metrics[0].interval", "1m"),
    (
        "traefik",
        {"spec.analysis.metrics.0.query": "up", "spec.analysis.metrics.0.templateRef": {"name": "x"}},
        "spec.analysis.metrics[0].query",
        "one of the two",
    ),
    ("traefik", {"spec.analysis.metrics.1.name": "latency"}, "spec.analysis.metrics[1].name", "templateRef"),
    (
        "traefik",
        {"spec.analysis.metrics.0": {"name": "request-duration"}},
        "spec.analysis.metrics[0].thresholdRange",
        "{max: 500}",
    ),
    ("traefik", {RANGE: {"min": 2, "max": 1}}, "spec.analysis.metrics[0].thresholdRange", "at most max"),
    ("traefik", {"spec.analysis.webhooks.0.url": "loadtester"}, "spec.analysis.webhooks[0].url", "http://"),
    ("traefik", {"spec.analysis.webhooks.0.url": ""}, "spec.analysis.webhooks[0].url", "http://"),
    ("traefik", {"spec.analysis.webhooks.0.url": "ftp://x/"}, "spec.analysis.webhooks[0].url", "http://"),
    ("traefik", {"spec.analysis.webhooks.0.url": "http:///x"}, "spec.analysis.webhooks[0].url", "http://"),
    ("traefik", {"spec.analysis.webhooks.0.url": "http://x:p/"}, "spec.analysis.webhooks[0].url", "http://"),
    ("traefik", {"spec.analysis.webhooks.0.timeout": "0s"}, "spec.analysis.webhooks[0].timeout", "10s"),
    ("traefik", {"spec.analysis.webhooks.0.retries": -1}, "spec.analysis.webhooks[0].retries", "0 or more"),
    ("traefik", {HEADERS: {"X Team": ["a"]}}, "spec.analysis.webhooks[0].headers", "X-Team"),
    ("traefik", {HEADERS: {"Webhook-Id": ["a"]}}, "spec.analysis.webhooks[0].headers.Webhook-Id", "take it out"),
    ("traefik", {HEADERS: {"te": ["a"]}}, "spec.analysis.webhooks[0].headers.te", "take it out"),
    ("traefik", {HEADERS: {"X-Team": ["a", "b\nc"]}}, "spec.analysis.webhooks[0].headers.X-Team", "on one line"),
    (
        "traefik",
        {HOOK: {"name": "x", "gate": {"job": {}}, "url": "http://x.test/"}},
        "spec.analysis.webhooks[0].url",
        "take out url, or gate",
    ),
    ("traefik", {HOOK: {"name": "x", "gate": {}}}, "spec.analysis.webhooks[0].gate", "set one of job"),
    ("traefik", {HOOK: people({"type": "rollout"})}, "spec.analysis.webhooks[0].gate.approval", "confirm-promotion"),
    ("traefik", {HOOK: people({"timeout": "1h"})}, "spec.analysis.webhooks[0].timeout", "gate.approval.timeout"),
    *(
        ("traefik", {HOOK: people(**approval)}, f"spec.analysis.webhooks[0].gate.approval.{field}", remedy)
        for approval, field, remedy in (
            ({"approvers": ["a", "a"]}, "approvers", "each name once"),
            ({"approvers": ["a", ""]}, "approvers", "each name once"),
            ({"approvers": ["a"], "minApprovals": 2}, "minApprovals", "name more approvers"),
            ({"minApprovals": 0}, "minApprovals", "1 or more"),
            ({"minApprovals": 21}, "minApprovals", "20 or less"),
            ({"timeout": "0s"}, "timeout", "24h"),
            ({"timeout": "9000h"}, "timeout", "8760h"),
            ({"onTimeout": "approve"}, "onTimeout", "write timeout"),
        )
    ),
    (
        "traefik",
        {HOOK: {"name": "x", "gate": {"job": {}}, "headers": {"X-Team": ["a"]}}},
        "spec.analysis.webhooks[0].headers",
        "take it out",
    ),
    (
        "traefik",
        {HOOK: {"name": "x", "gate": {"job": {}}, "retries": 2}},
        "spec.analysis.webhooks[0].retries",
        "take it out",
    ),
    *(
        (
            "traefik",
            {HOOK: {"name": "x", "type": kind, "gate": {"job": {}}}},
            "spec.analysis.webhooks[0].gate",
            "set url, or",
        )
        for kind in ("rollback", "post-rollout", "event")
    ),
    (
        "traefik",
        {HOOK: {"name": "x", "gate": {"job": {}}}, "spec.analysis.webhooks.1": {"name": "x", "gate": {"job": {}}}},
        "spec.analysis.webhooks[1].name",
        "that no other has",
    ),
    ("traefik", {HOOK: people(), "spec.analysis.webhooks.1": people()}, "spec.analysis.webhooks[1].name", "no other"),
    ("traefik", {SECRET_REF: {"name": ""}}, "spec.analysis.webhooks[0].secretRef.name", "name the Secret"),
    (
        "traefik",
        {"spec.analysis.alerts": [{"name": "x", "providerRef": {"name": ""}}]},
        "spec.analysis.alerts[0].providerRef.name",
        "AlertProvider",
    ),
    (
        "traefik",
        {"spec.analysis.sessionAffinity": {"cookieName": ""}},
        "spec.analysis.sessionAffinity.cookieName",
        "canary-cookie",
    ),
    (
        "traefik",
        {"spec.analysis.sessionAffinity": {"cookieName": "a", "primaryCookieName": "a"}},
        "spec.analysis.sessionAffinity.primaryCookieName",
        "other than cookieName",
    ),
    (
        "traefik",
        {"spec.analysis.sessionAffinity": {"cookieName": "a", "maxAge": -1}},
        "spec.analysis.sessionAffinity.maxAge",
        "seconds",
    ),
]


@pytest.mark.parametrize(("provider", "changes", "field", "remedy"), BAD)
def test_what_cant_work_is_told_with_field_and_remedy(
    make: Make, provider: str, changes: Changes, field: str, remedy: str
) -> None:
    (problem,) = problems(make(changes), provider)
    assert problem.field == field
    assert remedy in problem.remedy
    assert problem.message


GATEWAY = {"spec.service.gatewayRefs": [{"name": "gateway"}]}

GOOD: list[tuple[str, Changes]] = [
    ("kubernetes", {}),
    ("traefik", {}),
    ("gatewayapi:v1", GATEWAY),
    ("kubernetes", further(targetPort="admin")),
    ("gatewayapi:v1", LISTENER | further(gatewayRefs=ADMIN)),
    ("gatewayapi:v1", LISTENER | further(gatewayRefs=[{"name": "public", "namespace": "elsewhere"}])),
    ("gatewayapi:v1", LISTENER | further(gatewayRefs=[{"name": "public", "kind": "Service", "port": 81}])),
    ("knative", KNATIVE),
    ("traefik", SERVICE),
    ("kubernetes", STATEFUL_SET),
    ("kubernetes", STATEFUL_SET | {"spec.analysis": {"interval": "1m"}}),
    ("nginx", {"spec.ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "x"}}),
    ("apisix", {"spec.routeRef": {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "x"}}),
    ("appmesh", {"spec.service.meshName": "global"}),
    ("appmesh:v1beta2", {}),
    ("istio", {"spec.service.delegation": True}),
    ("traefik", {"spec.service.delegation": True, "spec.service.hosts": ["x"]}),
    ("traefik", {"spec.service.port": 65_535, "spec.service.targetPort": "http"}),
    ("traefik", {"spec.service.name": "x" * 55}),
    ("traefik", {"spec.service.timeout": "15s", "spec.service.backendTimeout": "1m30s"}),
    ("traefik", {"spec.targetRef.name": "other-primary"}),
    ("traefik", {"spec.autoscalerRef": {"name": "x", "primaryScalerReplicas": {"minReplicas": 3}}}),
    ("traefik", {"spec.autoscalerRef": {"name": "x", "primaryScalerReplicas": {"maxReplicas": 3}}}),
    ("traefik", {"spec.metricsServer": "https://prometheus.test/prefix"}),
    ("traefik", {"spec.analysis.interval": "1s"}),
    ("traefik", {"spec.analysis.interval": None}),
    ("traefik", {"spec.analysis.threshold": 0}),
    ("traefik", {"spec.analysis.maxWeight": 0}),
    ("traefik", {"spec.analysis.maxWeight": 100, "spec.analysis.stepWeight": 100}),
    ("traefik", {"spec.analysis.maxWeight": 5, "spec.analysis.stepWeight": 10}),
    ("traefik", {"spec.analysis.stepWeight": 0, "spec.analysis.stepWeights": [1, 2, 100]}),
    ("kubernetes", COUNTED | {"spec.analysis.iterations": 10}),
    (
        "istio",
        COUNTED
        | {
            "spec.analysis.iterations": 10,
            "spec.analysis.match": [{"headers": {"x-canary": {"exact": "1"}}}],
        },
    ),
    ("traefik", {"spec.analysis.metrics": []}),
    ("traefik", {"spec.analysis.metrics.0.threshold": 0}),
    ("traefik", {"spec.analysis.metrics.0": {"name": "errors", "templateRef": {"name": "x"}}}),
    ("traefik", {"spec.analysis.metrics.0": {"name": "errors", "query": "up"}}),
    ("traefik", {"spec.analysis.metrics.1.name": "request-success-rate"}),
    ("traefik", {RANGE: {"min": 1, "max": 1}}),
    ("traefik", {RANGE: {"max": 1}}),
    ("traefik", {"spec.analysis.webhooks.1.name": "load-test"}),
    ("traefik", {HOOK: {"name": "x", "gate": {"job": {}}}}),
    ("traefik", {"spec.analysis.webhooks.0.url": "HTTPS://user:secret@loadtester.test:8443/x?y=z"}),
    ("traefik", {"spec.analysis.webhooks.0.url": "http://[::1]:8080/"}),
    ("traefik", {HEADERS: {"X-Team": ["a", "b"]}, SECRET_REF: {"name": "keys"}}),
    ("traefik", {"spec.analysis.sessionAffinity": {"cookieName": "a", "primaryCookieName": "b"}}),
    ("traefik", {"spec.analysis.sessionAffinity": {"cookieName": "a"}}),
]


@pytest.mark.parametrize(("provider", "changes"), GOOD)
def test_what_works_has_no_problem(make: Make, provider: str, changes: Changes) -> None:
    assert problems(make(changes), provider) == ()


def test_a_broken_analysis_can_be_skipped(make: Make) -> None:
    broken = {"spec.analysis.stepWeight": 0, "spec.analysis.metrics.0.name": "x", "spec.analysis.interval": "0s"}
    assert len(problems(make(broken), "traefik")) == 3
    assert problems(make(broken | {"spec.skipAnalysis": True}), "traefik") == ()


def test_problems_are_told_all_at_once_in_the_specs_order(make: Make) -> None:
    canary = make({"spec.service.port": 0, "spec.analysis.stepWeight": 0, "spec.analysis.webhooks.0.url": "x"})
    assert [problem.field for problem in problems(canary, "traefik")] == [
        "spec.service.port",
        "spec.analysis.stepWeight",
        "spec.analysis.webhooks[0].url",
    ]


def test_the_field_is_named_by_the_name_that_was_used(make: Make) -> None:
    canary = make(
        {"spec.canaryAnalysis": {"interval": "1m", "threshold": 1, "metrics": [{"name": "x"}]}},
        without=("spec.analysis",),
    )
    assert [problem.field for problem in problems(canary, "traefik")] == [
        "spec.canaryAnalysis.stepWeight",
        "spec.canaryAnalysis.metrics[0].name",
    ]
