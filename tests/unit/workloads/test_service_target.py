import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.diff import covers
from canary.kube.types import Json
from canary.workloads.base import Rules
from canary.workloads.service_target import ServiceTarget

TARGET = ServiceTarget()
RULES = Rules()
OWNER = {"kind": "Canary", "name": "shop", "uid": "uid-1"}


def canary_of(*, autoscaler: str = "", **service: Any) -> Canary:
    ref = {"apiVersion": "v1", "kind": "Service", "name": "shop"}
    spec: Json = {"targetRef": ref, "service": {"port": 80, **service}}
    if autoscaler:
        spec["autoscalerRef"] = {"kind": "HorizontalPodAutoscaler", "name": autoscaler}
    return parse_canary({"metadata": {"name": "shop", "namespace": "shop", "uid": "uid-1"}, "spec": spec})


def service(name: str = "shop", *, owned: bool = False, **spec: Any) -> Json:
    """A Service as the API server has it: with its addresses, and what it fills in."""
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 9898, "nodePort": 30080}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "ownerReferences": [OWNER] if owned else []},
        "spec": {
            "type": "NodePort",
            "selector": {"app": "shop", "release": "1"},
            "ports": [port],
            "clusterIP": "10.96.0.7",
            "clusterIPs": ["10.96.0.7"],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "externalTrafficPolicy": "Cluster",
            **spec,
        },
    }


def primary_of(target: Json, canary: Canary | None = None, existing: Json | None = None, rules: Rules = RULES) -> Json:
    return TARGET.primary(target, canary or canary_of(), tracked={}, rules=rules, existing=existing)


def versions(target: Json, canary: Canary | None = None, *observed: Json) -> dict[str, Json]:
    there = {each["metadata"]["name"]: each for each in observed}
    made = TARGET.version_services(target, canary or canary_of(), rules=RULES, observed=there)
    return {each["metadata"]["name"]: each for each in made}


def problems(target: Json, canary: Canary | None = None, *observed: Json) -> tuple[Problem, ...]:
    there = {each["metadata"]["name"]: each for each in observed}
    return TARGET.problems(canary or canary_of(), target, rules=RULES, observed=there)


class TestCopies:
    def test_lead_where_the_target_does_inside_the_cluster(self) -> None:
        """Addresses and node ports are one Service's own, and nothing but the target is reached from outside."""
        expected = {
            "type": "ClusterIP",
            "selector": {"app": "shop", "release": "1"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 9898}],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
        }
        assert primary_of(service())["spec"] == versions(service())["shop-canary"]["spec"] == expected

    def test_of_a_headless_service_are_headless(self) -> None:
        assert primary_of(service(clusterIP="None"))["spec"]["clusterIP"] == "None"

    def test_of_an_alias_are_aliases(self) -> None:
        target = {**service(), "spec": {"type": "ExternalName", "externalName": "shop.example.test"}}
        assert primary_of(target)["spec"] == target["spec"]
        assert problems(target) == ()

    def test_belong_to_the_canary_and_bear_what_it_says(self) -> None:
        canary = canary_of(primary={"labels": {"tier": "p"}}, canary={"annotations": {"note": "c"}})
        primary, follower = primary_of(service(), canary)["metadata"], versions(service(), canary)["shop-canary"]
        assert primary["labels"] == {"tier": "p"}
        assert follower["metadata"]["annotations"]["note"] == "c"
        assert [owner["uid"] for owner in primary["ownerReferences"]] == ["uid-1"]

    def test_get_the_labels_that_may_be_copied(self) -> None:
        target = service()
        target["metadata"]["labels"] = {"team": "blue", "kustomize.toolkit.fluxcd.io/name": "apps"}
        made = primary_of(target, rules=Rules(include_label_prefixes=("*",)))
        assert made["metadata"]["labels"] == {"team": "blue"}

    def test_of_other_authors_stay_theirs(self) -> None:
        assert "ownerReferences" not in primary_of(service(), existing=service("shop-primary"))["metadata"]

    def test_prefer_the_endpoints_that_the_canary_names(self) -> None:
        canary = canary_of(trafficDistribution="PreferSameZone")
        assert primary_of(service(), canary)["spec"]["trafficDistribution"] == "PreferSameZone"

    def test_a_field_that_is_gone_from_the_target_is_a_change_of_the_copy(self) -> None:
        """Else nothing would be written: an apply that names less is covered by what is there."""
        with_more = versions(service(publishNotReadyAddresses=True))["shop-canary"]
        assert not covers(with_more, versions(service())["shop-canary"])

    @given(st.sampled_from(["1", "2"]), st.booleans())
    def test_are_made_once(self, release: str, headless: bool) -> None:
        address = "None" if headless else "10.96.0.7"
        target = service(selector={"release": release}, clusterIP=address)
        before = copy.deepcopy(target)
        first = versions(target)
        primary = primary_of(target)
        again = versions(target, None, primary, *first.values())
        assert again == {**first, "shop-primary": primary}
        assert target == before


class TestPrimary:
    def test_stays_where_it_leads_while_the_target_goes_on(self) -> None:
        """Only a promotion moves it; what the Canary writes on it is kept up all the time."""
        primary = primary_of(service())
        target = service(selector={"release": "2"})
        made = versions(target, canary_of(primary={"labels": {"tier": "p"}}), primary)
        assert made["shop-primary"]["spec"] == primary["spec"]
        assert made["shop-primary"]["metadata"]["labels"] == {"tier": "p"}
        assert TARGET.primary_revision(made["shop-primary"]) == TARGET.revision(service())
        assert made["shop-canary"]["spec"]["selector"] == {"release": "2"}

    def test_is_not_made_beside_the_promotion(self) -> None:
        assert versions(service()).keys() == {"shop-canary"}
        assert versions(service(), None, service("shop-primary")).keys() == {"shop-canary"}

    def test_says_which_revision_it_carries(self) -> None:
        assert TARGET.primary_revision(primary_of(service())) == TARGET.carried(service(), {})
        assert TARGET.primary_revision(service("shop-primary")) is None


