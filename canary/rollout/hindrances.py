"""What stands in the way of a decision: what was refused, can't be seen, can't work, or is undone by somebody.

The decision of the phase says what should be done. Here is said what becomes of it: the words, the condition, the
event, the alert and the deadline of everything that keeps it from being done, in one place.

::

    what                              what is still done                          what is told
    a write of upkeep is refused      everything else                             Stalled, event, alert
    a write that protects is refused  what comes before it; no move is recorded   Stalled, event, alert
    a kind can't be seen              traffic leaves what fails or isn't ready    Stalled, event, alert after a while
    the spec can't work               the same, and rollback hooks are asked      Stalled, event, alert
    somebody undoes our writes        everything, slowly                          Stalled, event, alert
    the primary has no ready pods     traffic stays with whoever serves           Stalled, event, alert
    pods can't be made                everything                                  Stalled, event, alert
    initialization does not get on    everything                                  Stalled, event, after the deadline

The alert goes out where the new version has traffic. A rollout that is kept from its next step for as long as it may
wait is taken back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from canary.api.analysis import Severity
from canary.api.problems import Problem
from canary.api.status import Phase
from canary.rollout.deadlines import deadline
from canary.rollout.decision import (
    Action,
    Alert,
    Decision,
    DropFinalizer,
    Ending,
    LeaveRoutes,
    Orphan,
    Route,
    ScalePrimary,
)
from canary.rollout.facts import Refusal, Unseen
from canary.rollout.messages import not_done
from canary.rollout.new_pods import ANALYSED
from canary.rollout.refusals import moves, quiet
from canary.rollout.rollback import DEADLINE_EXCEEDED, roll_back
from canary.rollout.situation import PRIMARY_NOT_READY, Situation, warning

STALLED = "Stalled"
INVALID = "InvalidSpec"
REFUSED = "Refused"
FORBIDDEN = "Forbidden"
STALE = "Stale"
NOT_SETTLING = "NotSettling"
REPLICA_FAILURE = "ReplicaFailure"
NOT_INITIALIZED = "NotInitialized"

UNDONE = "somebody undoes what is written around the Canary"
NOBODY_TAKES_OVER = "the canary has traffic that is not its own, and the primary no ready pods to take it back"


AT_REST = frozenset({Phase.FINALISING, Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING})
"""Phases in which all traffic should be the primary's."""


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What stands in the way, for the condition.

    Args:
        reason: in one CamelCase word.
        message: in words.
    """

    reason: str
    message: str


def heed(s: Situation, decision: Decision) -> Decision:
    """What can be done of a decision, with what stands in the way of the rest."""
    standing = {action: refusal for action, refusal in s.facts.refused.items() if not refusal.due}
    heeded = _unless_unseen(s, _unless_refused(s, decision, standing))
    if (heeded.withheld or s.facts.unseen) and heeded.wake is not None and heeded.wake <= s.now:
        # What should follow at once follows what is not done: it comes when that is, or can be tried again.
        heeded = replace(heeded, wake=None)
    return replace(heeded, wake=_wake(s, heeded))


def hindrance(s: Situation) -> Hindrance | None:
    """What stands in the way, where it is time to tell; the gravest names the reason."""
    found = [
        *([Hindrance(INVALID, explain(s.facts.problems))] if s.facts.problems else ()),
        *(Hindrance(REFUSED, _refusal(*each)) for each in s.facts.refused.items() if _to_be_told(s, each[1])),
        *(_unseen(each) for each in s.facts.unseen if each.forbidden or s.now >= each.since + quiet(s.canary)),
        *([Hindrance(NOT_SETTLING, f"{UNDONE}: {s.facts.contested}")] if s.facts.contested else ()),
        *([Hindrance(PRIMARY_NOT_READY, NOBODY_TAKES_OVER)] if _nobody_takes_over(s) else ()),
        *(Hindrance(REPLICA_FAILURE, words) for words in _podless(s)),
        *([Hindrance(NOT_INITIALIZED, _missing(s))] if _initializes(s) and s.now >= deadline(s) else ()),
    ]
    return Hindrance(found[0].reason, "; ".join(dict.fromkeys(each.message for each in found))) if found else None


def _nobody_takes_over(s: Situation) -> bool:
    """Whether the canary keeps traffic that is not its own, for want of a primary that could take it back."""
    astray = s.status.phase in AT_REST or (s.status.phase in ANALYSED and s.reverted)
    return astray and s.facts.primary is not None and not s.primary_can_take_over


def _podless(s: Situation) -> Iterator[str]:
    """Workloads that don't get the pods for which a rollout waits, and why, in Kubernetes' words."""
    target, primary, fresh = s.facts.target, s.facts.primary, s.facts.baseline
    if target is not None and target.readiness.stalled and s.status.phase in ANALYSED and not s.canary_ready:
        yield f"{s.target_name} does not get its pods: {target.readiness.stalled}"
    if fresh is not None and fresh.readiness.stalled and s.has_baseline(s.status) and not s.baseline_ready:
        yield f"{s.baseline_name} does not get its pods: {fresh.readiness.stalled}"
    waited_for = s.status.phase in (Phase.INITIALIZING, Phase.PROMOTING) and not s.primary_ready
    if primary is not None and primary.readiness.stalled and waited_for:
        name = f"{s.canary.primary_name}.{s.canary.namespace}"
        yield f"{name} does not get its pods: {primary.readiness.stalled}"


def _initializes(s: Situation) -> bool:
    return s.status.phase is Phase.INITIALIZING and s.facts.target is not None


def _missing(s: Situation) -> str:
    """What initialization waits for, without numbers that change: it is told once."""
    if s.facts.partitions is not None:
        return f"the rollout of {s.target_name} that was under way does not come to its end"
    return f"{s.canary.primary_name}.{s.canary.namespace} does not get ready"


def told(s: Situation, decision: Decision, found: Hindrance | None) -> Decision:
    """The decision with an event for what newly stands in its way, and an alert while the new version has traffic."""
    if found is None:
        return decision
    known = s.status.condition(STALLED)
    new = known is None or known.message != found.message
    share = max(decision.status.canary_weight, s.split.canary)
    # By what is stored alone, what is routed besides would be news at every pass.
    gained = decision.status.canary_weight > 0 and not s.status.canary_weight
    call = share > 0 and (new or gained)
    alert = Alert(
        f"Canary is stalled while the new version has {share} % of the traffic: {found.message}", Severity.ERROR
    )
    return replace(
        decision,
        events=(*decision.events, warning(found.message)) if new else decision.events,
        alerts=(*decision.alerts, alert) if call else decision.alerts,
    )


def explain(problems: Iterable[Problem]) -> str:
    """Problems in one line."""
    return "; ".join(str(problem) for problem in problems)


def _unless_refused(s: Situation, decision: Decision, standing: Mapping[Action, Refusal]) -> Decision:
    blocked = [refusal for action, refusal in standing.items() if action in decision.protect]
    if not blocked or not moves(s.status, decision.status):
        return _without(decision, standing)
    since = min(refusal.since for refusal in blocked)
    if s.status.phase in ANALYSED and decision.ending is None and s.now >= since + s.patience:
        why = f"progress deadline exceeded {blocked[0].words}"
        return _without(roll_back(s, why, reason=DEADLINE_EXCEEDED), s.facts.refused)
    return _without(_stay(s, decision, f"refused: {blocked[0].words}"), standing)


def _without(decision: Decision, standing: Mapping[Action, Refusal]) -> Decision:
    """The decision without what would be refused again, nor what protects and comes after that."""
    if not standing:
        return decision
    protect = decision.protect
    end = next((index for index, each in enumerate(protect) if each in standing), len(protect))
    done = {*protect[:end], *(each for each in decision.upkeep if each not in standing)}
    if len(done) == len({*decision.done}):
        return decision
    return replace(
        decision,
        first=tuple(each for each in decision.first if each in done),
        actions=tuple(each for each in decision.actions if each in done),
        withheld=tuple(each for each in decision.done if each not in done),
    )


def _stay(s: Situation, decision: Decision, why: str) -> Decision:
    """Where the rollout is, with the verdicts of this look: the next one comes after an interval as always."""
    looked = decision.status.last_check_time == s.now
    status = s.evolve(
        failed_checks=max(s.status.failed_checks, decision.status.failed_checks),
        checks=decision.status.checks if looked else s.status.checks,
        failure_counts=decision.status.failure_counts if looked else s.status.failure_counts,
        last_check_time=s.now if looked else s.status.last_check_time,
    )
    return Decision(
        status=status,
        reason=f"{decision.reason} ({why})",
        actions=decision.actions,
        first=decision.first,
        asks=decision.asks,
        wake=s.now + s.canary.analysis_interval if looked else None,
    )


def _unless_unseen(s: Situation, decision: Decision) -> Decision:
    """What is known may be old: that is enough to take traffic away, and for nothing else."""
    unseen = s.facts.unseen
    if not unseen:
        return decision
    if s.canary.metadata.deletion_timestamp is not None:
        return _leave_unseen(s, decision, min(each.since for each in unseen))
    blind = any(each.workload for each in unseen)
    if not moves(s.status, decision.status) or _takes_back(s, decision, blind=blind):
        return _only(decision, [each for each in decision.protect if _takes_away(s, each)])
    return _only(_stay(s, decision, "what is known may be old"), [])


def _takes_back(s: Situation, decision: Decision, *, blind: bool) -> bool:
    """Whether a decision only gives requests back, and by what is known: a verdict, or pods that are seen."""
    if decision.status.phase not in (*ANALYSED, Phase.FAILED) or decision.status.canary_weight > s.status.canary_weight:
        return False
    if decision.status.last_applied_spec != s.status.last_applied_spec:
        return False
    ended = decision.ending is Ending.FAILED and decision.status.reason != DEADLINE_EXCEEDED
    return ended and s.canary_serving if blind else ended or decision.status.canary_weight < s.status.canary_weight


def _takes_away(s: Situation, action: Action) -> bool:
    if not isinstance(action, Route):
        return isinstance(action, ScalePrimary | LeaveRoutes)
    now, then = s.split, action.split
    return then.canary < now.canary or (then.canary == now.canary and then.baseline < now.baseline)


def _only(decision: Decision, kept: list[Action]) -> Decision:
    return replace(decision, actions=tuple(kept), first=(), withheld=())


def _leave_unseen(s: Situation, decision: Decision, since: datetime) -> Decision:
    """A Canary is deleted whose surroundings can't be seen: after a while it goes, and all else stays as it is."""
    until = since + s.patience
    if not any(isinstance(each, DropFinalizer) for each in decision.actions):
        # A baseline goes with the Canary: what leads to it is led away, whatever is known of the rest.
        return _only(decision, [each for each in decision.protect if s.split.baseline and _takes_away(s, each)])
    if s.now < until:
        return replace(_only(decision, []), wake=until)
    return _only(decision, [Orphan(), DropFinalizer()])


