"""A good and a bad version behind a TCPRoute, through Istio's Gateway: counted by the connections that arrive."""

from canary.kube.types import TCP_ROUTE, Json
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.istio import TCP_LISTENER, TCP_PORT
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import PORT, Scenario, canary_of
from tests.tools.connections import QUARTER, Entrance, divided, refused


async def test_connections_are_divided_by_weight_and_none_is_lost(rig: Rig, istio: Gateway) -> None:
    """Neither at a change of the weight, nor at promotion and rollback; what is judged is the pods' own word."""

    def canary(listener: str) -> Json:
        listeners = [{**istio.parent, "sectionName": listener}]
        service = {"port": PORT, "routeKind": "TCPRoute", "gatewayRefs": listeners}
        return canary_of(rig.namespace, QUARTER, provider="gatewayapi:v1", service=service)

    async with Scenario.on(rig, TCP_ROUTE, istio.url) as scenario:
        await refused(
            scenario, canary("http"), "no listener of Gateway istio takes a TCPRoute: http is of protocol HTTP"
        )
        await divided(scenario, Entrance(istio.host, TCP_PORT), canary(TCP_LISTENER))
