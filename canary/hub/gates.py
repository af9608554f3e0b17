"""Asks the gates that waves wait for, beside the decisions: an answer is a fact of the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from canary.api.analysis import HookType, Webhook
from canary.api.fleet import CanaryFleet, Wave, WaveGate
from canary.fleet import progress
from canary.fleet.facts import GateAnswer, GateQuestion
from canary.webhooks import Approved, call
from outbound.connections import Connections

ASKED_AGAIN: Final = progress.ASKED_AGAIN.total_seconds()
"""Seconds between two calls of a gate: a fleet is looked at again after as long."""


Look = Callable[[CanaryFleet, str, WaveGate], Awaitable[GateAnswer]]
"""Looks at the object that a gate is about, for the wave of that name."""


class Gates:
    """The answers of gates.

    Args:
        connections: to those that are called.
        look: looks at what is not called.
        now: the clock.
        answered: is told the key of a fleet of which a gate has answered.
    """

    def __init__(
        self, connections: Connections, look: Look, now: Callable[[], datetime], answered: Callable[[str], None]
    ) -> None:
        self._connections, self._look, self._now, self._answered = connections, look, now, answered
        self._releases: dict[str, str] = {}
        self._answers: dict[str, dict[GateQuestion, GateAnswer]] = {}
        self._asked: dict[tuple[str, GateQuestion], tuple[float, asyncio.Task[None]]] = {}

    def answers(self, key: str, release: str) -> Mapping[GateQuestion, GateAnswer]:
        """What was answered to the questions that are asked for a release of a fleet; another one is asked for anew."""
        if self._releases.get(key, release) != release:
            self.forget(key)
        self._releases[key] = release
        return self._answers.get(key, {})

    def ask(self, key: str, fleet: CanaryFleet, questions: Iterable[GateQuestion]) -> None:
        """Ask, unless it was asked lately. While one gate is closed, the others of its wave are asked again, too.

        Args:
            key: `NAMESPACE/NAME` of the fleet.
            fleet: the fleet.
            questions: all that is to be asked for it now.
        """
        asked = {*questions}
        waves = {each.wave for each in asked}
        known = self._answers.get(key, {})
        kept = self._answers[key] = {each: answer for each, answer in known.items() if each.wave in waves}
        self._drop([each for each in self._asked if each[0] == key and each[1].wave not in waves])
        for each in asked | kept.keys():
            self._begin(key, fleet, each)

    def forget(self, key: str) -> None:
        """A fleet is gone."""
        self._answers.pop(key, None)
        self._releases.pop(key, None)
        self._drop([each for each in self._asked if each[0] == key])

    def _drop(self, gone: Iterable[tuple[str, GateQuestion]]) -> None:
        for each in gone:
            self._asked.pop(each)[1].cancel()

    def _begin(self, key: str, fleet: CanaryFleet, question: GateQuestion) -> None:
        last = self._asked.get((key, question))
        if last is not None and (_now() < last[0] + ASKED_AGAIN or not last[1].done()):
            return
        task = asyncio.create_task(self._ask(key, fleet, question), name=f"gate {question.gate}")
        self._asked[key, question] = _now(), task

    async def _ask(self, key: str, fleet: CanaryFleet, question: GateQuestion) -> None:
        answer = await self._said(fleet, question)
        self._answers.setdefault(key, {})[question] = answer
        self._answered(key)

    async def _said(self, fleet: CanaryFleet, question: GateQuestion) -> GateAnswer:
        wave, gate = _wave(fleet, question), gate_of(fleet, question)
        if wave is not None and gate is not None and not gate.url:
            return await self._look(fleet, wave.name, gate)
        outcome = await call(self._connections, hook_of(fleet, question), body_of(fleet, question), now=self._now)
        opens = isinstance(outcome, Approved)
        return GateAnswer(opens, "" if opens else f"it {outcome.message}")

    async def close(self) -> None:
        """Give up what is asked."""
        tasks = [task for _, task in self._asked.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def gate_of(fleet: CanaryFleet, question: GateQuestion) -> WaveGate | None:
    """The gate that is asked; None where an edit of the spec has taken it away."""
    wave = _wave(fleet, question)
    return next((each for each in wave.gates if each.name == question.gate), None) if wave is not None else None


def hook_of(fleet: CanaryFleet, question: GateQuestion) -> Webhook:
    """How a gate is called."""
    gate = gate_of(fleet, question)
    return Webhook(name=question.gate, type=HookType.CONFIRM_ROLLOUT, url=gate.url if gate is not None else "")


def body_of(fleet: CanaryFleet, question: GateQuestion) -> dict[str, object]:
    """What a gate is told."""
    wave = _wave(fleet, question)
    who = {"name": fleet.name, "namespace": fleet.namespace, "release": fleet.spec.release}
    return {**who, "wave": wave.name if wave is not None else "", "gate": question.gate, "type": "confirm-wave"}


def _wave(fleet: CanaryFleet, question: GateQuestion) -> Wave | None:
    """The wave that waits for a gate; None where an edit of the spec has taken it away."""
    return fleet.spec.waves[question.wave - 1] if question.wave <= len(fleet.spec.waves) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
