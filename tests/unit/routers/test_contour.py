from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import HTTP_PROXY, Json, ObjectRef
from canary.routers.contour import CONTOUR as ROUTER
from tests.tools.routes import made, manifests

CANARY = parse_canary(
    {
        "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
        "spec": {
            "targetRef": {"name": "my-app"},
            "service": {"port": 80, "match": [{"uri": {"prefix": "/a"}}, {"uri": {"exact": "/b"}}]},
            "analysis": {"iterations": 5, "match": [{"headers": {"x-beta": {"exact": "1"}}}]},
        },
    }
)
PROXY = ObjectRef(HTTP_PROXY, "shop", "my-app")
PRIMARY, FOLLOWER = "my-app-primary", "my-app-canary"


@given(st.builds(Split, canary=st.integers(0, 100), mirror=st.integers(0, 100), matched=st.booleans()))
def test_every_split_can_be_read_back(split: Split) -> None:
    (proxy,) = made(ROUTER, CANARY, split, {})
    assert ROUTER.split(CANARY, {PROXY: proxy}) == split


@given(st.builds(Split, canary=st.integers(0, 100), mirror=st.integers(0, 100), matched=st.booleans()))
def test_no_copy_has_a_weight_of_nothing(split: Split) -> None:
    """Contour takes it for one of all requests."""
    (proxy,) = made(ROUTER, CANARY, split, {})
    services = [each for route in proxy["spec"]["routes"] for each in route["services"]]
    assert all(each["weight"] for each in services if each.get("mirror"))


@given(st.builds(Split, canary=st.integers(0, 100), matched=st.booleans()))
def test_a_path_is_the_last_condition(split: Split) -> None:
    """Before a condition on a header Contour takes an exact path for a prefix."""
    (proxy,) = made(ROUTER, CANARY, split, {})
    for route in proxy["spec"]["routes"]:
        assert ["exact" in each or "prefix" in each for each in route["conditions"]].index(True) + 1 == len(
            route["conditions"]
        )


def test_without_conditions_requests_cannot_be_matched(make_canary: Callable[..., Canary]) -> None:
    with pytest.raises(ValueError, match="no analysis\\.match"):
        made(ROUTER, make_canary(), Split(100, matched=True), {})


def service(name: str, weight: int | None = None, **more: object) -> Json:
    return {"name": name, "port": 80, **({} if weight is None else {"weight": weight}), **more}


class TestObservedSplit:
    def read(self, *routes: list[Json]) -> Split | None:
        conditions = [{"prefix": "/"}]
        found = [{"conditions": conditions, "services": services} for services in routes]
        return ROUTER.split(CANARY, {PROXY: {"spec": {"routes": found}}})

    def test_is_unknown_where_there_is_no_proxy(self) -> None:
        assert ROUTER.split(CANARY, {}) is None
        assert self.read() is None

    def test_is_unknown_where_the_proxy_leads_elsewhere(self) -> None:
        assert self.read([service("my-app", 100)]) is None
        assert self.read([]) is None
        assert self.read([service(PRIMARY, 100)], [service("other", 100)]) is None

    def test_is_unknown_where_routes_divide_differently(self) -> None:
        both = [[service(PRIMARY, 100 - share), service(FOLLOWER, share)] for share in (10, 20)]
        assert self.read(*both) is None

    def test_is_even_where_nobody_has_a_weight(self) -> None:
        """As Contour divides then."""
        assert self.read([service(PRIMARY), service(FOLLOWER, 0)]) == Split(50)

    def test_is_all_of_a_service_alone(self) -> None:
        assert self.read([service(FOLLOWER)]) == Split(100)
        assert self.read([service(PRIMARY, 0)]) == ALL_PRIMARY

    def test_reads_copies_without_a_weight_as_all(self) -> None:
        assert self.read([service(PRIMARY), service(FOLLOWER, mirror=True)]) == Split(0, mirror=100)

    def test_copies_to_others_are_no_part_of_it(self) -> None:
        assert self.read([service(PRIMARY), service("shadow", 50, mirror=True)]) == ALL_PRIMARY

    def test_of_a_trace_of_traffic_is_not_nothing(self) -> None:
        assert self.read([service(PRIMARY, 999), service(FOLLOWER, 1)]) == Split(1)

    @pytest.mark.parametrize(("share", "split"), [(0, Split(0)), (100, Split(100, matched=True))])
    def test_is_that_of_flaggers_a_b_test(self, share: int, split: Split) -> None:
        """It writes a path and a header in one condition, and both routes at rest too."""
        header = {"prefix": "/", "header": {"name": "x-beta", "exact": "1"}}
        weights = [[service(PRIMARY, 100 - each), service(FOLLOWER, each)] for each in (share, 0)]
        routes = [
            {"conditions": [condition], "services": services}
            for condition, services in zip([header, {"prefix": "/"}], weights, strict=True)
        ]
        assert ROUTER.split(CANARY, {PROXY: {"spec": {"routes": routes}}}) == split


