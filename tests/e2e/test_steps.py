"""Written steps through Traefik's Gateway: testers first, by one pod, then a tenth of all, once a person says so."""

from canary.kube.types import CANARY, HTTP_ROUTE, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import Recording, Rig
from canary.sandbox.scenario import NAME, PORT, SUCCESS_RATE, Scenario, canary_of
from tests.tools.two_versions import versions

TESTER = {"X-Tester": "yes"}
OLD, NEW, BROKEN = "1.0.0", "1.0.1", "1.0.2"
STEPS: list[Json] = [
    {"scale": {"replicas": 1}},
    {"header": {"match": [{"headers": {"x-tester": {"exact": "yes"}}}]}},
    {"pause": {}},
    {"weight": 20},
    {"analysis": {"checks": [SUCCESS_RATE["name"]], "looks": 3}},
    {"header": {}},
    {"pause": {"duration": "5s"}},
]


def at_step(canary: Json) -> tuple[str, int]:
    """Why the rollout stands where it does, and at which step."""
    status = canary.get("status", {})
    return str(status.get("reason", "")), int(status.get("rollout", {}).get("step", 0))


async def stands(canary: Recording, reason: str, step: int) -> None:
    await canary.until(lambda each: at_step(each) == (reason, step), within=60, what=f"{reason} at step {step}")


async def order(rig: Rig, verb: str) -> None:
    """What `canary resume` and `canary abort` write."""
    patch = {"metadata": {"annotations": {"flagger.app/order": f"{verb} by=mia at={verb}"}}}
    await rig.client.merge_patch(CANARY, rig.namespace, NAME, patch)


async def test_each_step_leads_those_whom_it_says_and_nobody_is_lost(rig: Rig) -> None:
    async with Scenario.on(rig, HTTP_ROUTE) as scenario:
        service = {"port": PORT, "hosts": [scenario.host], "gatewayRefs": [TRAEFIK.parent]}
        analysis = {"stepWeight": 0, "maxWeight": 0, "metrics": [SUCCESS_RATE], "steps": STEPS}
        spec = canary_of(rig.namespace, analysis, provider="gatewayapi:v1", service=service)
        await scenario.initialise(spec)
        host = scenario.host
        await eventually(lambda: versions(TRAEFIK, host, 5), lambda found: found == {OLD: 5})

        everybody, testers = scenario.traffic(), scenario.traffic(20, headers=TESTER)
        async with everybody, testers:
            await scenario.deploy(NEW)
            await stands(scenario.canary, "WaitingToBeResumed", 3)
            await eventually(lambda: versions(TRAEFIK, host, 30, TESTER), lambda found: found == {NEW: 30})
            assert await versions(TRAEFIK, host, 100) == {OLD: 100}
            await eventually(lambda: rig.deployment(NAME), lambda each: each["spec"]["replicas"] == 1)

            await order(rig, "resume")
            await stands(scenario.canary, "PausedAtStep", 7)
            # The data plane may take some seconds to follow, and the pause lasts five: what is counted is all of it.
            assert await scenario.phase("Succeeded", within=60) == "Succeeded"
        assert [str(each) for each in (*everybody.lost, *testers.lost)] == []
        assert scenario.weights == (0, 100, 20, 0)
        assert scenario.serving == f"sample/web:{NEW}"

        everybody = scenario.traffic()
        async with everybody:
            await scenario.deploy(BROKEN, environment={"FAULT_ERROR_RATE": "1"})
            await stands(scenario.canary, "WaitingToBeResumed", 3)
            await order(rig, "abort")
            assert await scenario.phase("Failed", within=60) == "Failed"
        assert everybody.lost == []
        assert set(everybody.versions()) == {NEW}
        assert scenario.unserved == []
