"""The requests that come to each version: what is asked for them, and what an answer says."""

import json
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import product
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.builtin import TRAFFIC, counted, model_for
from metrics.connections import QUESTIONS
from metrics.counts import Came, Counted, count, query_of, read
from metrics.errors import ProviderError
from metrics.question import Question
from metrics.templates import Model, render
from metrics.wire import Request, Response
from outbound.connections import Connections
from outbound.errors import NoConnectionError

COUNTED = [provider for provider in sorted(TRAFFIC) if counted(provider)]
SIX = [f"{version}/{bound}" for version, bound in product(("canary", "promoted"), ("least", "most", "total"))]


class Ask(Protocol):
    def __call__(self, **changes: object) -> Question: ...


def answer(**numbers: object) -> Response:
    """An answer of Prometheus, from names such as `canary_least`, of source 1 with `_1` behind them."""
    result = []
    for name, value in numbers.items():
        version, bound, *source = name.split("_")
        named = f"{source[0] if source else 0}/{version}/{bound}"
        result.append({"metric": {"count": named}, "value": [1.5, str(value)]})
    data = {"resultType": "vector", "result": result}
    return Response(200, json.dumps({"status": "success", "data": data}).encode())


def pattern(labels: str, label: str, provider: str, model: Model) -> re.Pattern[str]:
    found = re.search(rf'{label}=~?"([^"]*)"', render(labels, model_for(provider, model)))
    assert found is not None
    return re.compile(rf"^(?:{found.group(1)})$")


def test_what_cannot_tell_the_versions_apart_or_counts_probes_is_not_asked() -> None:
    assert COUNTED == ["contour", "gatewayapi", "gloo", "istio", "kuma", "nginx", "skipper", "smi", "traefik"]
    assert counted("kubernetes") == counted("unheard-of") == counted("knative") == ()
    assert "http_request_duration_seconds_count" not in {each.count for name in COUNTED for each in counted(name)}


@pytest.mark.parametrize("provider", COUNTED)
def test_one_query_asks_for_both_versions_over_the_window(provider: str, model: Model) -> None:
    query = query_of(provider, replace(model, interval="37s"))
    assert "{{" not in query
    for source, named in product(range(len(counted(provider))), SIX):
        assert f'"{source}/{named}"' in query
    assert query.count("offset 37s") == 2 * len(counted(provider))


def test_nothing_is_asked_where_nothing_counts(model: Model) -> None:
    assert query_of("kubernetes", model) == ""


REFUSED = "connection refused"
HTTP = "httproute-test-svc-gw-test-gateway-ep-web-0-0123456789abcdef-svc-"


@pytest.mark.parametrize(
    ("provider", "source", "label", "series", "version"),
    [
        ("traefik", 0, "service", "test-svc-primary-9898@kubernetescrd", "promoted"),
        ("traefik", 0, "service", "test-svc-9898@kubernetescrd", "promoted"),
        ("traefik", 0, "service", "test_svc_wrr_0_test_svc-primary_9898@kubernetescrd", "promoted"),
        ("traefik", 0, "service", "test-svc-canary-9898@kubernetescrd", "canary"),
        ("traefik", 0, "service", "test_svc_wrr_1_test_svc-canary_9898@kubernetescrd", "canary"),
        ("traefik", 0, "service", "test-svc-other-9898@kubernetescrd", ""),
        ("traefik", 0, "service", "test-svc-primary-primary-9898@kubernetescrd", ""),
        ("gatewayapi", 0, "service", f"{HTTP}test-svc-primary-0@kubernetesgateway", "promoted"),
        ("gatewayapi", 0, "service", f"{HTTP}test-svc-0@kubernetesgateway", "promoted"),
        ("gatewayapi", 0, "service", "test-svc-http-9898@kubernetesgateway", "promoted"),
        ("gatewayapi", 0, "service", f"{HTTP}test-svc-canary-1@kubernetesgateway", "canary"),
        ("gatewayapi", 1, "envoy_cluster_name", "test_svc-primary_9898", "promoted"),
        ("contour", 0, "envoy_cluster_name", "test_svc_9898", "promoted"),
        ("contour", 0, "envoy_cluster_name", "test_svc-canary_9898", "canary"),
        ("contour", 0, "envoy_cluster_name", "other_svc-canary_9898", ""),
        ("gloo", 0, "envoy_cluster_name", "test-svc-primaryupstream-9898_gloo-system", "promoted"),
        ("gloo", 0, "envoy_cluster_name", "test-svc-9898_gloo-system", "promoted"),
        ("gloo", 0, "envoy_cluster_name", "test-svc-canaryupstream-9898_gloo-system", "canary"),
        ("kuma", 0, "service", "svc-primary_test_svc_9898", "promoted"),
        ("kuma", 0, "service", "svc-canary_test_svc_9898", "canary"),
        ("istio", 0, "destination_workload", "app-primary", "promoted"),
        ("istio", 0, "destination_workload", "app", "canary"),
        ("istio", 1, "destination_workload", "app-primary", "promoted"),
        ("nginx", 1, "service", "test-ing-svc-9898@kubernetesingressnginx", "promoted"),
        ("nginx", 1, "service", "test-ing-svc-9898-canary@kubernetesingressnginx", "canary"),
        ("nginx", 1, "service", "test-ing-other-9898@kubernetesingressnginx", ""),
        ("skipper", 0, "route", "kube_test__ing_canary__host____svc_primary", "promoted"),
        ("skipper", 0, "route", "kubeew_test__ing_canary__host____svc_primary_1", "promoted"),
        ("skipper", 0, "route", "kube_test__ing__host____svc", "promoted"),
        ("skipper", 0, "route", "kube_test__ing_canary__host____svc_canary", "canary"),
    ],
)
def test_each_request_is_counted_for_the_version_that_it_came_to(
    provider: str, source: int, label: str, series: str, version: str, model: Model
) -> None:
    """And those that the users' own Service takes go to the primary, as it leads there."""
    requests = counted(provider)[source]
    named = replace(model, ports="(9898|http)")
    found = {"canary": requests.labels, "promoted": requests.promoted}
    matching = [each for each, labels in found.items() if pattern(labels, label, provider, named).match(series)]
    assert matching == ([version] if version else [])