class TestUnsettled:
    def said(self, current: str = "valid", **condition: object) -> str:
        valid = {"type": "Valid", "status": "True", "observedGeneration": 3, **condition}
        proxy = {"metadata": {"generation": 3}, "status": {"currentStatus": current, "conditions": [valid]}}
        return ROUTER.unsettled(CANARY, {PROXY: proxy})

    def test_is_empty_once_contour_has_taken_the_proxy(self) -> None:
        assert self.said() == ""

    def test_tells_of_a_contour_that_is_behind(self) -> None:
        assert self.said(observedGeneration=2) == "Contour has not yet seen the latest HTTPProxy my-app"

    def test_tells_what_contour_has_against_it(self) -> None:
        errors = [{"type": "ServiceError", "message": "port 81 not found"}]
        said = self.said("invalid", status="False", message="At least one error present", errors=errors)
        assert said == "Contour doesn't accept HTTPProxy my-app: port 81 not found"

    def test_tells_how_a_proxy_that_nobody_includes_gets_requests(self) -> None:
        said = self.said("orphaned", status="False", errors=[{"type": "Orphaned", "message": "orphaned"}])
        assert said == (
            "no HTTPProxy with a virtualhost includes HTTPProxy my-app: "
            "write includes: [{name: my-app, namespace: shop}] into one"
        )

    def test_tells_of_a_proxy_that_is_for_nobody(self) -> None:
        status = {"currentStatus": "NotReconciled", "description": "Waiting for controller"}
        said = ROUTER.unsettled(CANARY, {PROXY: {"metadata": {"generation": 1}, "status": status}})
        assert "no Contour has taken HTTPProxy my-app" in said
        assert "ingress class" in said

    def test_is_empty_where_nothing_is_told(self) -> None:
        assert ROUTER.unsettled(CANARY, {}) == ""


@pytest.mark.parametrize(
    ("retries", "policy"),
    [
        ({}, {"count": 1}),
        ({"attempts": 0}, {"count": -1}),
        ({"attempts": 2, "retryOn": "5xx, reset"}, {"count": 2, "retryOn": ["5xx", "reset"]}),
        (
            {"attempts": 2, "retryOn": "reset,503"},
            {"count": 2, "retryOn": ["reset", "retriable-status-codes"], "retriableStatusCodes": [503]},
        ),
    ],
)
def test_requests_are_repeated_as_often_as_asked(
    make_canary: Callable[..., Canary], retries: Json, policy: Json
) -> None:
    (proxy,) = made(ROUTER, make_canary({"retries": retries}), ALL_PRIMARY, {})
    assert proxy["spec"]["routes"][0]["retryPolicy"] == policy


def test_the_proxy_is_handed_back_with_all_that_the_spec_says(make_canary: Callable[..., Canary]) -> None:
    canary = make_canary({"timeout": "5s", "mirror": [{"backendRef": {"name": "shadow", "port": 80}}]})
    (proxy,) = manifests(ROUTER.hand_back(canary, {}))
    (route,) = proxy["spec"]["routes"]
    assert [each["name"] for each in route["services"]] == ["my-app", "shadow"]
    assert route["timeoutPolicy"] == {"response": "5s"}


