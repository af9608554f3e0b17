"""The analysis of a new version: step by step, a look at a time, until it is promoted or taken back."""

from dataclasses import dataclass, replace
from datetime import datetime

from canary.api.analysis import HookType, Severity
from canary.api.status import CheckStatus, Phase
from canary.api.traffic import ALL_PRIMARY, Readiness
from canary.rollout import messages
from canary.rollout.bake import fallback
from canary.rollout.capacity import ROLLING_BACK, remake
from canary.rollout.deadlines import deadline, seen_for
from canary.rollout.decision import Action, Alert, Decision, Event, KeepVersionServices, Route, ScaleTarget
from canary.rollout.ending import PROMOTING, held, roll_back, rolling_back
from canary.rollout.facts import Question
from canary.rollout.gates import WAITING_FOR_APPROVAL, to_promotion, to_step
from canary.rollout.plan import EVERYBODY, NO_STEP, Step
from canary.rollout.replica_weights import Count
from canary.rollout.situation import HELD, Situation, warning
from canary.rollout.start import restart, revert
from canary.rollout.verdicts import CALLS, NO_DATA, ROUTE_NOT_TAKEN, UNAVAILABLE, hook_failures, judge, metric_questions

WAITING_FOR_PODS = "WaitingForPods"
ANALYSING = "Analysing"
SILENT = frozenset({NO_DATA, UNAVAILABLE, ROUTE_NOT_TAKEN})
"""Reasons to wait of a rollout that nothing tells of; going from one to another does not start its time anew."""

HOLDS = SILENT | {WAITING_FOR_PODS}
"""Reasons to wait that have a deadline: pods have the progress deadline, metrics `Situation.patience`."""


def progress(s: Situation) -> Decision:
    """Go on with the analysis: what endangers traffic first, then the next look when it is due."""
    if s.facts.primary is None and s.kept:
        return s.stay("the primary is gone and is made again", actions=remake(s))
    target = s.facts.target
    if target is None:
        return roll_back(s, f"{s.canary.spec.target_ref.kind} {s.target_name} does not exist any more")
    if s.reverted:
        return revert(s)
    if s.changed:
        return restart(s)
    if s.status.reason == HELD and target.serving:
        return held(s)
    if s.status.reason == ROLLING_BACK:
        return rolling_back(s)
    if s.status.failed_checks >= s.canary.threshold:
        return roll_back(s, f"failed checks threshold reached {s.status.failed_checks}")
    if (s.split.canary or s.status.canary_weight) and not target.serving:
        return _retreat(s)
    if target.readiness.desired == 0:
        return _scale_from_nothing(s, target.readiness)
    step = s.plan.current(s.status)
    if (step.split.canary, step.iteration) != (s.status.canary_weight, s.status.iterations) and s.can_route(step.split):
        return _change_plan(s, step)
    due = _look_due(s)
    if due is None or s.now < due:
        return _wait(s, due)
    return _look(s)


def _scale_from_nothing(s: Situation, seen: Readiness) -> Decision:
    """The canary has no pods and gets some; whoever takes them away again has until the deadline to stop."""
    why = "the canary is scaled up" if not seen.total else "the canary is scaled up once its former pods are gone"
    if s.status.reason != WAITING_FOR_PODS:
        return Decision(
            status=s.evolve(reason=WAITING_FOR_PODS, message=why, last_progress_time=s.now),
            reason=why,
            actions=s.wake(),
            wake=s.now + s.canary.progress_deadline,
        )
    until = deadline(s)
    if s.now < until:
        return s.stay(why, actions=s.wake(), wake=until)
    kept = f"{s.target_name} is kept at 0 replicas" if not seen.total else f"{seen.total} former pods don't go"
    return roll_back(s, f"progress deadline exceeded {kept}", deadline=True)


def _change_plan(s: Situation, step: Step) -> Decision:
    """An edit of the spec has taken the step away: on to the one that is nearest to it in the new plan."""
    return Decision(
        status=s.evolve(canary_weight=step.split.canary, iterations=step.iteration),
        reason="the plan has changed",
        first=(KeepVersionServices(),),
        actions=(*s.keep_services(), Route(step.split), *_resize(s, step)),
        wake=s.now,
    )


