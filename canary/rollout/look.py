"""One look at a new version: everything that its step hangs on is asked, and what follows where it is not good."""

from dataclasses import dataclass, replace
from datetime import datetime

from canary.api.analysis import HookType, Severity
from canary.api.status import CheckStatus, FailureCount
from canary.rollout import messages
from canary.rollout.arrivals import NOT_ARRIVING, not_arriving, traffic_question
from canary.rollout.deadlines import deadline, seen_for
from canary.rollout.decision import Alert, Decision, Event
from canary.rollout.facts import Question
from canary.rollout.rollback import DEADLINE_EXCEEDED, roll_back
from canary.rollout.runs import until_asked
from canary.rollout.situation import Situation, warning
from canary.rollout.tallies import counting
from canary.rollout.verdicts import (
    AWAITED,
    CALLS,
    CHECK_TOLERATED,
    GATE_UNAVAILABLE,
    NO_DATA,
    ROUTE_NOT_TAKEN,
    UNAVAILABLE,
    Judgement,
    gravest,
    judge,
    judge_hooks,
    metric_questions,
)

WAITING_FOR_PODS = "WaitingForPods"
SILENT = frozenset({NO_DATA, UNAVAILABLE, ROUTE_NOT_TAKEN, NOT_ARRIVING, CHECK_TOLERATED, GATE_UNAVAILABLE})
"""Reasons to wait of a rollout of which nothing that counts is told; going from one to another does not start its time
anew."""

HOLDS = SILENT | {WAITING_FOR_PODS}
"""Reasons to wait that have a deadline: pods have the progress deadline, metrics `Situation.patience`."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A look at which nothing speaks against going on.

    Args:
        events: what there is to tell of it.
        checks: its verdicts.
        counts: the failures that are counted check by check, as they stand after it.
    """

    events: tuple[Event, ...]
    checks: tuple[CheckStatus, ...]
    counts: tuple[FailureCount, ...] = ()


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
    counted = traffic_question(s) if started else None
    questions: tuple[Question, ...] = (*rollbacks, *hooks, *metrics, *([counted] if counted else ()))
    if s.unanswered(questions):
        return s.stay("looking", asks=questions)
    for question, hook in rollbacks.items():
        if s.approved(question).approved:
            return roll_back(s, "manual webhook invoked", hook=hook)
    if behind:
        return hold(s, ROUTE_NOT_TAKEN, behind, (), events=(warning(f"Halt {s.full_name} advancement {behind}"),))
    asked = judge_hooks(s, hooks)
    nobody = not_arriving(s) if counted else ""
    judged = judge(s, metrics, nobody=bool(nobody), before=s.status.failure_counts)
    s = counting(s, judged.counts)
    checks = (*judged.checks, *asked.checks)
    failures = (*asked.failures, *judged.failures)
    if (failed := _against(s, judged, failures, checks)) is not None:
        return failed
    if s.split.canary < s.status.canary_weight:
        # Only now: what has just failed must not get its traffic back first.
        return _put_right(s)
    if nobody:
        told = (warning(f"Halt {s.full_name} advancement {nobody}"),) if s.status.reason != NOT_ARRIVING else ()
        return hold(s, NOT_ARRIVING, nobody, checks, events=told)
    if (doubt := gravest(judged.doubt, asked.doubt)) is not None:
        told = () if doubt.reason in AWAITED and doubt.reason == s.status.reason else (doubt.told,)
        return hold(s, doubt.reason, doubt.message, checks, events=told)
    if not ready:
        return hold(s, WAITING_FOR_PODS, s.pending, checks, events=())
    passed = ((messages.passed(hook, s.approved(question).message)) for question, hook in hooks.items())
    return Passed(tuple(event for event in passed if event is not None), checks, judged.counts)


def _against(
    s: Situation, judged: Judgement, failures: tuple[Event, ...], checks: tuple[CheckStatus, ...]
) -> Decision | None:
    """What follows from checks that have failed; None where none has."""
    told = tuple(each.told for each in judged.tolerated)
    if judged.fatal:
        failed = s.status.failed_checks + 1
        return roll_back(s, judged.fatal, failed_checks=failed, events=failures, checks=checks)
    if failures:
        return count_failure(s, (*failures, *told), checks)
    if judged.tolerated:
        # Checks that fail by turns, none of them in a row, would hold it for ever.
        return hold(s, CHECK_TOLERATED, judged.tolerated[0].message, checks, events=told)
    return None


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
            s, f"{messages.THRESHOLD_REACHED} {failed}", failed_checks=failed, events=events, checks=checks
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
        return roll_back(
            s, f"progress deadline exceeded {message}", reason=DEADLINE_EXCEEDED, events=events, checks=checks
        )
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


def next_look(s: Situation, last: datetime) -> datetime:
    """When it is looked again: an interval after the last look, or once the Job has ended that is waited for."""
    return s.due(last, until_asked(s))


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
    return roll_back(s, f"progress deadline exceeded {s.pending}{': ' + why if why else ''}", reason=DEADLINE_EXCEEDED)
