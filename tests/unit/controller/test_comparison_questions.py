"""Who is asked for what is compared, and about which time."""

import json
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest

from canary.api.canary import Canary, parse_canary
from canary.api.status import BakeStatus, CanaryStatus
from canary.controller.ask import comparing
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.ask.metric_questions import model_of
from canary.controller.ask.metric_templates import problems
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.rollout.facts import MetricQuestion
from metrics.connections import QUESTIONS
from metrics.reading import Compared, Reading, Unread
from metrics.samples import failures
from metrics.wire import Request, Response
from outbound.connections import Connections

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGUN = NOW - timedelta(seconds=30)


FIRST = MetricQuestion("look", 0)


class Prometheus:
    """Says that five requests a look came to each version, and remembers what it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[Request] = []
        self.status = status

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        samples = [[BEGUN.timestamp() + 5 * each, str(5 * (each + 20))] for each in range(-10, 7)]
        series = [{"metric": {"came": f"0/{side}/all"}, "values": samples} for side in ("canary", "promoted")]
        body = {"status": "success", "data": {"resultType": "matrix", "result": series}}
        return Response(self.status, json.dumps(body).encode())

    @property
    def query(self) -> str:
        (request,) = self.asked
        fields = request.body.decode() if request.body else urlsplit(request.url).query
        return parse_qs(fields)["query"][0]


def canary(compare_to: str = "primary", **spec: object) -> Canary:
    metric = {"name": "request-success-rate", "compareTo": compare_to}
    made = parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80},
                "provider": "traefik",
                "analysis": {"interval": "1m", "stepWeight": 10, "metrics": [metric]},
                **spec,
            },
        }
    )
    return made.replace(status=CanaryStatus(analysis_start_time=BEGUN))


async def ask(subject: Canary, server: Prometheus, question: MetricQuestion = FIRST) -> Reading:
    options = Options(metrics_server="http://usual:9090")
    async with Connections(QUESTIONS, server) as servers:
        builds = Builds(cast("KubeClient", None), servers)
        asker = Asker(cast("KubeClient", None), cast("Caches", None), options, servers, servers, lambda: NOW, builds)
        answer = await asker(subject, question)
    assert isinstance(answer, Reading)
    return answer


async def test_the_time_since_the_first_step_is_asked_about_and_half_an_hour_before() -> None:
    server = Prometheus()
    said = (await ask(canary(), server)).said
    assert server.query.endswith("[1830s:5s]")
    assert isinstance(said, Compared)
    assert [(look.canary.requests, look.promoted.requests) for look in said.looks] == [(5, 5)] * 6
    assert said.since == BEGUN


@pytest.mark.parametrize(("spec", "host"), [({}, "usual:9090"), ({"metricsServer": "http://own:9090"}, "own:9090")])
async def test_the_spec_s_own_server_is_asked_first(spec: dict[str, str], host: str) -> None:
    server = Prometheus()
    await ask(canary(**spec), server)
    assert urlsplit(server.asked[0].url).netloc == host


async def test_a_server_that_is_away_is_a_reading_too() -> None:
    said = (await ask(canary(), Prometheus(status=503))).said
    assert isinstance(said, Unread)
    assert "usual:9090" in said.reason


async def test_the_time_before_the_rollout_is_asked_about_too() -> None:
    server = Prometheus()
    made = canary("previous")
    begun = made.replace(status=made.status.replace(rollout_start_time=BEGUN - timedelta(seconds=20)))
    said = (await ask(begun, server)).said
    assert server.query.endswith("[3650s:5s]")
    assert isinstance(said, Compared)
    assert [(look.canary.requests, look.promoted.requests) for look in said.looks][:4] == [(5, 5)] * 4


async def test_after_promotion_both_are_the_primary_s_and_the_time_before_is_that_before_the_rollout() -> None:
    server = Prometheus()
    made = canary("previous")
    status = made.status.replace(rollout_start_time=BEGUN - timedelta(seconds=20), bake=BakeStatus(start_time=BEGUN))
    question = MetricQuestion("look", 0, primary=True)
    said = (await ask(made.replace(status=status.replace(analysis_start_time=None)), server, question)).said
    assert isinstance(said, Compared)
    assert said.since == BEGUN
    assert "web-canary" not in server.query


def test_a_target_in_place_is_asked_about_by_its_pods() -> None:
    made = parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"},
                "analysis": {"metrics": [{"name": "request-success-rate", "compareTo": "previous"}]},
            },
        }
    )
    (metric,) = made.analysis.metrics
    subject = comparing.subject_of(made, metric, "kubernetes", pods="web-(2)", all_pods="web-[0-9]+")
    asked = {each.version: each.query for each in failures(subject.versions) if each.kind == "all"}
    assert 'kubernetes_pod_name=~"web-(2)"' in asked["canary"]
    assert 'kubernetes_pod_name=~"web-[0-9]+"' in asked["promoted"]


async def test_values_are_asked_for_of_both_workloads_since_the_first_step() -> None:
    server = Prometheus()
    metric = {"name": "queue", "query": 'queue{app="{{ target }}"}', "compareTo": "primary", "method": "mannWhitney"}
    made = canary(analysis={"interval": "1m", "stepWeight": 10, "metrics": [{**metric, "interval": "10s"}]})
    said = (await ask(made, server)).said
    assert isinstance(said, Unread)  # what it answers is two series
    assert "2 series" in said.reason
    asked = parse_qs(urlsplit(server.asked[0].url).query)
    assert asked["query"] == ['queue{app="web"}']
    assert (float(asked["start"][0]), float(asked["end"][0])) == (BEGUN.timestamp() + 10, NOW.timestamp())
    assert asked["step"] == ["10"]


def test_the_time_before_has_as_many_values_and_its_own_workload() -> None:
    metric = {"name": "queue", "query": "q", "compareTo": "previous", "method": "mannWhitney", "interval": "10s"}
    made = canary(analysis={"interval": "1m", "stepWeight": 10, "metrics": [metric]})
    begun = made.replace(status=made.status.replace(rollout_start_time=BEGUN - timedelta(seconds=20)))
    times = comparing.times_of(begun, begun.analysis.metrics[0], NOW)
    assert (times.count, times.until) == (3, BEGUN - timedelta(seconds=20))
    rewrite = comparing.to_promoted(begun, begun.analysis.metrics[0], "")
    assert rewrite is not None
    assert rewrite("q", model_of(begun, begun.analysis.metrics[0]))[1].target == "web-primary"


@pytest.mark.parametrize(("kind", "refused"), [("prometheus", False), ("datadog", True)])
def test_a_server_that_is_not_asked_for_values_over_a_time_is_refused(kind: str, *, refused: bool) -> None:
    metric = {"name": "queue", "templateRef": {"name": "queue"}, "compareTo": "primary", "method": "mannWhitney"}
    made = canary(analysis={"interval": "1m", "stepWeight": 10, "metrics": [metric]})
    template = {
        "metadata": {"name": "queue", "namespace": "shop"},
        "spec": {"provider": {"type": kind, "address": "http://server:9090"}, "query": "q"},
    }
    found = [each.remedy for each in problems(made, lambda *_: template, cross_namespace=True)]
    assert ("name one of type prometheus, or take compareTo and method out" in found) is refused
