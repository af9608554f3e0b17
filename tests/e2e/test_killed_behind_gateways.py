"""A controller that is killed three times in one rollout, behind each gateway: no request is lost."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from canary.kube.types import HTTP_PROXY, HTTP_ROUTE, INGRESS, VIRTUAL_SERVICE, Json, Resource
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.contour import CONTOUR
from canary.sandbox.gateways.envoy_gateway import ENVOY_GATEWAY
from canary.sandbox.gateways.ingress_nginx import CLASS, INGRESS_NGINX
from canary.sandbox.gateways.istio import GATEWAY, ISTIO, NAMESPACE
from canary.sandbox.gateways.nginx import NGINX
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of
from tests.tools.killable import kill_and_start

pytestmark = pytest.mark.gateways

RATE = 100.0


@dataclass(frozen=True, slots=True)
class Behind:
    """How an application is reached.

    Args:
        provider: the Canary's.
        gateway: by which gateway.
        route: by which kind of object of ours.
        theirs: the object of the users that leads there, where they have one.
        service: what the Canary's spec says of its Service.
        spec: what else it says.
    """

    provider: str
    gateway: Gateway
    route: Resource
    theirs: Callable[[Scenario], tuple[Resource, Json] | None] = lambda _: None
    service: Callable[[Scenario], Json] = lambda _: {}
    spec: Callable[[Scenario], Json] = lambda _: {}


def front(scenario: Scenario) -> tuple[Resource, Json]:
    return HTTP_PROXY, {"virtualhost": {"fqdn": scenario.host}, "includes": [{"name": NAME}]}


def attached(gateway: Gateway) -> "Behind":
    """By the Gateway API."""
    return Behind(
        "gatewayapi:v1",
        gateway,
        HTTP_ROUTE,
        service=lambda each: {"hosts": [each.host], "gatewayRefs": [gateway.parent]},
    )


def annotated(gateway: Gateway, of_class: str) -> "Behind":
    """By an Ingress of theirs, of a class."""
    reference = {"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "name": "theirs"}
    return Behind(
        "nginx",
        gateway,
        INGRESS,
        theirs=lambda each: ingress(each, of_class),
        spec=lambda _: {"ingressRef": reference},
    )


def ingress(scenario: Scenario, of_class: str) -> tuple[Resource, Json]:
    backend = {"service": {"name": NAME, "port": {"number": PORT}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return INGRESS, {"ingressClassName": of_class, "rules": [{"host": scenario.host, "http": {"paths": paths}}]}


BEHIND = {
    "contour": Behind("contour", CONTOUR, HTTP_PROXY, theirs=front),
    "contour, gatewayapi:v1": attached(CONTOUR),
    "envoy gateway": attached(ENVOY_GATEWAY),
    "istio": Behind(
        "istio",
        ISTIO,
        VIRTUAL_SERVICE,
        service=lambda each: {"hosts": [each.host], "gateways": [f"{NAMESPACE}/{GATEWAY}"]},
    ),
    "traefik, nginx": annotated(NGINX, "nginx"),
    "ingress-nginx": annotated(INGRESS_NGINX, CLASS),
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
async def test_killed_at_a_step_at_promotion_and_at_its_end(killable: Rig, behind: Behind) -> None:
    await killable.cluster.open(behind.gateway)
    async with Scenario.on(killable, behind.route, behind.gateway.url) as scenario:
        if (found := behind.theirs(scenario)) is not None:
            resource, spec = found
            metadata = {"name": "theirs", "namespace": killable.namespace}
            head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
            await killable.apply({**head, "spec": spec})
        service = {"port": PORT, **behind.service(scenario)}
        made = canary_of(killable.namespace, {"interval": "3s"}, provider=behind.provider, service=service)
        made["spec"] |= behind.spec(scenario)
        await scenario.initialise(made)
        async with scenario.traffic(RATE) as traffic:
            await scenario.deploy("1.0.1")
            for phase in ("Progressing", "Promoting", "Finalising"):
                await scenario.phase(phase)
                await kill_and_start(killable)
            assert await scenario.ended() == "Succeeded"
        assert [str(each) for each in traffic.lost] == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert scenario.serving == "sample/web:1.0.1"
        assert scenario.unserved == []
