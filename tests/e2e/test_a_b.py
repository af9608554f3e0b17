"""A/B testing through Traefik's Gateway: who is chosen meets a new version, nobody else does before its promotion."""

from canary.kube.types import HTTP_ROUTE, Json
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import PORT, SUCCESS_RATE, Scenario, canary_of
from tests.tools.played import the_chosen_meet_it_first

GATEWAY = {"name": "traefik", "namespace": "gateway"}
TESTER, BETA = {"X-Tester": "yes"}, "?beta=on"
MATCH = [{"headers": {"x-tester": {"exact": "yes"}}}, {"queryParams": {"beta": {"exact": "on"}}}]


def canary(scenario: Scenario) -> Json:
    service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [GATEWAY]}
    analysis = {"stepWeight": 0, "iterations": 2, "match": MATCH, "metrics": [SUCCESS_RATE]}
    return canary_of(scenario.rig.namespace, analysis, provider="gatewayapi:v1", service=service)


async def test_the_chosen_meet_a_version_before_everybody_does(rig: Rig) -> None:
    async with Scenario.on(rig, HTTP_ROUTE) as scenario:
        await scenario.initialise(canary(scenario))
        chosen = [scenario.traffic(20, headers=TESTER), scenario.traffic(20, BETA)]
        await the_chosen_meet_it_first(scenario, chosen)

        everybody, testers = scenario.traffic(), scenario.traffic(20, headers=TESTER)
        async with everybody, testers:
            assert await scenario.roll_out("1.0.2", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
        assert [str(each) for each in everybody.lost] == []
        assert set(everybody.versions()) == {"1.0.1"}
        assert {each.version for each in testers.lost} == {"1.0.2"}
        assert scenario.serving == "sample/web:1.0.1"
        assert scenario.unserved == []
