"""Istio: what is read of VirtualServices, and what is refused before Istio would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from canary.api import rules as rules_of_canaries
from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.diff import covers
from canary.kube.types import DESTINATION_RULE, VIRTUAL_SERVICE, Json, ObjectRef
from canary.routers.istio import ISTIO as ROUTER
from canary.routers.registry import ROUTES
from tests.tools.routes import by_ref, made, manifests

Make = Callable[..., Canary]

ROUTE = ObjectRef(VIRTUAL_SERVICE, "shop", "my-app")
MATCH = [{"headers": {"x-canary": {"exact": "insider"}}}]
COOKIES = {
    "sessionAffinityCookie": "c=1",
    "primarySessionAffinityCookie": "p=1",
    "previousSessionAffinityCookie": "c=0",
}


def canary(service: Json | None = None, status: Json | None = None, **analysis: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
            "spec": {
                "targetRef": {"name": "my-app"},
                "service": {"port": 80, **(service or {})},
                "analysis": {"interval": "1m", "threshold": 5, **analysis},
            },
            "status": {"phase": "Progressing", **(status or {})},
        }
    )


PLAIN = canary(stepWeight=10)
SERVICES: list[Json] = [
    {},
    {"gateways": ["public", "mesh"], "portDiscovery": True, "hosts": ["a.example.com"]},
    {
        "gateways": ["public"],
        "ports": [{"name": "admin", "port": 81}, {"name": "db", "port": 82, "appProtocol": "tcp"}],
    },
    {"appProtocol": "tcp"},
    {"delegation": True, "portDiscovery": True, "match": [{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}]},
    {"mirror": [{"backendRef": {"name": "shadow", "port": 80}}]},
]
SHARES, COPIES = st.integers(0, 100), st.builds(Split, st.just(0), st.integers(1, 100))


def rules(*found: Json) -> dict[ObjectRef, Json]:
    return {ROUTE: {"spec": {"http": list(found)}}}


def rule(*weights: tuple[str, int | None], **fields: Any) -> Json:
    route = [
        {"destination": {"host": host}, **({} if weight is None else {"weight": weight})} for host, weight in weights
    ]
    return {"route": route, **fields}


class TestSplit:
    """What is read of the objects is what they were made for."""

    @given(st.sampled_from(SERVICES), st.builds(Split, SHARES))
    def test_of_weights(self, service: Json, split: Split) -> None:
        self.holds(canary(service, stepWeight=10), split)

    @given(st.sampled_from([each for each in SERVICES if "appProtocol" not in each]), COPIES)
    def test_of_copies(self, service: Json, split: Split) -> None:
        self.holds(canary(service, iterations=3, mirror=True), split)

    @given(st.sampled_from([each for each in SERVICES if "appProtocol" not in each]), st.integers(1, 100))
    def test_of_an_a_b_test(self, service: Json, share: int) -> None:
        self.holds(canary(service, iterations=3, match=MATCH), Split(share, matched=True))

    @given(st.sampled_from([each for each in SERVICES if "appProtocol" not in each]), st.builds(Split, SHARES))
    def test_of_new_users_beside_those_with_cookies(self, service: Json, split: Split) -> None:
        kept = {"cookieName": "c", "primaryCookieName": "p"}
        self.holds(canary(service, COOKIES, stepWeight=10, sessionAffinity=kept), split)

    def holds(self, canary: Canary, split: Split) -> None:
        objects = by_ref(made(ROUTER, canary, split))
        assert ROUTER.problems(canary) == ()
        assert ROUTER.split(canary, objects) == split
        assert all(covers(objects[ref], each) for ref, each in by_ref(made(ROUTER, canary, split, objects)).items())


class TestObserved:
    """VirtualServices that somebody else has written, Flagger among them."""

    def test_without_one_nothing_is_known(self) -> None:
        assert ROUTER.split(PLAIN, {}) is None
        assert ROUTER.split(PLAIN, rules()) is None
        assert ROUTER.split(PLAIN, rules({"redirect": {"uri": "/"}})) is None

    def test_nothing_is_known_of_one_that_leads_elsewhere(self) -> None:
        assert ROUTER.split(PLAIN, rules(rule(("my-app", None)))) is None
        both = rule(("my-app-primary", 90), ("other", 10))
        assert ROUTER.split(PLAIN, rules(both)) is None

    def test_without_weight_a_lone_destination_gets_everything_and_one_of_several_nothing(self) -> None:
        assert ROUTER.split(PLAIN, rules(rule(("my-app-canary", None)))) == Split(100)
        assert ROUTER.split(PLAIN, rules(rule(("my-app-primary", 100), ("my-app-canary", None)))) == ALL_PRIMARY
        assert ROUTER.split(PLAIN, rules(rule(("my-app-primary", None), ("my-app-canary", None)))) is None

    def test_a_whole_name_is_the_service_too(self) -> None:
        whole = rule(("my-app-primary.shop.svc.cluster.local", 75), ("my-app-canary.shop.svc.cluster.local", 25))
        assert ROUTER.split(PLAIN, rules(whole)) == Split(25)

    def test_a_trace_of_traffic_is_not_nothing(self) -> None:
        assert ROUTER.split(PLAIN, rules(rule(("my-app-primary", 999), ("my-app-canary", 1)))) == Split(1)

    def test_where_rules_differ_the_greatest_share_counts(self) -> None:
        some = [rule(("my-app-primary", 100 - share), ("my-app-canary", share)) for share in (0, 40, 10)]
        assert ROUTER.split(PLAIN, rules(*some)) == Split(40)

    def test_flaggers_a_b_test_at_rest_is_at_rest(self) -> None:
        """It keeps both rules; nobody is chosen while the canary's weight is 0."""
        chosen = rule(("my-app-primary", 100), ("my-app-canary", 0), match=MATCH)
        found = rules(chosen, rule(("my-app-primary", 100)))
        assert ROUTER.split(canary(iterations=3, match=MATCH), found) == ALL_PRIMARY

    def test_flaggers_cookies_are_not_taken_for_weights(self) -> None:
        kept = {"cookieName": "c"}
        bring = [{"headers": {"Cookie": {"regex": ".*c.*xyz.*"}}}]
        sticky = rule(("my-app-primary", 0), ("my-app-canary", 100), match=bring)
        found = rules(sticky, rule(("my-app-primary", 80), ("my-app-canary", 20)))
        assert ROUTER.split(canary(stepWeight=10, sessionAffinity=kept), found) == Split(20)
        assert ROUTER.split(PLAIN, found) == Split(100), "without affinity they are rules like others"

    @pytest.mark.parametrize(("part", "percent"), [({}, 100), ({"mirrorPercentage": {"value": 20.0}}, 20)])
    def test_copies_in_flaggers_form_are_seen(self, part: Json, percent: int) -> None:
        found = rule(("my-app-primary", 100), ("my-app-canary", 0), mirror={"host": "my-app-canary"}, **part)
        assert ROUTER.split(PLAIN, rules(found)) == Split(0, mirror=percent)

    def test_copies_for_somebody_else_are_none_of_the_canarys(self) -> None:
        found = rule(("my-app-primary", 100), ("my-app-canary", 0), mirror={"host": "shadow"})
        assert ROUTER.split(PLAIN, rules(found)) == ALL_PRIMARY


