"""A world in which one thing goes wrong, at any point of any pass that did something; and rollouts to try it on."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from canary.api.canary import Canary
from canary.rollout.decision import Action, Decision
from canary.rollout.facts import Facts
from canary.rollout.simulation import Deploy, Reading, Reply, SafeWorld, Scenario, Version

BEFORE_STORE, AFTER_STORE = -1, -2
"""Points of a pass beside those before its actions, which are counted from 0."""


@dataclass(slots=True)
class Fault:
    """What goes wrong in the pass of this number, at this point; once."""

    number: int
    point: int
    error: type[Exception]
    happened: bool = False


@dataclass(slots=True)
class Recording:
    """A pass that did something: its number, how the world was before it, and the points that it came to."""

    number: int
    before: "FaultyWorld"
    points: list[int] = field(default_factory=list)


class FaultyWorld(SafeWorld):
    """A world that remembers how it was before every pass that did something; and in which one thing may go wrong."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.fault: Fault | None = None
        self.recordings: list[Recording] = []
        self._reached: list[int] = []

    def twin(self, scenario: Scenario) -> Self:
        other = super().twin(scenario)
        other.fault, other.recordings = None, []
        return other

    def again(self, recording: Recording, point: int, error: type[Exception]) -> "FaultyWorld":
        """The same once more from a recorded pass on, in which something goes wrong at this point."""
        world = recording.before.twin(self.scenario)
        world.fault = Fault(recording.number, point, error)
        return world

    def pass_once(self) -> bool:
        if self.fault is not None:
            return super().pass_once()
        before, self._reached = self.twin(self.scenario), []
        wrote = super().pass_once()
        if wrote:
            self.recordings.append(Recording(self.passes, before, self._reached))
        return wrote

    def _come_to(self, point: int) -> None:
        self._reached.append(point)
        fault = self.fault
        if fault is not None and not fault.happened and (fault.number, fault.point) == (self.passes, point):
            fault.happened = True
            raise fault.error(str(fault))

    def decide_again(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        """Only where nothing goes wrong: it is half of the time, and the properties hold every decision against it."""
        if self.fault is None:
            super().decide_again(canary, facts, decision)

    def before_action(self, action: Action, index: int) -> None:
        self._come_to(index)
        super().before_action(action, index)

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        super().before_store(canary, facts, decision)
        self._come_to(BEFORE_STORE)

    def after_store(self, canary: Canary, decision: Decision) -> None:
        super().after_store(canary, decision)
        self._come_to(AFTER_STORE)


V2 = (60, Deploy("v2"))
BAD = {"v2": Version(readings=(Reading(1.0, weight=50),))}
NEVER = {"v2": Version(ready_after=None, why_not="ImagePullBackOff")}
QUICK: dict[str, Any] = {"stepWeight": 25, "maxWeight": 50, "webhooks": [{"name": "load", "url": "http://l.test/"}]}
ONCE: dict[str, Any] = {**QUICK, "stepWeight": 50}
CLOSED = (Reply(approved=False, end=timedelta(seconds=250)),)


def gated(kind: str) -> dict[str, Any]:
    """An analysis that waits for a hook of this type."""
    return {**ONCE, "webhooks": [{"name": "gate", "type": kind, "url": "http://l.test/"}]}


SILENT = (Reply(approved=False),)


def asked(kind: str, **approval: Any) -> dict[str, Any]:
    """An analysis that waits for two people of three."""
    people = {"approvers": ["alice", "bob", "eve"], "minApprovals": 2, **approval}
    return {**ONCE, "webhooks": [{"name": "gate", "type": kind, "gate": {"approval": people}}]}
