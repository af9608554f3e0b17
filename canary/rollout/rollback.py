"""How a version that fails is taken back, or held where it is."""

from dataclasses import replace
from datetime import datetime

from canary.api.analysis import HookType, OnFailure, Severity, Webhook
from canary.api.status import ApprovalState, CheckStatus, Phase
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.rollout import approvals
from canary.rollout.capacity import ROLLING_BACK, refill, revive, stays
from canary.rollout.decision import (
    Alert,
    Decision,
    Ending,
    Event,
    Route,
    protecting,
)
from canary.rollout.situation import HELD, PRIMARY_NOT_READY, Situation, warning
from canary.rollout.start import restart

ROLLED_BACK = "RolledBack"
"""Reason of a version that was taken back."""

DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
"""Reason of a version that was taken back as it made no progress."""


def roll_back(
    s: Situation,
    why: str,
    *,
    failed_checks: int | None = None,
    events: tuple[Event, ...] = (),
    checks: tuple[CheckStatus, ...] = (),
    hook: Webhook | None = None,
    ordered: bool = False,
    reason: str = ROLLED_BACK,
) -> Decision:
    """Take the version back: all traffic to the primary, as soon as it can take it; its pods go later, at rest.

    Args:
        s: the Canary and its facts.
        why: the reason in words, for the event, the alert and the status.
        failed_checks: the count of failed checks, where this look has changed it.
        events: what else this look has to tell.
        checks: the verdicts of this look.
        hook: the rollback hook that asked for it.
        ordered: whether a person has ordered it.
        reason: the same in one word.
    """
    begun = s.status.reason == ROLLING_BACK
    keeps = s.canary.analysis.on_failure is OnFailure.HOLD and s.canary_serving
    # What people have ordered goes on when its steps are taken, whoever takes them.
    if keeps and hook is None and not (ordered or begun):
        return _hold_failed(s, why, events, checks)
    said = why if hook is None else f"{why}: {hook.name}"
    if not s.primary_can_take_over:
        return _wait_to_roll_back(s, said, failed_checks, checks)
    asked = (warning(f"Rollback check {hook.name} passed"),) if hook is not None else ()
    message = f"Rolling back {s.full_name} {why}"
    severity = Severity.WARN if hook is not None or ordered else Severity.ERROR
    alert = why if hook is None else f"Rolling back {why}"
    told = Decision(
        status=s.status,
        reason=message,
        events=events if begun else (*events, *asked, warning(message)),
        alerts=() if begun else (Alert(alert[:1].upper() + alert[1:], severity),),
    )
    if (left := stays(s)) and not (begun and s.now >= _given_up_at(s)):
        failed = s.canary.threshold if failed_checks is None else failed_checks
        return _give_back(s, told, left, said, failed, checks)
    if s.refuses(*protecting(s.keep_all_on_primary())) and s.status.phase is not Phase.PROMOTING:
        failed = s.canary.threshold if failed_checks is None else failed_checks
        kept = s.stay(why, actions=refill(s)) if begun else _give_back(s, told, s.split.canary, said, failed, checks)
        return replace(kept, withheld=s.keep_all_on_primary())
    status = s.evolve(
        phase=Phase.FAILED,
        reason=reason,
        message=said,
        canary_weight=0,
        iterations=0,
        failed_checks=s.status.failed_checks if failed_checks is None else failed_checks,
        checks=checks or s.status.checks,
        traffic_removed_time=s.now,
    )
    return _taken_back(s, replace(told, status=status))


def _taken_back(s: Situation, told: Decision) -> Decision:
    """The primary has all of the traffic, by what is stored and told so far."""
    return replace(
        told,
        actions=s.keep_all_on_primary(),
        events=(*told.events, warning(s.failing)),
        wake=s.now + s.facts.settle,
        ending=Ending.FAILED,
    )


def rolling_back(s: Situation) -> Decision:
    """A failed version still has traffic: some more of it goes back, when it is time to or the primary has pods."""
    left = stays(s)
    if left == 0 or left < s.status.canary_weight or not s.primary_can_take_over or s.now >= _given_up_at(s):
        refused = any(each.state is ApprovalState.REJECTED for each in s.status.approvals)
        reason = approvals.REJECTED if refused else ROLLED_BACK
        return roll_back(s, s.status.message, failed_checks=s.status.failed_checks, reason=reason)
    wakes = [_given_up_at(s)]
    if s.canary.analysis.step_weight_rollback:
        wakes.append(s.due(s.status.last_check_time or s.now, s.canary.analysis_interval))
    why = "the failed version keeps what the primary can't take yet"
    return s.stay(why, actions=(*s.keep_share(), *refill(s)), wake=min(wakes))