def test_matched_requests_need_conditions() -> None:
    with pytest.raises(ValueError, match=r"no analysis\.match"):
        made(ROUTER, PLAIN, Split(100, matched=True))


@pytest.mark.parametrize("field", ["http", "hosts", "gateways"])
def test_a_hand_made_edit_of_what_is_ours_is_seen(field: str) -> None:
    objects = by_ref(made(ROUTER, PLAIN, Split(10)))
    objects[ROUTE]["spec"][field] = objects[ROUTE]["spec"][field] * 2
    again = by_ref(made(ROUTER, PLAIN, Split(10), objects))
    assert not covers(objects[ROUTE], again[ROUTE])


def test_what_others_write_beside_it_is_left_alone() -> None:
    objects = by_ref(made(ROUTER, PLAIN, Split(10)))
    objects[ROUTE]["spec"]["exportTo"] = ["."]
    rule = objects[ObjectRef(DESTINATION_RULE, "shop", "my-app-canary")]
    rule["spec"]["subsets"] = [{"name": "v2"}]
    again = by_ref(made(ROUTER, PLAIN, Split(10), objects))
    assert all(covers(objects[ref], each) for ref, each in again.items())


def test_a_destination_rule_goes_with_the_canary_unless_it_was_there_before() -> None:
    before = {ObjectRef(DESTINATION_RULE, "shop", "my-app-canary"): {"metadata": {"name": "my-app-canary"}}}
    primary, own, _ = made(ROUTER, PLAIN, ALL_PRIMARY, before)
    assert primary["metadata"]["ownerReferences"]
    assert "ownerReferences" not in own["metadata"]


def test_it_is_handed_back_to_the_service_that_users_call() -> None:
    (route,) = manifests(ROUTER.hand_back(PLAIN, {}))
    assert route["spec"]["http"] == [rule(("my-app", 100))]


def test_a_former_route_in_flaggers_form_copies_to_nobody_afterwards() -> None:
    mirror = {"mirror": {"host": "my-app-canary"}, "mirrorPercentage": {"value": 20}}
    (kind,) = ROUTES[VIRTUAL_SERVICE]
    former: Json = {"spec": {"http": [rule(("my-app-primary", 100), **mirror)], "hosts": ["a"]}}
    assert kind.canaries(former) == {"my-app-canary"}
    (left,) = kind.without_canary(former)["spec"]["http"]
    assert "my-app-canary" not in str(left)
    assert former["spec"]["http"][0]["mirror"], "what a cache holds is not changed"


