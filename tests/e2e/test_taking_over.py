"""A Canary is made for an application that has its users already: what they come by stays, and none of them is lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from canary.kube.types import HTTP_ROUTE, SERVICE, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application, backends_of, ingress_route
from canary.sandbox.scenario import NAME, PORT, READY_SECONDS, Scenario, canary_of
from canary.sandbox.traffic import Answer, Traffic

GATEWAY = [{"name": "traefik", "namespace": "gateway"}]


@dataclass(frozen=True, slots=True)
class Shape:
    """How users come to an application before its Canary.

    Args:
        port: the port of the author's Service.
        route: what leads to it.
        provider: the Canary's provider.
        service: the Canary's `service`.
        ports: the ports of the Service afterwards: number, name and target.
        target: the kind of the Canary's target.
    """

    port: Json
    route: str
    provider: str
    service: Json = field(default_factory=lambda: {"port": PORT})
    ports: Sequence[tuple[int, str, object]] = ((PORT, "", PORT),)
    target: str = "Deployment"

    @property
    def kind(self) -> Resource:
        return HTTP_ROUTE if self.route == "HTTPRoute" else TRAEFIK_SERVICE

    @property
    def reference(self) -> Json:
        return {"kind": self.target, "apiVersion": "v1" if self.target == "Service" else "apps/v1"}

    def routes(self, namespace: str, host: str) -> list[Json]:
        direct = ingress_route(NAME, namespace, host, PORT)
        to = self.port.get("name", PORT) if self.route == "by name" else PORT
        direct["spec"]["routes"][0]["services"] = [{"name": NAME, "port": to}]
        if self.route not in ("TraefikService", "HTTPRoute"):
            return [direct]
        metadata = {"name": NAME, "namespace": namespace}
        backend = {"name": NAME, "port": PORT, "weight": 100}
        if self.route == "TraefikService":
            divided = {"weighted": {"services": [backend]}}
            weighted = {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": metadata}
            return [{**weighted, "spec": divided}, ingress_route(NAME, namespace, host, PORT)]
        spec = {"parentRefs": GATEWAY, "hostnames": [host], "rules": [{"backendRefs": [backend]}]}
        return [{"apiVersion": HTTP_ROUTE.api_version, "kind": "HTTPRoute", "metadata": metadata, "spec": spec}]


SHAPES = {
    "an IngressRoute by the port's number": Shape({"port": PORT, "targetPort": PORT}, "by number", "kubernetes"),
    "an IngressRoute by the port's name": Shape(
        {"name": "web", "port": PORT, "targetPort": "http"},
        "by name",
        "kubernetes",
        ports=[(PORT, "web", PORT)],
    ),
    "a TraefikService": Shape({"port": PORT, "targetPort": PORT}, "TraefikService", "traefik"),
    "an HTTPRoute": Shape(
        {"port": PORT, "targetPort": PORT},
        "HTTPRoute",
        "gatewayapi:v1",
        {"port": PORT, "gatewayRefs": GATEWAY},
    ),
    "a Service as target": Shape({"port": PORT, "targetPort": PORT}, "TraefikService", "traefik", target="Service"),
    "a port that the Canary does not name": Shape(
        {"name": "http", "port": PORT, "targetPort": "http"},
        "by number",
        "kubernetes",
        {"port": 80, "targetPort": PORT},
        [(80, "http-80", PORT), (PORT, "http", "http")],
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
async def test_no_request_is_lost_when_a_canary_is_made(rig: Rig, shape: Shape) -> None:
    service = shape.service
    async with Scenario.on(rig, shape.kind) as scenario, rig.recording(SERVICE, NAME) as apex:
        await rig.apply(application(NAME, rig.namespace, "1.0.0"))
        await scenario.settled()
        await rig.apply(author(rig.namespace, shape.port))
        if shape.route == "HTTPRoute":
            service = {**service, "hosts": [scenario.host]}
        for each in shape.routes(rig.namespace, scenario.host):
            await rig.apply(each)
        await eventually(lambda: reached(scenario), bool)

        async with scenario.traffic(100) as traffic:
            analysis = {"iterations": 1} if shape.provider == "kubernetes" else {}
            canary = canary_of(rig.namespace, analysis, provider=shape.provider, service=service)
            canary["spec"]["targetRef"] = {**canary["spec"]["targetRef"], **shape.reference}
            await rig.apply(canary)
            await scenario.phase("Initialized", within=READY_SECONDS)
            if shape.target == "Deployment":
                await scenario.asleep()
                await scenario.gone_to_the_last()

        assert lost(traffic) == []
        ports = [(port["port"], port.get("name", ""), port["targetPort"]) for port in apex.last["spec"]["ports"]]
        assert sorted(ports) == sorted(shape.ports)
        if shape.route in ("TraefikService", "HTTPRoute"):
            assert backends_of(scenario.route.last)[f"{NAME}-primary"] == 100
        if len(shape.ports) > 1:
            async with Traffic(f"http://{NAME}.{rig.namespace}/") as ours:
                await eventually(lambda: answered(ours), lambda count: count > 10)
            assert lost(ours) == []


def author(namespace: str, port: Json) -> Json:
    metadata = {"name": NAME, "namespace": namespace}
    spec = {"selector": {"app": NAME}, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def lost(traffic: Traffic) -> list[str]:
    """A 404 is lost too: that is what Traefik says where it finds nobody."""
    return [str(each) for each in traffic.answers if not served(each)]


def served(answer: Answer) -> bool:
    return answer.status == 200


async def answered(traffic: Traffic) -> int:
    return len(traffic.answers)


async def reached(scenario: Scenario) -> bool:
    async with Traffic(f"http://{addresses.GATEWAY}:{PORT}/", scenario.host) as first:
        await eventually(lambda: answered(first), bool)
    return served(first.answers[0])
