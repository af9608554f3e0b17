"""What came of a scenario: a line for every moment at which something was done, stored or told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.rollout.decision import Alert, Ending, Event

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One moment.

    Args:
        at: time since the start of the scenario.
        note: what happened around the Canary; empty for what the controller did.
        reason: why the controller did what it did.
        phase: the phase that is stored.
        split: how traffic is divided by the route; None where there is no route.
        iterations: iterations that are stored.
        failed_checks: failed checks that are stored.
        events: what was told.
        alerts: whom was called.
        ending: how a rollout ended.
    """

    at: timedelta
    note: str
    reason: str
    phase: Phase
    split: Split | None
    iterations: int
    failed_checks: int
    events: tuple[Event, ...] = ()
    alerts: tuple[Alert, ...] = ()
    ending: Ending | None = None

    @property
    def weight(self) -> int:
        """Percent of requests that the route gives to the canary."""
        return (self.split or ALL_PRIMARY).canary


@dataclass(frozen=True, slots=True)
class Timeline:
    """What came of a scenario.

    Args:
        entries: what happened, in order.
        status: what is stored at the end.
        lasted: time from the start of the scenario to its end.
        served: how long each revision answered users, weighted by its share of requests: half of them for a minute
            is 30 seconds. Under the empty name, what nobody answered.
        passes: how many decisions were made.
        over: whether nothing more would happen; False where the limit cut the scenario off.
    """

    entries: tuple[Entry, ...]
    status: CanaryStatus
    lasted: timedelta
    served: Mapping[str, timedelta]
    passes: int
    over: bool

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases in order, none twice in a row."""
        return tuple(phase for _, phase in _changes([(each.at, each.phase) for each in self.entries]))

    @property
    def weights(self) -> tuple[int, ...]:
        """The canary's routed share in order, none twice in a row."""
        return tuple(weight for _, weight in self.weight_changes)

    @property
    def weight_changes(self) -> tuple[tuple[timedelta, int], ...]:
        """When the canary's routed share changed, and to what."""
        return _changes([(each.at, each.weight) for each in self.entries])

    @property
    def events(self) -> tuple[str, ...]:
        """The messages of all events, in order."""
        return tuple(event.message for each in self.entries for event in each.events)

    @property
    def alerts(self) -> tuple[str, ...]:
        """The messages of all alerts, in order."""
        return tuple(alert.message for each in self.entries for alert in each.alerts)

    @property
    def endings(self) -> tuple[Ending, ...]:
        """How rollouts ended, in order."""
        return tuple(each.ending for each in self.entries if each.ending is not None)

    def when(self, phase: Phase) -> timedelta | None:
        """When a phase was reached first; None if it never was."""
        return next((each.at for each in self.entries if each.phase is phase), None)

    def share(self, revision: str) -> float:
        """The share of all requests that a revision answered, 0 to 1."""
        total = sum(self.served.values(), timedelta(0))
        return self.served.get(revision, timedelta(0)) / total if total else 0.0


def _changes(values: list[tuple[timedelta, T]]) -> tuple[tuple[timedelta, T], ...]:
    return tuple(each for index, each in enumerate(values) if not index or each[1] != values[index - 1][1])
