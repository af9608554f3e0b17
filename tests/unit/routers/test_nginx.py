"""What ingress-nginx is told by annotations: read back, taken over, handed back and refused."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import INGRESS, Json, ObjectRef
from canary.routers import ingress as ingress_module
from canary.routers.base import Patch
from canary.routers.nginx import COOKIE, HEADER, HEADER_PATTERN, HEADER_VALUE, IS_CANARY, PREFIX, WEIGHT, WEIGHT_TOTAL
from canary.routers.nginx import NGINX as ROUTER
from tests.tools.routes import after, by_ref, made, merged

REFERENCE = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"}
USERS, OURS = ObjectRef(INGRESS, "shop", "shop"), ObjectRef(INGRESS, "shop", "shop-canary")
CHOICE = {
    "iterations": 2,
    "match": [{"headers": {"x-canary": {"exact": "insider"}}}, {"headers": {"cookie": {"exact": "beta"}}}],
}


def canary(**analysis: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
            "spec": {
                "provider": "nginx",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app"},
                "ingressRef": REFERENCE,
                "service": {"port": 80},
                "analysis": {"interval": "1m", "threshold": 5, **(analysis or {"stepWeight": 10})},
            },
        }
    )


def ingress(name: str, *services: str, **annotations: str) -> Json:
    """An Ingress with a path for each Service."""
    paths = [
        {"path": f"/{number}", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}
        for number, service in enumerate(services)
    ]
    metadata = {"name": name, "namespace": "shop", "annotations": annotations}
    rules = [{"host": "shop.example.com", "http": {"paths": paths}}]
    return {"apiVersion": INGRESS.api_version, "kind": "Ingress", "metadata": metadata, "spec": {"rules": rules}}


def ours(**annotations: str) -> Json:
    return ingress("shop-canary", "my-app-canary", **{IS_CANARY: "true", **annotations})


THERE = by_ref([ingress("shop", "my-app")])


@given(st.integers(0, 100).map(Split))
def test_every_weight_can_be_read_back(split: Split) -> None:
    assert ROUTER.split(canary(), after(ROUTER.plan(canary(), split, THERE), THERE)) == split


def test_a_choice_of_requests_can_be_read_back_and_leaves_nothing_behind() -> None:
    chosen = Split(100, matched=True)
    there = after(ROUTER.plan(canary(**CHOICE), chosen, THERE), THERE)
    assert ROUTER.split(canary(**CHOICE), there) == chosen
    annotations = there[OURS]["metadata"]["annotations"]
    assert {annotations[key] for key in (HEADER, HEADER_VALUE, COOKIE, WEIGHT)} == {"x-canary", "insider", "beta", "0"}
    rested = after(ROUTER.plan(canary(**CHOICE), ALL_PRIMARY, there), there)
    assert {key for key in rested[OURS]["metadata"]["annotations"] if key.startswith(IS_CANARY)} == {IS_CANARY, WEIGHT}
    assert ROUTER.split(canary(**CHOICE), rested) == ALL_PRIMARY


@pytest.mark.parametrize("split", [Split(0, mirror=10), Split(100, matched=True)])
def test_it_neither_mirrors_nor_chooses_without_conditions(split: Split) -> None:
    with pytest.raises(ValueError, match="ingress-nginx can't divide"):
        made(ROUTER, canary(), split, THERE)


class TestObservedSplit:
    def test_is_unknown_where_there_is_no_ingress_of_ours_or_it_leads_elsewhere(self) -> None:
        assert ROUTER.split(canary(), THERE) is None
        assert ROUTER.split(canary(), by_ref([ingress("shop-canary", "other", **{IS_CANARY: "true"})])) is None

    @pytest.mark.parametrize("said", [{IS_CANARY: "false"}, {IS_CANARY: "false", WEIGHT: "0"}, {IS_CANARY: ""}])
    def test_is_everything_where_the_ingress_is_none_of_a_canary_s(self, said: dict[str, str]) -> None:
        """It is an ordinary one for the users' own paths: it may have all of their requests."""
        assert ROUTER.split(canary(), by_ref([ours(**said)])) == Split(100)

    @pytest.mark.parametrize(
        ("said", "percent"),
        [
            ({}, 0),
            ({WEIGHT: "much"}, 0),
            ({WEIGHT: "-5"}, 0),
            ({WEIGHT: "250"}, 100),
            ({WEIGHT: "1", WEIGHT_TOTAL: "1000"}, 1),
            ({WEIGHT: "250", WEIGHT_TOTAL: "1000"}, 25),
            ({WEIGHT: "20", WEIGHT_TOTAL: "50"}, 20),
        ],
    )
    def test_is_in_percent_as_the_gateway_reckons(self, said: dict[str, str], percent: int) -> None:
        assert ROUTER.split(canary(), by_ref([ours(**said)])) == Split(percent)


