"""Rollouts played through any gateway: what holds behind each of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from itertools import count

from canary.kube.types import Json
from canary.sandbox.harness import Recording, weight_of
from canary.sandbox.scenario import STEPS, Scenario, hook
from canary.sandbox.traffic import Traffic

RATE = 100.0
ABRUPT = {"TERM_SECONDS": "0"}
"""The environment of pods that end at once when they are told to, as those without a preStop hook do."""
HALF_THEN_ALL: Json = {"interval": "5s", "stepWeights": [50, 100], "webhooks": [hook("rollback", "/rollback/check")]}
"""An analysis in which no request is led to pods of the primary while these are replaced."""
TURN = 0.3
"""Seconds from one change of what the gateway has nothing to do for us with to the next."""


@asynccontextmanager
async def busy(turn: Callable[[int], Awaitable[object]]) -> AsyncIterator[None]:
    """Something of another application changes all the time: `turn` changes it, given how many changes there were."""

    async def go_on() -> None:
        for number in count():
            await asyncio.sleep(TURN)
            await turn(number)

    task = asyncio.create_task(go_on(), name="busy")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled(), task.exception()


async def good_is_promoted(scenario: Scenario, rate: float = RATE) -> Mapping[str, Json]:
    """Roll out 1.0.1 over 1.0.0, judged by success rate and duration; the checks of its last step."""
    async with scenario.traffic(rate) as traffic:
        assert await scenario.roll_out("1.0.1") == "Succeeded"
        checks = checks_of(scenario)
    assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", STEPS)
    assert [str(each) for each in traffic.lost] == []
    assert set(traffic.versions()) == {"1.0.0", "1.0.1"}
    are_good(checks)
    return checks


def checks_of(scenario: Scenario) -> Mapping[str, Json]:
    """The checks that the Canary's status tells of, by name."""
    return {check["name"]: check for check in scenario.status["checks"]}


def are_good(checks: Mapping[str, Json]) -> None:
    """Both built-in checks have passed, with numbers that the sample service has."""
    assert {check["verdict"] for check in checks.values()} == {"Pass"}
    assert checks["request-success-rate"]["value"] == 100
    assert 0 < checks["request-duration"]["value"] < 500


async def bad_is_taken_back(scenario: Scenario, rate: float = RATE) -> Traffic:
    """Roll out 1.0.2, which fails everything, after `good_is_promoted` or the like; the requests meanwhile."""
    before = scenario.weights
    async with scenario.traffic(rate) as traffic:
        assert await scenario.roll_out("1.0.2", environment={"FAULT_ERROR_RATE": "1"}) == "Failed"
    assert (scenario.serving, scenario.weights) == ("sample/web:1.0.1", (*before, before[1], 0))
    assert {answer.version for answer in traffic.lost} == {"1.0.2"}, "no request but the canary's own is lost"
    rate_check = checks_of(scenario)["request-success-rate"]
    assert rate_check["verdict"] == "Fail"
    assert rate_check["value"] < 99
    assert scenario.unserved == []
    return traffic


async def none_is_lost_where_pods_end_at_once(scenario: Scenario) -> None:
    """Neither in a promotion nor in a rollback: roll out 1.0.1 and 1.0.2 by `HALF_THEN_ALL` over an abrupt 1.0.0."""
    async with scenario.traffic(RATE) as traffic:
        assert await scenario.roll_out("1.0.1", environment=ABRUPT) == "Succeeded"
        await scenario.gone_to_the_last()
        await asyncio.sleep(1)  # a request to a pod that is gone would come now
    assert unanswered(scenario, traffic) == [], "in the promotion"
    assert scenario.weights == (0, 50, 100, 0)
    assert set(traffic.versions()) == {"1.0.0", "1.0.1"}

    async with scenario.traffic(RATE) as traffic:
        await scenario.deploy("1.0.2", environment=ABRUPT)
        await scenario.weight(50)
        await asyncio.sleep(3)  # half of the requests are the canary's for a while
        await scenario.gate("rollback/open")
        assert await scenario.ended() == "Failed"
        await scenario.gone_to_the_last()
        await asyncio.sleep(1)  # as above
    await scenario.gate("rollback/close")
    assert unanswered(scenario, traffic) == [], "in the rollback"


def unanswered(scenario: Scenario, traffic: Traffic) -> list[str]:
    """The requests that the application did not answer, a page of the gateway's own included, and what led them.

    Each with its seconds since the last change of what told where it goes: the route's weight, and the pods that the
    target and the primary had ready.
    """
    return [f"{answer}: {_at(scenario, answer.at)}" for answer in traffic.answers if answer.status != HTTPStatus.OK]


def _at(scenario: Scenario, at: float) -> str:
    told: Mapping[str, tuple[Recording, Callable[[Json], object]]] = {
        "weight": (scenario.route, weight_of),
        "target": (scenario.target, _pods),
        "primary": (scenario.primary, _pods),
    }
    before = {name: [each for each in told[name][0].moments if each.at <= at] for name in told}
    return ", ".join(
        f"{name} {told[name][1](moments[-1].value or {})} for {at - moments[-1].at:.2f} s"
        for name, moments in before.items()
        if moments
    )


def _pods(workload: Json) -> str:
    status = workload.get("status") or {}
    return "/".join(str(status.get(name, 0)) for name in ("readyReplicas", "updatedReplicas", "replicas"))


async def the_chosen_meet_it_first(
    scenario: Scenario, chosen: Sequence[Traffic], others: Sequence[Traffic] = ()
) -> None:
    """Roll out 1.0.1 by iterations: nobody but the chosen meets it before its promotion, and no request is lost."""
    everybody = [scenario.traffic(), *others]
    async with AsyncExitStack() as stack:
        for traffic in (*everybody, *chosen):
            await stack.enter_async_context(traffic)
        await scenario.deploy("1.0.1")
        await scenario.phase("Progressing")
        await scenario.phase("Promoting")
        assert [set(traffic.versions()) for traffic in everybody] == [{"1.0.0"}] * len(everybody)
        assert [set(traffic.versions()) for traffic in chosen] == [{"1.0.0", "1.0.1"}] * len(chosen)
        assert await scenario.ended() == "Succeeded"
    assert scenario.serving == "sample/web:1.0.1"
    assert [str(each) for traffic in (*everybody, *chosen) for each in traffic.lost] == []
