import re
from dataclasses import replace

import pytest

from metrics.builtin import TRAFFIC, query_of, requests_of, series_of, template_of
from metrics.errors import MisconfiguredError
from metrics.templates import Model
from metrics.threshold import UNITS

BOTH = sorted(UNITS)


@pytest.mark.parametrize("provider", sorted(TRAFFIC))
@pytest.mark.parametrize("metric", BOTH)
def test_every_provider_has_both_metrics_over_the_interval(metric: str, provider: str, model: Model) -> None:
    query = query_of(metric, provider, replace(model, interval="37s"))
    assert "[37s]" in query
    assert "{{" not in query
    assert "test" in query


def matcher(query: str, label: str) -> re.Pattern[str]:
    """The first pattern that a query holds a label against, anchored as Prometheus does."""
    found = re.search(rf'{label}=~"([^"]*)"', query)
    assert found is not None
    return re.compile(rf"^(?:{found.group(1)})$")


@pytest.mark.parametrize(
    ("service", "counts"),
    [
        ("test-svc-canary-9898@kubernetescrd", True),
        ("test-svc-canary-http@kubernetescrd", True),
        ("test-svc-primary-9898@kubernetescrd", False),
        ("test-svc-9898@kubernetescrd", False),
        ("other-svc-canary-9898@kubernetescrd", False),
        ("test-svc-canary-9898@kubernetesgateway", False),
        # As safeNaming has it: the TraefikService, the place in its list, the Service.
        ("test_svc_wrr_1_test_svc-canary_9898@kubernetescrd", True),
        ("test_svc-http_wrr_1_test_svc-canary_http@kubernetescrd", True),
        ("test_svc_wrr_0_test_svc-primary_9898@kubernetescrd", False),
        ("test_svc-canary_wrr_1_test_svc-canary-canary_9898@kubernetescrd", False),
        ("test_svc_wrr_1_other_svc-canary_9898@kubernetescrd", False),
        # The neighbour is called svc-canary.
        ("test-svc-canary-primary-9898@kubernetescrd", False),
        ("test-svc-canary-canary-9898@kubernetescrd", False),
        ("test-svc-canary-9898-extra@kubernetescrd", False),
    ],
)
def test_traefik_counts_the_canary_service(service: str, counts: bool, model: Model) -> None:
    for metric in BOTH:
        query = query_of(metric, "traefik", replace(model, ports="(9898|http)"))
        assert bool(matcher(query, "service").match(service)) is counts


@pytest.mark.parametrize(
    ("service", "counts"),
    [
        ("test-svc-canary-9898@kubernetesgateway", True),
        ("test-svc-canary-http-9898@kubernetesgateway", True),
        ("httproute-test-svc-gw-test-gateway-ep-web-0-0123456789abcdef-svc-test-svc-canary-1@kubernetesgateway", True),
        (
            "httproute-test-svc-gw-test-gateway-ep-web-0-0123456789abcdef-svc-test-svc-primary-0@kubernetesgateway",
            False,
        ),
        ("grpcroute-test-svc-gw-test-gateway-ep-web-0-0123456789abcdef-svc-test-svc-canary-1@kubernetesgateway", True),
        ("httproute-test-svc-gw-test-gateway-ep-web-0-0123456789abcdef-wrr@kubernetesgateway", False),
        ("test-svc-primary-http-9898@kubernetesgateway", False),
        ("test-svc-http-9898@kubernetesgateway", False),
        ("test-svc-canary-primary-9898@kubernetesgateway", False),
        # A namespace and a Service that are called like the end of a route.
        ("my-svc-test-svc-canary-9898@kubernetesgateway", False),
        ("httproute-q-x-gw-q-gateway-ep-web-0-0123456789abcdef-svc-q-a-svc-test-svc-canary-1@kubernetesgateway", False),
    ],
)
def test_traefik_behind_the_gateway_api_counts_the_canary_service_in_every_version(
    service: str, counts: bool, model: Model
) -> None:
    for metric in BOTH:
        assert bool(matcher(query_of(metric, "gatewayapi:v1", model), "service").match(service)) is counts


@pytest.mark.parametrize("provider", ["traefik", "gatewayapi:v1"])
@pytest.mark.parametrize(
    ("code", "failed"),
    [
        ("200", False),
        ("404", False),
        ("500", True),
        ("503", True),
        # Of gRPC: OK, UNKNOWN (which Traefik 3.7 gives to calls that end well), NOT_FOUND, RESOURCE_EXHAUSTED.
        *((code, False) for code in ("0", "2", "5", "8")),
        # DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        *((code, True) for code in ("4", "12", "13", "14", "15")),
    ],
)
def test_a_call_over_grpc_that_fails_by_the_servers_fault_is_none_that_traefik_calls_a_success(
    provider: str, code: str, failed: bool, model: Model
) -> None:
    """Traefik gives the call's own code in place of the 200 that every such answer has."""
    assert bool(matcher(query_of("request-success-rate", provider, model), "code").match(code)) is failed


