"""What runs for a moment of a rollout, such as Jobs: whether something still does, and its end with the moment."""

from dataclasses import replace
from datetime import datetime, timedelta

from canary.api.status import Phase
from canary.rollout.approvals import has_opened
from canary.rollout.decision import Decision, EndRuns
from canary.rollout.gates import GATE_RUNNING, WAITING_FOR_APPROVAL
from canary.rollout.moments import moment, wanted
from canary.rollout.situation import Situation
from canary.rollout.verdicts import CHECK_RUNNING

ONCE_ENDED = timedelta(seconds=1)
"""The least time between two looks at a Job, whatever is known of it."""

BEFORE_START = frozenset({Phase.INITIALIZED, Phase.WAITING, Phase.SUCCEEDED, Phase.FAILED})
"""Phases in which a new revision may wait to be rolled out."""


def is_running(s: Situation) -> bool:
    """Whether something still runs that answers for this moment."""
    here = s.starting_moment if s.status.phase in BEFORE_START else moment(s.canary)
    return here in s.facts.running.values()


def last_asked(s: Situation) -> datetime:
    """When those were last asked who hold a new revision: an answer that changes nothing is not stored."""
    stored, seen = s.status.last_check_time, s.facts.looked_at
    if stored is None:
        return s.now
    return stored if seen is None else max(stored, seen)


def until_asked(s: Situation) -> timedelta:
    """How long after the last look it is looked again: an interval, or hardly any once what is waited for has ended."""
    over = s.status.reason in (CHECK_RUNNING, GATE_RUNNING) and not is_running(s)
    return (
        ONCE_ENDED
        if over or (s.status.reason == WAITING_FOR_APPROVAL and has_opened(s))
        else s.canary.analysis_interval
    )


def ended(s: Situation, decision: Decision) -> Decision:
    """The decision, with an end to what runs for another moment than the one it leads to."""
    if not s.facts.running:
        return decision
    after = replace(s, canary=s.canary.replace(status=decision.status))
    here = {wanted(after.canary)} | ({after.starting_moment} if after.status.phase in BEFORE_START else set())
    over = tuple(sorted(name for name, run in s.facts.running.items() if run not in here))
    return replace(decision, actions=(*decision.actions, EndRuns(over))) if over else decision
