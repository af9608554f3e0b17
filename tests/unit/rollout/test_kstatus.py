"""What Flux, Helm and kubectl read of a status (kstatus), and Argo CD's own check: in every phase."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.kube.types import Json
from canary.rollout.decision import Decision, DropFinalizer
from canary.rollout.simulation import (
    Annotate,
    Delete,
    Deploy,
    Edit,
    Kill,
    Reply,
    SafeWorld,
    Scenario,
    Side,
    Version,
    World,
)
from canary.rollout.status_conditions import hindered
from tests.tools.health import argo, kstatus
from tests.unit.rollout.faulty_world import BAD, NEVER, ONCE, QUICK, V2, gated

Make = Callable[..., Canary]
Story = Callable[..., Scenario]

IN_PLACE = {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "app"}, "service": {}}
SHUT = {"replies": (Reply(approved=False, end=timedelta(hours=1)),)}
SLOW = {"versions": {"v1": Version(ready_after=timedelta(seconds=9))}}


def as_stored(canary: Canary, status: CanaryStatus) -> Json:
    """The object as others read it."""
    deleted = canary.metadata.deletion_timestamp
    metadata: Json = {"generation": canary.metadata.generation, "deletionTimestamp": str(deleted) if deleted else None}
    return {"metadata": metadata, "status": status.to_json()}


# Analysis, changes, what else the scenario has, the second at which it is looked at; phase, kstatus, Argo CD.
CELLS: dict[str, tuple[dict[str, Any], tuple[Any, ...], dict[str, Any], float, tuple[str, str, str]]] = {
    "is initialized": (QUICK, (), SLOW, 4, ("Initializing", "InProgress", "Unknown")),
    "rests": (QUICK, (), {}, 30, ("Initialized", "Current", "Healthy")),
    "waits to begin": (gated("confirm-rollout"), (V2,), SHUT, 90, ("Waiting", "InProgress", "Unknown")),
    "waits for pods": (QUICK, (V2,), {"versions": NEVER}, 62, ("Progressing", "InProgress", "Progressing")),
    "is analysed": (QUICK, (V2,), {}, 100, ("Progressing", "InProgress", "Progressing")),
    "waits to be promoted": (
        gated("confirm-promotion"),
        (V2,),
        SHUT,
        300,
        ("WaitingPromotion", "InProgress", "Unknown"),
    ),
    "is promoted": (QUICK, (V2,), {}, 187, ("Promoting", "InProgress", "Progressing")),
    "is being finished": (
        QUICK,
        (V2,),
        {"settle": timedelta(seconds=20)},
        240,
        ("Finalising", "InProgress", "Progressing"),
    ),
    "has succeeded": (QUICK, (V2,), {}, 600, ("Succeeded", "Current", "Healthy")),
    "bakes": ({**ONCE, "bake": "10m"}, (V2,), {}, 400, ("Succeeded", "Current", "Healthy")),
    "has failed": (QUICK, (V2,), {"versions": BAD}, 600, ("Failed", "Failed", "Degraded")),
    "is held": (
        {**QUICK, "onFailure": "hold"},
        (V2,),
        {"versions": BAD},
        600,
        ("Progressing", "Failed", "Progressing"),
    ),
    "lacks a primary that could take over": (
        ONCE,
        (V2, (100, Kill(Side.PRIMARY, None)), (110, Deploy("v1"))),
        {},
        200,
        ("Progressing", "Failed", "Progressing"),
    ),
    "is deleted": (
        {**QUICK, "spec": {"revertOnDeletion": True}},
        ((30, Delete()),),
        {"versions": {"v1": Version(ready_after=timedelta(seconds=9))}},
        31,
        ("Terminating", "Terminating", "Unknown"),
    ),
    "can't work": ({"stepWeight": 0, "maxWeight": 0}, (), {}, 30, ("", "Failed", "Unknown")),
    "is rolled out pod by pod": (
        {"stepWeight": 1, "maxWeight": 100, "spec": IN_PLACE},
        (V2,),
        {"in_place": True, "replicas": 3},
        100,
        ("Progressing", "InProgress", "Progressing"),
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_canary_that(canary: Make, story: Story, name: str) -> None:
    """A rollout is in progress, one that failed or is stalled has failed at once, one that rests is current."""
    analysis, changes, fields, at, expected = CELLS[name]
    world = SafeWorld(story(canary(**analysis), *changes, **fields))
    status = world.run(timedelta(seconds=at)).status
    found = as_stored(world.canary, status)
    assert (found["status"]["phase"], kstatus(found), argo(found).status) == expected


class Read(World):
    """A world in which every status that is stored is read by others."""

    def after_store(self, canary: Canary, decision: Decision) -> None:
        super().after_store(canary, decision)
        status = decision.status
        if DropFinalizer() in decision.actions or status == canary.status:
            return
        types = [each.type for each in status.conditions]
        assert types.count("Ready") == 1
        assert len({"Reconciling", "Stalled"} & {*types}) <= 1
        assert status.observed_generation == self.canary.metadata.generation
        stored = as_stored(self.canary, status)
        assert argo(stored).message.startswith(status.phase.value)
        assert kstatus(stored) in expected_of(self.canary, status)


def expected_of(canary: Canary, status: CanaryStatus) -> set[str]:
    if canary.metadata.deletion_timestamp is not None:
        return {"Terminating"}
    if hindered(status) is not None or status.phase.value == "Failed" or status.reason == "Held":
        return {"Failed"}
    return {"Current"} if status.phase.value in ("Initialized", "Succeeded") else {"InProgress"}


@pytest.mark.parametrize("versions", [{}, BAD, NEVER])
@pytest.mark.parametrize("more", [{}, {"onFailure": "hold"}, {"bake": "5m"}, {"stepWeightRollback": 10}])
def test_every_status_that_is_stored_has_what_they_read(
    canary: Make, story: Story, versions: dict[str, Version], more: dict[str, Any]
) -> None:
    made = canary(**QUICK, **more)
    again = (900, Annotate("flagger.app/retry", "1"))
    changes = (V2, (100, Edit(canary(**ONCE, **more).spec)), again, (1500, Deploy("v3")), (3000, Delete()))
    Read(story(made, *changes, versions=versions, limit=timedelta(hours=2))).run()


def test_what_goes_on_is_said_with_its_step_and_why_it_waits(canary: Make, story: Story) -> None:
    world = SafeWorld(story(canary(stepWeight=10, maxWeight=50), V2, versions=BAD))
    at_first = world.run(timedelta(seconds=130)).status.condition("Reconciling")
    assert at_first is not None
    assert at_first.message == "step 2 of 5"
    failing = world.run(timedelta(seconds=370)).status.condition("Reconciling")
    assert failing is not None
    assert failing.message.startswith("step 5 of 5; Halt app.prod advancement success rate 1.00% < 99%")


def test_since_when_it_has_been_stalled_is_told_of_each_reason(canary: Make, story: Story) -> None:
    """That a rollout has failed doesn't count for what comes into its way later."""
    broken = Edit(canary(stepWeight=0, maxWeight=0).spec)
    world = SafeWorld(story(canary(**QUICK), V2, (900, broken), versions=BAD))
    failed = world.run(timedelta(seconds=600)).status.condition("Stalled")
    invalid = world.run(timedelta(seconds=1000)).status.condition("Stalled")
    assert failed is not None
    assert invalid is not None
    assert (failed.reason, invalid.reason) == ("RolloutFailed", "InvalidSpec")
    assert invalid.last_transition_time == world.scenario.start + timedelta(seconds=900)
