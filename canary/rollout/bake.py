"""After promotion: the new version is looked at for a while longer, and the last good one comes back if it turns bad.

Users and pipelines have their promotion: the phase is `Succeeded` with the reason `Baking`. The last good version is
the last one that did well for as long as it was looked at; one that is superseded before that is not. A new revision
is rolled out at once; should it fail, the version before it is looked at again for what is left of its time.
"""

from dataclasses import replace
from datetime import datetime

from canary.api.analysis import HookType, OnFailure, Severity, Webhook
from canary.api.durations import duration_text
from canary.api.status import BakeStatus, CanaryStatus, CheckStatus, Phase
from canary.rollout import messages
from canary.rollout.deadlines import deadline
from canary.rollout.decision import Action, Alert, Decision, Ending, Event, KeepRevision, RestorePrimary
from canary.rollout.situation import HELD, PRIMARY_NOT_READY, Situation, warning
from canary.rollout.verdicts import UNAVAILABLE, Doubt, Judgement, judge, metric_questions

BAKING = "Baking"
"""Reason of a promoted version that is still looked at."""

RESTORING = "Restoring"
"""Reason of a promoted version that turned bad, while the last good one is put back."""

BAKE_FAILED = "BakeFailed"
"""Reason of a promoted version that turned bad, once the last good one is back, or there is none to put back."""


def fallback(s: Situation) -> BakeStatus | None:
    """What a version that is about to be promoted is held against; None where nobody looks at it afterwards."""
    if s.canary.analysis.bake is None or s.canary.skip_analysis:
        return None
    before = s.status.bake
    return BakeStatus(last_good_spec=(before.last_good_spec if before is not None else "") or s.promoted)


def keep_good(s: Situation) -> tuple[Action, ...]:
    """Before the primary is set to another version: the good one is kept, with its configuration."""
    bake, primary = s.status.bake, s.facts.primary
    good = bake.last_good_spec if bake is not None else ""
    return (KeepRevision(good, configs=True),) if primary is not None and good and primary.revision == good else ()


def keep_promoted(s: Situation) -> tuple[Action, ...]:
    """What the primary carries is kept once it is promoted, so that it can be made the same again."""
    carried = s.facts.primary.revision if s.facts.primary is not None else ""
    wanted = carried and carried == s.status.last_promoted_spec and carried not in s.facts.kept
    return (KeepRevision(carried),) if wanted else ()


def begin(s: Situation, promoted: Decision) -> Decision:
    """The decision that ends a promotion, which begins the bake where the spec asks for one."""
    bake, span = s.status.bake, s.canary.analysis.bake
    if bake is None or span is None or s.canary.skip_analysis:
        return replace(promoted, status=promoted.status.replace(bake=None))
    return replace(
        promoted,
        status=promoted.status.replace(
            reason=BAKING,
            message=f"checks go on for {duration_text(span)}",
            failed_checks=0,
            last_check_time=s.now,
            bake=bake.replace(start_time=s.now),
        ),
        events=(*promoted.events, Event(f"Baking {s.full_name} for {duration_text(span)}")),
        wake=s.now + min(span, s.canary.analysis_interval),
    )


def look_after(s: Situation, at_rest: Decision) -> Decision:
    """Look at the promoted version when it is time to.

    Args:
        s: a Canary at rest, and its facts.
        at_rest: what is decided without a bake, nothing to store.
    """
    bake, span = s.status.bake, s.canary.analysis.bake
    if bake is None or bake.start_time is None:
        return at_rest
    if span is None or s.canary.skip_analysis:
        return _over(s, at_rest)
    end = s.due(bake.start_time, span)
    if s.promoted != s.status.last_promoted_spec:
        return _wait_for_promoted(s, at_rest, end + s.patience)
    last = bake.last_check_time or bake.start_time
    due = s.due(last, s.canary.analysis_interval)
    if last < end:
        due = min(due, end)
    if s.now < due:
        wakes = (due, at_rest.wake or due)
        return replace(at_rest, reason="the promoted version is looked at again later", wake=min(wakes))
    return _look(s, at_rest, bake, end)


def _wait_for_promoted(s: Situation, at_rest: Decision, until: datetime) -> Decision:
    """The primary carries something else, which somebody has set it to: what it does says nothing of what is baked."""
    if s.now < until:
        wakes = (until, at_rest.wake or until)
        return replace(at_rest, reason="the primary does not carry what was promoted", wake=min(wakes))
    told = warning(f"Bake of {s.full_name} ended without an answer: the primary does not carry what was promoted")
    return _over(s, at_rest, told)


