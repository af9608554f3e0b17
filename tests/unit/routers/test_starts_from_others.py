"""Providers that start from an Ingress or a Route of somebody else's: what they share."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.requirements import missing
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import INGRESS, ROUTE, Json, ObjectRef
from canary.routers.alb import ALB, MARK, PORT
from canary.routers.base import Observed, Provider
from canary.routers.openshift import OPENSHIFT
from canary.routers.registry import ROUTERS
from canary.routers.skipper import NEVER, PREDICATE, SKIPPER, WEIGHTS
from canary.workloads.origin import APPLIED_ANNOTATION
from tests.tools.routes import after, by_ref, merged

ACTION = "alb.ingress.kubernetes.io/actions.my-app"
OURS = ObjectRef(INGRESS, "shop", "shop-canary")


def canary(provider: str, **spec: Any) -> Canary:
    key, kind = ("routeRef", "Route") if provider == "openshift" else ("ingressRef", "Ingress")
    whole = {
        "provider": provider,
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app"},
        key: {"apiVersion": "", "kind": kind, "name": "shop"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10},
        **spec,
    }
    return parse_canary({"metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"}, "spec": whole})


def ingress(service: str = "my-app", name: str = "shop", port: str = PORT, **annotations: str) -> Json:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"name": port}}}}
    metadata = {"name": name, "namespace": "shop", "annotations": {"theirs": "x", **annotations}}
    spec = {"rules": [{"http": {"paths": [path]}}]}
    return {"apiVersion": INGRESS.api_version, "kind": "Ingress", "metadata": metadata, "spec": spec}


def route(service: str = "my-app", *alternates: str) -> Json:
    backends = [{"kind": "Service", "name": name, "weight": 10} for name in alternates]
    spec = {"to": {"kind": "Service", "name": service}, **({"alternateBackends": backends} if backends else {})}
    return {
        "apiVersion": ROUTE.api_version,
        "kind": "Route",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": spec,
    }


THERE: Mapping[str, Observed] = {
    "alb": by_ref([ingress()]),
    "openshift": by_ref([route()]),
    "skipper": by_ref([ingress()]),
}
each = pytest.mark.parametrize("provider", sorted(THERE))


def led(provider: str, split: Split, there: Observed | None = None) -> dict[ObjectRef, Json]:
    """The objects once requests are divided so."""
    found = THERE[provider] if there is None else there
    return after(ROUTERS[provider].plan(canary(provider), split, found), found)


@each
@given(split=st.integers(0, 100).map(Split))
def test_every_split_can_be_read_back_and_the_next_write_is_the_same(provider: str, split: Split) -> None:
    router, there = ROUTERS[provider], led(provider, split)
    assert router.split(canary(provider), there) == split
    assert led(provider, split, there) == there


@each
@pytest.mark.parametrize("split", [Split(0, mirror=10), Split(100, matched=True)])
def test_none_mirrors_or_matches(provider: str, split: Split) -> None:
    with pytest.raises(ValueError, match="neither mirror"):
        led(provider, split)


@each
def test_without_what_it_starts_from_nothing_is_written_and_it_is_said(provider: str) -> None:
    router, made = ROUTERS[provider], canary(provider)
    assert router.plan(made, ALL_PRIMARY, {}) == router.hand_back(made, {}) == ()
    assert router.split(made, {}) is None
    (problem,) = router.unfit(made, {})
    assert "shop does not exist in shop" in problem.message
    assert router.unfit(made, THERE[provider]) == ()


@each
def test_a_spec_that_names_nothing_to_start_from_lacks_it(provider: str) -> None:
    bare = canary(provider, ingressRef=None, routeRef=None)
    assert [need.field for need in missing(bare.spec, provider)] in (["ingressRef"], ["routeRef"])
    assert ROUTERS[provider].refs(bare) == ()
    assert ROUTERS[provider].unfit(bare, {}) == ()


@pytest.mark.parametrize(
    ("router", "there", "message"),
    [
        (SKIPPER, ingress("other"), "no rule of Ingress shop leads to Service my-app"),
        (ALB, ingress("other"), "no rule of Ingress shop leads to Service my-app"),
        (ALB, ingress(port="http"), "Ingress shop leads to the port of Service my-app, past the action of that name"),
        (OPENSHIFT, route("other"), "Route shop doesn't lead to Service my-app"),
        (OPENSHIFT, route("my-app", "other"), "Route shop leads to other too"),
    ],
)
def test_what_leads_elsewhere_is_said(router: Provider, there: Json, message: str) -> None:
    made = canary(router.names[0])
    (problem,) = router.unfit(made, by_ref([there]))
    assert problem.message == message
    assert problem.remedy
    assert router.split(made, by_ref([there])) is None


def test_the_remedy_for_a_load_balancer_is_an_action_that_it_can_start_from() -> None:
    (problem,) = ALB.unfit(canary("alb"), by_ref([ingress(port="http")]))
    action = problem.remedy.split("'")[1]
    assert json.loads(action)["forwardConfig"]["targetGroups"] == [
        {"serviceName": "my-app", "servicePort": 80, "weight": 100}
    ]
    assert ALB.unfit(canary("alb"), by_ref([ingress(**{ACTION: action})])) == ()


def test_another_s_ingress_in_skippers_place_is_left_alone() -> None:
    (problem,) = SKIPPER.unfit(canary("skipper"), by_ref([ingress(), ingress("other", "shop-canary")]))
    assert problem.message == "Ingress shop-canary leads to other, and would not any more"


@each
def test_what_they_own_stays_and_leads_to_the_service_at_the_end(provider: str) -> None:
    router, made = ROUTERS[provider], canary(provider)
    there = led(provider, Split(30))
    handed = after(router.hand_back(made, there), there)
    if provider == "skipper":
        assert (handed[ObjectRef(INGRESS, "shop", "shop")], router.split(made, handed)) == (ingress(), ALL_PRIMARY)
        return
    (adjusted,) = router.adjusts(made)
    (kind,) = router.routes.values()
    assert kind.leads_to(handed[adjusted]) == {"my-app"}
    assert "ownerReferences" not in handed[adjusted]["metadata"]
    assert after(router.hand_back(made, handed), handed) == handed
    if provider == "alb":
        assert handed[adjusted]["metadata"]["annotations"].keys() == {"theirs", ACTION}
        assert router.hand_back(made, handed) == ()


def test_two_canaries_of_one_ingress_have_an_action_each() -> None:
    """What one writes leaves the other's as it is; the mark goes with the last."""
    one, other = canary("alb"), canary("alb", service={"port": 80, "name": "cart"})
    there = after(ALB.plan(one, Split(30), THERE["alb"]), THERE["alb"])
    there = after(ALB.plan(other, Split(10), there), there)
    assert (ALB.split(one, there), ALB.split(other, there)) == (Split(30), Split(10))
    assert ALB.plan(one, Split(30), there) == ALB.plan(other, Split(10), there) == ()
    there = after(ALB.hand_back(one, there), there)
    assert ALB.split(other, there) == Split(10)
    (where,) = ALB.adjusts(one)
    assert MARK in there[where]["metadata"]["annotations"]
    there = after(ALB.hand_back(other, there), there)
    assert MARK not in there[where]["metadata"]["annotations"]


