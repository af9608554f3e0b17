"""Thirty rollouts through the real Traefik and Prometheus: what is worse goes, what is as good is promoted.

docs/judge.md has what to expect: of versions that are as good two in a hundred go, of those with three more failures in
a hundred requests none stays.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from canary.kube.types import NAMESPACE
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, PORT, Scenario, canary_of

SIDE_BY_SIDE = 5
WORSE, AS_GOOD = 20, 10
RATE = 60.0
USUAL, REGRESSED = "0.005", "0.035"
COMPARED = {"name": "request-success-rate", "compareTo": "primary", "tolerance": 1}
ANALYSIS = {"interval": "60s", "stepWeights": [25, 50], "advance": "onEvidence", "metrics": [COMPARED]}


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
async def test_what_is_worse_goes_and_what_is_as_good_is_promoted(rigs: list[Rig]) -> None:
    kinds = [number % 3 != 2 for number in range(WORSE + AS_GOOD)]
    async with AsyncExitStack() as stack:
        scenarios = [await stack.enter_async_context(Scenario.on(each)) for each in rigs]
        shares = [kinds[number::SIDE_BY_SIDE] for number in range(SIDE_BY_SIDE)]
        played = await asyncio.gather(*(rollouts(*each) for each in zip(scenarios, shares, strict=True)))
    outcomes = [each for some in played for each in some]
    worse, good = ([each for each in outcomes if each.worse is kind] for kind in (True, False))
    assert (len(worse), len(good)) == (WORSE, AS_GOOD)
    assert [each for each in worse if each.phase != "Failed"] == []
    assert sum(each.phase != "Succeeded" for each in good) <= 4, "more is next to impossible"
    assert sorted(each.seconds for each in worse)[WORSE // 2] < 60


async def rollouts(scenario: Scenario, kinds: list[bool]) -> list[Outcome]:
    """One after the other, of versions that are worse or as good."""
    canary = canary_of(scenario.rig.namespace, ANALYSIS, service={"port": PORT})
    del canary["spec"]["analysis"]["stepWeight"], canary["spec"]["analysis"]["maxWeight"]
    app = application(NAME, scenario.rig.namespace, "1.0.0", environment={"FAULT_ERROR_RATE": USUAL})
    await scenario.initialise(canary, app)
    async with scenario.traffic(RATE) as traffic:
        found = []
        for number, worse in enumerate(kinds, start=1):
            version = f"1.0.{number}"
            phase = await scenario.roll_out(version, environment={"FAULT_ERROR_RATE": REGRESSED if worse else USUAL})
            answers = [each for each in traffic.answers if each.version == version]
            last = max(each.at for each in answers) if phase == "Failed" else answers[-1].at
            bad = sum(each.lost for each in answers)
            said = scenario.status["checks"][0]["message"]
            found.append(Outcome(worse, phase, last - answers[0].at, bad, said))
    return found