PROBLEMS: list[tuple[Json, Json, str]] = [
    ({"hosts": ["*"]}, {}, "spec.service.hosts[0]"),
    ({"hosts": ["*"], "gateways": ["public", "mesh"]}, {}, "spec.service.hosts[0]"),
    ({"hosts": ["*.example.com", "a.example.com"]}, {}, "spec.service.hosts[1]"),
    ({"hosts": ["a.example.com", "a.example.com"]}, {}, "spec.service.hosts[1]"),
    ({"match": [{"uri": {"suffix": "/a"}}]}, {}, "spec.service.match[0].uri.suffix"),
    ({"match": [{"headers": {"a": {"suffix": "b"}}}]}, {}, "spec.service.match[0].headers.a.suffix"),
    ({"corsPolicy": {"allowOrigins": [{"suffix": "b"}]}}, {}, "spec.service.corsPolicy.allowOrigins[0].suffix"),
    ({"rewrite": {"type": "ReplacePrefixMatch"}}, {}, "spec.service.rewrite"),
    ({"rewrite": {"uri": "/", "type": "Other"}}, {}, "spec.service.rewrite.type"),
    ({"retries": {"perTryTimeout": "1s"}}, {}, "spec.service.retries.attempts"),
    ({"retries": {"attempts": 3, "perTryTimeout": "1"}}, {}, "spec.service.retries.perTryTimeout"),
    ({"corsPolicy": {"maxAge": "1500ms"}}, {}, "spec.service.corsPolicy.maxAge"),
    ({"timeout": "1500us"}, {}, "spec.service.timeout"),
    (
        {"trafficPolicy": {"outlierDetection": {"interval": "1 s"}}},
        {},
        "spec.service.trafficPolicy.outlierDetection.interval",
    ),
    (
        {"mirror": [{"backendRef": {"name": "a", "port": 80, "namespace": "lab"}}]},
        {},
        "spec.service.mirror[0].backendRef.namespace",
    ),
    ({"appProtocol": "tcp", "timeout": "1s"}, {}, "spec.service.timeout"),
    ({"portName": "tcp-db"}, {}, "spec.service.appProtocol"),
    ({"ports": [{"name": "web", "port": 443, "appProtocol": "https"}]}, {}, "spec.service.ports[0].appProtocol"),
    ({"appProtocol": "tcp", "match": [{"uri": {"prefix": "/"}}]}, {}, "spec.service.match[0].uri"),
    ({"appProtocol": "tcp"}, {"mirror": True}, "spec.analysis.mirror"),
    ({"appProtocol": "tcp"}, {"iterations": 3, "match": MATCH}, "spec.analysis.match"),
    ({"appProtocol": "tcp"}, {"sessionAffinity": {"cookieName": "c"}}, "spec.analysis.sessionAffinity"),
    ({"appProtocol": "tcp", "delegation": True}, {}, "spec.service.delegation"),
    ({}, {"iterations": 3, "match": [{}]}, "spec.analysis.match[0]"),
]


@pytest.mark.parametrize(("service", "analysis", "field"), PROBLEMS)
def test_what_istio_would_not_take_is_refused_by_name(
    make_canary: Make, service: Json, analysis: Json, field: str
) -> None:
    (problem,) = ROUTER.problems(make_canary(service, analysis))
    assert (problem.field, bool(problem.message), bool(problem.remedy)) == (field, True, True)


FINE: list[Json] = [
    {"hosts": ["*"], "gateways": ["public"]},
    {"hosts": ["my-app", "a.example.com"]},
    {"retries": {"attempts": 0}},
    {"timeout": "soon"},
    {"portName": "tcp-db", "appProtocol": "http"},
    {"portName": "https", "gateways": ["public"]},
    {"appProtocol": "tcp", "match": [{"port": 5432, "sourceLabels": {"app": "a"}}]},
    {"appProtocol": "tcp", "timeout": "1s", "ports": [{"name": "web", "port": 80}]},
    {"mirror": [{"backendRef": {"name": "shadow.lab.svc.cluster.local", "port": 80}}]},
    {"mirror": [{"backendRef": {"name": "shadow", "namespace": "shop", "port": 80}}]},
    {"trafficPolicy": {"loadBalancer": {"consistentHash": {"httpCookie": {"name": "user", "ttl": "0s"}}}}},
]


@pytest.mark.parametrize("service", FINE, ids=str)
def test_what_istio_takes_is_no_problem(make_canary: Make, service: Json) -> None:
    assert ROUTER.problems(make_canary(service)) == ()


def test_the_articles_canary_is_accepted() -> None:
    """Whoever comes from there has Istio."""
    raw = yaml.safe_load((Path(__file__).parents[2] / "e2e/article.yaml").read_text())
    article = parse_canary({**raw, "spec": {**raw["spec"], "provider": "istio"}})
    assert (*rules_of_canaries.problems(article, "istio"), *ROUTER.problems(article)) == ()
