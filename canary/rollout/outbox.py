"""What is to be told stands in the status from the write that makes it true until it was told.

So it is told whether the answer to that write is lost or the controller is: by the next pass, or the next leader. What
was told is taken out with the next write that there is anyway; at once where people were called, or a rollout has
ended, as a crash before that would call them, or count it, twice. A Kubernetes event has a name of its own: it can be
told twice, and is there once.
"""

from dataclasses import replace
from datetime import timedelta

from canary.api.analysis import Severity
from canary.api.canary import Canary
from canary.api.status import CanaryStatus, Notice, NoticeAlert, NoticeEvent
from canary.rollout.decision import Alert, Decision, Ending, Event, EventType
from canary.rollout.facts import Facts

KEPT = timedelta(minutes=5)
"""How long a notice of which webhooks were told may wait for the next write to take it out."""

MOST = 100
"""Notices that a status holds; the oldest go first. So many come together where nothing can be told for long."""


def posted(canary: Canary, facts: Facts, decision: Decision) -> Decision:
    """The decision with what it tells in the outbox of its status, and without what was told.

    Args:
        canary: the Canary, with the status that was stored last.
        facts: what is known, the last notice that was told among it.
        decision: what is decided.
    """
    before, told = canary.status, told_of(canary.status, facts.told)
    left = tuple(each for each in before.outbox if each.number > told)
    news = _notice(before, facts, decision)
    if news is not None or decision.status != before:
        outbox = (*left, news) if news is not None else left
        return _with(decision, outbox[-MOST:], told)
    done = [each for each in before.outbox if each.number <= told]
    if not done:
        return decision
    until = max(each.time for each in done) + KEPT
    at_once = any(each.ending or (facts.called and each.alerts) for each in done)
    if at_once or (facts.called and facts.now >= until):
        return _with(decision, left, told)
    return replace(decision, tidy=until) if facts.called else decision


def told_of(status: CanaryStatus, told: int) -> int:
    """The number of the last notice that was told, as far as the status or a controller knows."""
    return max(status.told or 0, told)


def events_of(notice: Notice) -> tuple[Event, ...]:
    """The events of a notice."""
    return tuple(Event(each.message, EventType(each.type), each.evidence or "") for each in notice.events)


def alerts_of(notice: Notice) -> tuple[Alert, ...]:
    """The alerts of a notice."""
    return tuple(Alert(each.message, Severity(each.severity), each.details) for each in notice.alerts)


def ending_of(notice: Notice) -> Ending | None:
    """How the rollout ended that a notice tells of; None where it tells of no end."""
    return Ending(notice.ending) if notice.ending else None


def _with(decision: Decision, outbox: tuple[Notice, ...], told: int) -> Decision:
    return replace(decision, status=decision.status.replace(outbox=outbox, told=told or None))


def _notice(before: CanaryStatus, facts: Facts, decision: Decision) -> Notice | None:
    if not (decision.events or decision.alerts or decision.ending):
        return None
    last = max((each.number for each in before.outbox), default=0)
    return Notice(
        number=max(last, told_of(before, facts.told)) + 1,
        time=facts.now,
        phase=decision.status.phase,
        events=tuple(
            NoticeEvent(message=each.message, type=each.type.value, evidence=each.evidence or None)
            for each in decision.events
        ),
        alerts=tuple(
            NoticeAlert(message=each.message, severity=each.severity.value, details=each.details)
            for each in decision.alerts
        ),
        ending=decision.ending.value if decision.ending is not None else "",
    )