class TestRevision:
    @pytest.mark.parametrize(
        "change",
        [
            {"selector": {"app": "shop", "release": "2"}},
            {"ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]},
            {"type": "ExternalName", "externalName": "shop.example.test"},
            {"publishNotReadyAddresses": True},
        ],
    )
    def test_changes_with_where_it_leads(self, change: dict[str, Any]) -> None:
        assert TARGET.revision(service(**change)) != TARGET.revision(service())

    @pytest.mark.parametrize(
        "change",
        [
            {"clusterIP": "10.96.0.8", "clusterIPs": ["10.96.0.8"]},
            {"type": "LoadBalancer", "healthCheckNodePort": 31000, "loadBalancerClass": "x"},
            {"externalIPs": ["192.0.2.1"]},
            {"trafficDistribution": None},
        ],
    )
    def test_is_the_same_whatever_its_own_addresses_are(self, change: dict[str, Any]) -> None:
        assert TARGET.revision(service(**change)) == TARGET.revision(service())

    def test_is_the_same_in_every_release(self) -> None:
        """Statuses hold it: another hash would roll out every Canary when the controller is updated."""
        assert TARGET.revision(service()) == "5eb2ecf3ea243a32"


class TestWithoutPods:
    def test_it_is_ready_and_cannot_be_scaled(self) -> None:
        assert TARGET.readiness(service()) == Readiness(1, updated=1, ready=1, available=1, total=1)
        assert TARGET.scaled(service(), 0) == TARGET.scaled(service(), 3) == {}

    def test_its_users_reach_it_by_its_own_name_whatever_happens(self) -> None:
        there: Mapping[str, Json] = {"shop": service()}
        assert TARGET.apex_services(service(), canary_of(), rules=RULES, observed=there) == ()
        assert TARGET.handed_back_services(service(), canary_of(), rules=RULES, observed=there) == ()

    def test_it_has_no_template_and_no_label(self) -> None:
        assert TARGET.template(service()) == {}
        assert TARGET.selector_label(service(), RULES) is None


class TestProblems:
    def test_a_service_that_fits_has_none(self) -> None:
        said = canary_of(targetPort=9898, portName="http", name="shop", portDiscovery=True)
        assert problems(service(), said, service("shop-primary", owned=True)) == ()

    @pytest.mark.parametrize(
        ("said", "field", "told"),
        [
            ({"name": "other"}, "spec.service.name", "the target, shop"),
            ({"port": 81}, "spec.service.port", "no port 81"),
            ({"targetPort": 8080}, "spec.service.targetPort", "has the targetPort 9898"),
            ({"targetPort": "web"}, "spec.service.targetPort", "has the targetPort 9898"),
            ({"portName": "web"}, "spec.service.portName", "has the name http"),
            ({"appProtocol": "h2c"}, "spec.service.appProtocol", "has the appProtocol (none)"),
            ({"ports": [{"name": "x", "port": 81}]}, "spec.service.ports[0].port", "no port 81"),
            (
                {"ports": [{"name": "x", "port": 80, "targetPort": 8080}]},
                "spec.service.ports[0].targetPort",
                "has the targetPort 9898",
            ),
            ({"headless": True}, "spec.service.headless", "not headless"),
            ({"autoscaler": "shop"}, "spec.autoscalerRef", "no pods"),
        ],
    )
    def test_what_the_target_says_otherwise_is_one(self, said: dict[str, Any], field: str, told: str) -> None:
        (problem,) = problems(service(), canary_of(**said))
        assert problem.field == field
        assert told in problem.message

    def test_endpoints_without_a_selector_are_one(self) -> None:
        (problem,) = problems(service(selector=None))
        assert "EndpointSlices" in problem.message

    @pytest.mark.parametrize(("address", "told"), [("None", "is headless"), ("10.96.0.9", "is not headless any more")])
    def test_a_target_that_was_made_anew_otherwise_is_one(self, address: str, told: str) -> None:
        """The API server changes no Service from headless to not, or back."""
        copy_ = service("shop-canary", owned=True, clusterIP="10.96.0.8" if address == "None" else "None")
        (problem,) = problems(service(clusterIP=address), None, copy_)
        assert told in problem.message
        assert "delete Service shop-canary" in problem.remedy

    def test_only_tcp_ports_count(self) -> None:
        ports = [{"name": "dns", "port": 80, "protocol": "UDP"}]
        (problem,) = problems(service(ports=ports))
        assert "of protocol TCP" in problem.remedy


def test_copies_that_can_not_follow_into_another_family_are_told() -> None:
    """To Kubernetes the first family of a Service's addresses never changes: only a new one can have another."""
    moved = service(ipFamilies=["IPv6"], clusterIP="fd00::7", clusterIPs=["fd00::7"])
    (problem,) = problems(moved, None, service("shop-primary", owned=True), service("shop-canary"))
    assert problem.message == "shop is of the family IPv6 now, and Service shop-primary can't follow"
    both = service(ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack")
    assert problems(both, None, service("shop-primary", owned=True)) == ()
    alias = service(type="ExternalName", externalName="example.com", ipFamilies=None, clusterIP=None)
    assert problems(alias, None, service("shop-primary", owned=True)) == ()
