from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.analysis import Analysis
from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json
from canary.workloads import primary_template, services
from canary.workloads.base import SelectorLabel

LABEL = SelectorLabel("app", "my-app")
OWNER = {"kind": "Canary", "name": "my-app", "uid": "uid-1"}


def existing(*, owned: bool = False, name: str = "my-app", **spec: object) -> dict[str, Json]:
    return {name: {"metadata": {"name": name, "ownerReferences": [OWNER] if owned else []}, "spec": spec}}


def test_each_version_has_a_service_of_its_own(make_canary: Callable[..., Canary]) -> None:
    """The users' Service never leads to the canary, and the two versions' Services select no pod of each other."""
    canary = make_canary()
    apex = services.apex(canary, LABEL, {}, {})
    primary, follower = services.versions(canary, LABEL, {}, {})
    assert apex["spec"]["selector"] == primary["spec"]["selector"] == {"app": "my-app-primary"}
    assert follower["spec"]["selector"] == {"app": "my-app"}


def test_making_them_again_changes_nothing(make_canary: Callable[..., Canary]) -> None:
    canary = make_canary(apex={"annotations": {"a": "b"}}, unmanagedMetadata={"annotations": ["a"]})
    made = [services.apex(canary, LABEL, {}, {}), *services.versions(canary, LABEL, {}, {})]
    there = {service["metadata"]["name"]: service for service in made}
    assert [services.apex(canary, LABEL, {}, there), *services.versions(canary, LABEL, {}, there)] == made


@pytest.mark.parametrize("applied", [{}, {"kubectl.kubernetes.io/last-applied-configuration": "not JSON"}])
def test_a_service_of_unknown_origin_is_handed_back_to_the_target(
    make_canary: Callable[..., Canary], applied: dict[str, str]
) -> None:
    there = existing(selector={"app": "my-app-primary"})
    there["my-app"]["metadata"]["annotations"] = applied
    assert services.handed_back(make_canary(), LABEL, {}, there)["spec"]["selector"] == {"app": "my-app"}


class TestServicesOfOthers:
    """A Service that was there before the Canary: routes refer to its ports by number and by name."""

    @pytest.mark.parametrize("name", ["", "web", "http"])
    def test_its_ports_keep_their_names(self, make_canary: Callable[..., Canary], name: str) -> None:
        there = existing(ports=[{"port": 9898, "targetPort": 9898, **({"name": name} if name else {})}])
        (port,) = services.apex(make_canary(), LABEL, {}, there)["spec"]["ports"]
        assert (port["port"], port.get("name", "")) == (9898, name)

    def test_a_port_of_ours_gets_a_name_that_is_free(self, make_canary: Callable[..., Canary]) -> None:
        """Both ports lead to the primary then: the author's under its name, ours under another."""
        there = existing(ports=[{"name": "http", "port": 9898, "targetPort": 9898}])
        made = services.apex(make_canary(port=80, targetPort=9898), LABEL, {}, there)
        assert made["spec"]["ports"] == [{"name": "http-80", "protocol": "TCP", "port": 80, "targetPort": 9898}]
        assert made["spec"]["selector"] == {"app": "my-app-primary"}

    def test_what_was_applied_once_is_applied_again(self, make_canary: Callable[..., Canary]) -> None:
        canary = make_canary(port=80, targetPort=9898, ports=[{"name": "admin", "port": 81}])
        theirs: list[Json] = [{"name": "http", "port": 9898}, {"name": "admin", "port": 82}]
        ours = services.apex(canary, LABEL, {}, existing(ports=theirs))["spec"]["ports"]
        assert [port["name"] for port in ours] == ["http-80", "admin-81"]
        assert services.apex(canary, LABEL, {}, existing(ports=[*theirs, *ours]))["spec"]["ports"] == ours

    def test_discovered_ports_stand_beside_its_own_too(self, make_canary: Callable[..., Canary]) -> None:
        template: Json = {"spec": {"containers": [{"ports": [{"name": "metrics", "containerPort": 9797}]}]}}
        canary = make_canary(port=9898, portDiscovery=True)
        there = existing(ports=[{"name": "web", "port": 9898}, {"name": "metrics", "port": 9000}])
        made = services.apex(canary, LABEL, template, there)["spec"]["ports"]
        assert [(port["name"], port["port"]) for port in made] == [("web", 9898), ("metrics-9797", 9797)]

    @given(
        theirs=st.lists(
            st.tuples(st.sampled_from([80, 81, 9898, 9797]), st.sampled_from(["http", "a", "b", "http-80"]))
        ),
        port=st.sampled_from([80, 81, 9898]),
        discovery=st.booleans(),
    )
    def test_names_and_numbers_come_once(self, theirs: list[tuple[int, str]], port: int, *, discovery: bool) -> None:
        """Whatever ports are there, no two of the Service as it is stored have one name or one number."""
        there: dict[str, Json] = {}
        for number, name in theirs:
            if name not in {each["name"] for each in there.values()}:
                there.setdefault(str(number), {"name": name, "port": number})
        template: Json = {"spec": {"containers": [{"ports": [{"name": "a", "containerPort": 9797}]}]}}
        canary = parse_canary(
            {
                "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app"},
                    "service": {"port": port, "portDiscovery": discovery, "ports": [{"name": "b", "port": 82}]},
                },
            }
        )
        made = services.apex(canary, LABEL, template, existing(ports=list(there.values())))["spec"]["ports"]
        stored = {each["port"]: each["name"] for each in (*there.values(), *made)}
        assert len(set(stored.values())) == len(stored)
        assert all(stored[each["port"]] == each["name"] for each in there.values())