@pytest.mark.parametrize("key", [HEADER, HEADER_VALUE, HEADER_PATTERN, COOKIE, WEIGHT_TOTAL, f"{PREFIX}canary-other"])
def test_what_others_say_of_the_canary_s_requests_comes_off(key: str) -> None:
    there = {**THERE, **by_ref([ours(**{WEIGHT: "0", key: "x", "mine": "y"})])}
    *_, patch = ROUTER.plan(canary(), Split(10), there)
    assert patch == Patch(OURS, {"metadata": {"annotations": {key: None}}})
    # What server-side apply leaves of it:
    left = {**there, OURS: merged(there[OURS], made(ROUTER, canary(), Split(10), there)[0])}
    assert ROUTER.split(canary(), after([patch], left)) == Split(10)
    assert after([patch], left)[OURS]["metadata"]["annotations"]["mine"] == "y"


def test_who_is_kept_by_a_cookie_is_kept_while_the_canary_has_requests() -> None:
    """And not longer: they would go on to a version that was taken back."""
    behaviour = f"{PREFIX}affinity-canary-behavior"
    for given_, expected in (({}, None), ({behaviour: "sticky"}, "sticky")):
        there = by_ref([ingress("shop", "my-app", **{f"{PREFIX}affinity": "cookie", **given_})])
        weighted, rested = (made(ROUTER, canary(), split, there)[0] for split in (Split(10), ALL_PRIMARY))
        assert weighted["metadata"]["annotations"].get(behaviour) == expected
        assert rested["metadata"]["annotations"][behaviour] == "legacy"


class TestWithoutTheUsersIngress:
    def test_requests_leave_the_canary_all_the_same(self) -> None:
        there = by_ref([ours(**{WEIGHT: "50"})])
        assert ROUTER.split(canary(), after(ROUTER.plan(canary(), ALL_PRIMARY, there), there)) == ALL_PRIMARY

    def test_one_that_leads_elsewhere_by_now_counts_as_none(self) -> None:
        there = by_ref([ingress("shop", "other"), ours(**{WEIGHT: "50"})])
        (route,) = made(ROUTER, canary(), ALL_PRIMARY, there)
        assert route["spec"] == ours()["spec"]

    def test_nothing_is_made_of_nothing(self) -> None:
        assert ROUTER.plan(canary(), ALL_PRIMARY, {}) == ()
        assert ROUTER.plan(canary(), ALL_PRIMARY, by_ref([ingress("shop", "other")])) == ()

    def test_it_is_said(self) -> None:
        (missing,) = ROUTER.unfit(canary(), {})
        assert (missing.field, missing.message) == ("spec.ingressRef.name", "Ingress shop does not exist in shop")
        (elsewhere,) = ROUTER.unfit(canary(), by_ref([ingress("shop", "other", "my-app-primary")]))
        assert elsewhere.message == "no rule of Ingress shop leads to Service my-app"
        assert elsewhere.remedy == "have a path of it lead to my-app, or name the Ingress of which one does"
        assert ROUTER.unfit(canary(), THERE) == ()


def test_a_canary_ingress_can_t_be_the_users() -> None:
    """Of requests that only it has, the gateway leads none to the primary."""
    there = by_ref([ingress("shop", "my-app", **{IS_CANARY: "true"})])
    (problem,) = ROUTER.unfit(canary(), there)
    assert problem.message == "Ingress shop is the canary's of another one"


def test_another_s_ingress_in_our_place_is_left_alone() -> None:
    there = {**THERE, **by_ref([ingress("shop-canary", "other")])}
    (problem,) = ROUTER.unfit(canary(), there)
    assert problem.message == "Ingress shop-canary leads to other, and would not any more"


