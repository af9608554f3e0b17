from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import ROUTE_TABLE, UPSTREAM, Json, ObjectRef
from canary.routers.gloo import GLOO as ROUTER
from tests.tools.routes import by_ref, made

CANARY = parse_canary(
    {
        "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
        "spec": {
            "targetRef": {"name": "my-app"},
            "service": {"port": 80},
            "analysis": {"iterations": 5, "match": [{"headers": {"x-beta": {"exact": "1"}}}]},
        },
    }
)
TABLE = ObjectRef(ROUTE_TABLE, "shop", "my-app")
CONFIG = ObjectRef(UPSTREAM, "gloo-system", "config")
REF = {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "config", "namespace": "gloo-system"}


@given(st.builds(Split, canary=st.integers(0, 100), mirror=st.integers(0, 100), matched=st.booleans()))
def test_every_split_can_be_read_back(split: Split) -> None:
    assert ROUTER.split(CANARY, by_ref(made(ROUTER, CANARY, split, {}))) == split


def test_without_conditions_requests_cannot_be_matched(make_canary: Callable[..., Canary]) -> None:
    with pytest.raises(ValueError, match="no analysis\\.match"):
        made(ROUTER, make_canary(), Split(100, matched=True), {})


def test_upstreams_stand_before_a_table_leads_to_them() -> None:
    assert [each["kind"] for each in made(ROUTER, CANARY, ALL_PRIMARY)] == ["Upstream", "Upstream", "RouteTable"]


class TestUpstreamRef:
    def test_that_is_missing_is_told(self, make_canary: Callable[..., Canary]) -> None:
        canary = make_canary(upstreamRef=REF)
        (problem,) = ROUTER.unfit(canary, {})
        assert problem.field == "spec.upstreamRef"
        assert "config" in problem.message
        assert ROUTER.unfit(canary, {CONFIG: {"spec": {}}}) == ()
        assert CONFIG in ROUTER.refs(canary)

    def test_what_was_copied_stays_while_it_is_missing(self, make_canary: Callable[..., Canary]) -> None:
        """Else the way in which requests reach the versions would change while nobody has asked for that."""
        canary = make_canary(upstreamRef=REF)
        before = made(ROUTER, canary, ALL_PRIMARY, {CONFIG: {"spec": {"useHttp2": True}}})
        after = made(ROUTER, canary, ALL_PRIMARY, by_ref(before))
        assert [each["spec"].get("useHttp2") for each in after] == [True, True, None]

    def test_of_no_kind_of_gloos_is_refused(self, make_canary: Callable[..., Canary]) -> None:
        wrong = make_canary(upstreamRef={**REF, "apiVersion": "v1", "kind": "Service"})
        assert [each.field for each in ROUTER.problems(wrong)] == [
            "spec.upstreamRef.apiVersion",
            "spec.upstreamRef.kind",
        ]


class TestObservedSplit:
    def read(self, *routes: Json) -> Split | None:
        return ROUTER.split(CANARY, {TABLE: {"spec": {"routes": list(routes)}}})

    def route(self, **weights: int) -> Json:
        destinations = [
            {
                "destination": {"upstream": {"name": f"shop-my-app-{each}upstream-80", "namespace": "shop"}},
                "weight": weight,
            }
            for each, weight in weights.items()
        ]
        return {"routeAction": {"multi": {"destinations": destinations}}}

    def test_is_unknown_where_the_table_is_not_of_our_making(self) -> None:
        assert ROUTER.split(CANARY, {}) is None
        assert self.read() is None
        assert self.read({"routeAction": {"single": {"upstream": {"name": "a", "namespace": "b"}}}}) is None
        assert self.read(self.route(other=1)) is None
        assert self.read(self.route(primary=0)) is None
        assert self.read(self.route(primary=1), self.route(canary=1)) is None

    def test_is_that_of_flaggers_table(self) -> None:
        """Its A/B test has one route, for those who match."""
        assert self.read(self.route(primary=90, canary=10)) == Split(10)

    def test_is_of_the_upstreams_of_its_own_namespace(self) -> None:
        """`shop-my-app` could be of the namespace `shop` or of another one."""
        route = self.route(primary=100)
        route["routeAction"]["multi"]["destinations"][0]["destination"]["upstream"]["namespace"] = "shop-my"
        assert self.read(route) is None


class TestUnsettled:
    def said(self, status: Json) -> str:
        return ROUTER.unsettled(CANARY, {TABLE: {"status": {"statuses": {"gloo-system": status}}}})

    @pytest.mark.parametrize("state", ["Rejected", 2])
    def test_tells_why_gloo_refuses(self, state: object) -> None:
        assert self.said({"state": state, "reason": "no such upstream"}) == (
            "Gloo doesn't accept RouteTable my-app: no such upstream"
        )

    @pytest.mark.parametrize("status", [{"state": "Accepted"}, {"state": 1}, {}])
    def test_is_empty_otherwise(self, status: Json) -> None:
        assert self.said(status) == ""
        assert ROUTER.unsettled(CANARY, {}) == ""


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"hosts": ["a.example.com"]}, "spec.service.hosts"),
        ({"backendTimeout": "5s"}, "spec.service.backendTimeout"),
        ({"mirror": [{"backendRef": {"name": "a", "port": 80}}]}, "spec.service.mirror"),
        ({"match": [{"method": {"regex": "GET|PUT"}}]}, "spec.service.match[0].method"),
        ({"match": [{"method": {}}]}, "spec.service.match[0].method"),
        ({"match": [{"uri": {"suffix": "/x"}}]}, "spec.service.match[0].uri"),
        ({"rewrite": {}}, "spec.service.rewrite"),
        ({"rewrite": {"uri": "/", "type": "ReplaceFullPath"}}, "spec.service.rewrite.type"),
        ({"retries": {"attempts": 3}}, "spec.service.retries.retryOn"),
        ({"retries": {"attempts": 3, "retryOn": "sunshine"}}, "spec.service.retries.retryOn"),
        ({"retries": {"retryOn": "5xx", "perTryTimeout": "soon"}}, "spec.service.retries.perTryTimeout"),
        ({"corsPolicy": {"maxAge": "1d"}}, "spec.service.corsPolicy.maxAge"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(make_canary: Callable[..., Canary], given: Json, field: str) -> None:
    (problem,) = ROUTER.problems(make_canary(given))
    assert problem.field == field
    assert problem.message
    assert problem.remedy


def test_no_attempts_are_no_retries(make_canary: Callable[..., Canary]) -> None:
    """Gloo reads 0 as its default of 1."""
    canary = make_canary({"retries": {"attempts": 0}})
    assert ROUTER.problems(canary) == ()
    *_, table = made(ROUTER, canary, ALL_PRIMARY)
    assert "options" not in table["spec"]["routes"][0]
