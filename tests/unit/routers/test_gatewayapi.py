from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import HTTP_ROUTE, Json, ObjectRef
from canary.routers.gatewayapi import GATEWAY_API as ROUTER
from tests.tools.routes import made

GATEWAYS: Json = {"gatewayRefs": [{"name": "gateway"}]}
CANARY = parse_canary(
    {
        "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
        "spec": {
            "targetRef": {"name": "my-app"},
            "service": {"port": 80, **GATEWAYS},
            "analysis": {"iterations": 5, "match": [{"headers": {"x-beta": {"exact": "1"}}}]},
        },
    }
)
ROUTE = ObjectRef(HTTP_ROUTE, "shop", "my-app")


@given(st.builds(Split, canary=st.integers(0, 100), mirror=st.integers(0, 100), matched=st.booleans()))
def test_every_split_can_be_read_back(split: Split) -> None:
    (route,) = made(ROUTER, CANARY, split, {})
    assert ROUTER.split(CANARY, {ROUTE: route}) == split


def test_without_conditions_requests_cannot_be_matched(make_canary: Callable[..., Canary]) -> None:
    with pytest.raises(ValueError, match="no analysis\\.match"):
        made(ROUTER, make_canary(GATEWAYS), Split(100, matched=True), {})


class TestObservedSplit:
    @pytest.mark.parametrize(
        "rules",
        [
            pytest.param([], id="no rules"),
            pytest.param([{"filters": [{"type": "RequestRedirect"}]}], id="a redirect"),
            pytest.param([{"backendRefs": [{"name": "my-app"}]}], id="another Service"),
            pytest.param([{"backendRefs": [{"name": "my-app-primary", "weight": 0}]}], id="no weight"),
            pytest.param(
                [{"backendRefs": [{"name": name}]} for name in ("my-app-primary", "my-app-canary")],
                id="the canary by another path",
            ),
        ],
    )
    def test_is_unknown_where_the_route_is_not_of_our_making(self, rules: list[Json]) -> None:
        assert ROUTER.split(CANARY, {ROUTE: {"spec": {"rules": rules}}}) is None

    def test_is_unknown_where_there_is_no_route(self) -> None:
        assert ROUTER.split(CANARY, {}) is None

    def test_counts_a_missing_weight_as_one(self) -> None:
        backends = [{"name": "my-app-primary"}, {"name": "my-app-canary"}]
        assert ROUTER.split(CANARY, {ROUTE: {"spec": {"rules": [{"backendRefs": backends}]}}}) == Split(50)

    def test_reads_copies_given_as_a_fraction(self) -> None:
        mirror = {"backendRef": {"name": "my-app-canary"}, "fraction": {"numerator": 1, "denominator": 4}}
        rule = {"backendRefs": [{"name": "my-app-primary"}], "filters": [{"requestMirror": mirror}]}
        assert ROUTER.split(CANARY, {ROUTE: {"spec": {"rules": [rule]}}}) == Split(0, mirror=25)

    def test_copies_to_others_are_no_part_of_it(self) -> None:
        mirror = {"backendRef": {"name": "shadow"}}
        rule = {"backendRefs": [{"name": "my-app-primary"}], "filters": [{"requestMirror": mirror}]}
        assert ROUTER.split(CANARY, {ROUTE: {"spec": {"rules": [rule]}}}) == ALL_PRIMARY


class TestUnsettled:
    def route(self, **condition: object) -> dict[ObjectRef, Json]:
        accepted = {"type": "Accepted", "status": "True", "observedGeneration": 3, **condition}
        parent = {"parentRef": {"name": "gateway"}, "conditions": [accepted]}
        return {ROUTE: {"metadata": {"generation": 3}, "status": {"parents": [parent]}}}

    def test_is_empty_once_the_gateway_has_taken_the_route(self) -> None:
        assert ROUTER.unsettled(CANARY, self.route()) == ""

    def test_tells_of_a_gateway_that_is_behind(self) -> None:
        assert "not yet seen" in ROUTER.unsettled(CANARY, self.route(observedGeneration=2))

    def test_tells_why_a_gateway_refuses(self) -> None:
        refused = self.route(status="False", message="No listener takes it")
        assert (
            ROUTER.unsettled(CANARY, refused) == "gateway gateway doesn't accept HTTPRoute my-app: No listener takes it"
        )

    def test_names_what_the_gateway_cannot_find(self) -> None:
        unresolved = self.route(type="ResolvedRefs", status="False", message="Service my-app-canary not found")
        assert ROUTER.unsettled(CANARY, unresolved) == (
            "gateway gateway can't find what is named by HTTPRoute my-app: Service my-app-canary not found"
        )

    def test_is_empty_where_nothing_is_told(self) -> None:
        assert ROUTER.unsettled(CANARY, {}) == ""
        assert ROUTER.unsettled(CANARY, {ROUTE: {"metadata": {"generation": 3}}}) == ""

    def test_does_not_ask_gateways_of_others(self) -> None:
        route = self.route(status="False")
        route[ROUTE]["status"]["parents"][0]["parentRef"]["name"] = "other"
        assert ROUTER.unsettled(CANARY, route) == ""


