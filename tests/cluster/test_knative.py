"""Knative Services as targets, by their definitions on a real API server; Knative's controllers are stood in for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from canary.api.knative import PRIMARY_REVISION
from canary.kube.types import CANARY, KNATIVE_SERVICE, SERVICE, Json
from canary.sandbox.harness import Recording, Rig, phase_of
from tests.tools.knative import LATEST, Knative, image_of, served, service

NAME = "app"
FIRST, SECOND, THIRD = (f"{NAME}-{number:05d}" for number in (1, 2, 3))
GOOD, BAD = "app:good", "app:broken"
PINNED = [{"revisionName": FIRST, "latestRevision": False, "percent": 100}]

pytestmark = pytest.mark.usefixtures("upstream")


@dataclass(frozen=True, slots=True)
class Stage:
    """A Knative Service with its controllers, and what is recorded of it and its Canary."""

    rig: Rig
    knative: Knative
    canary: Recording
    service: Recording

    async def deploy(self, image: str, **spec: Any) -> None:
        """What an author applies, who says nothing of traffic."""
        await self.rig.apply(service(NAME, self.rig.namespace, image, **spec))

    async def phase(self, wanted: str) -> Json:
        moment = await self.canary.until(lambda each: phase_of(each) == wanted, within=60, what=wanted)
        return moment.value or {}

    async def serving(self, **shares: int) -> None:
        wanted = {f"{NAME}-{name.removeprefix('r')}": share for name, share in shares.items()}
        await self.service.until(lambda each: served(each) == wanted, within=60, what=f"traffic {wanted}")

    def shares_of(self, name: str) -> list[int]:
        """The percent of requests that a Revision was given, one share after the other."""
        found = [served(moment.value or {}).get(name, 0) for moment in self.service.moments]
        return [each for index, each in enumerate(found) if index == 0 or found[index - 1] != each]


def canary_of(namespace: str, **spec: Any) -> Json:
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "provider": "knative",
            "targetRef": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": NAME},
            "progressDeadlineSeconds": 5,
            "analysis": {"interval": "1s", "threshold": 1, "stepWeight": 25, "maxWeight": 50},
            **spec,
        },
    }


@asynccontextmanager
async def staged(rig: Rig) -> AsyncIterator[Stage]:
    knative = Knative(rig.client, rig.namespace, lambda each: image_of(each) != BAD)
    watched = ((CANARY, NAME), (KNATIVE_SERVICE, NAME))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(knative.running())
        yield Stage(rig, knative, *[await stack.enter_async_context(rig.recording(*each)) for each in watched])
        assert knative.objections == []


async def initialized(stage: Stage, **spec: Any) -> None:
    await stage.deploy(GOOD)
    await stage.serving(r00001=100)
    await stage.rig.apply(canary_of(stage.rig.namespace, **spec))
    await stage.phase("Initialized")


def mark_of(obj: Json) -> str | None:
    found: str | None = (obj["metadata"].get("annotations") or {}).get(PRIMARY_REVISION)
    return found


async def test_a_new_revision_gets_requests_step_by_step_and_is_promoted(rig: Rig) -> None:
    async with staged(rig) as stage:
        await initialized(stage)
        assert stage.service.last["spec"]["traffic"] == PINNED
        assert mark_of(stage.service.last) == FIRST

        await stage.deploy("app:better")
        await stage.phase("Succeeded")
        await stage.serving(r00002=100)
        assert stage.shares_of(SECOND) == [0, 25, 50, 100]
        assert mark_of(stage.service.last) == SECOND
        services = await rig.client.list(SERVICE, rig.namespace)
        assert services["items"] == [], "Knative's Services are Knative's to make"


async def test_a_revision_that_never_gets_ready_gets_no_request_and_is_taken_back(rig: Rig) -> None:
    async with staged(rig) as stage:
        await initialized(stage)
        await stage.deploy(BAD)
        canary = await stage.phase("Failed")
        assert "the image can't be pulled" in str(canary["status"]) + str(await rig.events(NAME))
        assert stage.shares_of(SECOND) == [0]
        assert stage.service.last["spec"]["traffic"] == PINNED


async def test_one_that_is_ready_no_more_loses_its_requests(rig: Rig) -> None:
    async with staged(rig) as stage:
        await initialized(stage, analysis={"interval": "1h", "threshold": 1, "stepWeight": 25})
        await stage.deploy("app:frail")
        await stage.serving(r00001=75, r00002=25)
        stage.knative.ready = lambda each: image_of(each) != "app:frail"
        await stage.phase("Failed")
        await stage.serving(r00001=100)
        assert stage.service.last["spec"]["traffic"] == PINNED


async def test_a_deleted_canary_leaves_requests_to_whatever_is_deployed_and_the_tags_of_others(rig: Rig) -> None:
    async with staged(rig) as stage:
        await initialized(stage)
        assert stage.service.last["spec"]["traffic"] == PINNED
        tagged = [*PINNED, {"revisionName": FIRST, "latestRevision": False, "tag": "first", "percent": 0}]
        await rig.client.merge_patch(KNATIVE_SERVICE, rig.namespace, NAME, {"spec": {"traffic": tagged}})
        await rig.client.delete(CANARY, rig.namespace, NAME)
        await stage.canary.until(lambda each: not each, within=60, what="deletion")
        assert stage.service.last["spec"]["traffic"] == [LATEST, tagged[1]]
        assert mark_of(stage.service.last) is None


async def test_one_that_is_deleted_in_mid_rollout_keeps_users_on_the_promoted_revision(rig: Rig) -> None:
    async with staged(rig) as stage:
        await initialized(stage, analysis={"interval": "1h", "threshold": 1, "stepWeight": 25})
        await stage.deploy("app:better")
        await stage.serving(r00001=75, r00002=25)
        await rig.client.delete(CANARY, rig.namespace, NAME)
        await stage.canary.until(lambda each: not each, within=60, what="deletion")
        assert stage.service.last["spec"]["traffic"] == PINNED


async def test_what_flagger_has_begun_goes_on_from_where_it_stands(rig: Rig) -> None:
    """Its annotation tells the primary, and its entry for the latest Revision the canary's share."""
    async with staged(rig) as stage:
        await stage.deploy(GOOD)
        await stage.serving(r00001=100)
        await stage.deploy("app:better")
        pinned = {"revisionName": FIRST, "percent": 75}
        flagger = {
            "metadata": {"annotations": {PRIMARY_REVISION: FIRST}},
            "spec": {"traffic": [{**LATEST, "percent": 25}, pinned]},
        }
        await rig.client.merge_patch(KNATIVE_SERVICE, rig.namespace, NAME, flagger)
        await stage.serving(r00001=75, r00002=25)
        canary = canary_of(rig.namespace, suspend=True)
        await rig.apply(canary)
        status = {"phase": "Progressing", "canaryWeight": 25, "lastAppliedSpec": "6cd5b", "iterations": 0}
        await rig.client.merge_patch(CANARY, rig.namespace, NAME, {"status": status}, subresource="status")
        await rig.apply(canary_of(rig.namespace))
        await stage.phase("Succeeded")
        await stage.serving(r00002=100)
        assert stage.shares_of(SECOND)[-3:] == [25, 50, 100]


async def test_a_hand_made_division_is_put_right_and_what_comes_in_mid_rollout_starts_anew(rig: Rig) -> None:
    async with staged(rig) as stage:
        await initialized(stage, analysis={"interval": "1h", "threshold": 1, "stepWeight": 25})
        await rig.client.merge_patch(KNATIVE_SERVICE, rig.namespace, NAME, {"spec": {"traffic": [LATEST]}})
        await stage.service.until(lambda each: each["spec"]["traffic"] == PINNED, within=60, what="the division")
        await stage.deploy("app:better")
        await stage.serving(r00001=75, r00002=25)
        await stage.deploy("app:best")
        await stage.serving(r00001=100)
        await stage.serving(r00001=75, r00003=25)
        assert THIRD not in served(stage.service.moments[0].value or {})
