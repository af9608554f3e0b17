"""The users' ApisixRoute is read and never written; ours comes before it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import APISIX_ROUTE, Json, ObjectRef
from canary.routers.apisix import APISIX as ROUTER
from canary.routers.base import Patch
from tests.tools.routes import after, by_ref, made

THEIRS = ObjectRef(APISIX_ROUTE, "shop", "web")
OURS = ObjectRef(APISIX_ROUTE, "shop", "web-app-canary")
CANARY = parse_canary(
    {
        "metadata": {"name": "app", "namespace": "shop", "uid": "uid-1"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "routeRef": {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "web"},
            "service": {"port": 80},
            "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10},
        },
    }
)


def rule(name: str, service: str = "app", path: str = "/*", **fields: Any) -> Json:
    backends = [{"serviceName": each, "servicePort": 80} for each in service.split()]
    return {"name": name, "match": {"paths": [path]}, "backends": backends, **fields}


def route(*rules: Json) -> dict[ObjectRef, Json]:
    return {THEIRS: {"kind": "ApisixRoute", "metadata": {"name": "web"}, "spec": {"http": list(rules)}}}


def planned(split: Split, there: dict[ObjectRef, Json]) -> dict[ObjectRef, Json]:
    return after(ROUTER.plan(CANARY, split, there), there)


RULES = st.lists(
    st.builds(
        lambda service, path, priority: {"service": service, "path": path, "priority": priority},
        st.sampled_from(["app", "other"]),
        st.sampled_from(["/*", "/a"]),
        st.integers(-5, 20_000),
    ),
    max_size=5,
).map(lambda found: [rule(f"r{number}", **each) for number, each in enumerate(found)])


@given(st.integers(0, 100).map(Split), RULES)
def test_every_split_can_be_read_back_and_written_again_without_a_change(split: Split, rules: list[Json]) -> None:
    there = route(*rules)
    once = planned(split, there)
    assert once[THEIRS] == there[THEIRS]
    if not ROUTER.unfit(CANARY, there):
        assert ROUTER.split(CANARY, once) == split
        assert ROUTER.unfit(CANARY, once) == ()
    assert planned(split, once) == once


@given(RULES)
def test_ours_come_right_before_theirs_and_after_what_comes_before_these(rules: list[Json]) -> None:
    """On one path APISIX takes the rule of the highest priority that matches."""
    there = route(*rules)
    if ROUTER.unfit(CANARY, there):
        return
    ours = {each["name"]: each for each in planned(ALL_PRIMARY, there)[OURS]["spec"]["http"]}
    theirs = {each["name"]: each for each in rules}
    assert set(ours) == {name for name, each in theirs.items() if each["backends"][0]["serviceName"] == "app"}
    for name, each in ours.items():
        assert each["priority"] > theirs[name]["priority"]
        for other, beside in theirs.items():
            if beside["match"] == each["match"] and beside["priority"] > theirs[name]["priority"]:
                above = ours.get(other, beside)
                assert above["priority"] > each["priority"]


@pytest.mark.parametrize(
    ("there", "words", "remedy"),
    [
        ({}, "there is no ApisixRoute web", "create it"),
        (route(), "no rule of ApisixRoute web leads to the Service app", "add one"),
        (route(rule("a", "other")), "no rule of ApisixRoute web leads to the Service app", "add one"),
        (
            route(rule("a"), rule("b", "app other")),
            "rule b of ApisixRoute web has backends beside",
            "leave it app alone",
        ),
        (
            route(rule("a", priority=1), rule("b", "other", priority=2)),
            "rule b of ApisixRoute web comes right before rule a, with no priority in between",
            "raise the priority of b",
        ),
    ],
)
def test_a_route_that_cannot_be_gone_by_is_told_with_a_remedy(
    there: dict[ObjectRef, Json], words: str, remedy: str
) -> None:
    (problem,) = ROUTER.unfit(CANARY, there)
    assert problem.field == "spec.routeRef.name"
    assert words in problem.message
    assert remedy in problem.remedy
    assert ROUTER.plan(CANARY, Split(10), there) == ()


@pytest.mark.parametrize("theirs", [{}, route(rule("a", "other")), route(rule("a", "app other"))])
def test_requests_can_be_led_back_when_the_users_route_is_gone_or_leads_elsewhere(
    theirs: dict[ObjectRef, Json],
) -> None:
    """What protects users needs nothing of theirs."""
    there = planned(Split(40), route(rule("a"), rule("b", path="/b", priority=3)))
    left = {OURS: there[OURS], **theirs}
    back = planned(ALL_PRIMARY, left)
    assert ROUTER.split(CANARY, back) == ALL_PRIMARY
    assert planned(Split(40), back)[OURS] == there[OURS]


def test_a_rule_that_somebody_added_to_ours_is_taken_off() -> None:
    """The API server merges rules by name: applying ours would leave it there."""
    there = planned(Split(40), route(rule("a")))
    edited = {**there[OURS], "spec": {"http": [*there[OURS]["spec"]["http"], rule("b", "app-canary")]}}
    patch, _ = ROUTER.plan(CANARY, Split(40), {**there, OURS: edited})
    assert patch == Patch(OURS, {"spec": {"http": there[OURS]["spec"]["http"]}})
    assert planned(Split(40), {**there, OURS: edited}) == there


def test_the_greatest_share_of_any_rule_counts() -> None:
    there = planned(Split(40), route(rule("a"), rule("b", path="/b")))
    (first, second) = there[OURS]["spec"]["http"]
    behind = [dict(each, weight=weight) for each, weight in zip(second["backends"], (90, 10), strict=True)]
    for rules in ([first, {**second, "backends": behind}], [{**second, "backends": behind}, first]):
        assert ROUTER.split(CANARY, {OURS: {"spec": {"http": rules}}}) == Split(40)


@pytest.mark.parametrize("rules", [[], [rule("a", "other")], [rule("a", "app-primary app-canary")]])
def test_a_route_that_leads_nobody_to_either_version_says_nothing(rules: list[Json]) -> None:
    assert ROUTER.split(CANARY, {}) is None
    assert ROUTER.split(CANARY, {OURS: {"spec": {"http": rules}}}) is None


def test_ours_leads_to_the_service_until_it_goes_with_the_canary() -> None:
    """It stays the Canary's, so that it is collected with it, and nobody is led to a version that is gone before."""
    theirs = route(rule("a"), rule("b", path="/b", priority=3))
    there = planned(Split(40), theirs)
    assert ROUTER.hand_back(CANARY, theirs) == ()
    back = after(ROUTER.hand_back(CANARY, there), there)
    assert back[THEIRS] == there[THEIRS]
    assert back[OURS]["metadata"] == there[OURS]["metadata"]
    assert [each["backends"] for each in back[OURS]["spec"]["http"]] == [
        [{"serviceName": "app", "servicePort": 80, "weight": 100}]
    ] * 2
    assert after(ROUTER.hand_back(CANARY, back), back) == back


