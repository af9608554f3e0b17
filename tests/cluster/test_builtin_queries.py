"""The built-in queries and those of the dashboard, judged by Prometheus's own engine: exact numbers, no neighbours."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.sandbox import binaries
from deploy.grafana.queries import dashboard as dashboard_of
from deploy.grafana.queries import queries
from metrics.builtin import TRAFFIC, query_of
from metrics.templates import Model
from metrics.threshold import REQUEST_DURATION, REQUEST_RATE, REQUEST_SUCCESS_RATE

MODEL = Model(
    name="app",
    namespace="test",
    target="app",
    service="app",
    ingress="app",
    route="app",
    interval="1m",
    ports="(80|http)",
    kind="Deployment",
)

POD = 'kubernetes_namespace="test",kubernetes_pod_name="{}-6d4cf56db6-x7wvk"'
CLUSTER = 'envoy_cluster_name="{}"'

COUNTERS: Mapping[str, tuple[str, str, str, tuple[str, ...]]] = {
    "traefik": (
        "traefik_service_requests_total",
        'service="test-app-canary-80@kubernetescrd"',
        "code",
        ("test-app-canary-primary-80@kubernetescrd", "test-app-canary-canary-80@kubernetescrd"),
    ),
    "traefik, safe names": (
        "traefik_service_requests_total",
        'service="test_app_wrr_1_test_app-canary_80@kubernetescrd"',
        "code",
        ("test_app-canary_wrr_1_test_app-canary-canary_80@kubernetescrd",),
    ),
    "gatewayapi": (
        "traefik_service_requests_total",
        'service="httproute-test-app-gw-gw-gw-ep-web-0-0123456789abcdef0123-svc-test-app-canary-1@kubernetesgateway"',
        "code",
        ("httproute-test-app-gw-gw-gw-ep-web-0-0123456789abcdef0123-svc-test-app-canary-primary-1@kubernetesgateway",),
    ),
    "kubernetes": (
        "http_request_duration_seconds_count",
        POD.format("app"),
        "status",
        ("app-canary-6d4cf56db6-x7wvk", "app-primary-6d4cf56db6-x7wvk"),
    ),
    "contour": (
        "envoy_cluster_upstream_rq",
        CLUSTER.format("test_app-canary_80"),
        "envoy_response_code",
        ("test_app-canary-primary_80",),
    ),
    "gloo": (
        "envoy_cluster_upstream_rq",
        CLUSTER.format("test-app-canaryupstream-80_gloo-system"),
        "envoy_response_code",
        ("test-app-primaryupstream-80_gloo-system",),
    ),
    "istio": (
        "istio_requests_total",
        'reporter="destination",destination_workload_namespace="test",destination_workload="app"',
        "response_code",
        ("app-canary", "app-primary"),
    ),
    "nginx": (
        "nginx_ingress_controller_requests",
        'namespace="test",ingress="app",canary="test-app-canary-80"',
        "status",
        ("test-other-canary-80", "test-app-canary-canary-80", ""),
    ),
    "nginx, by Traefik": (
        "traefik_service_requests_total",
        'service="test-app-app-80-canary@kubernetesingressnginx"',
        "code",
        ("test-app-app-80@kubernetesingressnginx", "test-app-app-canary-80-canary@kubernetesingressnginx"),
    ),
}
"""By provider: the counter, the canary's labels, the label of a response's code, and names of neighbours."""


def neighbour(labels: str, name: str) -> str:
    """The labels with another name in place of the one that tells workloads apart."""
    pairs = [each.split("=", 1) for each in labels.split(",")]
    telling = pairs[-1][0]
    return ",".join(f'{key}="{name}"' if key == telling else f"{key}={value}" for key, value in pairs)


def judged(folder: Path, series: Mapping[str, str], asked: Mapping[str, float | None], at: str = "2m") -> None:
    """Have promtool see what the queries say of the series at some time; None is no sample."""
    checks = [
        {
            "expr": query,
            "eval_time": at,
            "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
        }
        for query, value in asked.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    tests = [{"interval": "15s", "input_series": inputs, "promql_expr_test": checks}]
    path = folder / "queries.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": tests}))
    program = binaries.ensure(("promtool",))["promtool"]
    done = subprocess.run([program, "test", "rules", path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def counted(counter: str, labels: str, code: str, good: int, bad: int) -> dict[str, str]:
    """A series of requests that were answered, and one of those that failed, so many each quarter of a minute."""
    return {
        f'{counter}{{{labels},{code}="200"}}': f"0+{good}x20",
        f'{counter}{{{labels},{code}="503"}}': f"0+{bad}x20",
    }


@pytest.mark.parametrize("provider", COUNTERS)
@pytest.mark.parametrize(
    ("good", "bad", "rate"), [(3, 2, 60), (7, 7, 50), (0, 7, 0), (0, 49, 0), (9, 1, 90), (997, 3, 99.7), (11, 0, 100)]
)
def test_the_success_rate_is_the_decimal_that_it_is(
    tmp_path: Path, provider: str, good: int, bad: int, rate: float
) -> None:
    """As `threshold: 60` compares it. Neighbours fail everything, and are not counted."""
    counter, labels, code, neighbours = COUNTERS[provider]
    series = counted(counter, labels, code, good, bad)
    for name in neighbours:
        series |= counted(counter, neighbour(labels, name), code, 0, 1000)
    family = provider.partition(",")[0]
    judged(tmp_path, series, {query_of(REQUEST_SUCCESS_RATE, family, MODEL): rate})


@pytest.mark.parametrize("provider", COUNTERS)
def test_without_requests_there_is_no_success_rate(tmp_path: Path, provider: str) -> None:
    counter, labels, code, neighbours = COUNTERS[provider]
    # Not a number is equal to nothing, for promtool too.
    query = f"absent(({query_of(REQUEST_SUCCESS_RATE, provider.partition(',')[0], MODEL)}) >= 0)"
    judged(tmp_path, {}, {query: 1})
    series: dict[str, str] = {}
    for name in neighbours:
        series |= counted(counter, neighbour(labels, name), code, 0, 1000)
    judged(tmp_path, series, {query: 1})
    judged(tmp_path, counted(counter, labels, code, 0, 0), {query: 1})


@pytest.mark.parametrize("provider", COUNTERS)
def test_the_rate_is_of_all_requests_a_second(tmp_path: Path, provider: str) -> None:
    counter, labels, code, neighbours = COUNTERS[provider]
    series = counted(counter, labels, code, 30, 15)
    for name in neighbours:
        series |= counted(counter, neighbour(labels, name), code, 0, 1000)
    judged(tmp_path, series, {f"round({query_of(REQUEST_RATE, provider.partition(',')[0], MODEL)}, 1e-6)": 3})


def test_latency_is_read_from_either_form_of_a_histogram(tmp_path: Path) -> None:
    """Where native histograms are scraped, Prometheus 3 keeps no buckets beside them unless it is told to."""
    query = query_of(REQUEST_DURATION, "kubernetes", MODEL)
    name, labels = "http_request_duration_seconds", f'{POD.format("app")},status="200"'
    buckets = {"0.5": 0, "1": 10, "+Inf": 10}
    classic = {f'{name}_bucket{{{labels},le="{bound}"}}': f"0+{count}x20" for bound, count in buckets.items()}
    # Ten requests each time in the bucket of schema 0 that goes from 0.5 to 1 second.
    native = {f"{name}{{{labels}}}": "{{schema:0}}+{{schema:0 sum:8 count:10 offset:0 buckets:[10]}}x20"}
    whole = f"round({query}, 1)"
    judged(tmp_path, classic, {whole: 995.0})
    judged(tmp_path, native, {whole: 993.0})
    judged(tmp_path, classic | native, {whole: 995.0})


@pytest.mark.parametrize("protocol", ["websocket", "sse"])
def test_how_long_users_stay_connected_is_no_latency_behind_traefik(tmp_path: Path, protocol: str) -> None:
    """Traefik 3.7.15 times a WebSocket, whose code is 0, and events sent one by one as long as they are open."""
    _, labels, _, _ = COUNTERS["traefik"]
    name = f"traefik_service_request_duration_seconds_bucket{{{labels}"
    buckets = ("0.1", "0.3", "1.2", "5", "+Inf")
    quick = {f'{name},code="200",protocol="http",le="{bound}"}}': "0+9x20" for bound in buckets}
    open_long = {f'{name},code="0",protocol="{protocol}",le="+Inf"}}': "0+9x20"}
    judged(tmp_path, quick | open_long, {f"round({query_of(REQUEST_DURATION, 'traefik', MODEL)}, 1)": 99.0})


def test_how_long_a_websocket_is_open_is_no_latency_in_istio(tmp_path: Path) -> None:
    """Envoy 1.40.0 tells the end of a WebSocket, of code 101, with the whole time as its duration."""
    workload = 'destination_workload_namespace="test",destination_workload="app"'
    name = f'istio_request_duration_milliseconds_bucket{{reporter="destination",{workload}'
    quick = {f'{name},response_code="200",le="{bound}"}}': "0+9x20" for bound in ("100", "+Inf")}
    open_long = {f'{name},response_code="101",le="+Inf"}}': "0+9x20"}
    judged(tmp_path, quick | open_long, {f"round({query_of(REQUEST_DURATION, 'istio', MODEL)}, 1)": 99.0})


@pytest.mark.parametrize("provider", sorted(TRAFFIC))
@pytest.mark.parametrize("metric", [REQUEST_SUCCESS_RATE, REQUEST_DURATION, REQUEST_RATE])
def test_every_query_is_promql(tmp_path: Path, metric: str, provider: str) -> None:
    judged(tmp_path, {}, {query_of(metric, provider, MODEL): None})


def on_the_dashboard() -> Iterator[tuple[str, str]]:
    dashboard: dict[str, Any] = dashboard_of("canary.json")
    return iter(queries(dashboard, {"namespace": "test", "name": "app", "service": "app", "ports": "(80|http)"}))


@pytest.mark.parametrize(("good", "bad", "rate"), [(3, 2, 60), (0, 49, 0)])
def test_the_dashboard_shows_the_same_number(tmp_path: Path, good: int, bad: int, rate: float) -> None:
    counter, labels, code, _ = COUNTERS["traefik"]
    about = [query for title, query in on_the_dashboard() if title == "Success rate" and "app-canary-" in query]
    assert len(about) == 1
    judged(tmp_path, counted(counter, labels, code, good, bad), {about[0]: rate})


def test_rollouts_are_counted_over_the_time_that_is_shown_whichever_controller_counted_them(tmp_path: Path) -> None:
    """A controller that starts anew begins at 0."""
    asked = {query: 3.0 for title, query in on_the_dashboard() if title == "Promoted"}
    labels = 'namespace="test",name="app"'
    series = {
        f'flagger_canary_successes_total{{{labels},instance="a"}}': "5x9 6x9 7x9 stale",
        f'flagger_canary_successes_total{{{labels},instance="b"}}': "_x30 0x9 1x29",
    }
    judged(tmp_path, series, asked, at="15m")
