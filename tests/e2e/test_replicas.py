"""Weights by the numbers of pods: users of a Service without any data plane meet a new version share by share."""

import asyncio

from canary.kube.types import SERVICE, Json
from canary.sandbox.harness import Rig, application, phase_of
from canary.sandbox.scenario import NAME, SUCCESS_RATE, Scenario, canary_of, service
from canary.sandbox.traffic import Traffic

PODS = 3
SHARED = {"flagger.app/service": NAME}
PRIMARY = {"app": f"{NAME}-primary"}


def version(namespace: str, tag: str, **environment: str) -> Json:
    """The application, with the label by which one Service leads to both of its versions."""
    deployment = application(NAME, namespace, tag, replicas=PODS, environment=environment)
    deployment["spec"]["template"]["metadata"]["labels"] |= SHARED
    del deployment["spec"]["replicas"]  # whoever rolls out scales
    return deployment


async def test_users_meet_a_new_version_by_the_number_of_its_pods(rig: Rig) -> None:
    async with Scenario.on(rig, SERVICE) as scenario:
        first = version(rig.namespace, "1.0.0")
        await rig.apply({**first, "spec": {**first["spec"], "replicas": PODS}})
        await rig.apply(service(rig.namespace))
        await scenario.target.until(all_ready, within=30, what="ready pods of the target")
        analysis = {
            "replicaRatio": True,
            "stepWeight": 0,
            "stepWeights": [10, 50],
            "interval": "6s",
            "metrics": [SUCCESS_RATE],
        }
        async with scenario.direct_traffic(rate=60, fresh=True) as traffic:
            await rig.apply(canary_of(rig.namespace, analysis, provider="kubernetes"))
            await scenario.phase("Initialized")
            await scenario.gone_to_the_last()
            assert set(traffic.versions()) == {"1.0.0"}
            assert await selector(rig) == PRIMARY

            await rig.apply(version(rig.namespace, "1.0.1"))
            await told(scenario, 25)
            assert await selector(rig) == SHARED
            assert scenario.status["message"] == "asked 10 %, 1 of 4 pods is 25 %"
            assert 0.2 <= await share(traffic, "1.0.1", 4) <= 0.3
            await told(scenario, 50)
            assert 0.45 <= await share(traffic, "1.0.1", 4) <= 0.55
            await scenario.phase("Succeeded")
            assert await selector(rig) == PRIMARY
            await scenario.gone_to_the_last()
            assert [str(each) for each in traffic.lost] == [], "no request is lost in a good rollout"
            assert scenario.serving == "sample/web:1.0.1"
            checks = {check["name"]: check for check in scenario.status["checks"]}
            assert checks["request-success-rate"]["value"] == 100

            await rig.apply(version(rig.namespace, "1.0.2", FAULT_ERROR_RATE="1"))
            await scenario.phase("Progressing")
            assert await scenario.ended() == "Failed"
            await scenario.gone_to_the_last()
            last = len(traffic.answers)
            await asyncio.sleep(1)
        assert {answer.version for answer in traffic.lost} == {"1.0.2"}
        assert {answer.version for answer in traffic.answers[last:]} == {"1.0.1"}
        assert await selector(rig) == PRIMARY
        events = await rig.events(NAME)
        assert f"Scaling {NAME}.{rig.namespace} to {PODS} pods for canary weight 50" in events
        pods = "Weights by the numbers of pods: asked 10 %, 1 of 4 pods is 25 %; asked 50 %, 3 of 6 pods is 50 %"
        assert pods in events


async def test_pods_that_one_service_can_not_lead_to_are_refused_with_the_label_to_write(rig: Rig) -> None:
    async with Scenario.on(rig, SERVICE) as scenario:
        await scenario.deploy("1.0.0")
        analysis = {"replicaRatio": True, "stepWeight": 0, "stepWeights": [10, 50]}
        await rig.apply(canary_of(rig.namespace, analysis, provider="kubernetes"))
        await scenario.canary.until(lambda each: "conditions" in each.get("status", {}), within=20, what="refusal")
        (condition,) = (each for each in scenario.status["conditions"] if each["type"] == "Stalled")
        assert condition["message"].startswith("spec.analysis.replicaRatio: the pods of app have no label")
        assert f"flagger.app/service: {NAME}" in condition["message"]
        assert phase_of(scenario.canary.last) == ""

        labelled = version(rig.namespace, "1.0.0")
        await rig.apply({**labelled, "spec": {**labelled["spec"], "replicas": 2}})
        await scenario.phase("Initialized")


def all_ready(deployment: Json) -> bool:
    return bool(deployment.get("status", {}).get("readyReplicas") == PODS)


async def selector(rig: Rig) -> Json:
    found: Json = (await rig.client.get(SERVICE, rig.namespace, NAME))["spec"]["selector"]
    return found


async def told(scenario: Scenario, weight: int) -> None:
    """Wait until the status tells this weight."""

    def has(canary: Json) -> bool:
        return bool(canary.get("status", {}).get("canaryWeight") == weight)

    await scenario.canary.until(has, within=60, what=f"weight {weight}")


async def share(traffic: Traffic, tag: str, seconds: float) -> float:
    """The share of the requests that a version answers for so many seconds from now on, once proxies have followed."""
    await asyncio.sleep(0.5)
    begun = len(traffic.answers)
    await asyncio.sleep(seconds)
    answers = traffic.answers[begun:]
    return sum(answer.version == tag for answer in answers) / len(answers)