class TestPrimarysSelector:
    def test_services_select_what_the_primary_has(self, make_canary: Callable[..., Canary]) -> None:
        """A primary keeps the selector that it was made with, whatever the target selects by since."""
        selected = {"name": "old-primary"}
        there: Json = {"spec": {"selector": {"matchLabels": selected}}}
        apex = services.apex(make_canary(), LABEL, {}, {}, there)
        primary, follower = services.versions(make_canary(), LABEL, {}, {}, there)
        assert apex["spec"]["selector"] == primary["spec"]["selector"] == selected
        assert follower["spec"]["selector"] == {"app": "my-app"}


class TestProblems:
    def test_services_that_fit_have_none(self, make_canary: Callable[..., Canary]) -> None:
        fitting = existing(ports=[{"name": "web", "port": 9898}, {"name": "metrics", "port": 9797}])
        assert services.problems(make_canary(), {}) == ()
        assert services.problems(make_canary(), fitting) == ()
        assert services.problems(make_canary(), existing(owned=True, clusterIP="10.0.0.1")) == ()

    def test_an_alias_of_another_host_leads_to_no_pods(self, make_canary: Callable[..., Canary]) -> None:
        (problem,) = services.problems(make_canary(), existing(type="ExternalName"))
        assert "ExternalName" in problem.message

    @pytest.mark.parametrize(("headless", "address"), [(True, "10.0.0.1"), (False, "None")])
    def test_headless_cannot_be_changed(
        self, make_canary: Callable[..., Canary], *, headless: bool, address: str
    ) -> None:
        there = existing(owned=True, name="my-app-primary", clusterIP=address)
        (problem,) = services.problems(make_canary(headless=headless), there)
        assert problem.field == "spec.service.headless"
        assert "delete Service my-app-primary" in problem.remedy

    @pytest.mark.parametrize("selector", [{"app": "other"}, {"team": "shop"}, {"app": "my-app", "tier": "web"}])
    def test_users_of_another_application_are_not_led_here(
        self, make_canary: Callable[..., Canary], selector: Json
    ) -> None:
        """A Service that has the right name by chance, or by a slip in `service.name`."""
        template: Json = {"metadata": {"labels": {"app": "my-app", "version": "1"}}}
        (problem,) = services.problems(make_canary(), existing(selector=selector), template)
        assert problem.field == "spec.service.name"
        assert "leads to other pods than those of my-app" in problem.message
        marked = existing(selector=selector)
        marked["my-app"]["metadata"]["annotations"] = {"flagger.app/applied": "abc"}
        assert services.problems(make_canary(), marked, template) == ()
        assert services.problems(make_canary(), existing(owned=True, selector=selector), template) == ()

    @pytest.mark.parametrize(
        "selector",
        [{}, {"app": "my-app"}, {"version": "1"}, {"app": "my-app-primary"}, {"flagger.app/service": "my-app"}],
    )
    def test_users_of_either_version_stay_where_they_are(
        self, make_canary: Callable[..., Canary], selector: Json
    ) -> None:
        template: Json = {"metadata": {"labels": {"app": "my-app", "version": "1"}}}
        assert services.problems(make_canary(), existing(selector=selector), template) == ()

    def test_a_port_without_a_name_has_no_other_beside_it(self, make_canary: Callable[..., Canary]) -> None:
        """The API server wants a name for each of several ports, and to name one of somebody else loses requests."""
        nameless = existing(ports=[{"port": 9898, "targetPort": 9898}])
        assert services.problems(make_canary(), nameless) == ()
        for asked in ({"port": 80}, {"ports": [{"name": "admin", "port": 81}]}):
            (problem,) = services.problems(make_canary(**asked), nameless)
            assert problem.field == "spec.service.port"
            assert "port 9898 of Service my-app has no name" in problem.message
            assert "name it in Service my-app" in problem.remedy

    def test_a_port_of_somebody_else_that_would_lead_where_nobody_listens(
        self, make_canary: Callable[..., Canary]
    ) -> None:
        """Without targetPort port 80 would turn from 8080 to 80, unless a container says that it listens there."""
        there = existing(ports=[{"port": 80, "targetPort": 8080}])
        (problem,) = services.problems(make_canary(port=80), there)
        assert problem.field == "spec.service.targetPort"
        assert problem.remedy.startswith("write targetPort: 8080")
        assert services.problems(make_canary(port=80, targetPort=80), there) == ()
        assert services.problems(make_canary(port=80, targetPort=8080), there) == ()
        declared: Json = {"spec": {"containers": [{"ports": [{"containerPort": 80}]}]}}
        assert services.problems(make_canary(port=80), there, declared) == ()
        by_name = existing(ports=[{"port": 80, "targetPort": "web"}])
        named: Json = {"spec": {"containers": [{"ports": [{"name": "web", "containerPort": 80}]}]}}
        assert services.problems(make_canary(port=80), by_name, named) == ()

    def test_ports_of_our_own_services_are_ours_to_change(self, make_canary: Callable[..., Canary]) -> None:
        there = existing(owned=True, clusterIP="10.0.0.1", ports=[{"name": "http", "port": 80}])
        assert services.problems(make_canary(), there) == ()


