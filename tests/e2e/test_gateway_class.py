"""What a spec asks for is held against what the class of its gateway lists: the real Traefik's list."""

from canary.kube.types import HTTP_ROUTE, Json
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, READY_SECONDS, Scenario, canary_of

GATEWAY = {"name": "traefik", "namespace": "gateway"}
ASKED: Json = {
    "timeout": "5s",
    "corsPolicy": {"allowOrigin": ["https://shop.example.com"]},
    "mirror": [{"backendRef": {"name": "shadow", "port": 80}}],
}


def canary(scenario: Scenario, **service: object) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [GATEWAY], **service}
    return canary_of(scenario.rig.namespace, provider="gatewayapi:v1", service=service)


def stalled(canary: Json) -> str:
    conditions = (canary.get("status") or {}).get("conditions") or []
    return next((str(each["message"]) for each in conditions if each["type"] == "Stalled"), "")


async def test_what_traefik_answers_500_to_or_ignores_is_refused_before_there_is_a_route(rig: Rig) -> None:
    async with Scenario.on(rig, HTTP_ROUTE) as scenario:
        await rig.apply(application(NAME, rig.namespace, "1.0.0"))
        await rig.apply(canary(scenario, **ASKED))
        told = await scenario.canary.until(
            lambda each: "spec.service.mirror" in stalled(each), within=READY_SECONDS, what="a refusal"
        )
        for field, feature in {
            "timeout": "HTTPRouteRequestTimeout",
            "corsPolicy": "HTTPRouteCORS",
            "mirror": "HTTPRouteRequestMirror",
        }.items():
            words = f"spec.service.{field}: GatewayClass traefik does not list {feature}"
            assert words in stalled(told.value or {})
        assert scenario.route.last == {}
        await rig.apply(canary(scenario, rewrite={"uri": "/"}))
        await scenario.phase("Initialized", within=READY_SECONDS)