@pytest.mark.parametrize(
    ("service", "analysis", "field"),
    [
        ({"retries": {"attempts": 3}}, {}, "spec.service.retries"),
        ({"gateways": ["mesh"]}, {}, "spec.service.gateways"),
        ({"delegation": True}, {}, "spec.service.delegation"),
        ({"meshName": "m"}, {}, "spec.service.meshName"),
        ({"backends": ["b"]}, {}, "spec.service.backends"),
        ({"trafficPolicy": {}}, {}, "spec.service.trafficPolicy"),
        ({"timeout": "100us"}, {}, "spec.service.timeout"),
        ({"timeout": "1s", "backendTimeout": "2s"}, {}, "spec.service.backendTimeout"),
        ({"match": [{"uri": {"suffix": "/x"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"uri": {}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"method": {"regex": "GET|PUT"}}]}, {}, "spec.service.match[0].method"),
        ({"match": [{"headers": {"a": {"prefix": "b"}}}]}, {}, "spec.service.match[0].headers.a"),
        ({"match": [{"queryParams": {"a": {"prefix": "b"}}}]}, {}, "spec.service.match[0].queryParams.a"),
        ({"match": [{"scheme": {"exact": "https"}}]}, {}, "spec.service.match[0].scheme"),
        ({"match": [{"authority": {"exact": "a"}}]}, {}, "spec.service.match[0].authority"),
        ({"match": [{"port": 80}]}, {}, "spec.service.match[0].port"),
        ({"match": [{"name": "all"}]}, {}, "spec.service.match[0].name"),
        ({"match": [{"ignoreUriCase": True}]}, {}, "spec.service.match[0].ignoreUriCase"),
        ({"match": [{"gateways": ["mesh"]}]}, {}, "spec.service.match[0].gateways"),
        ({"match": [{"sourceLabels": {"a": "b"}}]}, {}, "spec.service.match[0].sourceLabels"),
        ({"match": [{"sourceNamespace": "a"}]}, {}, "spec.service.match[0].sourceNamespace"),
        ({"match": [{"withoutHeaders": {"a": {"exact": "b"}}}]}, {}, "spec.service.match[0].withoutHeaders"),
        ({"rewrite": {}}, {}, "spec.service.rewrite"),
        ({"rewrite": {"uri": "/", "type": "Prefix"}}, {}, "spec.service.rewrite.type"),
        (
            {"rewrite": {"uri": "/", "type": "ReplacePrefixMatch"}, "match": [{"uri": {"exact": "/a"}}]},
            {},
            "spec.service.rewrite.type",
        ),
        ({"corsPolicy": {"allowOrigins": [{"regex": ".*"}]}}, {}, "spec.service.corsPolicy.allowOrigins[0]"),
        ({"corsPolicy": {"maxAge": "1500ms"}}, {}, "spec.service.corsPolicy.maxAge"),
        ({"corsPolicy": {"maxAge": "1d"}}, {}, "spec.service.corsPolicy.maxAge"),
        ({}, {"match": [{"headers": {"a": {"suffix": "b"}}}]}, "spec.analysis.match[0].headers.a"),
        ({}, {"match": [{}]}, "spec.analysis.match[0]"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(
    make_canary: Callable[..., Canary], service: Json, analysis: Json, field: str
) -> None:
    (problem,) = ROUTER.problems(make_canary({**GATEWAYS, **service}, {"iterations": 5, **analysis}))
    assert problem.field == field
    assert problem.message
    assert problem.remedy


def test_a_prefix_is_replaced_where_each_rule_has_one(make_canary: Callable[..., Canary]) -> None:
    service = {**GATEWAYS, "rewrite": {"uri": "/", "type": "ReplacePrefixMatch"}}
    canary = make_canary({**service, "match": [{"uri": {"prefix": "/api"}}]})
    assert ROUTER.problems(canary) == ()
    (route,) = made(ROUTER, canary, ALL_PRIMARY, {})
    rewrite = route["spec"]["rules"][0]["filters"][0]["urlRewrite"]
    assert rewrite == {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}


@pytest.mark.parametrize(
    ("text", "written"),
    [("15s", "15s"), ("90s", "1m30s"), ("1.5h", "1h30m"), ("250ms", "250ms"), ("1h0m0.5s", "1h500ms")],
)
def test_limits_are_written_as_the_gateway_api_reads_them(
    make_canary: Callable[..., Canary], text: str, written: str
) -> None:
    (route,) = made(ROUTER, make_canary({**GATEWAYS, "timeout": text}), ALL_PRIMARY, {})
    assert route["spec"]["rules"][0]["timeouts"] == {"request": written}
