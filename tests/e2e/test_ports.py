"""Two ports of an application through the gateway, under load: their users move together, and nobody is lost."""

import pytest

from canary.kube.types import HTTP_ROUTE, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.harness import Recording, Rig, application, ingress_route, weight_of, without_repeats
from canary.sandbox.scenario import NAME, PORT, STEPS, Scenario, canary_of
from canary.sandbox.traffic import Traffic

ADMIN, ADMIN_PORT = f"{NAME}-admin", 8081


def two_ports(namespace: str, version: str) -> Json:
    """The sample web service, and once more beside it, which says so in its version; both serve on after SIGTERM."""
    deployment = application(NAME, namespace, version)
    containers = deployment["spec"]["template"]["spec"]["containers"]
    own = {"PORT": str(ADMIN_PORT), "VERSION": f"admin {version}"}
    admin = {
        **containers[0],
        "name": "admin",
        "ports": [{"name": "admin", "containerPort": ADMIN_PORT}],
        "env": [
            *(each for each in containers[0]["env"] if each["name"] not in own),
            *({"name": name, "value": value} for name, value in own.items()),
        ],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": ADMIN_PORT}, "periodSeconds": 1},
    }
    containers.append(admin)
    return deployment


def listener(name: str) -> Json:
    return {"name": "traefik", "namespace": "gateway", "sectionName": name}


@pytest.mark.parametrize(
    ("provider", "kind"), [("gatewayapi:v1", HTTP_ROUTE), ("traefik", TRAEFIK_SERVICE)], ids=["gatewayapi", "traefik"]
)
async def test_both_ports_shift_together_and_lose_no_request(rig: Rig, provider: str, kind: Resource) -> None:
    gateway = provider != "traefik"
    admin: Json = {"name": "admin", "port": ADMIN_PORT}
    service: Json = {"port": PORT}
    # Traefik tells the two apart by host, a gateway by the listener: its second one takes what comes to port 80.
    admin_host = f"{NAME}.{rig.namespace}" if gateway else f"{ADMIN}.{rig.namespace}"
    if gateway:
        admin["gatewayRefs"] = [listener("web")]
        service |= {"hosts": [admin_host], "gatewayRefs": [listener("app")]}
    async with Scenario.on(rig, kind) as scenario, rig.recording(kind, ADMIN) as second:
        await rig.apply(ingress_route(ADMIN, rig.namespace, admin_host, ADMIN_PORT))
        canary = canary_of(rig.namespace, provider=provider, service={**service, "ports": [admin]})
        await scenario.initialise(canary, two_ports(rig.namespace, "1.0.0"))
        url = f"http://{addresses.GATEWAY}:{80 if gateway else PORT}/"
        async with scenario.traffic() as traffic, Traffic(url, admin_host) as admin_traffic:
            await rig.apply(two_ports(rig.namespace, "1.0.1"))
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Succeeded"

        assert (scenario.weights, weights(second)) == (STEPS, STEPS)
        assert [str(each) for each in (*traffic.lost, *admin_traffic.lost)] == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert set(admin_traffic.versions()) == {"admin 1.0.0", "admin 1.0.1"}


def weights(route: Recording) -> tuple[int, ...]:
    return tuple(without_repeats([weight_of(moment.value or {}) for moment in route.moments]))