AB = {"iterations": 5, "match": [{"headers": {"a": {"exact": "b"}}}]}
SHADOW = {"backendRef": {"name": "shadow", "port": 80}}


@pytest.mark.parametrize(
    ("given", "analysis", "field"),
    [
        ({"hosts": ["a.example.com"]}, {}, "spec.service.hosts"),
        ({"corsPolicy": {}}, {}, "spec.service.corsPolicy"),
        ({"backendTimeout": "1s"}, {}, "spec.service.backendTimeout"),
        ({"gatewayRefs": [{"name": "g"}]}, {}, "spec.service.gatewayRefs"),
        ({}, {"sessionAffinity": {"cookieName": "c"}}, "spec.analysis.sessionAffinity"),
        ({"match": [{"uri": {"suffix": "/x"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"uri": {}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"uri": {"regex": ".*x"}}]}, {}, "spec.service.match[0].uri"),
        ({"match": [{"method": {}}]}, {}, "spec.service.match[0].method"),
        ({"match": [{"headers": {"a": {}}}]}, {}, "spec.service.match[0].headers.a"),
        ({"match": [{"scheme": {"exact": "https"}}]}, {}, "spec.service.match[0].scheme"),
        ({"match": [{"withoutHeaders": {"a": {"exact": "b"}}}]}, {}, "spec.service.match[0].withoutHeaders"),
        ({"match": [{"headers": {"A": {"exact": "c"}}}]}, AB, "spec.analysis.match[0].headers.a"),
        ({}, {"iterations": 5, "match": [{}]}, "spec.analysis.match[0]"),
        ({"rewrite": {}}, {}, "spec.service.rewrite"),
        ({"rewrite": {"uri": "/", "type": "ReplaceFullPath"}}, {}, "spec.service.rewrite.type"),
        ({"rewrite": {"uri": "/"}, "match": [{"uri": {"exact": "/a"}}]}, {}, "spec.service.rewrite.uri"),
        ({"rewrite": {"uri": "/"}, "match": [{"uri": {"prefix": "/a"}}] * 2}, {}, "spec.service.rewrite.uri"),
        ({"rewrite": {"uri": "/"}}, AB, "spec.service.rewrite.uri"),
        ({"headers": {"request": {"add": {"a": "b"}}}}, {}, "spec.service.headers.request.add"),
        ({"headers": {"response": {"set": {"host": "b"}}}}, {}, "spec.service.headers.response.set.host"),
        ({"headers": {"response": {"set": {"a": ""}}}}, {}, "spec.service.headers.response.set.a"),
        ({"headers": {"request": {"set": {"a b": "c"}}}}, {}, "spec.service.headers.request.set"),
        ({"headers": {"request": {"remove": ["a", "A"]}}}, {}, "spec.service.headers.request.remove"),
        ({"retries": {"perTryTimeout": "soon"}}, {}, "spec.service.retries.perTryTimeout"),
        ({"retries": {"retryOn": "5xx,sunshine"}}, {}, "spec.service.retries.retryOn"),
        ({"mirror": [SHADOW, SHADOW]}, {}, "spec.service.mirror"),
        ({"mirror": [SHADOW]}, {"mirror": True, "iterations": 3}, "spec.service.mirror"),
        (
            {"mirror": [{"backendRef": {"name": "a", "port": 80, "namespace": "lab"}}]},
            {},
            "spec.service.mirror[0].backendRef.namespace",
        ),
        (
            {"mirror": [{"backendRef": {"name": "a", "port": 80, "kind": "Lake"}}]},
            {},
            "spec.service.mirror[0].backendRef.kind",
        ),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(
    make_canary: Callable[..., Canary], given: Json, analysis: Json, field: str
) -> None:
    (problem,) = ROUTER.problems(make_canary(given, analysis))
    assert problem.field == field
    assert problem.message
    assert problem.remedy


def test_an_analysis_that_is_skipped_is_not_looked_at(make_canary: Callable[..., Canary]) -> None:
    assert ROUTER.problems(make_canary({"rewrite": {"uri": "/"}}, AB, skipAnalysis=True)) == ()