class TestShared:
    """One Service leads to both versions by a label that both have, and that neither selects its pods by."""

    LABELLED: ClassVar[Json] = {"metadata": {"labels": {"app": "my-app", "flagger.app/service": "my-app"}}}

    def test_pods_without_the_label_are_refused_with_what_to_write(self, make_canary: Callable[..., Canary]) -> None:
        made = make_canary()
        asking = made.replace(spec=made.spec.replace(analysis=Analysis(replica_ratio=True)))
        bare: Json = {"metadata": {"labels": {"app": "my-app"}}}
        (problem,) = services.sharing_problems(asking, bare)

        assert problem.field == "spec.analysis.replicaRatio"
        assert "flagger.app/service: my-app" in problem.message
        assert problem.remedy == "add it to spec.template.metadata.labels of my-app"
        assert services.sharing_problems(asking, self.LABELLED) == ()
        assert services.sharing_problems(made, bare) == ()

    def test_the_primarys_pods_have_it_too(self, make_canary: Callable[..., Canary]) -> None:
        label = SelectorLabel("app", "my-app")
        cloned = primary_template.primary_template(self.LABELLED, label, tracked=(), roll="1")

        assert services.is_shared(cloned, make_canary())
        assert cloned["metadata"]["labels"]["app"] == "my-app-primary"
