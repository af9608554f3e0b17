"""The one decision: from a Canary and the facts around it to what is done, stored and told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from canary.api.canary import Canary
from canary.api.meta import Condition, ConditionStatus, utc
from canary.api.problems import Problem
from canary.api.route_refs import WeightedRoute
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY
from canary.rollout import messages, partitioned_rollback, partitioned_rollout
from canary.rollout.adoption import adopt, is_foreign
from canary.rollout.analysis import ANALYSING, progress
from canary.rollout.capacity import guarded
from canary.rollout.config_sync import follow
from canary.rollout.data_plane import leave_routes
from canary.rollout.decision import Adopt, Decision, DropFinalizer, HoldFinalizer, KeepApexService, Route, SetPartition
from canary.rollout.deletion import FINALIZER, leave
from canary.rollout.ending import HANDING_OVER, PROMOTING, by_hook, finalising, promoting, roll_back
from canary.rollout.facts import Facts
from canary.rollout.hindrances import ANALYSED, INVALID, STALLED, Hindrance, explain, heed, hindrance, told
from canary.rollout.in_place import InPlaceSituation
from canary.rollout.look import WAITING_FOR_PODS
from canary.rollout.outbox import posted
from canary.rollout.session_affinity import with_cookies
from canary.rollout.situation import Situation
from canary.rollout.start import initialise, rest, waiting

SUSPENDED = "Suspended"
"""Reason of a rollout that a person has stopped."""

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


S = TypeVar("S", bound=Situation)


@dataclass(frozen=True, slots=True)
class Mode(Generic[S]):
    """How a target is rolled out.

    Args:
        situation: what every phase asks of the Canary and its facts.
        taken_over: the decision about a Canary whose status another controller has left; None where it is ours.
        leave: the decision about a Canary that is being deleted.
        proceed: the decision where nothing stands in the way.
        reason: why a rollout in the phase Progressing stands where it does.
    """

    situation: Callable[[Canary, Facts], S]
    taken_over: Callable[[S], Decision | None]
    leave: Callable[[S], Decision]
    proceed: Callable[[S], Decision]
    reason: Callable[[S], str]


def decide(canary: Canary, facts: Facts) -> Decision:
    """Decide what is next for one Canary.

    A pure function: the same Canary and the same facts give the same Decision. It is level-triggered: it looks at what
    is, so that a pass that was cut off by a crash, a conflict or an outage is made good by the next one.

    Args:
        canary: the resource, with the status that was stored last.
        facts: what the shell has observed, the time included.
    """
    return _decided(BESIDE, canary, facts) if facts.partitions is None else _decided(IN_PLACE, canary, facts)


def _decided(mode: Mode[S], canary: Canary, facts: Facts) -> Decision:
    s = mode.situation(canary, facts)
    decision = s.truthful(heed(s, _decide(mode, s)))
    # What is taken over is told of by nobody: nothing has happened.
    found = hindrance(s) if Adopt() not in decision.actions else None
    return posted(canary, facts, _finish(s, told(s, decision, found), found))


def _decide(mode: Mode[S], s: S) -> Decision:
    if (taken_over := mode.taken_over(s)) is not None:
        return taken_over
    if s.canary.metadata.deletion_timestamp is not None:
        return mode.leave(s)
    if s.facts.problems:
        return _refuse(s, s.facts.problems)
    if s.canary.spec.suspend:
        return _pause(s, SUSPENDED, "the Canary is suspended")
    return _held(s, mode.proceed(_resume(mode, s)))


def _taken_over(s: Situation) -> Decision | None:
    return adopt(s) if is_foreign(s.status) else None


def _proceed(s: Situation) -> Decision:
    phase = s.status.phase
    decision = PHASES[phase](guarded(s) if phase in AT_WORK else s)
    return leave_routes(s, follow(s, decision))


def _analysing(s: Situation) -> str:
    return WAITING_FOR_PODS if s.status.last_check_time is None else ANALYSING


def _updating(s: InPlaceSituation) -> str:
    return partitioned_rollout.UPDATING if s.started else _analysing(s)


BESIDE: Final = Mode(Situation, _taken_over, leave, _proceed, _analysing)
"""A primary is stood beside the target."""

IN_PLACE: Final = Mode(
    InPlaceSituation, lambda _: None, partitioned_rollback.leave, partitioned_rollout.proceed, _updating
)
"""The target's pods are updated one by one."""


def _held(s: Situation, decision: Decision) -> Decision:
    """A Canary's deletion waits for us from when on more is to be undone than goes with it by itself.

    That is so once users are led to the primary, or the target is kept from updating its pods.
    """
    outlasting = any(isinstance(action, KeepApexService | SetPartition) for action in decision.actions)
    wanted = s.canary.spec.revert_on_deletion or outlasting
    if not wanted or FINALIZER in s.canary.metadata.finalizers:
        return decision
    begun = s.status.phase in (Phase.EMPTY, Phase.INITIALIZING)
    first = (HoldFinalizer(), *decision.first) if begun else decision.first
    return replace(decision, first=first, actions=(HoldFinalizer(), *decision.actions))


