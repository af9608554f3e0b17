"""An error budget is asked for as a metric is, of the service and not of one version."""

import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from canary.api.canary import Canary, parse_canary
from canary.api.rules import problems as spec_problems
from canary.controller.ask import metric_templates
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.observe.caches import Caches
from canary.controller.observe.needs import of_spec
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.types import METRIC_TEMPLATE, Json, Resource
from canary.rollout.facts import BudgetQuestion
from metrics.connections import QUESTIONS
from metrics.question import Number
from metrics.reading import Reading
from outbound.connections import Connections
from outbound.message import Request, Response

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TEMPLATE: Json = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "slo", "namespace": "slos"},
    "spec": {
        "provider": {"type": "prometheus", "address": "http://slo:9090"},
        "query": "left({{ variables.objective }}, '{{ target }}')[{{ interval }}]",
    },
}


def canary(**budget: Any) -> Canary:
    """Rolled out a minute ago: what was before that is the service's too."""
    budget = {"thresholdRange": {"min": 0.1}, **budget}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {"targetRef": target, "service": {"port": 80}, "scheduling": {"errorBudget": budget}, "skipAnalysis": True}
    status = {"phase": "Progressing", "analysisStartTime": "2026-01-01T11:59:00Z"}
    return parse_canary({"metadata": {"name": "app", "namespace": "shop"}, "spec": spec, "status": status})


class Slos:
    """A Prometheus."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.02"]}]}
        return Response(200, json.dumps({"status": "success", "data": data}).encode())


class Templates:
    """The caches, with one MetricTemplate."""

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        there = (resource, namespace, name) == (METRIC_TEMPLATE, "slos", "slo")
        return TEMPLATE if there else None

    def why_missing(self, resource: Resource) -> str:
        return "does not exist"


async def asked(subject: Canary) -> tuple[Reading, Slos]:
    server, client = Slos(), cast("KubeClient", None)
    async with Connections(QUESTIONS, server) as servers:
        caches, builds = cast("Caches", Templates()), Builds(client, servers)
        asker = Asker(client, caches, Options(), servers, servers, lambda: NOW, builds)
        reading = await asker(subject, BudgetQuestion("look"))
    assert isinstance(reading, Reading)
    return reading, server


@pytest.mark.field("spec.scheduling.errorBudget.query")
async def test_a_query_is_asked_over_its_whole_interval_whenever_the_rollout_began() -> None:
    reading, server = await asked(canary(query="left('{{ target }}')[{{ interval }}]", interval="1h"))
    assert (reading.said, reading.query) == (Number(0.02, samples=1), "left('app')[1h]")
    assert len(server.asked) == 1


@pytest.mark.field(
    "spec.scheduling.errorBudget.templateRef.name",
    "spec.scheduling.errorBudget.templateRef.namespace",
    "spec.scheduling.errorBudget.templateVariables",
)
async def test_a_template_is_asked_with_its_variables_and_is_watched_for() -> None:
    ref = {"name": "slo", "namespace": "slos"}
    subject = canary(templateRef=ref, templateVariables={"objective": "99.9"})
    reading, server = await asked(subject)
    assert reading.query == "left(99.9, 'app')[5m0s]"
    assert server.asked[0].url.startswith("http://slo:9090/")
    needs = of_spec(subject, "traefik")
    assert METRIC_TEMPLATE in needs.kinds
    assert [ref.name for ref in needs.refs if ref.kind == "MetricTemplate"] == ["slo"]


async def test_a_template_that_is_missing_is_no_answer() -> None:
    reading, _ = await asked(canary(templateRef={"name": "other"}))
    assert "MetricTemplate other in shop does not exist" in str(reading.said)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "does not exist"),
        ({**TEMPLATE, "spec": {**TEMPLATE["spec"], "query": ""}}, "spec.query: is missing"),
        ({**TEMPLATE, "spec": {"provider": {"type": "job"}, "job": {}}}, "answered by a Job"),
    ],
)
def test_a_template_that_can_not_be_asked_is_told_by_its_field(found: Json | None, words: str) -> None:
    subject = canary(templateRef={"name": "slo", "namespace": "slos"})
    told = list(metric_templates.budget_problems(subject, lambda *_: found, cross_namespace=True))
    assert {each.field for each in told} == {"spec.scheduling.errorBudget.templateRef"}
    assert any(words in each.message for each in told)


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({}, "query"),
        ({"query": "q", "templateRef": {"name": "slo"}}, "query"),
        ({"query": "q", "thresholdRange": {}}, "thresholdRange"),
        ({"query": "q", "thresholdRange": {"min": 2, "max": 1}}, "thresholdRange"),
        ({"query": "q", "interval": "0s"}, "interval"),
    ],
)
def test_what_can_not_be_asked_is_refused(budget: dict[str, Any], field: str) -> None:
    assert [each.field for each in spec_problems(canary(**budget), "traefik")] == [
        f"spec.scheduling.errorBudget.{field}"
    ]
