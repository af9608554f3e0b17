"""A controller that is killed at any phase and started again: the rollout ends as it would have."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import pytest

from canary.kube.types import CANARY, Json
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import NAME, STEPS, Scenario, canary_of, hook, service
from tests.tools.killable import kill_and_start


@dataclass(frozen=True, slots=True)
class Kill:
    """When the controller is killed.

    Args:
        moment: waits for it, in a rollout that has begun.
        gate: the type of the hook that asks at the load tester's gate, closed until the controller is back.
        rolled_back: whether the rollout is taken back by the rollback hook.
    """

    moment: Callable[[Scenario], Awaitable[object]]
    gate: str = ""
    rolled_back: bool = False
    analysis: Json = field(default_factory=dict)


async def at_rollback(scenario: Scenario) -> None:
    """The rollback is asked for at the first step, and traffic has just left the canary."""
    await scenario.weight(25)
    await asyncio.sleep(3)
    await scenario.gate("rollback/open")
    await scenario.weight(0)


async def at_failed(scenario: Scenario) -> None:
    """The rollback is stored, and the canary's pods are still there."""
    await scenario.weight(25)
    await asyncio.sleep(3)
    await scenario.gate("rollback/open")
    await scenario.phase("Failed")


async def when_scaled_up(scenario: Scenario) -> None:
    """The canary's pods are asked for, and that a rollout has begun is hardly stored yet."""
    await scenario.target.until(lambda each: each["spec"]["replicas"] > 0, within=20, what="scaled target")


async def when_half_promoted(scenario: Scenario) -> None:
    """Some of the primary's pods run the new version, some the old one."""
    new, old = "updatedReplicas", "replicas"
    await scenario.phase("Promoting")
    await scenario.primary.until(
        lambda each: 0 < each["status"].get(new, 0) < each["status"].get(old, 0), within=30, what="half a promotion"
    )


KILLS = {
    "Waiting": Kill(lambda scenario: scenario.phase("Waiting"), gate="confirm-rollout"),
    "scaled up": Kill(when_scaled_up),
    "Progressing at 0": Kill(lambda scenario: scenario.phase("Progressing")),
    "Progressing at 25": Kill(lambda scenario: scenario.weight(25)),
    "Progressing at 50": Kill(lambda scenario: scenario.weight(50)),
    "WaitingPromotion": Kill(lambda scenario: scenario.phase("WaitingPromotion"), gate="confirm-promotion"),
    "Promoting": Kill(lambda scenario: scenario.phase("Promoting")),
    "half promoted": Kill(when_half_promoted),
    "Finalising": Kill(lambda scenario: scenario.phase("Finalising")),
    "rolling back": Kill(at_rollback, rolled_back=True),
    "Failed": Kill(at_failed, rolled_back=True),
}


@dataclass(frozen=True, slots=True)
class Course:
    """A rollout in which the controller is killed at one phase after the other.

    Args:
        types: of the hooks; those before the rollback ask at the same gate.
        kills: what each waits for, by the names that they have in `KILLS`, in order.
        ends: the phase, the image that serves, and the weights.
    """

    types: tuple[str, ...]
    kills: Mapping[str, Callable[[Scenario], Awaitable[object]]]
    ends: tuple[str, str, tuple[int, ...]]


UP = ("Waiting", "scaled up", "Progressing at 0", "Progressing at 25", "Progressing at 50")
COURSES = {
    "promoted": Course(
        ("confirm-rollout", "confirm-promotion"),
        {each: KILLS[each].moment for each in (*UP, "WaitingPromotion", "Promoting", "Finalising")},
        ("Succeeded", "sample/web:1.0.1", STEPS),
    ),
    "rolled back": Course(
        ("rollback",),
        {"rolling back": at_rollback, "Failed": lambda scenario: scenario.phase("Failed")},
        ("Failed", "sample/web:1.0.0", (0, 25, 0)),
    ),
}


