"""How a rollout ends: the primary takes the new version over, or the new version is taken back."""

from dataclasses import replace
from datetime import datetime

from canary.api.analysis import HookType, OnFailure, Severity, Webhook
from canary.api.status import CheckStatus, Phase
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT, Split
from canary.rollout import bake, messages
from canary.rollout.capacity import ROLLING_BACK, floor_at_rest, refill, revive, stays
from canary.rollout.data_plane import follow_routes
from canary.rollout.deadlines import deadline
from canary.rollout.decision import (
    Action,
    Alert,
    CopyToPrimary,
    Decision,
    Ending,
    Event,
    KeepVersionServices,
    Route,
    protecting,
)
from canary.rollout.plan import EVERYBODY
from canary.rollout.situation import HELD, PRIMARY_NOT_READY, Situation, warning
from canary.rollout.start import begin_initializing, restart, revert

PROMOTING = "Promoting"

HANDING_OVER = "HandingOver"
"""Reason of a promotion whose traffic goes back step by step."""

REFILLING = "RefillingPrimary"
"""Reason of a promotion whose primary gets pods back that somebody has taken from it."""

DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
"""Reason of a version that was taken back as it made no progress."""


def promoting(s: Situation) -> Decision:
    """The primary takes the version over; when all its pods run it, it takes the traffic back."""
    primary, revision = s.facts.primary, s.status.last_applied_spec
    carries = primary is not None and primary.revision == revision
    if s.reverted:
        return revert(s)
    stuck = s.status.reason == PRIMARY_NOT_READY and not s.primary_ready
    if s.changed and (stuck or not carries):
        return restart(s)
    if not carries and s.facts.target is None:
        return roll_back(s, f"{s.canary.spec.target_ref.kind} {s.target_name} does not exist any more")
    if not carries:
        actions = (*s.keep_share(), CopyToPrimary(revision))
        return s.stay("the primary takes the new version over", actions=actions, first=bake.keep_good(s))
    if s.split.canary and s.primary_serving and (s.changed or not s.canary_serving):
        # What runs behind the canary's share is gone, or is something that nobody has looked at.
        return Decision(
            status=s.evolve(canary_weight=0),
            reason="the canary can't keep its share of the traffic",
            actions=(Route(ALL_PRIMARY),),
        )
    return _hand_over(s) if s.primary_ready else _wait_for_primary(s)


def _hand_over(s: Situation) -> Decision:
    """The primary is ready, with all its pods or for as long as was waited for them: it takes the traffic back."""
    if not (refilling := refill(s)):
        return _next_back(s)
    name = f"{s.canary.primary_name}.{s.canary.namespace}"
    why = f"something takes pods from {name}, which gets them back"
    actions = (*s.keep_share(), *refilling)
    if s.status.reason not in (REFILLING, PRIMARY_NOT_READY):
        status = s.evolve(reason=REFILLING, message=why, last_progress_time=s.now)
        return Decision(status=status, reason=why, actions=actions, wake=s.now + s.canary.progress_deadline)
    until = deadline(s)
    if s.now < until:
        return s.stay(why, actions=actions, wake=until)
    told = warning(f"Promotion of {s.target_name} goes on: {name} gets the traffic with the pods that it has")
    back = _next_back(s)
    return replace(back, events=(told, *back.events)) if back.events else back


