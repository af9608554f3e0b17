"""Those who are told of a Canary: events, alerts, counters."""

from dataclasses import dataclass

from canary.api.status import CanaryStatus
from canary.rollout.decision import Alert, Ending, Event
from canary.rollout.outbox import alerts_of, ending_of, events_of, told_of


@dataclass(slots=True)
class Audience:
    """What was told.

    Args:
        told: the number of the last notice that the controller knows to have told; lost with it.
        heard: the number of the last notice that was heard: what comes twice is known again by its number.
    """

    told: int = 0
    heard: int = 0

    def hear(self, status: CanaryStatus) -> tuple[tuple[Event, ...], tuple[Alert, ...], Ending | None]:
        """What is new of a status that was stored."""
        new = [each for each in status.outbox if each.number > max(self.heard, told_of(status, self.told))]
        self.told = max((each.number for each in status.outbox), default=told_of(status, self.told))
        self.heard = max((each.number for each in new), default=self.heard)
        events = tuple(event for each in new for event in events_of(each))
        alerts = tuple(alert for each in new for alert in alerts_of(each))
        return events, alerts, next((ending for each in new if (ending := ending_of(each)) is not None), None)