def _look(s: Situation, at_rest: Decision, bake: BakeStatus, end: datetime) -> Decision:
    rollbacks = s.hooks(HookType.ROLLBACK)
    failed_before = bake.failed_checks >= s.canary.threshold
    metrics = () if failed_before else metric_questions(s, primary=True)
    if s.unanswered((*rollbacks, *metrics)):
        return replace(at_rest, reason="looking at the promoted version", asks=(*rollbacks, *metrics))
    for question, hook in rollbacks.items():
        if s.approved(question).approved:
            return _put_back(s, "manual webhook invoked", bake.failed_checks, hook=hook)
    if failed_before:
        return _stay_held(s, at_rest)
    judged = judge(s, metrics, before=bake.failure_counts)
    bake = bake.replace(failure_counts=judged.counts)
    failures = judged.failures
    if not s.primary_serving:
        failures = (*failures, warning(f"{messages.halt(s.canary, primary=True)} the primary has no ready pods"))
    if failures:
        return _count_failure(s, at_rest, bake, (*failures, *(each.told for each in judged.tolerated)), judged)
    doubt = next(iter(judged.tolerated), judged.doubt)
    if doubt is not None:
        return _hold(s, at_rest, bake, doubt, judged.checks, end)
    if s.now >= end:
        return _over(s, at_rest, Event(f"Bake of {s.full_name} completed"), judged.checks)
    return _go_on(s, at_rest, bake.replace(held_since=None), judged.checks, f"checks go on until {end:%H:%M:%S} UTC")


def _go_on(
    s: Situation,
    at_rest: Decision,
    bake: BakeStatus,
    checks: tuple[CheckStatus, ...],
    message: str,
    *events: Event,
) -> Decision:
    """This look is done: on to the next."""
    looked = bake.replace(last_check_time=s.now)
    return replace(
        at_rest,
        status=_told(s, looked, checks, BAKING, message).replace(last_check_time=_looked(s)),
        reason=f"the promoted version: {message}",
        events=events,
        wake=min(s.now + s.canary.analysis_interval, at_rest.wake or datetime.max.replace(tzinfo=s.now.tzinfo)),
    )


def _count_failure(
    s: Situation,
    at_rest: Decision,
    bake: BakeStatus,
    events: tuple[Event, ...],
    judged: Judgement,
) -> Decision:
    failed, checks = bake.failed_checks + 1, judged.checks
    if failed < s.canary.threshold and not judged.fatal:
        counted = bake.replace(failed_checks=failed, held_since=None)
        return _go_on(s, at_rest, counted, checks, events[0].message, *events)
    why = judged.fatal or f"{messages.THRESHOLD_REACHED} {failed}"
    if s.canary.analysis.on_failure is not OnFailure.HOLD:
        return _put_back(s, why, failed, events=events, checks=checks)
    message = f"Holding {s.full_name} as it is promoted, bake failed: {why}"
    return Decision(
        status=s.evolve(
            phase=Phase.FAILED,
            reason=HELD,
            message=why,
            failed_checks=failed,
            checks=checks,
            last_check_time=_looked(s),
            # However it failed, it is not looked at again before people have decided.
            bake=bake.replace(failed_checks=max(failed, s.canary.threshold), last_check_time=s.now),
        ),
        reason=message,
        events=(*events, warning(message)),
        alerts=(Alert(f"Bake failed, and the version is held: {why}", Severity.ERROR),),
        wake=s.now + s.canary.analysis_interval,
        ending=Ending.FAILED,
    )


def _stay_held(s: Situation, at_rest: Decision) -> Decision:
    """People decide: by a rollback hook, by an edit of the spec, or by a new revision."""
    bake = s.status.bake
    if s.canary.analysis.on_failure is not OnFailure.HOLD or bake is None:
        failed = bake.failed_checks if bake is not None else 0
        return _put_back(s, f"{messages.THRESHOLD_REACHED} {failed}", failed)
    if not s.hooks(HookType.ROLLBACK):
        return at_rest
    status = s.evolve(last_check_time=_looked(s), bake=bake.replace(last_check_time=s.now))
    return replace(at_rest, status=status, wake=s.now + s.canary.analysis_interval)


def _hold(
    s: Situation,
    at_rest: Decision,
    bake: BakeStatus,
    doubt: Doubt,
    checks: tuple[CheckStatus, ...],
    end: datetime,
) -> Decision:
    """Neither good nor bad. Its time is not over before something tells, or nothing has told for all of `s.patience`.

    Of a version that was found good before its promotion, silence proves nothing: it stays.
    """
    since = bake.held_since or s.now
    if s.now >= max(end, since + s.patience):
        told = warning(f"Bake of {s.full_name} ended without an answer: {doubt.message}")
        return _over(s, at_rest, told, checks)
    decision = _go_on(s, at_rest, bake.replace(held_since=since), checks, doubt.message)
    if bake.held_since is not None:
        return decision
    message = f"Bake is held, metrics are unavailable: {doubt.message}"
    alerts = (Alert(message, Severity.WARN),) if doubt.reason == UNAVAILABLE else ()
    return replace(decision, events=(doubt.told,), alerts=alerts)


def _over(
    s: Situation, at_rest: Decision, event: Event | None = None, checks: tuple[CheckStatus, ...] = ()
) -> Decision:
    """From now on this is the last good version."""
    return replace(
        at_rest,
        status=_told(s, None, checks, s.status.phase.value, ""),
        reason="the bake is over",
        events=() if event is None else (event,),
    )


