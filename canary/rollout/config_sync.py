"""The primary's pods and the configuration that they share with the target: new contents, new pods."""

from dataclasses import replace

from canary.api.status import Phase
from canary.rollout.decision import Decision, RollPrimary
from canary.rollout.situation import Situation

FOLLOWS = frozenset(
    {
        Phase.INITIALIZED,
        Phase.WAITING,
        Phase.PROGRESSING,
        Phase.WAITING_PROMOTION,
        Phase.SUCCEEDED,
        Phase.FAILED,
    }
)
"""Phases in which nothing else makes the primary's pods anew, or is about to."""


def follow(s: Situation, decision: Decision) -> Decision:
    """The decision, and new pods for the primary where those that it has have read what has changed since.

    Not while the last ones are still on their way: one change at a time is enough for those who are served by them.
    """
    primary, wanted = s.facts.primary, s.facts.followed
    if primary is None or not wanted or primary.followed == wanted:
        return decision
    busy = not s.primary_ready and primary.readiness.desired > 0
    if busy or not {s.status.phase, decision.status.phase} <= FOLLOWS:
        return decision
    return replace(decision, actions=(*decision.actions, RollPrimary(wanted)))
