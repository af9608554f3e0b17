"""Virtual time for a hub and its members: the loop of a hub, as fast as decisions can be made.

A decision's writes go out first, then its status is stored; a hub that dies in between is followed by another that
knows only what is stored. A member goes on whether the hub can reach it or not.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.api.fleet import CanaryFleet, FleetSpec
from canary.api.fleet_rules import problems
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState
from canary.api.problems import Problem
from canary.fleet.decide import decide
from canary.fleet.decision import Decision, SetWeights, Write
from canary.fleet.facts import Facts, GateAnswer, GateQuestion, RouteSeen
from canary.fleet.simulation.clusters import Cluster

SETTLE = timedelta(seconds=10)
"""How long requests may go on as before once a route was written."""

MOST_PASSES = 60
"""Passes at one moment; a release that needs more would never settle."""


class NotSettlingError(AssertionError):
    """The hub does not come to rest while time stands still."""


class HubDiedError(Exception):
    """The hub dies here; raised by tests."""


@dataclass(frozen=True, slots=True)
class AnnotateFleet:
    """Somebody puts an annotation on the fleet; None takes it off."""

    key: str
    value: str | None


@dataclass(frozen=True, slots=True)
class EditFleet:
    """Somebody edits the fleet's spec."""

    spec: FleetSpec


FleetChange = AnnotateFleet | EditFleet


@dataclass(frozen=True, slots=True)
class FleetEntry:
    """One moment of a release.

    Args:
        at: time since the start.
        phase: the phase that is stored.
        wave: the wave that is under way.
        states: how many members are in each state.
        events: what was told.
        message: why it stands there.
    """

    at: timedelta
    phase: FleetPhase
    wave: int
    states: Mapping[MemberState, int]
    events: tuple[str, ...]
    message: str


Gates = Callable[[GateQuestion, datetime], GateAnswer]


class FleetWorld:
    """A hub with its fleet and the clusters that it knows.

    A subclass may override the methods named `before_` and `after_` to watch, or to have the hub die there.

    Args:
        fleet: the fleet.
        clusters: the clusters, also those that come later.
        start: the beginning.
        changes: what somebody does to the fleet, and when.
        gates: what gates say.

    Attributes:
        carried: what the routes to the clusters say, by member; empty where the fleet names none.
    """

    def __init__(
        self,
        fleet: CanaryFleet,
        clusters: Iterable[Cluster],
        start: datetime,
        changes: Sequence[tuple[datetime, FleetChange]] = (),
        gates: Gates = lambda question, now: GateAnswer(opens=True),
    ) -> None:
        self.fleet = fleet
        self.clusters = {each.place.name: each for each in clusters}
        self.start = self.now = start
        self.entries: list[FleetEntry] = []
        self._changes = sorted(changes, key=lambda each: each[0])
        self._gates = gates
        self.carried: dict[str, int] = {}
        self._answers: dict[GateQuestion, GateAnswer] = {}
        self._wake: datetime | None = start
        self._told = 0
        self._problems: tuple[int, tuple[Problem, ...]] | None = None

    def is_over(self) -> bool:
        """Whether nothing is of interest any more; overridden where something else than rest is."""
        return False

    def before_write(self, write: Write, decision: Decision) -> None:
        """Called before each write."""

    def before_route(self, write: SetWeights, decision: Decision) -> None:
        """Called before each write of a route."""

    def before_store(self, facts: Facts, decision: Decision) -> None:
        """Called when everything is written, and nothing is stored yet."""

    def after_store(self, before: FleetStatus, decision: Decision) -> None:
        """Called when the status is stored."""

    def run(self, limit: timedelta) -> FleetStatus:
        """Let time pass until nothing more would happen, or until the limit since the start.

        Raises:
            NotSettlingError: the hub does not come to rest while time stands still.
        """
        for each in self.clusters.values():
            each.advance(self.now)
        while True:
            self._settle()
            moment = self._next_moment()
            if moment is None or moment > self.start + limit or self.is_over():
                return self.fleet.status
            self._advance(moment)

    def facts(self) -> Facts:
        """What the hub sees now."""
        there = tuple(each.seen(self.now) for each in self.clusters.values() if each.place.is_there(self.now))
        return Facts(self.now, there, dict(self._answers), self._told, self._found(), self.routes())

    def routes(self) -> tuple[RouteSeen, ...]:
        """The routes that the fleet names, as they are; all say the same."""
        traffic = self.fleet.spec.traffic
        if traffic is None:
            return ()
        self.carried = self.carried or {each.name: each.share for each in traffic.members}
        return tuple(RouteSeen(each.words, (dict(self.carried),), settle=SETTLE) for each in traffic.routes)

    def _found(self) -> tuple[Problem, ...]:
        """What is wrong with the spec, looked for once a generation."""
        generation = self.fleet.metadata.generation
        if self._problems is None or self._problems[0] != generation:
            self._problems = (generation, problems(self.fleet))
        return self._problems[1]

    def _next_moment(self) -> datetime | None:
        moments = [self._wake, self._changes[0][0] if self._changes else None]
        for each in self.clusters.values():
            moments += [each.place.next_change(self.now), each.next_moment()]
        return min((max(each, self.now) for each in moments if each is not None), default=None)

    def _advance(self, moment: datetime) -> None:
        self.now = moment
        for each in self.clusters.values():
            each.advance(moment)
        while self._changes and self._changes[0][0] <= moment:
            self.change(self._changes.pop(0)[1])

    def change(self, change: FleetChange) -> None:
        """Somebody does something to the fleet, at this moment."""
        metadata = self.fleet.metadata
        match change:
            case AnnotateFleet(key, value):
                kept = {name: text for name, text in metadata.annotations.items() if name != key}
                annotations = {**kept, key: value} if value is not None else kept
                self.fleet = self.fleet.replace(metadata=metadata.replace(annotations=annotations))
            case EditFleet(spec):
                changed = metadata.replace(generation=metadata.generation + 1)
                self.fleet = self.fleet.replace(spec=spec, metadata=changed)

    def _settle(self) -> None:
        for _ in range(MOST_PASSES):
            try:
                if not self._pass():
                    return
            except HubDiedError:
                self._answers, self._told = {}, 0
        msg = f"{MOST_PASSES} passes after {self.now - self.start}: {self.fleet.status.message}"
        raise NotSettlingError(msg)

    def _pass(self) -> bool:
        """Observe, decide, write, store: once. Whether the next pass is due at once."""
        facts = self.facts()
        decision = decide(self.fleet, facts)
        for route in decision.routes:
            self.before_route(route, decision)
            self.carried = dict(route.weights)
        for write in decision.writes:
            self.before_write(write, decision)
            self.clusters[write.member].write(write, self.now)
        self.before_store(facts, decision)
        before, asked = self.fleet.status, dict(self._answers)
        self._answers = {each: self._gates(each, self.now) for each in decision.asks}
        self._wake = decision.wake
        stored = FleetStatus.model_validate(decision.status.to_json())
        if stored != before:
            self.fleet = self.fleet.replace(status=stored)
            self.after_store(before, decision)
            self._tell()
        return bool(decision.writes or decision.routes) or stored != before or asked != self._answers

    def _tell(self) -> None:
        status = self.fleet.status
        news = [each for each in status.outbox if each.number > self._told]
        self._told = max((each.number for each in news), default=self._told)
        events = tuple(event.message for notice in news for event in notice.events)
        states = [each.state for each in status.members]
        counted = {state: states.count(state) for state in MemberState if state in states}
        if events:
            entry = FleetEntry(self.now - self.start, status.phase, status.wave, counted, events, status.message)
            self.entries.append(entry)
