"""Whose counts are compared with the canary's where it has a baseline, and what tells what is usual of that."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from canary.api.canary import Canary, parse_canary
from canary.controller.ask import comparing
from canary.controller.ask.metric_questions import model_of
from metrics import samples, slowness
from metrics.judge import Counts
from metrics.reading import Compared
from metrics.wire import Response

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGUN = NOW - timedelta(seconds=30)


def canary(provider: str) -> Canary:
    names = ("request-success-rate", "request-duration")
    made = parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "provider": provider,
                "service": {"port": 80, "name": "front"},
                "analysis": {"stepWeight": 10, "metrics": [{"name": each, "compareTo": "baseline"} for each in names]},
            },
        }
    )
    return made.replace(status=made.status.replace(analysis_start_time=BEGUN))


def asked(provider: str, version: str) -> str:
    made = canary(provider)
    subject = comparing.subject_of(made, made.analysis.metrics[0], provider)
    return next(each.query for each in samples.failures(subject.versions) if each.version == version)


NAMED = {
    "traefik": "shop-front-baseline-80@kubernetescrd",
    "gatewayapi:v1": "httproute-shop-front-gw-0123456789abcdef0123-svc-shop-front-baseline-80@kubernetesgateway",
    "contour": "shop_front-baseline_80",
    "kuma": "front-baseline_shop_svc_80",
}


@pytest.mark.parametrize("provider", NAMED)
def test_the_baseline_is_asked_for_by_its_own_name_alone(provider: str) -> None:
    def matches(version: str, name: str) -> bool:
        (expression,) = re.findall(r'(?:service|envoy_cluster_name)=~"([^"]+)"', asked(provider, version))[:1]
        return re.fullmatch(expression, name) is not None

    fresh = NAMED[provider]
    assert matches("promoted", fresh)
    assert not matches("canary", fresh)
    assert not matches("usual", fresh)
    assert not matches("promoted", fresh.replace("-baseline", "-primary"))
    assert not matches("promoted", fresh.replace("-baseline", "-canary"))
    assert matches("usual", fresh.replace("-baseline", "-primary"))
    assert matches("canary", fresh.replace("-baseline", "-canary"))


def test_in_a_mesh_it_is_known_by_its_workload() -> None:
    assert 'destination_workload="web-baseline"' in asked("istio", "promoted")
    assert 'destination_workload="web-primary"' in asked("istio", "usual")
    assert 'destination_workload="web"' in asked("istio", "canary")


def test_values_are_asked_for_with_its_names() -> None:
    made = canary("traefik")
    metric = made.analysis.metrics[0]
    rewrite = comparing.to_promoted(made, metric, "")
    assert rewrite is not None
    text, model = rewrite('sum(queue{app="{{ target }}",service="front-canary"})', model_of(made, metric))
    assert text == 'sum(queue{app="{{ target }}",service="front-baseline"})'
    assert model.target == "web-baseline"


def test_the_bound_that_is_slow_is_told_by_those_who_have_served_before() -> None:
    made = canary("traefik")
    metric = made.analysis.metrics[1]
    subject = comparing.subject_of(made, metric, "traefik")
    span = comparing.span_of(made, metric, NOW)
    query = slowness.query_of(subject.versions, span, span.since)
    assert "front(-primary)?_)" in query
    assert "baseline" not in query


def test_what_the_primary_did_before_tells_what_is_usual() -> None:
    """A baseline has no time before; what it is held against beside the canary is its own alone."""
    made = canary("traefik")
    span = comparing.span_of(made, made.analysis.metrics[0], NOW)
    step, last = span.step.total_seconds(), span.place(span.now)

    def counter(version: str, kind: str, since: int, each: int) -> dict[str, object]:
        places = range(last + since, last + 1)
        values = [[place * step, str(each * number)] for number, place in enumerate(places)]
        return {"metric": {"came": f"0/{version}/{kind}"}, "values": values}

    found = [
        counter("canary", "all", -6, 10),
        counter("promoted", "all", -6, 7),
        counter("usual", "all", -20, 100),
        counter("usual", "bad", -20, 1),
    ]
    said = samples.read(Response(200, _answer(found)), span)
    assert isinstance(said, Compared)
    assert {each.promoted.requests for each in said.looks[1:]} <= {7.0, 0.0}
    assert said.usual
    assert set(said.usual) == {Counts(100.0, 1.0)}


def _answer(series: list[dict[str, object]]) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}).encode()
