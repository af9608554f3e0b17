"""The one decision: from a Canary and the facts around it to what is done, stored and told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from canary.api.canary import Canary
from canary.api.meta import Condition, ConditionStatus
from canary.api.problems import Problem
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY
from canary.rollout import messages, partitioned_rollback, partitioned_rollout
from canary.rollout.adoption import adopt, is_foreign
from canary.rollout.analysis import ANALYSING, PROMOTING, WAITING_FOR_PODS, progress
from canary.rollout.capacity import guarded
from canary.rollout.config_sync import follow
from canary.rollout.decision import Decision, DropFinalizer, HoldFinalizer, KeepApexService, Route, SetPartition
from canary.rollout.deletion import FINALIZER, leave
from canary.rollout.ending import HANDING_OVER, finalising, promoting
from canary.rollout.facts import Facts
from canary.rollout.in_place import InPlaceSituation
from canary.rollout.session_affinity import with_cookies
from canary.rollout.situation import Situation, warning
from canary.rollout.start import initialise, rest, waiting

INVALID = "InvalidSpec"
SUSPENDED = "Suspended"
STALLED = "Stalled"

PROMOTED = {
    Phase.INITIALIZED: ConditionStatus.TRUE,
    Phase.SUCCEEDED: ConditionStatus.TRUE,
    Phase.FAILED: ConditionStatus.FALSE,
}
"""Whether the target is promoted, in the phases in which that is known."""

UNDER_WAY = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING})
"""Phases that a progress deadline bounds."""

AT_WORK = UNDER_WAY | {Phase.FINALISING}
"""Phases in which the primary may have to take all traffic back."""

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
    if facts.partitions is None:
        return _finish(canary, facts, _decide(Situation(canary, facts)))
    situation = InPlaceSituation(canary, facts)
    return _finish(canary, facts, situation.truthful(_decide(situation)))


def _decide(s: Situation) -> Decision:
    if is_foreign(s.status) and not isinstance(s, InPlaceSituation):
        return adopt(s)
    if s.canary.metadata.deletion_timestamp is not None:
        return partitioned_rollback.leave(s) if isinstance(s, InPlaceSituation) else leave(s)
    if s.facts.problems:
        return _refuse(s, s.facts.problems)
    if s.canary.spec.suspend:
        return _pause(s, SUSPENDED, "the Canary is suspended")
    resumed = _resume(s)
    if isinstance(resumed, InPlaceSituation):
        return _held(s, partitioned_rollout.proceed(resumed))
    phase = resumed.status.phase
    decision = PHASES[phase](guarded(resumed) if phase in AT_WORK else resumed)
    return _held(s, follow(resumed, decision))


def _held(s: Situation, decision: Decision) -> Decision:
    """A Canary's deletion waits for us from when on more is to be undone than goes with it by itself.

    That is so once users are led to the primary, or the target is kept from updating its pods.
    """
    outlasting = any(isinstance(action, KeepApexService | SetPartition) for action in decision.actions)
    wanted = s.canary.spec.revert_on_deletion or outlasting
    if not wanted or FINALIZER in s.canary.metadata.finalizers:
        return decision
    return replace(decision, actions=(HoldFinalizer(), *decision.actions))


def _refuse(s: Situation, problems: tuple[Problem, ...]) -> Decision:
    """The spec can't work: say so once, touch nothing, and go on by itself when it is mended."""
    message = _explain(problems)
    known = s.status.condition(STALLED)
    if known is None or known.message != message:
        return Decision(status=_paused(s, INVALID, message), reason=message, events=(warning(message),), wake=s.now)
    return _pause(s, INVALID, message)


def _explain(problems: tuple[Problem, ...]) -> str:
    return "; ".join(str(problem) for problem in problems)


def _pause(s: Situation, reason: str, message: str) -> Decision:
    """Whatever changes, nothing is done; save that a version without ready pods gets no traffic."""
    status = _paused(s, reason, message)
    if s.split.canary and not s.canary_serving and s.primary_serving:
        return Decision(
            status=status.replace(canary_weight=0, iterations=0),
            reason=f"{message}; the canary has no ready pods",
            actions=(Route(ALL_PRIMARY),),
        )
    return Decision(status=status, reason=message)


def _paused(s: Situation, reason: str, message: str) -> CanaryStatus:
    """A rollout that stands still remembers why: until it goes on, no deadline counts."""
    counted = s.status.phase in UNDER_WAY and s.status.reason != HANDING_OVER
    return s.evolve(reason=reason, message=message) if counted else s.status


def _resume(s: Situation) -> Situation:
    """The situation once nothing stands in the way any more: deadlines count from now on."""
    if s.status.phase not in UNDER_WAY or s.status.reason not in (INVALID, SUSPENDED):
        return s
    if s.status.phase is Phase.PROMOTING:
        reason = PROMOTING
    elif isinstance(s, InPlaceSituation) and s.started:
        reason = partitioned_rollout.UPDATING
    else:
        reason = WAITING_FOR_PODS if s.status.last_check_time is None else ANALYSING
    status = s.evolve(reason=reason, message="", last_progress_time=s.now)
    return replace(s, canary=s.canary.replace(status=status))


def _finish(canary: Canary, facts: Facts, decision: Decision) -> Decision:
    """Bring conditions, generation and transition time of the new status in line with the rest of it."""
    if DropFinalizer() in decision.actions:
        # The Canary goes with it: nothing is left to store a status in.
        return replace(decision, status=canary.status)
    status = with_cookies(canary, decision.status).replace(
        observed_generation=canary.metadata.generation,
        conditions=_conditions(canary, facts, decision.status),
    )
    if _standing(status) != _standing(canary.status):
        status = status.replace(last_transition_time=facts.now.replace(microsecond=0))
    return replace(decision, status=status)


def _standing(status: CanaryStatus) -> tuple[Phase, int, int, int]:
    """What a transition changes."""
    return status.phase, status.canary_weight, status.iterations, status.failed_checks


def _conditions(canary: Canary, facts: Facts, status: CanaryStatus) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    in_place = facts.partitions is not None
    message = messages.promoted(status.phase, canary.spec.target_ref.kind, in_place=in_place)
    if message is not None:
        promoted = Condition(
            type="Promoted",
            status=PROMOTED.get(status.phase, ConditionStatus.UNKNOWN),
            reason=status.phase.value,
            message=message,
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
