"""Requests that reach a canary whatever its weight, played through a gateway."""

from functools import partial

from canary.kube.types import Json
from canary.sandbox.conditions import eventually
from canary.sandbox.gateway import Gateway
from canary.sandbox.scenario import Scenario, hook
from tests.tools.two_versions import versions

INSIDER = {"X-Insider": "yes"}
AHEAD: Json = {
    "stepWeight": 25,
    "maxWeight": 25,
    "alwaysMatch": [{"headers": {"x-insider": {"exact": "yes"}}}],
    "webhooks": [hook("confirm-promotion", "/gate/check")],
}
"""The analysis: one step, at which a gate holds it."""


async def met_at_any_weight(scenario: Scenario, canary: Json, gateway: Gateway) -> None:
    """See who meets which version before, at and after that step.

    Raises:
        AssertionError: it was another one.
    """
    insiders = partial(versions, gateway, scenario.host, 20, INSIDER)
    await scenario.initialise(canary)
    await eventually(insiders, lambda seen: seen == {"1.0.0": 20}, within=30)
    await scenario.deploy("1.0.1")
    await scenario.phase("WaitingPromotion")
    await eventually(insiders, lambda seen: seen == {"1.0.1": 20}, within=20)
    # Of 400 at 25 %; a gateway that draws lots misses these bounds less than once in a million runs.
    everybody = await versions(gateway, scenario.host, 400)
    assert set(everybody) == {"1.0.0", "1.0.1"}
    assert 50 <= everybody["1.0.1"] <= 150
    await scenario.gate("gate/open")
    assert await scenario.ended() == "Succeeded"
    assert scenario.status["canaryWeight"] == 0
    assert await insiders() == {"1.0.1": 20}