def _resize(s: Situation, step: Step) -> tuple[Action, ...]:
    """The canary gets the number of pods that a step goes by, where it goes by any."""
    target = s.facts.target
    if target is None or step.count is None or target.readiness.desired == step.count.pods:
        return ()
    return (ScaleTarget(step.count.pods),)


def _look_due(s: Situation) -> datetime | None:
    """When the next look is due; None while the first one waits for the pods."""
    last = s.status.last_check_time
    if s.canary_ready and (s.status.reason == WAITING_FOR_PODS or s.canary.skip_analysis):
        return s.now
    if last is None:
        # Somebody who wants to roll back by hook must not have to wait for pods that never come.
        return s.now if s.canary_ready or s.hooks(HookType.ROLLBACK) else None
    due = s.due(last, s.canary.analysis_interval)
    return min(due, hold_ends(s)) if s.status.reason in SILENT else due


def _wait(s: Situation, due: datetime | None) -> Decision:
    """Until the next look: keep the route as the status says it is, and mind the deadline of the pods."""
    waits_for_pods = not s.canary_ready and (s.status.reason == WAITING_FOR_PODS or due is None)
    if waits_for_pods and s.now >= deadline(s):
        return give_up_on_pods(s)
    wakes = [due] if due is not None else []
    if waits_for_pods:
        wakes.append(deadline(s))
    split = s.plan.current(s.status).split
    why = s.pending if waits_for_pods else "waiting for the next look"
    kept = (*s.keep_services(), *s.keep_pods())
    actions = (*kept, Route(split)) if s.can_route(split) else kept
    return s.stay(why, actions=actions, wake=min(wakes) if wakes else None)


def hold_ends(s: Situation) -> datetime:
    """When a hold has lasted long enough. It ends with a last look, whatever is left of the interval."""
    silent = s.status.reason in SILENT
    ends = [seen_for(s, s.status.held_since, s.patience)] if silent else []
    if not silent or not s.canary_ready:
        ends.append(deadline(s))
    return min(ends)


def give_up_on_pods(s: Situation) -> Decision:
    """The deadline is over: find out why the pods are not ready, and take the version back."""
    why = s.pods_reason()
    if why is None:
        return s.stay("asking why the pods are not ready", asks=(s.pods_question,))
    return roll_back(s, f"progress deadline exceeded {s.pending}{': ' + why if why else ''}", deadline=True)


def _retreat(s: Situation) -> Decision:
    """The canary has lost its last ready pod under traffic: users first, then begin again or give up."""
    failed = s.status.failed_checks + 1
    message = f"Halt {s.full_name} advancement canary has no ready pods, routing all traffic to primary"
    s_failed = s.evolve(
        failed_checks=failed,
        canary_weight=0,
        iterations=0,
        reason=WAITING_FOR_PODS,
        message="the canary has no ready pods",
        last_check_time=None,
        last_progress_time=s.now,
        analysis_start_time=None,
    )
    if failed >= s.canary.threshold:
        return roll_back(s, "canary has no ready pods", failed_checks=failed)
    return Decision(
        status=s_failed,
        reason="the canary has no ready pods",
        actions=(Route(ALL_PRIMARY),),
        events=(warning(message),),
        wake=s.now + s.canary.progress_deadline,
    )


def _look(s: Situation) -> Decision:
    """Ask everything that this step hangs on, and act on the answers."""
    ready = s.canary_ready
    if s.canary.skip_analysis:
        return _promote(s, (), ()) if ready else hold(s, WAITING_FOR_PODS, s.pending, (), events=())
    found = examine(s, started=s.plan.current(s.status) != NO_STEP, ready=ready)
    return found if isinstance(found, Decision) else _go_on(s, found.events, found.checks)


@dataclass(frozen=True, slots=True)
class Passed:
    """A look at which nothing speaks against going on.

    Args:
        events: what there is to tell of it.
        checks: its verdicts.
    """

    events: tuple[Event, ...]
    checks: tuple[CheckStatus, ...]