@pytest.mark.parametrize("name", COURSES)
async def test_killed_at_one_phase_after_the_other(killable: Rig, name: str) -> None:
    course = COURSES[name]
    hooks = [hook(each, f"/{'rollback' if each == 'rollback' else 'gate'}/check") for each in course.types]
    async with Scenario.on(killable) as scenario:
        await scenario.initialise(canary_of(killable.namespace, {"webhooks": hooks, "interval": "6s"}))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            for each, moment in course.kills.items():
                await moment(scenario)
                await kill_and_start(killable)
                if KILLS[each].gate:
                    await scenario.gate("gate/open")
                elif each == "Progressing at 0":
                    await scenario.gate("gate/close")
            ended = await scenario.ended()
        assert [str(each) for each in traffic.lost] == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert scenario.unserved == []
        assert (ended, scenario.serving, scenario.weights) == course.ends


@pytest.mark.long
@pytest.mark.parametrize("name", KILLS)
async def test_killed_at_every_phase(killable: Rig, name: str) -> None:
    """Once in each rollout, so that what one start mends is not taken for what another would."""
    kill = KILLS[name]
    hooks = [hook(kill.gate, "/gate/check")] if kill.gate else []
    hooks += [hook("rollback", "/rollback/check")] if kill.rolled_back else []
    async with Scenario.on(killable) as scenario:
        # A step that is taken back has to last until the gateway has followed it.
        interval = "6s" if kill.rolled_back else "1s"
        await scenario.initialise(canary_of(killable.namespace, {"webhooks": hooks, "interval": interval}))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await kill.moment(scenario)
            await kill_and_start(killable)
            if kill.gate:
                await scenario.gate("gate/open")
                await scenario.phase("Progressing", "Promoting")
            ended = await scenario.ended()
        assert [str(each) for each in traffic.lost] == []
        assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
        assert scenario.unserved == []
        if kill.rolled_back:
            assert (ended, scenario.serving, scenario.weights) == ("Failed", "sample/web:1.0.0", (0, 25, 0))
        else:
            assert (ended, scenario.serving, scenario.weights) == ("Succeeded", "sample/web:1.0.1", STEPS)


async def on_making_the_primary(scenario: Scenario) -> None:
    await scenario.phase("Initializing")


async def on_taking_over(scenario: Scenario) -> None:
    """Users have just been led to the primary; the target still has its pods."""
    await scenario.canary.until(
        lambda each: "trafficRemovedTime" in each.get("status", {}), within=30, what="traffic on the primary"
    )


@pytest.mark.parametrize("moment", [on_making_the_primary, on_taking_over])
async def test_killed_while_it_takes_over_an_application_in_use(
    killable: Rig, moment: Callable[[Scenario], Awaitable[None]]
) -> None:
    async with Scenario.on(killable) as scenario:
        await scenario.deploy("1.0.0")
        await killable.apply(service(killable.namespace))
        await scenario.settled()
        async with scenario.direct_traffic() as traffic:
            await killable.apply(canary_of(killable.namespace))
            await moment(scenario)
            await kill_and_start(killable)
            await scenario.phase("Initialized")
            await scenario.asleep()
        assert [str(each) for each in traffic.lost] == []
        assert traffic.versions()["1.0.0"] > 20
        assert scenario.unserved == []
        assert scenario.weights == (0,)


async def on_getting_pods_back(scenario: Scenario) -> None:
    await scenario.phase("Terminating")


async def on_getting_traffic_back(scenario: Scenario) -> None:
    """Users have just been led to the target; the Canary waits a moment more before it lets go."""
    await on_taking_over(scenario)


@pytest.mark.parametrize("moment", [on_getting_pods_back, on_getting_traffic_back])
async def test_killed_while_it_gives_the_application_back(
    killable: Rig, moment: Callable[[Scenario], Awaitable[None]]
) -> None:
    async with Scenario.on(killable) as scenario:
        await scenario.initialise(canary_of(killable.namespace, revertOnDeletion=True))
        async with scenario.traffic() as gateway, scenario.direct_traffic() as direct:
            await killable.client.delete(CANARY, killable.namespace, NAME)
            await moment(scenario)
            await kill_and_start(killable)
            await scenario.gone()
        assert [str(each) for each in (*gateway.lost, *direct.lost)] == []
        assert min(gateway.versions()["1.0.0"], direct.versions()["1.0.0"]) > 20