def test_an_ingress_with_an_action_is_marked_as_every_route_that_the_controller_writes() -> None:
    assert MARK == APPLIED_ANNOTATION


@each
@pytest.mark.parametrize("percent", [0, 1, 30, 100])
def test_whatever_one_of_before_is_like_it_leads_to_the_primary_alone_afterwards(provider: str, percent: int) -> None:
    router, made = ROUTERS[provider], canary(provider)
    ((resource, kind),) = router.routes.items()
    there = led(provider, Split(percent))
    (where,) = (ref for ref in (*router.makes(made), *router.adjusts(made)) if ref.resource == resource)
    found = there[where]
    assert kind.share(found) == percent
    assert kind.canaries(found) == ({"my-app-canary"} if percent or provider == "alb" else set())
    left = merged(found, kind.without_canary(found))
    assert kind.share(left) == 0
    assert router.split(made, {**there, where: left}) == ALL_PRIMARY
    back = merged(found, kind.past_versions(found))
    assert kind.versions(back) == set()
    assert "my-app-" not in json.dumps([back["spec"], back["metadata"].get("annotations", {}).get(ACTION)])


@pytest.mark.parametrize("said", ["", "much", "[]", '{"my-app-canary": "x"}', '{"my-app-canary": 0}'])
def test_without_weights_skipper_gives_each_half(said: str) -> None:
    there = led("skipper", Split(30))
    annotations = {**there[OURS]["metadata"]["annotations"], WEIGHTS: said}
    there[OURS] = {**there[OURS], "metadata": {**there[OURS]["metadata"], "annotations": annotations}}
    assert SKIPPER.split(canary("skipper"), there) == Split(50)
    annotations[PREDICATE] = f"{NEVER} && True()"
    assert SKIPPER.split(canary("skipper"), there) == ALL_PRIMARY


@pytest.mark.parametrize("said", ["", "{", "[]", '{"type":"redirect"}', '{"type":"forward","targetGroupARN":"arn"}'])
def test_an_action_that_is_none_of_ours_is_written_anew(said: str) -> None:
    there = by_ref([ingress(**{ACTION: said})])
    assert ALB.split(canary("alb"), there) is None
    assert ALB.split(canary("alb"), led("alb", Split(10), there)) == Split(10)


def test_a_target_group_of_another_makes_the_split_unknown() -> None:
    groups = [{"serviceName": "my-app-primary", "weight": 1}, {"targetGroupARN": "arn", "weight": 1}]
    action = json.dumps({"type": "forward", "forwardConfig": {"targetGroups": groups}})
    assert ALB.split(canary("alb"), by_ref([ingress(**{ACTION: action})])) is None


def test_a_route_that_a_router_does_not_admit_is_not_settled() -> None:
    def admitted(status: str) -> Observed:
        condition = {"type": "Admitted", "status": status, "message": "host is taken"}
        return by_ref([{**route(), "status": {"ingress": [{"routerName": "default", "conditions": [condition]}]}}])

    assert OPENSHIFT.unsettled(canary("openshift"), admitted("True")) == ""
    assert OPENSHIFT.unsettled(canary("openshift"), THERE["openshift"]) == ""
    expected = "router default doesn't admit Route shop: host is taken"
    assert OPENSHIFT.unsettled(canary("openshift"), admitted("False")) == expected


def test_a_route_of_another_kind_is_none_of_openshifts() -> None:
    made = canary("openshift", routeRef={"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "shop"})
    (problem,) = OPENSHIFT.problems(made)
    assert (problem.field, problem.remedy) == ("spec.routeRef.kind", "write Route")
    assert OPENSHIFT.refs(made) == ()
