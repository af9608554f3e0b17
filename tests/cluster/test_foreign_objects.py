"""What belongs to others stays as it is, and users stay where they are served: on a real API server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from canary.kube.types import CANARY, CONFIG_MAP, DEPLOYMENT, ENDPOINT_SLICE, SERVICE, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Recording, Rig, application, phase_of

NAME, PRIMARY = "app", "app-primary"


@dataclass(frozen=True, slots=True)
class Stage:
    """The application and what is recorded of it."""

    rig: Rig
    canary: Recording
    target: Recording
    primary: Recording
    apex: Recording

    async def phase(self, wanted: str) -> None:
        await self.canary.until(lambda each: phase_of(each) == wanted, within=60, what=wanted)

    async def stalled(self, words: str) -> None:
        await self.canary.until(lambda each: words in told(each), within=20, what=f"condition {words}")


def told(canary: Json) -> str:
    conditions = (canary.get("status") or {}).get("conditions") or []
    return next((str(each["message"]) for each in conditions if each["type"] == "Stalled"), "")


def canary_of(namespace: str, canary: str = NAME, **service: Any) -> Json:
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": canary, "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "service": {"port": 9898, **service},
            "analysis": {"interval": "1s", "threshold": 1, "iterations": 1},
        },
    }


def configured(namespace: str, version: str = "1.0.0") -> Json:
    """The application, which reads a ConfigMap when it starts."""
    deployment = application(NAME, namespace, version, replicas=1)
    deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": NAME}}]
    return deployment


def config(namespace: str, name: str, value: str) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"KEY": value}}


@asynccontextmanager
async def staged(rig: Rig) -> AsyncIterator[Stage]:
    watched = ((CANARY, NAME), (DEPLOYMENT, NAME), (DEPLOYMENT, PRIMARY), (SERVICE, NAME))
    async with AsyncExitStack() as stack:
        yield Stage(rig, *[await stack.enter_async_context(rig.recording(*each)) for each in watched])


async def test_a_deployment_that_is_called_as_the_primary_is_left_alone_until_it_is_given(rig: Rig) -> None:
    async with staged(rig) as stage:
        stranger = application("stranger", rig.namespace, "9.9.9", replicas=1)
        stranger["metadata"]["name"] = PRIMARY
        await rig.apply(stranger)
        await rig.apply(application(NAME, rig.namespace, "1.0.0", replicas=1))
        await stage.primary.until(lambda each: ready(each) == 1, within=60, what="the stranger's pod")
        await rig.apply(canary_of(rig.namespace))
        await stage.stalled(f"Deployment {PRIMARY} is not this Canary's")
        await stage.target.until(lambda each: ready(each) == 1, within=60, what="the target's pod")

        remedy = "rename it, or give it to the Canary by the label"
        await eventually(lambda: rig.events(NAME), lambda told: any(remedy in each for each in told))
        assert stage.apex.last == {}
        assert image_of(stage.primary) == "sample/web:9.9.9"
        assert stage.target.last["spec"]["replicas"] == 1

        label = {"metadata": {"labels": {"flagger.app/canary": NAME}}}
        await rig.client.merge_patch(DEPLOYMENT, rig.namespace, PRIMARY, label)
        await stage.phase("Initialized")
        assert stage.apex.last["spec"]["selector"] == {"app": "stranger"}, "its pods are selected by what they have"
        await eventually(lambda: endpoints(rig), bool)


async def test_a_config_map_that_is_called_as_the_copy_is_not_overwritten(rig: Rig) -> None:
    async with staged(rig) as stage:
        await rig.apply(config(rig.namespace, NAME, "ours"))
        await rig.apply(config(rig.namespace, PRIMARY, "theirs"))
        await rig.apply(configured(rig.namespace))
        await rig.apply(canary_of(rig.namespace))
        await stage.stalled(f"ConfigMap {PRIMARY} is not this Canary's")
        assert await value_of(rig, PRIMARY) == "theirs"

        await rig.client.delete(CONFIG_MAP, rig.namespace, PRIMARY)
        await stage.phase("Initialized")
        assert await value_of(rig, PRIMARY) == "ours"


async def test_what_a_canary_has_left_is_known_again_by_who_has_written_it(rig: Rig) -> None:
    """`kubectl delete canary --cascade=orphan` takes the owners off, and copies of configuration have no other mark."""
    async with staged(rig) as stage:
        await rig.apply(config(rig.namespace, NAME, "1"))
        await rig.apply(configured(rig.namespace))
        await rig.apply(canary_of(rig.namespace))
        await stage.phase("Initialized")
        uid = stage.primary.last["metadata"]["uid"]
        await rig.client.delete(CANARY, rig.namespace, NAME, propagation="Orphan")
        await stage.canary.until(lambda each: not each, within=60, what="end of the Canary")
        await eventually(lambda: owners(rig), lambda left: left == [])

        await rig.apply(canary_of(rig.namespace))
        await stage.phase("Initialized")
        assert told(stage.canary.last) == ""
        assert stage.primary.last["metadata"]["uid"] == uid


async def test_the_later_of_two_canaries_of_one_target_waits_for_the_other_to_go(rig: Rig) -> None:
    async with staged(rig) as stage, rig.recording(CANARY, "later") as later:
        await rig.apply(application(NAME, rig.namespace, "1.0.0", replicas=1))
        await rig.apply(canary_of(rig.namespace))
        await stage.phase("Initialized")
        await rig.apply(canary_of(rig.namespace, "later", name="other"))
        words = f"Deployment {NAME} is the target of Canary {NAME} already"
        await later.until(lambda each: words in told(each), within=20, what="the later one's condition")
        assert (phase_of(stage.canary.last), told(stage.canary.last)) == ("Initialized", "")

        await rig.client.delete(CANARY, rig.namespace, NAME)
        await later.until(lambda each: phase_of(each) == "Initialized", within=60, what="initialization of the later")
        assert told(later.last) == ""


async def test_a_target_made_anew_with_another_selector_is_rolled_out(rig: Rig) -> None:
    """The primary's own selector can't be changed: it stays, and users are served by it all the time."""
    async with staged(rig) as stage:
        await rig.apply(application(NAME, rig.namespace, "1.0.0", replicas=1))
        await rig.apply(canary_of(rig.namespace))
        await stage.phase("Initialized")
        await rig.client.delete(DEPLOYMENT, rig.namespace, NAME)
        await stage.target.until(lambda each: not each, within=30, what="end of the target")
        anew = application("renamed", rig.namespace, "1.0.1", replicas=1)
        anew["metadata"]["name"] = NAME
        await rig.apply(anew)
        await stage.phase("Progressing")
        await stage.phase("Succeeded")

        assert image_of(stage.primary) == "sample/web:1.0.1"
        selectors = [moment.value["spec"]["selector"] for moment in stage.apex.moments if moment.value]
        assert selectors == [{"app": PRIMARY}] * len(selectors)
        await eventually(lambda: endpoints(rig), bool)


def ready(deployment: Json) -> int:
    return int((deployment.get("status") or {}).get("readyReplicas") or 0)


def image_of(recording: Recording) -> str:
    return str(recording.last["spec"]["template"]["spec"]["containers"][0]["image"])


async def value_of(rig: Rig, name: str) -> str:
    return str((await rig.client.get(CONFIG_MAP, rig.namespace, name))["data"]["KEY"])


async def owners(rig: Rig) -> list[Json]:
    """Who owns the primary and the copy of its configuration."""
    objects = [await rig.client.get(each, rig.namespace, PRIMARY) for each in (DEPLOYMENT, CONFIG_MAP)]
    return [owner for obj in objects for owner in obj["metadata"].get("ownerReferences") or []]


async def endpoints(rig: Rig) -> list[Json]:
    """The ready endpoints of the Service that users call."""
    selector = f"kubernetes.io/service-name={NAME}"
    listed = await rig.client.list(ENDPOINT_SLICE, rig.namespace, label_selector=selector)
    return [each for piece in listed["items"] for each in piece["endpoints"] or [] if each["conditions"]["ready"]]
