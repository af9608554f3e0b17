"""Who is asked for what is compared, and about which time."""

import json
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest

from canary.api.canary import Canary, parse_canary
from canary.api.status import CanaryStatus
from canary.controller.ask.asker import Asker
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.rollout.facts import MetricQuestion
from metrics.connections import QUESTIONS
from metrics.reading import Compared, Reading, Unread
from metrics.wire import Request, Response
from outbound.connections import Connections

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGUN = NOW - timedelta(seconds=30)


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


def canary(**spec: str) -> Canary:
    metric = {"name": "request-success-rate", "compareTo": "primary"}
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


async def ask(subject: Canary, server: Prometheus) -> Reading:
    options = Options(metrics_server="http://usual:9090")
    async with Connections(QUESTIONS, server) as servers:
        asker = Asker(cast("KubeClient", None), cast("Caches", None), options, servers, servers, lambda: NOW)
        answer = await asker(subject, MetricQuestion("look", 0))
    assert isinstance(answer, Reading)
    return answer


async def test_the_time_since_the_first_step_is_asked_about_and_half_an_hour_before() -> None:
    server = Prometheus()
    said = (await ask(canary(), server)).said
    assert server.query.endswith("[30m30s:5s]")
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