def _to_be_told(s: Situation, refusal: Refusal) -> bool:
    return refusal.answered or s.now >= refusal.since + quiet(s.canary)


def _refusal(action: Action, refusal: Refusal) -> str:
    return not_done(action, refusal.words, answered=refusal.answered)


def _unseen(unseen: Unseen) -> Hindrance:
    if unseen.forbidden:
        words = f"the controller may not list or watch {unseen.kind}: {unseen.words}; give its role that right"
        return Hindrance(FORBIDDEN, words)
    return Hindrance(STALE, f"{unseen.kind} can't be followed, what is known of it may be old: {unseen.words}")


def _wake(s: Situation, decision: Decision) -> datetime | None:
    """When to look again: as was decided, or when something is to be told, or has lasted for too long."""
    wakes = [decision.wake] if decision.wake is not None else []
    quiets = [each.since + quiet(s.canary) for each in s.facts.refused.values() if not each.answered]
    quiets += [each.since + quiet(s.canary) for each in s.facts.unseen if not each.forbidden]
    if _initializes(s):
        quiets.append(deadline(s))
    if s.status.phase in ANALYSED:
        quiets += [each.since + s.patience for each in s.facts.refused.values()]
    return min([*wakes, *(each for each in quiets if each > s.now)], default=None)