def _given_up_at(s: Situation) -> datetime:
    """When a failed version loses all of its traffic, whatever the primary has: it has harmed for long enough."""
    return (s.status.last_progress_time or s.now) + s.canary.progress_deadline


def _give_back(
    s: Situation, told: Decision, left: int, why: str, failed_checks: int, checks: tuple[CheckStatus, ...]
) -> Decision:
    """The primary takes back what it can, or what is asked for."""
    moved = left < s.split.canary
    begun = s.status.reason == ROLLING_BACK
    events = (
        (*told.events, Event(f"Advance {s.full_name} primary weight {TOTAL_WEIGHT - left}")) if moved else told.events
    )
    due = s.now + s.canary.analysis_interval
    since = s.status.last_progress_time if begun and s.status.last_progress_time is not None else s.now
    return replace(
        told,
        status=s.evolve(
            reason=ROLLING_BACK,
            message=why,
            canary_weight=left,
            failed_checks=failed_checks,
            checks=checks or s.status.checks,
            last_check_time=s.now,
            last_progress_time=since,
        ),
        actions=((Route(Split(left)),) if moved else ()) + refill(s),
        events=events,
        wake=min(due, since + s.canary.progress_deadline),
    )


def _hold_failed(s: Situation, why: str, events: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """The spec wants a failed version held where it is: people decide, and are told so."""
    message = f"Holding {s.full_name} at canary weight {s.status.canary_weight} {why}"
    return Decision(
        status=s.evolve(
            reason=HELD,
            message=why,
            failed_checks=s.canary.threshold,
            checks=checks or s.status.checks,
            last_check_time=s.now,
        ),
        reason=message,
        events=(*events, warning(message)),
        alerts=(Alert(f"Canary failed and is held at its weight: {why}", Severity.ERROR),),
        wake=s.now + s.canary.analysis_interval,
    )


def held(s: Situation) -> Decision:
    """A failed version is held: a new revision, another try, a rollback hook or an edit of the spec ends that."""
    if s.retry_asked:
        return restart(s)
    if s.canary.analysis.on_failure is not OnFailure.HOLD:
        return roll_back(s, s.status.message)
    return by_hook(s, "a failed version is held")


def by_hook(s: Situation, why: str, *, wake: datetime | None = None) -> Decision:
    """Stay, and ask the rollback hooks once an interval.

    Args:
        s: the Canary and its facts.
        why: why it stays, in words.
        wake: when to look again in any case.
    """
    rollbacks = s.hooks(HookType.ROLLBACK)
    if not rollbacks:
        return s.stay(why, actions=s.keep_share(), wake=wake)
    last = s.status.last_check_time
    due = s.now if last is None else s.due(last, s.canary.analysis_interval)
    if s.now < due:
        return s.stay(why, actions=s.keep_share(), wake=due if wake is None else min(due, wake))
    if s.unanswered(rollbacks):
        return s.stay("asking whether to roll back", asks=tuple(rollbacks))
    for question, hook in rollbacks.items():
        if s.approved(question).approved:
            return roll_back(s, "manual webhook invoked", hook=hook)
    return Decision(
        status=s.evolve(last_check_time=s.now),
        reason=why,
        actions=s.keep_share(),
        wake=s.now + s.canary.analysis_interval,
    )


def _wait_to_roll_back(s: Situation, why: str, failed_checks: int | None, checks: tuple[CheckStatus, ...]) -> Decision:
    """The primary has no ready pods, so traffic stays where it is until one is there to take it."""
    message = f"{why}; the primary has no ready pods to take the traffic"
    if s.status.reason == PRIMARY_NOT_READY and failed_checks in (None, s.status.failed_checks):
        return s.stay(message, actions=revive(s))
    return Decision(
        status=s.evolve(
            reason=PRIMARY_NOT_READY,
            message=message,
            failed_checks=s.canary.threshold if failed_checks is None else failed_checks,
            checks=checks or s.status.checks,
        ),
        reason=message,
        actions=revive(s),
        events=(warning(f"Halt {s.full_name} rollback {message}"),),
        alerts=(Alert(f"Rollback is held: {message}", Severity.ERROR),),
    )