def _next_back(s: Situation) -> Decision:
    """All of the traffic goes back at once, or `stepWeightPromotion` of it an interval."""
    step = s.canary.analysis.step_weight_promotion
    if not step or not s.split.canary or s.split.matched:
        return _all_to_primary(s)
    # By what is stored, not by what is routed: a step whose record was lost is done again, not skipped.
    share = s.status.canary_weight
    due = s.due(s.status.last_check_time or s.now, s.canary.analysis_interval)
    if s.status.reason == HANDING_OVER and s.now < due:
        return s.stay("waiting for the next step back", actions=s.keep_share(), wake=due)
    if share <= step:
        return _all_to_primary(s)
    left = Split(canary=share - step)
    return Decision(
        status=s.evolve(
            canary_weight=left.canary,
            reason=HANDING_OVER,
            message="",
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason="the primary takes a step of the traffic back",
        first=_led(s),
        actions=(Route(left),),
        events=(Event(f"Advance {s.full_name} primary weight {left.primary}"),),
        wake=s.now + s.canary.analysis_interval,
    )


def _led(s: Situation) -> tuple[Action, ...]:
    """What a promotion waits for before it moves traffic: that the primary's Service leads to its pods."""
    return (KeepVersionServices(),) if s.facts.target is not None else ()


def _wait_for_primary(s: Situation) -> Decision:
    """The canary goes on serving its share, and all of it where it is the only healthy copy that there is."""
    primary = s.facts.primary
    why = messages.pending(primary.readiness) if primary is not None else "the primary does not exist"
    alone = s.canary_ready and not s.changed and not s.primary_serving and s.facts.weighted
    if alone and (s.status.canary_weight, s.status.iterations) != (EVERYBODY.canary, 0):
        return Decision(
            # Whatever step it was at: all of the chosen requests are not all of them.
            status=s.evolve(canary_weight=EVERYBODY.canary, iterations=0),
            reason="the primary has no ready pods: the canary serves everybody",
            actions=(*s.keep_services(), Route(EVERYBODY)),
            events=(Event("Routing all traffic to canary"),),
        )
    actions = (*s.keep_share(), *revive(s))
    until = deadline(s)
    if s.now < until:
        return s.stay(why, actions=actions, wake=until)
    if s.status.reason == PRIMARY_NOT_READY:
        return s.stay(why, actions=actions)
    message = f"Promotion of {s.target_name} is held, primary not ready: {why}"
    return Decision(
        status=s.evolve(reason=PRIMARY_NOT_READY, message=why),
        reason=message,
        events=(warning(message),),
        alerts=(Alert(message, Severity.ERROR),),
    )


def _all_to_primary(s: Situation) -> Decision:
    return Decision(
        status=s.evolve(
            phase=Phase.FINALISING,
            reason="Finalising",
            message="",
            canary_weight=0,
            iterations=0,
            traffic_removed_time=s.now,
        ),
        reason="the primary is ready and takes the traffic back",
        first=_led(s),
        actions=s.keep_all_on_primary(),
        events=(Event("Routing all traffic to primary"),),
        wake=s.now + s.facts.settle,
    )


def finalising(s: Situation) -> Decision:
    """Traffic is back: a moment later the canary's pods go, and the rollout has succeeded."""
    if s.facts.primary is None:
        return _without_primary(s)
    if not s.primary_can_take_over:
        why = "the canary has traffic, and the primary no ready pods to take it back"
        return s.stay(why, actions=revive(s))
    actions = s.keep_all_on_primary()
    if (behind := follow_routes(s, s.status.traffic_removed_time or s.now, actions)) is not None:
        return behind
    unchecked = s.canary.skip_analysis
    told, alert = (
        (f"Promotion completed! Canary analysis was skipped for {s.target_name}",
         "Canary analysis was skipped, promotion finished.")
        if unchecked
        else (f"Promotion completed! Scaling down {s.target_name}",
              "Canary analysis completed successfully, promotion finished.")
    )  # fmt: skip
    promoted = Decision(
        status=s.evolve(
            phase=Phase.SUCCEEDED,
            reason="Succeeded",
            message="",
            canary_weight=0,
            iterations=0,
            last_promoted_spec=s.status.last_applied_spec,
            traffic_removed_time=None,
            primary_replicas=floor_at_rest(s),
        ),
        reason="the promotion is completed",
        actions=(*actions, *s.let_go()),
        events=(Event(told),),
        alerts=(Alert(alert, Severity.INFO),),
        ending=Ending.PROMOTED_UNCHECKED if unchecked else Ending.PROMOTED,
    )
    return bake.begin(s, promoted)


def _without_primary(s: Situation) -> Decision:
    """Somebody has deleted it, or the spec names another target: nothing carries the new version that could serve."""
    why = "the primary is gone and is made again"
    if s.facts.target is None or s.changed:
        return begin_initializing(s, why)
    status = s.evolve(
        phase=Phase.PROMOTING, reason=PROMOTING, message=why, traffic_removed_time=None, last_progress_time=s.now
    )
    return Decision(status=status, reason=why, wake=s.now)


def roll_back(
    s: Situation,
    why: str,
    *,
    failed_checks: int | None = None,
    events: tuple[Event, ...] = (),
    checks: tuple[CheckStatus, ...] = (),
    hook: Webhook | None = None,
    deadline: bool = False,
) -> Decision:
    """Take the version back: all traffic to the primary, as soon as it can take it; its pods go later, at rest.

    Args:
        s: the Canary and its facts.
        why: the reason in words, for the event, the alert and the status.
        failed_checks: the count of failed checks, where this look has changed it.
        events: what else this look has to tell.
        checks: the verdicts of this look.
        hook: the rollback hook that asked for it.
        deadline: whether the progress deadline was exceeded.
    """
    keeps = s.canary.analysis.on_failure is OnFailure.HOLD and s.canary_serving
    if keeps and hook is None:
        return _hold_failed(s, why, events, checks)
    if not s.primary_can_take_over:
        return _wait_to_roll_back(s, why, failed_checks, checks)
    begun = s.status.reason == ROLLING_BACK
    asked = (warning(f"Rollback check {hook.name} passed"),) if hook is not None else ()
    message = f"Rolling back {s.full_name} {why}"
    severity = Severity.WARN if hook is not None else Severity.ERROR
    alert = why if hook is None else f"Rolling back {why}"
    told = Decision(
        status=s.status,
        reason=message,
        events=events if begun else (*events, *asked, warning(message)),
        alerts=() if begun else (Alert(alert[:1].upper() + alert[1:], severity),),
    )
    if (left := stays(s)) and not (begun and s.now >= _given_up_at(s)):
        failed = s.canary.threshold if failed_checks is None else failed_checks
        return _give_back(s, told, left, why, failed, checks)
    if s.refuses(*protecting(s.keep_all_on_primary())) and s.status.phase is not Phase.PROMOTING:
        failed = s.canary.threshold if failed_checks is None else failed_checks
        kept = s.stay(why, actions=refill(s)) if begun else _give_back(s, told, s.split.canary, why, failed, checks)
        return replace(kept, withheld=s.keep_all_on_primary())
    return replace(
        told,
        status=s.evolve(
            phase=Phase.FAILED,
            reason=DEADLINE_EXCEEDED if deadline else "RolledBack",
            message=why,
            canary_weight=0,
            iterations=0,
            failed_checks=s.status.failed_checks if failed_checks is None else failed_checks,
            checks=checks or s.status.checks,
            traffic_removed_time=s.now,
        ),
        actions=s.keep_all_on_primary(),
        events=(*told.events, warning(s.failing)),
        wake=s.now + s.facts.settle,
        ending=Ending.FAILED,
    )


def rolling_back(s: Situation) -> Decision:
    """A failed version still has traffic: some more of it goes back, when it is time to or the primary has pods."""
    left = stays(s)
    if left == 0 or left < s.status.canary_weight or not s.primary_can_take_over or s.now >= _given_up_at(s):
        return roll_back(s, s.status.message, failed_checks=s.status.failed_checks)
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