def test_ingress_nginx_counts_the_primary_under_the_users_own_service(model: Model) -> None:
    """An Ingress may lead to several: the others' requests are nobody's here."""
    assert render(counted("nginx")[0].promoted, model) == 'namespace="test",ingress="ing",service="svc",canary=""'


def test_an_answer_says_how_many_came_to_each(ask: Ask) -> None:
    response = answer(canary_least=40, canary_most=44.5, canary_total=38, promoted_least=360, promoted_total=350)
    assert read("contour", ask(), response) == Counted(
        Came(40, 44.5, 38), Came(360, 360, 350), withheld=0, direct=False
    )


def test_a_balancer_that_begins_anew_may_do_so_every_two_seconds(ask: Ask) -> None:
    found = read("traefik", ask(), answer(promoted_least=360, promoted_total=350))
    assert found is not None
    assert (found.withheld, found.canary) == (30, Came())


def test_the_first_source_that_counts_tells_and_what_another_saw_came_too(ask: Ask) -> None:
    """A canary without a sidecar is not seen where its own would count: the gateway saw it."""
    seen = {"promoted_least": 90, "promoted_total": 90, "canary_most_1": 10, "promoted_total_1": 90}
    assert read("istio", ask(), answer(**seen)) == Counted(Came(0, 10, 0), Came(90, 90, 90), withheld=0, direct=True)


def test_a_mesh_that_sees_the_canary_alone_does_not_tell(ask: Ask) -> None:
    assert read("istio", ask(), answer(canary_least=90, canary_total=90)) is None
    assert read("traefik", ask(), answer(canary_least=90, canary_total=90)) is not None, "a gateway sees both"


@pytest.mark.parametrize(
    "response", [answer(), answer(promoted_least=0, promoted_total=0), answer(promoted_total="NaN")]
)
def test_no_requests_tell_nothing(ask: Ask, response: Response) -> None:
    assert read("traefik", ask(), response) is None


@given(st.sampled_from(SIX), st.floats() | st.text(max_size=5) | st.integers())
def test_any_answer_is_read_or_refused(named: str, value: object) -> None:
    data = {"resultType": "vector", "result": [{"metric": {"count": f"0/{named}"}, "value": [1, str(value)]}]}
    response = Response(200, json.dumps({"status": "success", "data": data}).encode())
    question = Question(name="", query="", threshold=None, interval=None)  # type: ignore[arg-type]  # not looked at
    with suppress(ProviderError):
        read("contour", question, response)


@pytest.mark.parametrize(
    "response",
    [
        Response(200, b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}'),
        Response(200, b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}'),
        Response(503, b"no"),
        None,
    ],
)
async def test_trouble_outside_tells_nothing(ask: Ask, now: datetime, response: Response | None) -> None:
    async def send(_: Request) -> Response:
        if response is None:
            raise NoConnectionError(REFUSED)
        return response

    async with Connections(QUESTIONS, send) as clients:
        assert await count("traefik", ask(query="sum(x)"), clients, now) is None
