"""Connections through a gateway that divides them, and which versions they come to."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

from canary.kube.types import Json
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import application
from canary.sandbox.scenario import NAME, READY_SECONDS, SUCCESS_RATE, Scenario, hook

SAMPLE = 400
FIVE_SIGMA = 5 * (SAMPLE * 0.25 * 0.75) ** 0.5
QUARTER: Json = {
    "stepWeight": 25,
    "maxWeight": 25,
    "metrics": [SUCCESS_RATE],
    "webhooks": [hook("confirm-promotion", "/gate/check")],
}
"""An analysis by the pods' own word, in one step, at which a gate holds it."""
VERSIONS = ("1.0.0", "1.0.1", "1.0.2")


@dataclass(frozen=True, slots=True)
class Entrance:
    """A listener that takes connections.

    Attributes:
        host: its address.
        port: its port.
        name: what clients of TLS ask for; empty for connections without TLS.
    """

    host: str
    port: int
    name: str = ""

    async def answer(self) -> str:
        """The version that a new connection comes to, or how it fails."""
        context = None
        if self.name:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        name = self.name or None
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection(self.host, self.port, ssl=context, server_hostname=name)
                with closing(writer):
                    writer.write(f"GET /version HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                    said = (await reader.read()).decode()
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        return next((version for version in VERSIONS if version in said), said[:200] or "nothing")

    async def answers(self, count: int) -> Counter[str]:
        """Where so many connections come to, one after the other."""
        return Counter([await self.answer() for _ in range(count)])

    async def served(self, version: str) -> None:
        """Wait until a version takes all connections, ten in a row."""
        await eventually(lambda: self.answers(10), lambda found: found == {version: 10}, within=READY_SECONDS)

    @asynccontextmanager
    async def steady(self) -> AsyncIterator[Counter[str]]:
        """Where steady connections came to."""
        answers: Counter[str] = Counter()

        async def go_on() -> None:
            while True:
                answers[await self.answer()] += 1
                await asyncio.sleep(0.01)

        task = asyncio.create_task(go_on())
        yield answers
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def refused(scenario: Scenario, made: Json, why: str) -> None:
    """A Canary that no listener takes the route of says so."""
    await scenario.deploy("1.0.0")
    await scenario.rig.apply(made)
    await scenario.canary.until(lambda each: why in _stalled(each), within=READY_SECONDS, what="a refusal")


def _stalled(canary: Json) -> str:
    conditions = (canary.get("status") or {}).get("conditions") or []
    return next((str(each["message"]) for each in conditions if each["type"] == "Stalled"), "")


async def divided(scenario: Scenario, entrance: Entrance, canary: Json) -> None:
    """A quarter comes to the new version, and none is lost, neither in its promotion nor in the next one's rollback.

    Args:
        scenario: where nothing is behind the entrance yet.
        entrance: where connections come from.
        canary: its analysis is `QUARTER`.
    """
    await scenario.initialise(canary)
    await entrance.served("1.0.0")
    async with entrance.steady() as answers:
        await scenario.deploy("1.0.1")
        await scenario.phase("WaitingPromotion")
        assert scenario.weights == (0, 25)
        await eventually(entrance.answer, lambda version: version == "1.0.1")  # the gateway has followed
        found = await entrance.answers(SAMPLE)
        assert abs(found["1.0.1"] - SAMPLE / 4) <= FIVE_SIGMA, found
        await scenario.gate("gate/open")
        assert await scenario.ended() == "Succeeded"
        await entrance.served("1.0.1")
    assert set(answers) == {"1.0.0", "1.0.1"}, answers

    async with entrance.steady() as answers:
        bad = application(NAME, scenario.rig.namespace, "1.0.2", environment={"FAULT_ERROR_RATE": "1"})
        await scenario.rig.apply(bad)
        await scenario.phase("Progressing")
        assert await scenario.ended() == "Failed"
    assert set(answers) == {"1.0.1", "1.0.2"}, answers
    assert scenario.serving == "sample/web:1.0.1"
