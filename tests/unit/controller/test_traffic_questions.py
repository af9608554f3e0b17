"""Who is asked for the requests of each version, about which time, and how often."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from canary.api.canary import Canary, parse_canary
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.ask.metric_questions import is_countable
from canary.controller.ask.traffic import counts_of, traffic_question
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.rollout.facts import Count, Counts, TrafficAnswer, TrafficQuestion
from metrics.connections import QUESTIONS
from metrics.counts import Came, Counted
from metrics.wire import Request, Response
from outbound.connections import Connections

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
RATE = {"name": "request-success-rate", "threshold": 99}
HTTP_ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "front"}
OWN = {"name": "errors", "templateRef": {"name": "errors"}, "threshold": 1}


def canary(*metrics: dict[str, Any], **spec: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80},
                "analysis": {"interval": "1m", "stepWeight": 10, "metrics": [*metrics]},
                **spec,
            },
        }
    )


@pytest.mark.parametrize(
    ("subject", "provider", "expected"),
    [
        (canary(RATE), "traefik", True),
        (canary(RATE), "gatewayapi:v1", True),
        (canary({"name": "errors", "query": "sum(errors)", "threshold": 1}), "istio", True),
        (canary(metricsServer="http://own:9090"), "nginx", True),
        # Nobody says that the address that the controller has by itself is that of a server.
        (canary(), "traefik", False),
        (canary(OWN), "traefik", False),
        # Rules of such a route may lead to one version alone, by choice.
        (canary(RATE, routeRefs=[HTTP_ROUTE]), "gatewayapi:v1", False),
        # These count no requests, or not those of each version.
        (canary(RATE), "kubernetes", False),
        (canary(RATE), "apisix", False),
        (canary(RATE), "linkerd", False),
        (canary(RATE), "unheard-of", False),
    ],
)
def test_somebody_is_asked_where_the_canary_names_a_server_and_the_data_plane_counts(
    subject: Canary, provider: str, expected: bool
) -> None:
    assert is_countable(subject, provider) is expected


@pytest.mark.parametrize(
    ("since", "asked"),
    [(54.7 * SECOND, "54s"), (MINUTE, "1m0s"), (3 * MINUTE, "1m0s"), (0.2 * SECOND, "1s"), (-MINUTE, "1s")],
)
def test_the_window_is_of_whole_seconds_and_one_interval_at_most(since: timedelta, asked: str) -> None:
    question = traffic_question(canary(RATE), "traefik", "http://prometheus:9090", since)
    assert f"[{asked}]" in question.query
    assert f"offset {asked}" in question.query


def test_the_spec_s_own_server_is_asked_first() -> None:
    own = canary(metricsServer="http://own:9090")
    assert traffic_question(own, "traefik", "http://prometheus:9090", MINUTE).address == "http://own:9090"
    assert traffic_question(canary(RATE), "traefik", "http://usual", MINUTE).address == "http://usual"


class Prometheus:
    """Remembers what it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[Request] = []
        self.status = status

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        numbers = {
            "canary/least": 40,
            "canary/most": 42,
            "canary/total": 38,
            "promoted/least": 360,
            "promoted/total": 350,
        }
        result = [{"metric": {"count": f"0/{name}"}, "value": [1, str(value)]} for name, value in numbers.items()]
        data = {"resultType": "vector", "result": result}
        return Response(self.status, json.dumps({"status": "success", "data": data}).encode())


async def answered(server: Prometheus) -> object:
    client, caches = cast("KubeClient", None), cast("Caches", None)
    async with Connections(QUESTIONS, server) as servers:
        asker = Asker(client, caches, Options(), servers, servers, lambda: NOW, Builds(client, servers))
        return await asker(canary(RATE), TrafficQuestion("look", NOW - 54 * SECOND))


async def test_both_versions_are_asked_about_at_once() -> None:
    server = Prometheus()
    assert await answered(server) == TrafficAnswer(
        Counts(54 * SECOND, Count(40, 42), Count(360, 360), total=388, withheld=27, direct=False)
    )
    assert len(server.asked) == 1


def test_a_gateway_that_began_anew_in_between_proves_no_more_than_it_has_counted_since() -> None:
    """Its counters fall: between the least and the greatest sample lies all that it had counted before."""
    found = Counted(Came(5, 5, 900), Came(95, 95, 9000), withheld=0, direct=False)
    assert counts_of(found, MINUTE).total == 100


async def test_a_server_in_trouble_tells_nothing_and_breaks_nothing() -> None:
    assert await answered(Prometheus(status=503)) == TrafficAnswer(None)
