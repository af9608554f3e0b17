"""Gates of waves are asked beside the decisions, twice a minute at most, and never answer for another release."""

import asyncio
from datetime import UTC, datetime
from typing import cast

import pytest

from canary.api.fleet import CanaryFleet, WaveGate
from canary.fleet.facts import GateAnswer, GateQuestion
from canary.hub.gates import ASKED_AGAIN, Gates, body_of
from outbound.connections import Connections
from outbound.errors import NoConnectionError
from outbound.message import Request, Response
from tests.unit.fleet.fleets import fleet_of

pytestmark = pytest.mark.looptime(noop_cycles=1)

KEY = "prod/shop"
TESTS, CHAT = GateQuestion(1, "tests"), GateQuestion(1, "chat")


def fleet(release: str = "r2") -> CanaryFleet:
    gates = [{"name": "tests", "url": "http://tests.example/"}, {"name": "chat", "url": "http://chat.example/"}]
    return fleet_of([{"name": "all", "gates": gates}], release=release)


class Servers:
    """Answer with a status each; with none they can't be had."""

    def __init__(self, **statuses: int) -> None:
        self.statuses = statuses
        self.asked: list[str] = []

    async def send(self, request: Request, deadline: float) -> Response:
        name = request.url.removeprefix("http://").partition(".")[0]
        self.asked.append(name)
        await asyncio.sleep(0.1)
        if name not in self.statuses:
            raise NoConnectionError("connection refused")
        return Response(self.statuses[name], b"not yet")


class Asked:
    """Gates, and the fleets of which one has answered."""

    def __init__(self, **statuses: int) -> None:
        self.servers = Servers(**statuses)
        self.woken: list[str] = []
        connections = cast("Connections", self.servers)
        self.gates = Gates(connections, self._look, lambda: datetime.now(UTC), self.woken.append)

    async def _look(self, fleet: CanaryFleet, wave: str, gate: WaveGate) -> GateAnswer:
        self.servers.asked.append(f"{wave}/{gate.name}")
        return GateAnswer(gate.argocd is not None, "")

    def answers(self, release: str = "r2") -> dict[str, bool]:
        return {each.gate: answer.opens for each, answer in self.gates.answers(KEY, release).items()}


async def test_a_2xx_opens_it_and_all_else_does_not(looptime: int) -> None:
    asked = Asked(tests=204, chat=403)
    assert asked.answers() == {}
    asked.gates.ask(KEY, fleet(), [TESTS, CHAT])
    await asyncio.sleep(1)

    assert asked.answers() == {"tests": True, "chat": False}
    assert asked.gates.answers(KEY, "r2")[CHAT].message == "it answered 403: not yet"
    assert asked.woken == [KEY, KEY]


async def test_one_that_can_not_be_had_says_so(looptime: int) -> None:
    asked = Asked()
    asked.gates.ask(KEY, fleet(), [TESTS])
    await asyncio.sleep(1)
    assert asked.gates.answers(KEY, "r2")[TESTS].message == "it gave no answer: connection refused"


async def test_however_often_one_looks_it_is_asked_twice_a_minute(looptime: int) -> None:
    asked = Asked(tests=403)
    for _ in range(60):
        asked.gates.ask(KEY, fleet(), [TESTS])
        await asyncio.sleep(1)
    assert len(asked.servers.asked) == 2
    assert ASKED_AGAIN == 30


async def test_an_open_gate_is_asked_again_while_another_of_its_wave_is_closed(looptime: int) -> None:
    """It may have closed again when the other one opens."""
    asked = Asked(tests=200, chat=403)
    asked.gates.ask(KEY, fleet(), [TESTS, CHAT])
    await asyncio.sleep(31)
    asked.servers.statuses["tests"] = 403
    asked.gates.ask(KEY, fleet(), [CHAT])
    await asyncio.sleep(1)
    assert asked.answers() == {"tests": False, "chat": False}


async def test_what_is_not_asked_any_more_is_forgotten(looptime: int) -> None:
    asked = Asked(tests=200)
    asked.gates.ask(KEY, fleet(), [TESTS])
    await asyncio.sleep(1)
    asked.gates.ask(KEY, fleet(), [])
    assert asked.answers() == {}


async def test_no_answer_is_one_to_another_release(looptime: int) -> None:
    asked = Asked(tests=200)
    assert asked.answers("r2") == {}
    asked.gates.ask(KEY, fleet(), [TESTS])
    await asyncio.sleep(0.05)
    assert asked.answers("r3") == {}
    await asyncio.sleep(1)
    assert asked.answers("r3") == {}


async def test_a_gate_is_told_what_waits_for_it(looptime: int) -> None:
    told = {
        "name": "shop",
        "namespace": "prod",
        "release": "r2",
        "wave": "all",
        "gate": "tests",
        "type": "confirm-wave",
    }
    assert body_of(fleet(), TESTS) == told


async def test_one_that_looks_at_an_object_is_not_called(looptime: int) -> None:
    asked = Asked()
    gated = fleet_of([{"name": "all", "gates": [{"name": "tests", "argocd": {"application": "shop"}}]}], release="r2")
    asked.gates.ask(KEY, gated, [TESTS])
    await asyncio.sleep(1)
    assert (asked.answers(), asked.servers.asked) == ({"tests": True}, ["all/tests"])
