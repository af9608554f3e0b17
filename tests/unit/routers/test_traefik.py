from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import TRAEFIK_SERVICE, Json, ObjectRef
from canary.routers.traefik import TRAEFIK as ROUTER
from tests.tools.routes import made

ROUTE = ObjectRef(TRAEFIK_SERVICE, "shop", "my-app")
CANARY = parse_canary(
    {
        "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
        "spec": {"targetRef": {"name": "my-app"}, "service": {"port": 80}},
    }
)


def observed(*services: Json) -> dict[ObjectRef, Json]:
    return {ROUTE: {"spec": {"weighted": {"services": list(services)}}}}


@given(st.integers(0, 100).map(Split))
def test_every_split_can_be_read_back(split: Split) -> None:
    (route,) = made(ROUTER, CANARY, split, {})
    assert ROUTER.split(CANARY, {ROUTE: route}) == split


@pytest.mark.parametrize("split", [Split(0, mirror=10), Split(100, matched=True)])
def test_it_neither_mirrors_nor_matches(split: Split) -> None:
    with pytest.raises(ValueError, match="neither mirror nor match"):
        made(ROUTER, CANARY, split, {})


class TestObservedSplit:
    def test_is_unknown_where_there_is_no_object(self) -> None:
        assert ROUTER.split(CANARY, {}) is None

    def test_is_unknown_where_the_object_leads_elsewhere(self) -> None:
        assert ROUTER.split(CANARY, observed({"name": "other", "weight": 1})) is None
        both = observed({"name": "my-app-primary", "weight": 1}, {"name": "other", "weight": 1})
        assert ROUTER.split(CANARY, both) is None

    def test_is_unknown_where_nothing_gets_requests(self) -> None:
        assert ROUTER.split(CANARY, observed({"name": "my-app-primary", "weight": 0})) is None
        assert ROUTER.split(CANARY, {ROUTE: {"spec": {"mirroring": {}}}}) is None

    def test_is_in_percent_whatever_the_total(self) -> None:
        both = observed({"name": "my-app-primary", "weight": 3}, {"name": "my-app-canary"})
        assert ROUTER.split(CANARY, both) == Split(25)

    def test_of_a_trace_of_traffic_is_not_nothing(self) -> None:
        both = observed({"name": "my-app-primary", "weight": 999}, {"name": "my-app-canary", "weight": 1})
        assert ROUTER.split(CANARY, both) == Split(1)

    def test_reads_the_primary_alone(self) -> None:
        assert ROUTER.split(CANARY, observed({"name": "my-app-primary", "weight": 100})) == ALL_PRIMARY


@pytest.mark.parametrize(
    ("service", "analysis", "field"),
    [
        ({"hosts": ["a.example.com"]}, {}, "spec.service.hosts"),
        ({"match": [{"uri": {"prefix": "/"}}]}, {}, "spec.service.match"),
        ({"retries": {"attempts": 3}}, {}, "spec.service.retries"),
        ({"timeout": "5s"}, {}, "spec.service.timeout"),
        ({"rewrite": {"uri": "/"}}, {}, "spec.service.rewrite"),
        ({"headers": {"request": {"set": {"a": "b"}}}}, {}, "spec.service.headers"),
        ({"gateways": ["mesh"]}, {}, "spec.service.gateways"),
        ({"trafficPolicy": {}}, {}, "spec.service.trafficPolicy"),
        ({}, {"match": [{"headers": {"a": {"exact": "b"}}}], "iterations": 3}, "spec.analysis.match"),
        ({}, {"mirror": True}, "spec.analysis.mirror"),
        ({}, {"sessionAffinity": {"cookieName": "c"}}, "spec.analysis.sessionAffinity"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(
    make_canary: Callable[..., Canary], service: Json, analysis: Json, field: str
) -> None:
    (problem,) = ROUTER.problems(make_canary(service, analysis))
    assert problem.field == field
    assert "traefik" in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("ingressRef", {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "a"}),
        ("routeRef", {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "a"}),
        ("upstreamRef", {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "a"}),
    ],
)
def test_references_of_other_providers_are_refused(
    make_canary: Callable[..., Canary], reference: str, value: Any
) -> None:
    (problem,) = ROUTER.problems(make_canary(**{reference: value}))
    assert problem.field == f"spec.{reference}"


def test_an_analysis_under_its_older_name_is_refused_under_that_name(make_canary: Callable[..., Canary]) -> None:
    canary = make_canary(analysis=None, canaryAnalysis={"mirror": True})
    older = canary.replace(spec=canary.spec.replace(analysis=None))
    (problem,) = ROUTER.problems(older)
    assert problem.field == "spec.canaryAnalysis.mirror"


def test_an_analysis_that_is_skipped_is_not_looked_at(make_canary: Callable[..., Canary]) -> None:
    assert ROUTER.problems(make_canary(analysis={"mirror": True}, skipAnalysis=True)) == ()
