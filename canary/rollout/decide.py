"""The one decision: from a Canary and the facts around it to what is done, stored and told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from canary.api.canary import Canary
from canary.api.meta import utc
from canary.api.problems import Problem
from canary.api.route_refs import WeightedRoute
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import ALL_PRIMARY
from canary.rollout import holds, overrides, partitioned_rollback, partitioned_rollout, people
from canary.rollout.adoption import adopt, is_foreign
from canary.rollout.analysis import ANALYSING, progress, promote
from canary.rollout.approvals import minded
from canary.rollout.baseline import accompanied
from canary.rollout.capacity import guarded
from canary.rollout.config_sync import follow
from canary.rollout.data_plane import leave_routes
from canary.rollout.decision import Adopt, Decision, DropFinalizer, HoldFinalizer, KeepApexService, Route, SetPartition
from canary.rollout.deletion import FINALIZER, leave
from canary.rollout.ending import HANDING_OVER, PROMOTING, finalising, promoting
from canary.rollout.facts import Facts
from canary.rollout.hindrances import INVALID, Hindrance, explain, heed, hindrance, told
from canary.rollout.history import remembered
from canary.rollout.in_place import InPlaceSituation
from canary.rollout.initial import initialise
from canary.rollout.look import WAITING_FOR_PODS
from canary.rollout.new_pods import ANALYSED
from canary.rollout.orders import PAUSED, ordered, pause_told, stopped_by
from canary.rollout.outbox import posted
from canary.rollout.rollback import DEADLINE_EXCEEDED, by_hook, roll_back
from canary.rollout.runs import ended
from canary.rollout.session_affinity import with_cookies
from canary.rollout.situation import Situation
from canary.rollout.start import rest, waiting
from canary.rollout.status_conditions import conditions, hindered
from canary.rollout.steps import begun_now, none_begun

SUSPENDED = "Suspended"
"""Reason of a rollout that a person has stopped."""

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
        promote: the decision to give a version to everybody, whatever its analysis says.
    """

    situation: Callable[[Canary, Facts], S]
    taken_over: Callable[[S], Decision | None]
    leave: Callable[[S], Decision]
    proceed: Callable[[S], Decision]
    reason: Callable[[S], str]
    promote: Callable[[S], Decision]


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
    decision = s.truthful(heed(s, minded(s, accompanied(s, ended(s, _decide(mode, s))))))
    # What is taken over is told of by nobody: nothing has happened.
    found = hindrance(s) if Adopt() not in decision.actions else None
    decision = overrides.taken(s, pause_told(s, told(s, decision, found)), holds.held(s))
    return posted(canary, facts, _finish(s, decision, found))


def _decide(mode: Mode[S], s: S) -> Decision:
    if (taken_over := mode.taken_over(s)) is not None:
        return taken_over
    if s.canary.metadata.deletion_timestamp is not None:
        return mode.leave(s)
    if (order := ordered(s, mode.promote)) is not None:
        return _held(s, order)
    if (refused := people.refused(s)) is not None:
        return _held(s, refused)
    if s.facts.problems:
        return _refuse(s, s.facts.problems)
    if s.canary.spec.suspend:
        return _pause(s, SUSPENDED, "the Canary is suspended")
    if stopped := stopped_by(s):
        return _pause(s, PAUSED, stopped)
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


BESIDE: Final = Mode(Situation, _taken_over, leave, _proceed, _analysing, promote)
"""A primary is stood beside the target."""

IN_PLACE: Final = Mode(
    InPlaceSituation,
    lambda _: None,
    partitioned_rollback.leave,
    partitioned_rollout.proceed,
    _updating,
    partitioned_rollout.promote,
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
    known = hindered(s.status)
    since = known.last_transition_time if known is not None and known.last_transition_time is not None else s.now
    until = s.due(utc(since), s.patience)
    if s.now >= until and s.facts.target is not None:
        return roll_back(s, f"progress deadline exceeded {message}", reason=DEADLINE_EXCEEDED)
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
    return _routed(s).evolve(reason=reason, message=message) if counted else s.status


def _routed(s: Situation) -> Situation:
    """The situation at the step by which requests are divided.

    A step is routed before it is stored: whoever stops the rollout in between would leave a status that says less than
    users meet.
    """
    step = s.plan.next(s.status)
    if step is None or s.facts.split != step.split or step.split == s.step.split:
        return s
    status = s.evolve(canary_weight=step.split.canary, iterations=step.iteration, **begun_now(s))
    return replace(s, canary=s.canary.replace(status=status))


def _resume(mode: Mode[S], s: S) -> S:
    """The situation once nothing stands in the way any more: deadlines count from now on."""
    if s.status.phase not in UNDER_WAY or s.status.reason not in (INVALID, SUSPENDED, PAUSED):
        return s
    reason = PROMOTING if s.status.phase is Phase.PROMOTING else mode.reason(s)
    status = s.evolve(reason=reason, message="", last_progress_time=s.now)
    return replace(s, canary=s.canary.replace(status=status))


def _finish(s: Situation, decision: Decision, found: Hindrance | None) -> Decision:
    """Bring conditions, generation and transition time of the new status in line with the rest of it."""
    if DropFinalizer() in decision.actions:
        # The Canary goes with it: nothing is left to store a status in.
        return replace(decision, status=s.status)
    status = with_cookies(s.canary, remembered(s, decision))
    if status.step_since is not None and status.phase not in AT_WORK:
        status = status.replace(**none_begun())
    status = status.replace(
        observed_generation=s.canary.metadata.generation,
        routed_by=_routed_by(s),
        route_refs=_route_refs(s),
        conditions=conditions(s, status, found),
        queued_since=status.queued_since if status.phase is Phase.WAITING else None,
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