def examine(s: Situation, *, started: bool, ready: bool) -> Decision | Passed:
    """Look at the new version, or decide what follows from a look that it has not passed.

    Args:
        s: the Canary and its facts.
        started: whether it has had any requests to be judged by.
        ready: whether its pods are ready; before the first step, hooks that call them are asked then only.
    """
    rollbacks = s.hooks(HookType.ROLLBACK)
    behind = s.facts.unsettled if started else ""
    hooks = s.hooks(HookType.ROLLOUT) if started else (s.hooks(HookType.PRE_ROLLOUT) if ready else {})
    metrics = metric_questions(s) if started else ()
    if behind:
        # What is seen now is of the weights before, or of nobody: it says nothing of the new version.
        hooks, metrics = {}, ()
    questions: tuple[Question, ...] = (*rollbacks, *hooks, *metrics)
    if s.unanswered(questions):
        return s.stay("looking", asks=questions)
    for question, hook in rollbacks.items():
        if s.approved(question).approved:
            return roll_back(s, "manual webhook invoked", hook=hook)
    if behind:
        told = warning(f"Halt {s.full_name} advancement {behind}")
        return hold(s, ROUTE_NOT_TAKEN, behind, (), events=(told,))
    failures, checks = hook_failures(s, hooks)
    judged = judge(s, metrics)
    checks = (*judged.checks, *checks)
    failures = (*failures, *judged.failures)
    if failures:
        return count_failure(s, failures, checks)
    if s.split.canary < s.status.canary_weight:
        # Only now: what has just failed must not get its traffic back first.
        return _put_right(s)
    if judged.doubt is not None:
        return hold(s, judged.doubt.reason, judged.doubt.message, checks, events=(judged.doubt.told,))
    if not ready:
        return hold(s, WAITING_FOR_PODS, s.pending, checks, events=())
    return Passed(tuple(event for hook in hooks.values() if (event := messages.passed(hook)) is not None), checks)


def _put_right(s: Situation) -> Decision:
    """The route gives the canary less than its step: what it was seen to do proves nothing of this step.

    Somebody else wrote the route, or a rollback was cut off before it was recorded. The step begins again.
    """
    why = f"the route gave the canary {s.split.canary} % in place of {s.status.canary_weight} %"
    return Decision(
        status=s.evolve(last_check_time=s.now),
        reason=why,
        actions=s.keep_share(),
        events=(warning(f"Halt {s.full_name} advancement {why}"),),
        wake=s.now + s.canary.analysis_interval,
    )


