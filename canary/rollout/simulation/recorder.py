"""The lines of a timeline: what was told, beside what was stored and routed at the time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from canary.api.analysis import HookType
from canary.api.canary import Canary
from canary.api.status import CanaryStatus
from canary.api.traffic import Split
from canary.rollout import messages
from canary.rollout.decision import Alert, Ending, Event
from canary.rollout.simulation.responders import reply
from canary.rollout.simulation.scenario import Scenario
from canary.rollout.simulation.timeline import Entry


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to tell of a moment; as in `Entry`."""

    note: str = ""
    reason: str = ""
    events: tuple[Event, ...] = ()
    alerts: tuple[Alert, ...] = ()
    ending: Ending | None = None


def entry(at: timedelta, status: CanaryStatus, split: Split | None, told: Told) -> Entry:
    """The line of a moment.

    Args:
        at: time since the start of the scenario.
        status: what is stored.
        split: how traffic is divided by the route; None where there is no route.
        told: what there is to tell.
    """
    return Entry(
        at=at,
        note=told.note,
        reason=told.reason,
        phase=status.phase,
        split=split,
        iterations=status.iterations,
        failed_checks=status.failed_checks,
        events=told.events,
        alerts=told.alerts,
        ending=told.ending,
    )


def post_rollout(scenario: Scenario, canary: Canary, at: timedelta) -> Iterator[Event]:
    """What is told of the hooks that are called when a rollout has ended, at this time since the start."""
    for hook in canary.hooks(HookType.POST_ROLLOUT):
        said = reply(scenario, hook.name, hook.type, at)
        event = messages.passed(hook) if said.approved else messages.refused(canary, hook, said.message)
        if event is not None:
            yield event
