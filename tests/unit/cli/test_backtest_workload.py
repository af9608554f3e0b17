import re

import pytest

from canary.api.canary import Canary, parse_canary
from canary.cli.backtest.workload import Workload, choose, rewrite_for
from canary.controller.ask.metric_questions import model_of
from metrics import builtin, templates
from metrics.threshold import UNITS


@pytest.fixture
def canary() -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80, "name": "front"},
                "analysis": {"iterations": 1, "metrics": [{"name": "request-duration", "interval": "1m"}]},
            },
        }
    )


def filled(canary: Canary, workload: Workload, text: str) -> str:
    model = model_of(canary, canary.analysis.metrics[0])
    rewrite = rewrite_for(workload, canary)
    if rewrite is not None:
        text, model = rewrite(text, model)
    return templates.render(text, model)


def matches(query: str, label: str, value: str) -> bool:
    found = re.search(rf'{label}=(~?)"([^"]*)"', query)
    assert found is not None
    return bool(re.fullmatch(found[2], value)) if found[1] else found[2] == value


@pytest.mark.parametrize(
    ("provider", "label", "names"),
    [
        ("kubernetes", "kubernetes_pod_name", ("web-7f9c8d5b6-x2x4z", "web-primary-7f9c8d5b6-x2x4z")),
        ("traefik", "service", ("shop-front-canary-80@kubernetescrd", "shop-front-primary-80@kubernetescrd")),
        (
            "gatewayapi:v1",
            "service",
            ("shop-front-canary-http-80@kubernetesgateway", "shop-front-primary-http-80@kubernetesgateway"),
        ),
        ("contour", "envoy_cluster_name", ("shop_front-canary_80", "shop_front-primary_80")),
        ("istio", "destination_workload", ("web", "web-primary")),
        ("linkerd", "deployment", ("web", "web-primary")),
        ("osm", "destination_name", ("web", "web-primary")),
        ("kuma", "service", ("front-canary_shop_svc_80", "front-primary_shop_svc_80")),
    ],
)
def test_a_built_in_query_asks_for_the_workload_that_is_wanted_and_no_other(
    provider: str, label: str, names: tuple[str, str], canary: Canary
) -> None:
    for metric in UNITS:
        template = builtin.template_of(metric, provider)
        for workload, (own, other) in ((Workload.CANARY, names), (Workload.PRIMARY, names[::-1])):
            query = filled(canary, workload, template)
            assert matches(query, label, own), query
            assert not matches(query, label, other), query


def test_an_apisix_route_is_the_same_for_both(canary: Canary) -> None:
    template = builtin.template_of("request-duration", "apisix")
    assert filled(canary, Workload.PRIMARY, template) == filled(canary, Workload.CANARY, template).replace(
        'target="web"', 'target="web-primary"'
    )


def test_the_nginx_ingress_tells_the_canary_s_requests_by_a_label(canary: Canary) -> None:
    """Traefik, in its place, by the end of a name."""
    template = builtin.template_of("request-success-rate", "nginx")
    of_canary, of_primary = (filled(canary, each, template) for each in (Workload.CANARY, Workload.PRIMARY))
    assert 'canary=~"shop-front-canary-' in of_canary
    assert "-canary@kubernetesingressnginx" in of_canary
    assert 'canary=""' in of_primary
    assert "-canary" not in of_primary
    assert "@kubernetesingressnginx" in of_primary
    assert 'up{canary=""}' in filled(canary, Workload.PRIMARY, 'up{canary!=""}')


@pytest.mark.parametrize(
    ("text", "primary", "plain"),
    [
        ('up{app="{{ target }}"}', 'up{app="web-primary"}', 'up{app="web"}'),
        ('up{app="{{target}}-canary"}', 'up{app="web-primary"}', 'up{app="web"}'),
        ('up{svc="{{ service }}-canary"}', 'up{svc="front-primary"}', 'up{svc="front"}'),
        ('up{svc="front-canary"}', 'up{svc="front-primary"}', 'up{svc="front"}'),
        ('up{svc="front-canary-80"}', 'up{svc="front-primary-80"}', 'up{svc="front-80"}'),
        ('up{svc="front-canaryish"}', 'up{svc="front-canaryish"}', 'up{svc="front-canaryish"}'),
        ('up{ns="{{ namespace }}"}', 'up{ns="shop"}', 'up{ns="shop"}'),
        ('up{app="{{ printf "%s" target }}"}', 'up{app="web-primary"}', 'up{app="web"}'),
    ],
)
def test_a_query_of_one_s_own_asks_for_it_by_the_names_that_are_made(
    text: str, primary: str, plain: str, canary: Canary
) -> None:
    assert filled(canary, Workload.PRIMARY, text) == primary
    assert filled(canary, Workload.PLAIN, text) == plain


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ({Workload.CANARY: 100, Workload.PRIMARY: 100, Workload.PLAIN: 100}, Workload.CANARY),
        ({Workload.CANARY: 3, Workload.PRIMARY: 100, Workload.PLAIN: 150}, Workload.PRIMARY),
        ({Workload.CANARY: 0, Workload.PRIMARY: 0, Workload.PLAIN: 9}, Workload.PLAIN),
        ({Workload.CANARY: 60, Workload.PRIMARY: 100, Workload.PLAIN: 0}, Workload.CANARY),
    ],
)
def test_the_first_workload_with_enough_data_is_looked_at(found: dict[Workload, int], chosen: Workload) -> None:
    assert choose(found) is chosen