def count_failure(s: Situation, events: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """One more failed check, whatever the number of things that failed; at the threshold the version goes at once."""
    failed = s.status.failed_checks + 1
    if failed >= s.canary.threshold:
        return roll_back(
            s, f"failed checks threshold reached {failed}", failed_checks=failed, events=events, checks=checks
        )
    return Decision(
        status=s.evolve(
            failed_checks=failed,
            checks=checks,
            reason="CheckFailed",
            message=events[0].message,
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason=events[0].message,
        actions=s.keep_share(),
        events=events,
        wake=s.now + s.canary.analysis_interval,
    )


def hold(
    s: Situation, reason: str, message: str, checks: tuple[CheckStatus, ...], *, events: tuple[Event, ...]
) -> Decision:
    """Neither good nor bad: stay where the rollout is, pods for the progress deadline, metrics for `s.patience`.

    Each has its own time, so that pods that are lost for a moment don't end what metrics hold, nor the other way round.
    """
    before = s.status.reason
    progressed = s.now if s.canary_ready or before not in HOLDS else s.status.last_progress_time
    held = s.status.held_since
    if reason in SILENT:
        held = held or s.now
    holding = replace(
        s, canary=s.canary.replace(status=s.evolve(reason=reason, last_progress_time=progressed, held_since=held))
    )
    if not s.canary_ready and s.now >= deadline(holding):
        return give_up_on_pods(s)
    until = hold_ends(holding)
    if s.now >= until:
        return roll_back(s, f"progress deadline exceeded {message}", deadline=True, events=events, checks=checks)
    new = reason in CALLS and before != reason
    alerts = (Alert(f"{CALLS[reason]}: {message}", Severity.WARN),) if new else ()
    return Decision(
        status=holding.status.replace(checks=checks or s.status.checks, message=message, last_check_time=s.now),
        reason=message,
        actions=s.keep_share(),
        events=events,
        alerts=alerts,
        wake=min(s.now + s.canary.analysis_interval, until),
    )


def _go_on(s: Situation, passed: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """This look was good: take the next step, or promote, as far as the gates allow."""
    if s.plan.current(s.status) == NO_STEP:
        told = s.status.reason == WAITING_FOR_APPROVAL
        passed = (
            () if told else (Event(f"Starting canary analysis for {s.target_name}"), *messages.counted(s.plan), *passed)
        )
        # The load that the first step is judged by must flow when it begins, not an interval later. What these hooks
        # say counts from the first look on: before, one that judges the canary's traffic has nothing to judge.
        loads = s.hooks(HookType.ROLLOUT)
        if s.unanswered(loads):
            return s.stay("calling the rollout hooks", asks=tuple(loads))
    step = s.plan.next(s.status)
    if step is None:
        opened = to_promotion(s, checks, events=passed, weights=not s.plan.iterations)
        return opened if isinstance(opened, Decision) else _promote(s, opened, checks)
    opened = to_step(s, step, checks, events=passed)
    if isinstance(opened, Decision):
        return opened
    target = s.facts.target
    if step.count is not None and target is not None and target.readiness.desired < step.count.pods:
        return _scale_up(s, step, step.count, checks)
    return _advance(s, step, opened, checks)


def _scale_up(s: Situation, step: Step, count: Count, checks: tuple[CheckStatus, ...]) -> Decision:
    """A step that goes by the number of pods begins once they are ready, with another look."""
    told = f"Scaling {s.target_name} to {count.pods} pods for canary weight {step.split.canary}"
    return Decision(
        status=s.evolve(
            reason=WAITING_FOR_PODS,
            message=told,
            checks=checks,
            last_check_time=s.now,
            last_progress_time=s.now,
        ),
        reason=told,
        actions=(*s.keep_services(), ScaleTarget(count.pods)),
        events=(Event(told),),
        wake=s.now + s.canary.analysis_interval,
    )


def _advance(s: Situation, step: Step, passed: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """Take the next step of the plan."""
    if s.plan.iterations and step.split == EVERYBODY:
        stop = "Stop traffic mirroring and route" if s.canary.analysis.mirror else "Routing"
        told = f"{stop} all traffic to canary"
    elif s.plan.iterations:
        told = f"Advance {s.full_name} canary iteration {step.iteration}/{s.plan.iterations}"
    else:
        told = f"Advance {s.full_name} canary weight {step.split.canary}"
    # Where the primary has no ready pods, traffic can't leave the canary that mends it.
    fits = s.can_route(step.split)
    return Decision(
        status=s.evolve(
            phase=Phase.PROGRESSING,
            canary_weight=step.split.canary if fits else s.split.canary,
            iterations=step.iteration,
            checks=checks,
            reason=ANALYSING,
            message=str(step.count) if step.count is not None and not step.count.exact else "",
            last_check_time=s.now,
            last_progress_time=s.now,
            analysis_start_time=s.now if s.plan.current(s.status) == NO_STEP else s.status.analysis_start_time,
        ),
        reason=f"the next step: {told}",
        first=(KeepVersionServices(),) if fits else (),
        actions=(*s.keep_services(), *_resize(s, step), Route(step.split)) if fits else s.keep_services(),
        events=(*passed, Event(told)),
        wake=s.now + s.canary.analysis_interval,
    )


def _promote(s: Situation, passed: tuple[Event, ...], checks: tuple[CheckStatus, ...]) -> Decision:
    """The version is good.

    That is stored before the primary is touched: a crash in between must not lead back to an analysis that could
    still fail, with the new version already in the primary.
    """
    namespace = s.canary.namespace
    copying = f"Copying {s.target_name} template spec to {s.canary.primary_name}.{namespace}"
    return Decision(
        status=s.evolve(
            phase=Phase.PROMOTING,
            reason=PROMOTING,
            message="",
            checks=checks or s.status.checks,
            last_check_time=s.now,
            last_progress_time=s.now,
            bake=fallback(s),
        ),
        reason="the analysis is completed",
        actions=s.keep_share(),
        events=(*passed, Event(copying)),
        wake=s.now,
    )
