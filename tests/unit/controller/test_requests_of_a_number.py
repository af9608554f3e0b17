"""A metric that needs so many requests: they are asked for beside its number, over the same time."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest

from canary.api.canary import parse_canary
from canary.api.status import CheckStatus, Verdict
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.ask.metric_questions import taken_over
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.rollout.facts import MetricQuestion
from canary.rollout.verdicts import check_of
from metrics.question import Empty, Number
from metrics.reading import Cause, Reading, Said, Unread
from metrics.wire import Request, Response
from outbound.connections import Connections, Manner

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

CANARY = {
    "metadata": {"name": "shop", "namespace": "shop", "uid": "1"},
    "spec": {
        "provider": "traefik",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
    },
    "status": {"phase": "Progressing", "analysisStartTime": "2026-03-04T05:05:37Z"},
}
"""Its first step was half a minute ago."""


async def checked(rate: str | None, **fields: int) -> tuple[CheckStatus, Counter[str]]:
    """The verdict on a success rate of 50 %, and how often each query was put."""
    asked: Counter[str] = Counter()

    async def send(request: Request) -> Response:
        (query,) = parse_qs(urlsplit(request.url).query)["query"]
        asked[query] += 1
        value = "50" if "100" in query else rate
        result = [] if value is None else [{"metric": {}, "value": [NOW.timestamp(), value]}]
        answer = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return Response(200, json.dumps(answer).encode())

    metric = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}, **fields}
    analysis = {"interval": "1m", "threshold": 5, "stepWeight": 10, "metrics": [metric]}
    canary = parse_canary({**CANARY, "spec": {**CANARY["spec"], "analysis": analysis}})  # type: ignore[dict-item]
    async with Connections(Manner(total=2, per_host=2, largest=10_000), send) as servers:
        options = Options(metrics_server="http://prometheus:9090", mesh_provider="traefik")
        nothing = cast("Caches", NoCaches())
        builds = Builds(cast("KubeClient", None), servers)
        asker = Asker(cast("KubeClient", None), nothing, options, servers, servers, lambda: NOW, builds)
        answer = await asker(canary, MetricQuestion("look", 0))
    assert isinstance(answer, Reading)
    return check_of(canary.analysis.metrics[0], answer), asked


class NoCaches:
    """Knows nothing."""

    def get(self, *_: object) -> None:
        return None


async def test_a_number_of_enough_requests_is_judged_and_the_status_says_of_how_many() -> None:
    found, asked = await checked("4", minSamples=120)

    assert (found.verdict, found.value, found.samples) == (Verdict.FAIL, 50.0, 120)
    assert len(asked) == 2


@pytest.mark.parametrize(("rate", "requests"), [("3.9", 117), ("0", 0), (None, 0)])
async def test_one_of_fewer_is_no_data(rate: str | None, requests: int) -> None:
    found, _ = await checked(rate, minSamples=120)

    assert (found.verdict, found.samples) == (Verdict.NO_DATA, requests)


async def test_where_nothing_is_said_of_requests_they_are_not_asked_for() -> None:
    found, asked = await checked("0")

    assert (found.verdict, sum(asked.values())) == (Verdict.FAIL, 1)


def test_requests_that_can_not_be_asked_for_make_the_number_unavailable() -> None:
    def reading(said: Said) -> Reading:
        return Reading(said=said, interval=timedelta(seconds=30), time=NOW)

    lost = Unread(Cause.TIMEOUT, "no answer")
    assert taken_over(reading(Number(50.0)), reading(lost)).said == lost
    assert taken_over(reading(Number(50.0)), reading(Empty())).requests == 0
    assert taken_over(reading(Number(50.0)), reading(Number(2.0))).requests == 60