def test_at_the_end_our_ingress_rests_until_it_goes_with_the_canary() -> None:
    there = {**THERE, **by_ref([ours(**{WEIGHT: "50", HEADER: "x"})])}
    rested = after(ROUTER.hand_back(canary(), there), there)
    assert ROUTER.split(canary(), rested) == ALL_PRIMARY
    assert ROUTER.hand_back(canary(), rested) == ROUTER.hand_back(canary(), THERE) == ()
    assert rested[USERS] == THERE[USERS]


def test_whatever_an_ingress_of_before_is_like_it_leads_to_the_primary_alone_afterwards() -> None:
    kind = ROUTER.routes[INGRESS]
    for analysis, split in (({"stepWeight": 10}, Split(30)), (CHOICE, Split(100, matched=True)), (CHOICE, ALL_PRIMARY)):
        (route,) = made(ROUTER, canary(**analysis), split, THERE)
        assert kind.share(route) == split.canary
        assert kind.canaries(route) == ({"my-app-canary"} if split.canary else set())
        left = merged(route, kind.without_canary(route))
        assert (kind.share(left), *kind.leads_to(left)) == (0,)
        assert ROUTER.split(canary(**analysis), by_ref([left])) == ALL_PRIMARY
        assert left["spec"] == route["spec"]
        back = merged(route, kind.past_versions(route))
        assert (*kind.versions(back), *ingress_module.services(back)) == ("my-app",)


@pytest.mark.parametrize("share_of", ["my-app-canary", "other"])
def test_an_ingress_of_another_kind_is_none_of_its_routes(share_of: str) -> None:
    kind, other = ROUTER.routes[INGRESS], ingress("shop-canary", share_of)
    assert (*kind.leads_to(other), kind.share(other)) == (0,)


@pytest.mark.parametrize(
    ("match", "field", "remedy"),
    [
        ([{"headers": {"a": {"exact": "1"}, "b": {"exact": "2"}}}], "[0].headers", "any will do"),
        ([{}], "[0].headers", "any will do"),
        ([{"headers": {"a": {"exact": "1"}}}, {"headers": {"b": {"exact": "1"}}}], "[1].headers.b", "keep one"),
        ([{"headers": {"a": {"exact": "1"}}}, {"headers": {"a": {"exact": "2"}}}], "[1].headers.a", "regex"),
        ([{"headers": {"a": {"prefix": "1"}}}], "[0].headers.a", "exact or regex"),
        ([{"headers": {"a": {"exact": "1, 2"}}}], "[0].headers.a", "with a dot for each"),
        ([{"headers": {"a": {"regex": "1;2"}}}], "[0].headers.a", "with a dot for each"),
        ([{"headers": {"cookie": {"regex": "^(.*;)?canary=.*$"}}}], "[0].headers.cookie", "the cookie's name"),
        ([{"headers": {"Cookie": {"exact": "canary=always"}}}], "[0].headers.Cookie", "its value is always"),
        ([{"headers": {"a": {"exact": "1"}}, "queryParams": {"v": {"exact": "2"}}}], "[0].queryParams", "a header"),
    ],
)
def test_conditions_that_it_has_no_annotations_for_are_refused(
    make_canary: Callable[..., Canary], match: list[Json], field: str, remedy: str
) -> None:
    """A value with characters that ingress-nginx refuses would be left out without a word, and `always` asked for."""
    found = ROUTER.problems(make_canary(analysis={"iterations": 2, "match": match}, ingressRef=REFERENCE))
    assert [problem.field for problem in found if problem.field.endswith(f"spec.analysis.match{field}")]
    assert any(remedy in problem.remedy for problem in found)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-canary": {"exact": "insider one"}},
        {"user-agent": {"regex": "^.*Firefox/1[0-9]+.*$"}},
        {"cookie": {"exact": "a_b-c"}},
    ],
)
def test_conditions_that_it_has_annotations_for_are_none(make_canary: Callable[..., Canary], headers: Json) -> None:
    analysis = {"iterations": 2, "match": [{"headers": headers}]}
    assert ROUTER.problems(make_canary(analysis=analysis, ingressRef=REFERENCE)) == ()
    assert (
        ROUTER.problems(make_canary(analysis={**CHOICE, "mirror": True}, skipAnalysis=True, ingressRef=REFERENCE)) == ()
    )
