import re
from collections.abc import Callable

import pytest

from canary.api.canary import Canary
from canary.kube.types import Json
from canary.workloads import ports


def template(*declared: Json, **more: object) -> Json:
    return {"spec": {"containers": [{"name": "app", "ports": list(declared)}], **more}}


HTTP = {"name": "http", "containerPort": 9898}
METRICS = {"name": "metrics", "containerPort": 9797, "protocol": "TCP"}
NOTHING = template()


class TestProblems:
    @pytest.mark.parametrize(
        ("service", "pod_template"),
        [
            ({"port": 9898}, template(HTTP)),
            ({"port": 80, "targetPort": 9898}, template(HTTP)),
            ({"port": 80, "targetPort": "http"}, template(METRICS, HTTP)),
            # Declaring ports is optional in Kubernetes: a container without any may listen anywhere.
            ({"port": 80}, NOTHING),
            ({"port": 80, "targetPort": 8080}, NOTHING),
            ({"port": 80, "targetPort": 0}, NOTHING),
            # What is declared is a hint: a container may listen elsewhere too.
            ({"port": 80}, template(HTTP)),
            ({"port": 80, "targetPort": 8000}, template(METRICS)),
            ({"port": 9898, "ports": [{"name": "x", "port": 80}]}, template(HTTP)),
            ({"port": 53}, template({"containerPort": 53, "protocol": "UDP"})),
            ({"port": 9898, "ports": [{"name": "x", "port": 80, "targetPort": "metrics"}]}, template(HTTP, METRICS)),
            (
                {"port": 80},
                template(HTTP, initContainers=[{"restartPolicy": "Always", "ports": [{"containerPort": 80}]}]),
            ),
        ],
    )
    def test_a_number_or_a_name_that_a_container_declares_is_none(
        self, make_canary: Callable[..., Canary], service: Json, pod_template: Json
    ) -> None:
        assert ports.problems(make_canary(**service), pod_template) == ()

    @pytest.mark.parametrize(
        ("service", "pod_template", "field", "remedy"),
        [
            ({"port": 80, "targetPort": "web"}, template(HTTP, METRICS), "spec.service.targetPort", "9797 (metrics)"),
            ({"port": 80, "targetPort": "web"}, NOTHING, "spec.service.targetPort", "declare it in a container"),
            (
                {"port": 9898, "ports": [{"name": "x", "port": 80, "targetPort": "web"}]},
                template(HTTP),
                "spec.service.ports[0].targetPort",
                "9898 (http)",
            ),
            (
                {"port": 80, "targetPort": "dns"},
                template({"name": "dns", "containerPort": 53, "protocol": "UDP"}, HTTP),
                "spec.service.targetPort",
                "9898 (http)",
            ),
        ],
    )
    def test_a_name_of_no_containers_port_tells_those_that_there_are(
        self, make_canary: Callable[..., Canary], service: Json, pod_template: Json, field: str, remedy: str
    ) -> None:
        (problem,) = ports.problems(make_canary(**service), pod_template)
        assert problem.field == field
        assert "no container of my-app has a port" in problem.message
        assert remedy in problem.remedy

    @pytest.mark.parametrize("pod_template", [NOTHING, template({"name": "http", "containerPort": 8080})])
    def test_a_number_in_quotes_is_told_to_be_a_name(
        self, make_canary: Callable[..., Canary], pod_template: Json
    ) -> None:
        (problem,) = ports.problems(make_canary(targetPort="8080"), pod_template)
        assert problem.field == "spec.service.targetPort"
        assert problem.message == "'8080' in quotes is the name of a port, not its number"
        assert problem.remedy == "write 8080 without quotes"


class TestPrimary:
    """The users' Service leads to the primary's pods, which are of the version before."""

    def test_a_name_that_only_the_new_version_has_would_lead_nowhere(self, make_canary: Callable[..., Canary]) -> None:
        web = template({"name": "web", "containerPort": 9898})
        canary = make_canary(targetPort="web", ports=[{"name": "x", "port": 81, "targetPort": "web"}])
        first, second = ports.unknown_to_primary(canary, web, template(HTTP))
        assert (first.field, second.field) == ("spec.service.targetPort", "spec.service.ports[0].targetPort")
        assert "my-app-primary" in first.message
        assert first.remedy.startswith("write its number, 9898")

    @pytest.mark.parametrize("target", ["web", 9898, "gone"])
    def test_what_both_have_or_none_is_no_concern_of_it(
        self, make_canary: Callable[..., Canary], target: int | str
    ) -> None:
        web = template({"name": "web", "containerPort": 9898})
        assert ports.unknown_to_primary(make_canary(targetPort=target), web, web) == ()


class TestDiscovery:
    def test_takes_nothing_unless_asked(self, make_canary: Callable[..., Canary]) -> None:
        assert ports.discovered_ports(make_canary(), template(HTTP, METRICS)) == ()

    @pytest.mark.parametrize(
        "target", [{"port": 9898}, {"port": 80, "targetPort": 9898}, {"port": 80, "targetPort": "http"}]
    )
    def test_leaves_out_the_port_that_the_spec_names(self, make_canary: Callable[..., Canary], target: Json) -> None:
        found = ports.discovered_ports(make_canary(portDiscovery=True, **target), template(HTTP, METRICS))
        assert [port.name for port in found] == ["metrics"]

    def test_leaves_out_numbers_that_the_service_has_already(self, make_canary: Callable[..., Canary]) -> None:
        clash = template(
            {"name": "api", "containerPort": 8080},
            {"name": "web", "containerPort": 80},
            {"name": "one", "containerPort": 9000},
            {"name": "two", "containerPort": 9000},
        )
        found = ports.discovered_ports(make_canary(port=80, targetPort="api", portDiscovery=True), clash)
        assert [port.name for port in found] == ["one"]

    def test_a_name_that_is_taken_is_made_another(self, make_canary: Callable[..., Canary]) -> None:
        """The spec's own port is named http where nothing else is said, and two containers may use one name."""
        clash = template(
            {"name": "http", "containerPort": 9003},
            {"name": "http-ui", "containerPort": 9090},
            {"name": "admin", "containerPort": 9004},
            {"name": "admin", "containerPort": 9005},
        )
        found = ports.discovered_ports(make_canary(port=9090, portDiscovery=True), clash)
        assert [(port.name, port.number) for port in found] == [
            ("http-9003", 9003),
            ("admin", 9004),
            ("admin-9005", 9005),
        ]

    def test_the_same_number_of_another_protocol_is_another_port(self, make_canary: Callable[..., Canary]) -> None:
        dns = template(
            {"name": "dns-tcp", "containerPort": 53}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}
        )
        (found,) = ports.discovered_ports(make_canary(port=53, portDiscovery=True), dns)
        assert (found.name, found.protocol) == ("dns", "UDP")

    @pytest.mark.parametrize("container", ["c" * 63, "a" * 56 + "-b", "x" * 10])
    def test_a_port_without_a_name_gets_one_that_a_service_may_have(
        self, make_canary: Callable[..., Canary], container: str
    ) -> None:
        bare: Json = {
            "spec": {"containers": [{"name": container, "ports": [{"containerPort": 1}, {"containerPort": 2}]}]}
        }
        found = ports.discovered_ports(make_canary(portDiscovery=True), bare)
        names = [port.name for port in found]
        assert len(set(names)) == 2
        assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names)
