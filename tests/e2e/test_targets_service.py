"""A Service rolls out, and back: what changes is where it leads, between applications that are there all the time."""

from canary.kube.types import CANARY, SERVICE, Json
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import (
    Recording,
    Rig,
    application,
    backends_of,
    ingress_route,
    phase_of,
    weight_of,
    without_repeats,
)
from canary.sandbox.scenario import ENDED, NAME, PORT, READY_SECONDS, ROLLOUT_SECONDS, STEPS, SUCCESS_RATE, canary_of
from canary.sandbox.traffic import Traffic

TARGET = {"apiVersion": "v1", "kind": "Service", "name": NAME}
APPLICATIONS = {"blue": "1.0.0", "green": "1.0.1", "red": "1.0.2"}
BAD = {"red": {"FAULT_ERROR_RATE": "1"}}


def leading_to(application_: str, namespace: str, **spec: object) -> Json:
    """The target; as a NodePort Service, it has addresses that no copy can have too."""
    port = {"name": "http", "port": PORT, "targetPort": "http"}
    spec = {"type": "NodePort", "selector": {"app": application_}, "ports": [port], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": namespace}, "spec": spec}


async def prepare(rig: Rig) -> str:
    """The applications, ready, and the Service that leads to the first; the host name of the gateway's route."""
    namespace = rig.namespace
    for name, version in APPLICATIONS.items():
        await rig.apply(application(name, namespace, version, replicas=1, environment=BAD.get(name)))
    await rig.apply(leading_to("blue", namespace))
    await rig.apply(ingress_route(NAME, namespace, f"{NAME}.{namespace}", PORT))

    async def ready() -> int:
        found = [await rig.deployment(name) for name in APPLICATIONS]
        return sum(each.get("status", {}).get("readyReplicas", 0) for each in found)

    await eventually(ready, lambda count: count == len(APPLICATIONS))
    return f"{NAME}.{namespace}"


async def rolled_out(rig: Rig, canary: Recording, application_: str) -> str:
    await rig.apply(leading_to(application_, rig.namespace))
    await canary.until(lambda each: phase_of(each) == "Progressing", within=20, what="start of the rollout")
    ended = await canary.until(lambda each: phase_of(each) in ENDED, within=ROLLOUT_SECONDS, what="end of the rollout")
    return phase_of(ended.value or {})


async def selected(rig: Rig, suffix: str = "") -> str:
    """The application that one of the three Services leads to."""
    service = await rig.client.get(SERVICE, rig.namespace, NAME + suffix)
    return str(service["spec"]["selector"]["app"])


def is_promoted(canary: Json) -> bool:
    """Whether the target, as the controller has seen it, is what was promoted last."""
    return bool(canary["status"]["lastAppliedSpec"] == canary["status"]["lastPromotedSpec"])


async def test_traffic_shifts_between_two_services_and_back_from_a_bad_one(rig: Rig) -> None:
    host = await prepare(rig)
    async with rig.watching(NAME) as (canary, route):
        await rig.apply(canary_of(rig.namespace, {"metrics": [SUCCESS_RATE]}, targetRef=TARGET))
        await canary.until(lambda each: phase_of(each) == "Initialized", within=READY_SECONDS, what="initialization")
        assert await selected(rig, "-primary") == await selected(rig, "-canary") == "blue"

        async with Traffic(f"http://{addresses.GATEWAY}:{PORT}/", host) as traffic:
            assert await rolled_out(rig, canary, "green") == "Succeeded"
            assert await selected(rig, "-primary") == "green"
            assert await rolled_out(rig, canary, "red") == "Failed"
        weights = without_repeats([weight_of(moment.value or {}) for moment in route.moments])
        assert weights == [*STEPS, 25, 0]
        assert {answer.version for answer in traffic.lost} <= {"1.0.2"}, "nothing but the bad version loses a request"
        assert set(traffic.versions()) == set(APPLICATIONS.values())
        assert await selected(rig, "-primary") == "green"
        assert [await selected(rig), await selected(rig, "-canary")] == ["red", "red"], "they are as their author wrote"

        await rig.apply(leading_to("green", rig.namespace))
        await canary.until(is_promoted, within=READY_SECONDS, what="word of the promoted version")
        await rig.client.delete(CANARY, rig.namespace, NAME)
        await canary.until(lambda each: not each, within=READY_SECONDS, what="end of the Canary")

        async def left() -> list[str]:
            listed = await rig.client.list(SERVICE, rig.namespace)
            return [str(each["metadata"]["name"]) for each in listed["items"]]

        assert await eventually(left, lambda names: len(names) == 1) == [NAME], "the copies go with the Canary"


async def test_a_change_in_mid_rollout_gets_no_request_before_its_own_first_step(rig: Rig) -> None:
    host = await prepare(rig)
    async with rig.watching(NAME) as (canary, route):
        await rig.apply(canary_of(rig.namespace, {"interval": "3s"}, targetRef=TARGET))
        await canary.until(lambda each: phase_of(each) == "Initialized", within=READY_SECONDS, what="initialization")
        async with Traffic(f"http://{addresses.GATEWAY}:{PORT}/", host) as traffic:
            await rig.apply(leading_to("red", rig.namespace))
            await route.until(lambda each: weight_of(each) == 25, within=20, what="first step of the first change")
            await rig.apply(leading_to("green", rig.namespace))
            await canary.until(lambda each: phase_of(each) == "Succeeded", within=ROLLOUT_SECONDS, what="promotion")
        weights = without_repeats([weight_of(moment.value or {}) for moment in route.moments])
        assert weights == [0, 25, *STEPS], "the second change began where the first had begun"
        assert {answer.version for answer in traffic.lost} <= {"1.0.2"}
        assert await selected(rig, "-primary") == "green"


async def test_a_canary_that_goes_leads_users_to_the_target_again(rig: Rig) -> None:
    host = await prepare(rig)
    async with rig.watching(NAME) as (canary, route):
        await rig.apply(canary_of(rig.namespace, targetRef=TARGET, revertOnDeletion=True))
        await canary.until(lambda each: phase_of(each) == "Initialized", within=READY_SECONDS, what="initialization")
        async with Traffic(f"http://{addresses.GATEWAY}:{PORT}/", host) as traffic:
            await rig.client.delete(CANARY, rig.namespace, NAME)
            await canary.until(lambda each: not each, within=READY_SECONDS, what="end of the Canary")

            async def copies() -> int:
                listed = await rig.client.list(SERVICE, rig.namespace)
                return len(listed["items"]) - 1

            await eventually(copies, lambda count: count == 0)
        assert traffic.answers
        assert [str(answer) for answer in traffic.lost] == []
        assert backends_of(route.last) == {NAME: 100}