@pytest.mark.parametrize(
    ("pod", "counts"),
    [
        ("app-6d4cf56db6-8bl79", True),
        ("app-8bl79", True),
        ("app-primary-6d4cf56db6-8bl79", False),
        ("app-primary-8bl79", False),
        ("app-other-6d4cf56db6-8bl79", False),
        ("other-6d4cf56db6-8bl79", False),
    ],
)
def test_application_metrics_are_those_of_the_target_s_pods_of_deployments_and_daemonsets(
    pod: str, counts: bool, model: Model
) -> None:
    for metric in BOTH:
        assert bool(matcher(query_of(metric, "kubernetes", model), "kubernetes_pod_name").match(pod)) is counts


@pytest.mark.parametrize(
    ("upstream", "counts"),
    [
        ("test-svc-canaryupstream-9898_gloo-system", True),
        ("test-svc-primaryupstream-9898_gloo-system", False),
        ("test-svc-canaryupstream-9898-primaryupstream-80_gloo-system", False),
    ],
)
def test_gloo_counts_the_canary_upstream(upstream: str, counts: bool, model: Model) -> None:
    for metric in BOTH:
        query = query_of(metric, "gloo", replace(model, ports="(9898|http)"))
        assert bool(matcher(query, "envoy_cluster_name").match(upstream)) is counts


def test_what_a_gateway_saw_comes_before_what_the_application_says(model: Model) -> None:
    parts = query_of("request-success-rate", "gatewayapi", model).split("\nor\n")
    assert "traefik_service_requests_total" in parts[0]
    assert "http_request_duration_seconds_count" in parts[-1]


def test_linkerd_answers_for_its_split_and_for_a_route_of_a_service(model: Model) -> None:
    """The Gateway API is how Linkerd divides requests today, by an HTTPRoute whose parent is a Service."""
    of_linkerd = query_of("request-success-rate", "linkerd", model)
    assert "response_total" in of_linkerd
    for provider in ("gatewayapi:v1", "smi:v1alpha1", "smi:v1alpha3"):
        assert f"({of_linkerd})" in query_of("request-success-rate", provider, model).split("\nor\n")


@pytest.mark.parametrize(
    ("name", "same"), [("gatewayapi:v1beta1", "gatewayapi"), ("appmesh:v1beta2", "appmesh"), ("smi:istio", "istio")]
)
def test_versions_and_the_mesh_interface_make_no_difference(name: str, same: str) -> None:
    for metric in BOTH:
        assert template_of(metric, name) == template_of(metric, same)


def test_skipper_names_are_written_with_underscores(model: Model) -> None:
    query = query_of("request-duration", "skipper", replace(model, namespace="a-b", ingress="c.d", service="e-f"))
    assert 'route=~"kube(ew)?_a_b__c_d_canary__.*__e_f_canary(_[0-9]+)?"' in query


@pytest.mark.parametrize("provider", ["traefik", "kubernetes", "istio", "nginx"])
def test_durations_are_in_milliseconds(provider: str) -> None:
    seconds = "_seconds" in template_of("request-duration", provider)
    assert template_of("request-duration", provider).rstrip(")").endswith("* 1000") is seconds


@pytest.mark.parametrize("provider", sorted(TRAFFIC))
@pytest.mark.parametrize("metric", BOTH)
def test_what_a_query_looks_at_is_named(metric: str, provider: str) -> None:
    named, query = series_of(metric, provider), template_of(metric, provider)
    # A duration stands there as the parts of its histogram.
    found = {re.sub(r"_(bucket|sum|count)$", "", each) for each in re.findall(r"(\w+)\{(?!\{)", query)}
    assert {re.sub(r"_(bucket|sum|count)$", "", each) for each in named} == found
    assert len(named) == len(set(named))


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(MisconfiguredError, match="'nope', only for alb, apisix, appmesh"):
        template_of("request-duration", "nope")
    with pytest.raises(MisconfiguredError, match="there are request-duration, request-rate, request-success-rate"):
        template_of("nope", "istio")


@pytest.mark.parametrize("provider", sorted(TRAFFIC))
def test_requests_are_counted_by_the_series_that_the_success_rate_rests_on(provider: str) -> None:
    for part in requests_of(provider).splitlines():
        if part != "or":
            assert part.strip("()") in template_of("request-success-rate", provider)