def _told(
    s: Situation, bake: BakeStatus | None, checks: tuple[CheckStatus, ...], reason: str, message: str
) -> CanaryStatus:
    """What a look is stored with. What is said of a rollout that has failed since, or waits to begin, stays."""
    if s.status.phase is Phase.SUCCEEDED:
        return s.evolve(bake=bake, checks=checks or s.status.checks, reason=reason, message=message)
    shown = s.status.checks if s.status.phase is Phase.WAITING else checks or s.status.checks
    return s.evolve(bake=bake, checks=shown)


def _looked(s: Situation) -> datetime | None:
    """When there was a look of the Canary: one that waits for a gate counts from when that was asked."""
    return s.status.last_check_time if s.status.phase is Phase.WAITING else s.now


def can_put_back(s: Situation) -> bool:
    """Whether the promoted version is looked at, or is held as it has failed there, so that people may put it back."""
    held = s.status.phase is Phase.FAILED and s.status.reason == HELD
    return s.status.is_baking and (s.status.phase is Phase.SUCCEEDED or held)


def put_back(s: Situation, why: str) -> Decision:
    """Somebody orders that the promoted version makes way for the last good one.

    Args:
        s: a Canary whose promoted version is looked at, and its facts.
        why: who has ordered it, in words.
    """
    bake = s.status.bake
    decision = _put_back(s, why, bake.failed_checks if bake is not None else 0)
    return replace(decision, alerts=tuple(replace(each, severity=Severity.WARN) for each in decision.alerts))


def _put_back(
    s: Situation,
    why: str,
    failed: int,
    *,
    events: tuple[Event, ...] = (),
    checks: tuple[CheckStatus, ...] = (),
    hook: Webhook | None = None,
) -> Decision:
    """The promoted version is bad. That, and what is put back, is stored before the primary is touched."""
    bake = s.status.bake
    good = bake.last_good_spec if bake is not None else ""
    there = good in s.facts.kept and good != s.promoted
    asked = (warning(f"Rollback check {hook.name} passed"),) if hook is not None else ()
    message = f"Rolling back {s.full_name} {why}"
    said = why if hook is None else f"{why}: {hook.name}"
    done = "the last good version is put back" if there else "no earlier version is kept to put back"
    return Decision(
        status=s.evolve(
            phase=Phase.FAILED,
            reason=RESTORING if there else BAKE_FAILED,
            message=said if there else f"{said}; {done}",
            failed_checks=failed,
            checks=checks or s.status.checks,
            last_promoted_spec=good if there else s.status.last_promoted_spec,
            last_progress_time=s.now,
            bake=None,
        ),
        reason=f"{message}; {done}",
        events=(*events, *asked, warning(f"{message}; {done}")),
        alerts=(Alert(f"Bake failed, {done}: {why}", Severity.WARN if hook is not None else Severity.ERROR),),
        wake=s.now,
        ending=Ending.FAILED,
    )


def restore(s: Situation) -> Decision | None:
    """Put the last good version back; None where that is not, or no more, what there is to do."""
    if s.status.phase is not Phase.FAILED or s.status.reason not in (RESTORING, PRIMARY_NOT_READY):
        return None
    good, primary = s.status.last_promoted_spec, s.facts.primary
    if primary is None or primary.revision != good:
        if good in s.facts.kept:
            return _wait_for_good(s, "the last good version is put back", (RestorePrimary(good),))
        carried = primary.revision if primary is not None else good
        message = f"{s.status.message}; the last good version is not kept any more"
        return Decision(
            status=s.evolve(reason=BAKE_FAILED, message=message, last_promoted_spec=carried),
            reason=message,
            events=(warning(message),),
            alerts=(Alert(message, Severity.ERROR),),
        )
    if s.changed or s.retry_asked:
        return None
    name = f"{s.canary.primary_name}.{s.canary.namespace}"
    if s.primary_ready:
        told = f"{name} is back at the last good version"
        return Decision(status=s.evolve(reason=BAKE_FAILED), reason=told, events=(Event(told),), wake=s.now)
    return _wait_for_good(s, messages.pending(primary.readiness), s.keep_all_on_primary())


def _wait_for_good(s: Situation, why: str, actions: tuple[Action, ...]) -> Decision:
    """Until the primary is the last good version, and ready; people are called where that takes too long."""
    until = deadline(s)
    if s.now < until or s.status.reason == PRIMARY_NOT_READY:
        return s.stay(why, actions=actions, wake=until if s.now < until else None)
    message = f"The last good version is put back, and {s.canary.primary_name}.{s.canary.namespace} is not ready: {why}"
    return Decision(
        status=s.evolve(reason=PRIMARY_NOT_READY),
        reason=message,
        events=(warning(message),),
        alerts=(Alert(message, Severity.ERROR),),
    )
