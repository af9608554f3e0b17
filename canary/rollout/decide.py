"""The one decision: from a Canary and the facts around it to what is done, stored and told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from canary.api.canary import Canary
from canary.api.meta import Condition, ConditionStatus
from canary.api.problems import Problem
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY
from canary.rollout import words
from canary.rollout.analysis import progress
from canary.rollout.decision import Decision, Route
from canary.rollout.ending import finalising, promoting
from canary.rollout.facts import Facts
from canary.rollout.leaving import leave
from canary.rollout.situation import Situation, warning
from canary.rollout.start import initialise, rest, waiting

INVALID = "InvalidSpec"
STALLED = "Stalled"

PROMOTED = {
    Phase.INITIALIZED: ConditionStatus.TRUE,
    Phase.SUCCEEDED: ConditionStatus.TRUE,
    Phase.FAILED: ConditionStatus.FALSE,
}
"""Whether the target is promoted, in the phases in which that is known."""

PHASES: dict[Phase, Callable[[Situation], Decision]] = {
    Phase.EMPTY: initialise,
    Phase.INITIALIZING: initialise,
    Phase.INITIALIZED: rest,
    Phase.WAITING: waiting,
    Phase.PROGRESSING: progress,
    Phase.WAITING_PROMOTION: progress,
    Phase.PROMOTING: promoting,
    Phase.FINALISING: finalising,
    Phase.SUCCEEDED: rest,
    Phase.FAILED: rest,
    Phase.TERMINATING: leave,
    Phase.TERMINATED: leave,
}


def decide(canary: Canary, facts: Facts) -> Decision:
    """Decide what is next for one Canary.

    A pure function: the same Canary and the same facts give the same Decision. It is level-triggered: it looks at what
    is, so that a pass that was cut off by a crash, a conflict or an outage is made good by the next one.

    Args:
        canary: the resource, with the status that was stored last.
        facts: what the shell has observed, the time included.
    """
    situation = Situation(canary, facts)
    return _finish(canary, facts, _decide(situation))


def _decide(s: Situation) -> Decision:
    if s.canary.metadata.deletion_timestamp is not None:
        return leave(s)
    if s.facts.problems:
        return _refuse(s, s.facts.problems)
    if s.canary.spec.suspend:
        return _suspended(s)
    return PHASES[s.status.phase](s)


def _refuse(s: Situation, problems: tuple[Problem, ...]) -> Decision:
    """The spec can't work: say so once, touch nothing, and go on by itself when it is mended."""
    message = _explain(problems)
    known = s.status.condition(STALLED)
    decision = s.stay(message)
    return decision if known is not None and known.message == message else replace(decision, events=(warning(message),))


def _explain(problems: tuple[Problem, ...]) -> str:
    return "; ".join(str(problem) for problem in problems)


def _suspended(s: Situation) -> Decision:
    """Whatever changes, nothing is done; save that a version without ready pods gets no traffic."""
    lost = s.split.canary and not s.canary_serving and s.primary_serving
    return s.stay("suspended", actions=(Route(ALL_PRIMARY),) if lost else ())


def _finish(canary: Canary, facts: Facts, decision: Decision) -> Decision:
    """Bring conditions, generation and transition time of the new status in line with the rest of it."""
    status = decision.status.replace(
        observed_generation=canary.metadata.generation or None,
        conditions=_conditions(canary, facts, decision.status),
    )
    if status != canary.status:
        status = status.replace(last_transition_time=facts.now.replace(microsecond=0))
    return replace(decision, status=status)


def _conditions(canary: Canary, facts: Facts, status: CanaryStatus) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    template = words.PROMOTED_MESSAGES.get(status.phase)
    if template is not None:
        promoted = Condition(
            type="Promoted",
            status=PROMOTED.get(status.phase, ConditionStatus.UNKNOWN),
            reason=status.phase.value,
            message=template.format(kind=canary.spec.target_ref.kind),
        )
        conditions.append(_condition(canary.status, promoted, facts.now))
    elif (kept := status.condition("Promoted")) is not None:
        conditions.append(kept)
    if facts.problems:
        why = _explain(facts.problems)
        stalled = Condition(type=STALLED, status=ConditionStatus.TRUE, reason=INVALID, message=why)
        conditions.append(_condition(canary.status, stalled, facts.now))
    return tuple(conditions)


def _condition(before: CanaryStatus, said: Condition, now: datetime) -> Condition:
    """What is said now, with the times of before where it was said before."""
    old = before.condition(said.type)
    if old is not None and (old.status, old.reason, old.message) == (said.status, said.reason, said.message):
        return old
    second = now.replace(microsecond=0)
    kept = old.last_transition_time if old is not None and old.status == said.status else second
    return said.replace(last_update_time=second, last_transition_time=kept)
