from collections.abc import Callable
from typing import ClassVar

import pytest

from canary.api.analysis import Analysis
from canary.api.canary import Canary
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

    @pytest.mark.parametrize("name", ["http", ""])
    def test_a_port_of_the_users_own_that_ours_cannot_stand_beside(
        self, make_canary: Callable[..., Canary], name: str
    ) -> None:
        (problem,) = services.problems(make_canary(), existing(ports=[{"name": name, "port": 80}]))
        assert problem.field == "spec.service.port"
        assert "80" in problem.message

    def test_further_ports_may_not_clash_with_the_users_own_either(self, make_canary: Callable[..., Canary]) -> None:
        canary = make_canary(ports=[{"name": "admin", "port": 81}])
        assert services.problems(canary, existing(ports=[{"name": "theirs", "port": 81}])) == ()
        (problem,) = services.problems(canary, existing(ports=[{"name": "admin", "port": 82}]))
        assert problem.field == "spec.service.port"

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
