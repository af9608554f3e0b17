"""Thirty rollouts through the real Traefik and Prometheus end as those do that the study simulates (docs/judge.md)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

import pytest
import pytest_asyncio

from canary.kube.types import NAMESPACE
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of
from canary.sandbox.traffic import Traffic
from metrics.judge import Counts, Look
from metrics.judge.evidence import worse

SIDE_BY_SIDE = 5
WORSE, AS_GOOD = 20, 10
RATE = 60.0
SHARES = (0.25, 0.5)
USUAL, REGRESSED = 0.005, 0.035
COMPARED = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 0}
ANALYSIS = {"interval": "60s", "stepWeights": [int(share * 100) for share in SHARES], "metrics": [COMPARED]}
GLANCE = 5.0
SIMULATED = 500
LATER = 10.0
"""Seconds more, from a request to the glance that knows of it and from there to the gateway."""


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended.

    Args:
        worse: whether the version was.
        phase: the phase that it ended in.
        seconds: from the canary's first requests to its last.
        bad: requests that it failed.
        message: what the status says of it.
    """

    worse: bool
    phase: str
    seconds: float
    bad: int
    message: str


@pytest_asyncio.fixture
async def rigs(rig: Rig) -> AsyncIterator[list[Rig]]:
    """As many namespaces."""
    names = [f"{rig.namespace}-{number}" for number in range(SIDE_BY_SIDE)]
    for name in names:
        await rig.client.create(NAMESPACE, {"metadata": {"name": name}})
    yield [Rig(rig.cluster, rig.client, name) for name in names]
    for name in names:
        await rig.client.delete(NAMESPACE, None, name)


@pytest.mark.slow
async def test_verdicts_and_their_times_are_those_of_the_study(rigs: list[Rig]) -> None:
    kinds = [number % 3 != 2 for number in range(WORSE + AS_GOOD)]
    async with AsyncExitStack() as stack:
        scenarios = [await stack.enter_async_context(Scenario.on(each)) for each in rigs]
        shares = [kinds[number::SIDE_BY_SIDE] for number in range(SIDE_BY_SIDE)]
        played = await asyncio.gather(*(rollouts(*each) for each in zip(scenarios, shares, strict=True)))
    outcomes = [each for some in played for each in some]
    bad, good = ([each for each in outcomes if each.worse is kind] for kind in (True, False))
    assert (len(bad), len(good)) == (WORSE, AS_GOOD)
    assert sum(each.phase != "Succeeded" for each in good) <= 4, "more of ten happen to one run in fifteen thousand"

    expected = study()
    assert len(expected) == SIMULATED
    assert [each for each in bad if each.phase != "Failed"] == []
    seconds = sorted(each.seconds for each in bad)
    assert expected[SIMULATED // 10] - 5 <= seconds[WORSE // 2] <= expected[SIMULATED * 9 // 10] + LATER, (
        "the median lies within the middle 80 %"
    )
    assert seconds[-1] <= expected[-1] + LATER


def study() -> list[float]:
    """The seconds after which such rollouts are found, by the judge, of requests that are bad by chance."""
    chance = Random(1)  # noqa: S311  # chance, not a secret
    return sorted(found for _ in range(SIMULATED) if (found := simulated(chance)) is not None)


def simulated(chance: Random) -> float | None:
    """The seconds after which a rollout of the worse version is found; None where it is not."""
    before = [counts(chance, 1, USUAL) for _ in range(12)]
    shares = [share for share in SHARES for _ in range(12)]
    looks = [Look(counts(chance, each, REGRESSED), counts(chance, 1 - each, USUAL), GLANCE) for each in shares]
    since = worse(looks, 0, before).since(0.05)
    return None if since is None else (since + 1) * GLANCE


def counts(chance: Random, share: float, bad: float) -> Counts:
    """What comes to a version between two glances."""
    number = round(RATE * GLANCE * share)
    return Counts(number, sum(chance.random() < bad for _ in range(number)))


async def rollouts(scenario: Scenario, kinds: list[bool]) -> list[Outcome]:
    """One after the other, of versions that are worse or as good."""
    canary = canary_of(scenario.rig.namespace, ANALYSIS, service={"port": PORT})
    del canary["spec"]["analysis"]["stepWeight"], canary["spec"]["analysis"]["maxWeight"]
    app = application(NAME, scenario.rig.namespace, "1.0.0", environment={"FAULT_ERROR_RATE": str(USUAL)})
    await scenario.initialise(canary, app)
    async with scenario.traffic(RATE) as traffic:
        await asyncio.sleep(60)
        return [await rollout(scenario, traffic, f"1.0.{number}", worse) for number, worse in enumerate(kinds, start=1)]


async def rollout(scenario: Scenario, traffic: Traffic, version: str, worse: bool) -> Outcome:
    """Of one version."""
    await scenario.deploy(version, environment={"FAULT_ERROR_RATE": str(REGRESSED if worse else USUAL)})
    await scenario.phase("Progressing")
    phase = await scenario.ended(within=400)
    answers = [each for each in traffic.answers if each.version == version]
    last = max(each.at for each in answers)
    bad, said = sum(each.lost for each in answers), scenario.status["checks"][0]["message"]
    return Outcome(worse, phase, last - answers[0].at, bad, said)