def _refuse(s: Situation, problems: tuple[Problem, ...]) -> Decision:
    """The spec can't work: nothing goes on, and by itself again when it is mended.

    A version that is being judged is not left under traffic for that: rollback hooks are asked as ever, and it is taken
    back when it has been held for as long as a rollout may be.
    """
    message = explain(problems)
    paused = _pause(s, INVALID, message)
    if s.status.phase not in ANALYSED or paused.actions:
        return paused
    known = s.status.condition(STALLED)
    since = known.last_transition_time if known is not None and known.last_transition_time is not None else s.now
    until = s.due(utc(since), s.patience)
    if s.now >= until and s.facts.target is not None:
        return roll_back(s, f"progress deadline exceeded {message}", deadline=True)
    asked = by_hook(s, message, wake=until)
    if asked.ending is not None:
        return asked
    status = asked.status.replace(reason=paused.status.reason, message=paused.status.message)
    return replace(asked, status=status, actions=())


def _pause(s: Situation, reason: str, message: str) -> Decision:
    """Whatever changes, nothing is done; save that a version without ready pods gets no traffic."""
    status = _paused(s, reason, message)
    if (s.split.canary or s.facts.left) and not s.canary_serving and s.primary_serving:
        emptied = Decision(
            status=status.replace(canary_weight=0, iterations=0),
            reason=f"{message}; the canary has no ready pods",
            actions=(Route(ALL_PRIMARY),) if s.split.canary else (),
        )
        return leave_routes(s, emptied)
    return Decision(status=status, reason=message)


def _paused(s: Situation, reason: str, message: str) -> CanaryStatus:
    """A rollout that stands still remembers why: until it goes on, no deadline counts."""
    counted = s.status.phase in UNDER_WAY and s.status.reason != HANDING_OVER
    return s.evolve(reason=reason, message=message) if counted else s.status


def _resume(mode: Mode[S], s: S) -> S:
    """The situation once nothing stands in the way any more: deadlines count from now on."""
    if s.status.phase not in UNDER_WAY or s.status.reason not in (INVALID, SUSPENDED):
        return s
    reason = PROMOTING if s.status.phase is Phase.PROMOTING else mode.reason(s)
    status = s.evolve(reason=reason, message="", last_progress_time=s.now)
    return replace(s, canary=s.canary.replace(status=status))


def _finish(s: Situation, decision: Decision, found: Hindrance | None) -> Decision:
    """Bring conditions, generation and transition time of the new status in line with the rest of it."""
    if DropFinalizer() in decision.actions:
        # The Canary goes with it: nothing is left to store a status in.
        return replace(decision, status=s.status)
    status = with_cookies(s.canary, decision.status).replace(
        observed_generation=s.canary.metadata.generation,
        routed_by=_routed_by(s),
        route_refs=_route_refs(s),
        conditions=_conditions(s, decision.status, found),
    )
    if _standing(status) != _standing(s.status):
        status = status.replace(last_transition_time=s.now.replace(microsecond=0))
    return replace(decision, status=status)


def _routed_by(s: Situation) -> tuple[str, ...]:
    """The traffic providers of before, and the one in force once it is led by."""
    known, name = s.status.routed_by, s.facts.provider
    return known if not name or name in known or s.facts.problems else (*known, name)


def _route_refs(s: Situation) -> tuple[WeightedRoute, ...]:
    """The routes of others in which weights are set, and those of before while they still lead to the canary."""
    named = s.canary.spec.route_refs
    before = s.status.route_refs if s.facts.left or s.facts.problems or s.facts.unseen else ()
    return tuple(dict.fromkeys((*before, *named)))


def _standing(status: CanaryStatus) -> tuple[Phase, int, int, int]:
    """What a transition changes."""
    return status.phase, status.canary_weight, status.iterations, status.failed_checks


def _conditions(s: Situation, status: CanaryStatus, found: Hindrance | None) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    in_place = s.facts.partitions is not None
    message = messages.promoted(status.phase, s.canary.spec.target_ref.kind, in_place=in_place)
    if message is not None:
        promoted = Condition(
            type="Promoted",
            status=PROMOTED.get(status.phase, ConditionStatus.UNKNOWN),
            reason=status.phase.value,
            message=message,
        )
        conditions.append(_condition(s.status, promoted, s.now))
    elif (kept := status.condition("Promoted")) is not None:
        conditions.append(kept)
    if found is not None:
        stalled = Condition(type=STALLED, status=ConditionStatus.TRUE, reason=found.reason, message=found.message)
        conditions.append(_condition(s.status, stalled, s.now))
    return tuple(conditions)


def _condition(before: CanaryStatus, said: Condition, now: datetime) -> Condition:
    """What is said now, with the times of before where it was said before."""
    old = before.condition(said.type)
    if old is not None and (old.status, old.reason, old.message) == (said.status, said.reason, said.message):
        return old
    second = now.replace(microsecond=0)
    kept = old.last_transition_time if old is not None and old.status == said.status else second
    return said.replace(last_update_time=second, last_transition_time=kept)
