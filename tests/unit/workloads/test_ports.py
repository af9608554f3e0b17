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
            ({"port": 9898, "ports": [{"name": "x", "port": 80, "targetPort": "metrics"}]}, template(HTTP, METRICS)),
            (
                {"port": 80},
                template(HTTP, initContainers=[{"restartPolicy": "Always", "ports": [{"containerPort": 80}]}]),
            ),
        ],
    )
    def test_a_port_that_a_container_has_is_none(
        self, make_canary: Callable[..., Canary], service: Json, pod_template: Json
    ) -> None:
        assert ports.problems(make_canary(**service), pod_template) == ()

    @pytest.mark.parametrize(
        ("service", "pod_template", "field", "remedy"),
        [
            ({"port": 80}, template(HTTP), "spec.service.port", "9898 (http)"),
            ({"port": 80, "targetPort": 80}, template(HTTP), "spec.service.targetPort", "9898 (http)"),
            ({"port": 80, "targetPort": "web"}, template(HTTP, METRICS), "spec.service.targetPort", "9797 (metrics)"),
            ({"port": 80, "targetPort": "web"}, NOTHING, "spec.service.targetPort", "declare it in a container"),
            (
                {"port": 9898, "ports": [{"name": "x", "port": 9797}, {"name": "y", "port": 80}]},
                template(HTTP, METRICS),
                "spec.service.ports[1].port",
                "9797 (metrics)",
            ),
            (
                {"port": 9898, "ports": [{"name": "x", "port": 80, "targetPort": "web"}]},
                template(HTTP),
                "spec.service.ports[0].targetPort",
                "9898 (http)",
            ),
            ({"port": 53}, template({"containerPort": 53, "protocol": "UDP"}, HTTP), "spec.service.port", "9898"),
        ],
    )
    def test_a_port_of_no_container_names_those_that_there_are(
        self, make_canary: Callable[..., Canary], service: Json, pod_template: Json, field: str, remedy: str
    ) -> None:
        (problem,) = ports.problems(make_canary(**service), pod_template)
        assert problem.field == field
        assert "no container of my-app has a port" in problem.message
        assert remedy in problem.remedy


class TestDiscovery:
    def test_takes_nothing_unless_asked(self, make_canary: Callable[..., Canary]) -> None:
        assert ports.discovered_ports(make_canary(), template(HTTP, METRICS)) == ()

    @pytest.mark.parametrize(
        "target", [{"port": 9898}, {"port": 80, "targetPort": 9898}, {"port": 80, "targetPort": "http"}]
    )
    def test_leaves_out_the_port_that_the_spec_names(self, make_canary: Callable[..., Canary], target: Json) -> None:
        found = ports.discovered_ports(make_canary(portDiscovery=True, **target), template(HTTP, METRICS))
        assert [port.name for port in found] == ["metrics"]

    def test_leaves_out_what_would_collide_in_a_service(self, make_canary: Callable[..., Canary]) -> None:
        """The Service's own number and name, and a number that two containers declare, come once."""
        clash = template(
            {"name": "api", "containerPort": 8080},
            {"name": "http", "containerPort": 8081},
            {"name": "web", "containerPort": 80},
            {"name": "one", "containerPort": 9000},
            {"name": "two", "containerPort": 9000},
        )
        found = ports.discovered_ports(make_canary(port=80, targetPort="api", portDiscovery=True), clash)
        assert [port.name for port in found] == ["one"]