@pytest.mark.parametrize("split", [Split(0, mirror=10), Split(100, matched=True)])
def test_it_neither_mirrors_nor_matches(split: Split) -> None:
    with pytest.raises(ValueError, match="neither mirror nor match"):
        ROUTER.plan(CANARY, split, route(rule("a")))


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"type": "Accepted", "status": "True", "observedGeneration": 2}, ""),
        ({"type": "ResourcesAvailable", "status": "True", "observedGeneration": 2}, ""),
        ({"type": "Other", "status": "False", "observedGeneration": 1}, ""),
        ({"type": "Accepted", "status": "True", "observedGeneration": 1}, "has not yet seen the latest ApisixRoute"),
        ({"type": "Accepted", "status": "False", "observedGeneration": 2, "message": "no service"}, "no service"),
    ],
)
def test_what_apisix_says_of_the_route_is_heeded(condition: Json, words: str) -> None:
    there = {OURS: {"metadata": {"generation": 2}, "status": {"conditions": [condition]}}}
    said = ROUTER.unsettled(CANARY, there)
    assert words in said
    assert bool(said) is bool(words)


def test_apisix_that_says_nothing_is_not_waited_for() -> None:
    assert ROUTER.unsettled(CANARY, {OURS: {"metadata": {"generation": 2}}}) == ""


def test_flaggers_route_is_taken_over_in_place() -> None:
    """Of the same name, with the same rule."""
    (ours,) = made(ROUTER, CANARY, ALL_PRIMARY, route(rule("a")))
    assert by_ref([ours]).keys() == {OURS}
    assert [each["priority"] for each in ours["spec"]["http"]] == [10_000]


def test_a_route_of_another_gateway_is_refused() -> None:
    ref = CANARY.spec.route_ref
    assert ref is not None
    other = CANARY.replace(spec=CANARY.spec.replace(route_ref=ref.replace(kind="Route")))
    (problem,) = ROUTER.problems(other)
    assert (problem.field, problem.remedy) == ("spec.routeRef.kind", "write ApisixRoute")
