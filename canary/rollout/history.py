"""The rollout that is under way, and those before it, each with its cause: written with the transitions they tell of.

Whether a rollout has begun, or ended, is read from the status that is to be stored beside the one that is: whatever a
pass that was cut off has lost, the next one makes good, and there is one entry a rollout.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import accumulate

from canary.api.analysis import Advance
from canary.api.status import CanaryStatus, CheckStatus, Measured, Outcome, PastRollout, Phase, RolloutStatus, Verdict
from canary.rollout import messages
from canary.rollout.adoption import is_foreign
from canary.rollout.approvals import decided
from canary.rollout.bake import RESTORING
from canary.rollout.capacity import ROLLING_BACK
from canary.rollout.decision import Decision, Ending
from canary.rollout.facts import Workload
from canary.rollout.gates import AT_GATES
from canary.rollout.situation import HELD, RETRY_ANNOTATION, Situation
from metrics.judge.looks import time_between

KEPT = 10
"""Rollouts that are remembered once they have ended."""

MOST_BYTES = 16 * 1024
"""What they may take together, as JSON; the oldest go first. An object has 1.5 MiB in all, of which the outbox may take
some."""

MOST_WORDS, MOST_NAMED, MOST_CHECKS = 600, 8, 4
"""Characters of a cause; images, and changes, of a rollout; checks that failed."""

MOST_IMAGE, MOST_NAME = 256, 128
"""Characters of an image, of which the last ones tell the version, and of a check's name."""

UNDER_WAY = frozenset({Phase.WAITING, Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})
"""Phases in which a rollout has begun and not ended."""

REVERTED = "Reverted"
NO_WAY_BACK = "NoWayBack"


def remembered(s: Situation, decision: Decision) -> CanaryStatus:
    """The status that is to be stored, with the rollout that is under way and those that have ended.

    Args:
        s: the Canary and its facts, the status that is stored now among them.
        decision: what is decided.
    """
    after = decision.status
    current = _under_way(s)
    waits = _still_waits(s, after, current)
    under_way = after.phase in UNDER_WAY or waits
    if current is not None and after != s.status:
        # A step whose record was lost has had its requests all the same.
        current = _with_weight(current, s.split.canary)
    if current is not None and (order := _order(s.status, after)):
        current = current.replace(order=order)
    revision = current.revision if current is not None and waits else _revision(s, after, current)
    history = after.history
    if current is not None and (not under_way or current.revision != revision or _begins(s, after)):
        again = current.revision == revision
        history = _bounded((_ended(s, decision, current, again=again), *history))
        current = None
        before = {each.moment for each in s.status.approvals}
        after = after.replace(approvals=tuple(each for each in after.approvals if each.moment not in before))
    elif after.phase not in UNDER_WAY:
        history = _amended(s, decision)
    if under_way:
        current = _with_weight(current or _begun(s, revision), after.canary_weight)
        if after.last_override != s.status.last_override:
            current = current.replace(override=after.last_override)
        current = _at_step(s, after, current) if after != s.status or s.status.rollout is None else current
    approvals = after.approvals if under_way else ()
    if (current, history, approvals) == (decision.status.rollout, decision.status.history, decision.status.approvals):
        return decision.status
    return after.replace(rollout=current, history=history, approvals=approvals)


def _under_way(s: Situation) -> RolloutStatus | None:
    """The rollout that is stored; or the one that an earlier release of this controller has begun."""
    before = s.status
    if before.rollout is not None or before.phase not in UNDER_WAY or is_foreign(before):
        return before.rollout
    return _begun(s, _revision(s, before, None))


def _still_waits(s: Situation, after: CanaryStatus, current: RolloutStatus | None) -> bool:
    """Whether what is promoted fails while a new revision waits to begin: that one waits on."""
    if current is None or after.phase is not Phase.FAILED or s.facts.target is None:
        return False
    return s.facts.target.revision == current.revision != after.last_applied_spec


def _revision(s: Situation, status: CanaryStatus, current: RolloutStatus | None) -> str:
    """What is rolled out: once its pods start that is applied, and before it is what the target carries."""
    if status.phase is not Phase.WAITING:
        return status.last_applied_spec
    if s.changed and s.facts.target is not None:
        return s.facts.target.revision
    return current.revision if current is not None else status.last_applied_spec


def _begins(s: Situation, after: CanaryStatus) -> bool:
    """Whether pods start anew, of another revision or as somebody asked for it; what had to wait has begun before."""
    before = s.status
    if after.phase is not Phase.PROGRESSING or before.phase is Phase.WAITING or is_foreign(before):
        return False
    return (after.last_applied_spec, after.last_retry) != (before.last_applied_spec, before.last_retry)


def _begun(s: Situation, revision: str) -> RolloutStatus:
    target = s.facts.target
    if target is None or target.revision != revision:
        return RolloutStatus(revision=revision, started=s.now)
    images = {name: image[-MOST_IMAGE:] for name, image in list(target.images.items())[:MOST_NAMED]}
    changes = tuple(_changes(s, target))[:MOST_NAMED]
    return RolloutStatus(revision=revision, images=images or None, changes=changes, started=s.now)


def _changes(s: Situation, target: Workload) -> Iterator[str]:
    """In what the target differs from what is promoted, where both can be looked at."""
    promoted, configs = s.facts.primary.images if s.facts.primary is not None else {}, s.status.tracked_configs
    known = configs if configs is not None else target.configs
    images = [f"image of {name}" for name, image in target.images.items() if promoted and promoted.get(name) != image]
    tracked = sorted(name for name in {*known, *target.configs} if known.get(name) != target.configs.get(name))
    yield from (*images, *tracked)
    if promoted and not images and not tracked and target.revision != s.promoted:
        yield "pod template"


def _with_weight(current: RolloutStatus, weight: int) -> RolloutStatus:
    return current if weight <= current.highest_weight else current.replace(highest_weight=weight)


def _at_step(s: Situation, after: CanaryStatus, current: RolloutStatus) -> RolloutStatus:
    """How far its analysis has come; where the target can't be seen, as it was."""
    if s.facts.target is None:
        return current
    step, steps = s.steps_done(after) if not s.canary.skip_analysis else (0, 0)
    looked, judged = after.last_check_time, after.phase in (Phase.PROGRESSING, Phase.WAITING_PROMOTION)
    going = judged and bool(step) and after.reason not in (HELD, ROLLING_BACK)
    end = looked + _left(s, after, steps - step) if looked is not None and going else None
    return current.replace(step=step, steps=steps, earliest_end=end)


def _left(s: Situation, after: CanaryStatus, steps: int) -> timedelta:
    """How long what is left of an analysis takes at least, from its last look on.

    Args:
        s: the Canary and its facts.
        after: the status that is to be stored.
        steps: how many steps come after the one that it is at.
    """
    plan = s.plan
    if not plan.written or s.facts.partitions is not None or after.last_check_time is None:
        return (steps + 1) * _shortest(s)
    interval, at = s.canary.analysis_interval, plan.position(after)
    current, later = plan.current(after), sum((each.least(interval) for each in plan.steps[at:]), timedelta(0))
    spent = after.last_check_time - (after.step_since or after.last_check_time)
    return max(current.least(interval) - spent, timedelta(0)) + later


def _shortest(s: Situation) -> timedelta:
    """How long a step takes at least."""
    interval = s.canary.analysis_interval
    by_evidence = s.canary.analysis.advance is Advance.EVIDENCE
    return min(interval, time_between(interval)) if by_evidence else interval


def _ended(s: Situation, decision: Decision, current: RolloutStatus, *, again: bool) -> PastRollout:
    outcome, cause = _outcome(s, decision, current.order, again=again)
    failed = _failed(decision.status, cause)
    return PastRollout(
        revision=current.revision,
        images=current.images,
        changes=current.changes,
        started=current.started,
        ended=s.now,
        outcome=outcome,
        cause=_worded(cause, failed),
        checks=_kept(failed),
        highest_weight=current.highest_weight,
        override=current.override,
        approvals=decided(s.status.approvals),
    )


def _order(before: CanaryStatus, after: CanaryStatus) -> str:
    """The order by which a rollout moves; empty where there is none, and for one that is not heeded."""
    order = after.last_order
    return order if order != before.last_order and after.replace(last_order=before.last_order) != before else ""


def _outcome(s: Situation, decision: Decision, order: str, *, again: bool) -> tuple[Outcome, str]:
    """How the rollout that was under way ends by a decision, and why.

    Args:
        s: the Canary and its facts.
        decision: what is decided.
        order: what was ordered of it.
        again: whether the same revision is rolled out once more.
    """
    before, after = s.status, decision.status
    match decision.ending, after.phase:
        case Ending.PROMOTED, _ if order.startswith("promote"):
            return Outcome.PROMOTED, f"as ordered: {order}"
        case Ending.PROMOTED, _:
            return Outcome.PROMOTED, "the analysis was completed"
        case Ending.PROMOTED_UNCHECKED, _:
            return Outcome.PROMOTED_UNCHECKED, "the analysis was skipped"
        case None, phase if phase not in UNDER_WAY and after.reason == REVERTED:
            return Outcome.REVERTED, f"the target was set back to the promoted revision{_while(before)}"
        case _, Phase.FAILED:
            return Outcome.ABORTED if order.startswith("abort") else Outcome.ROLLED_BACK, after.message
        case _, Phase.TERMINATING | Phase.TERMINATED:
            return Outcome.ABORTED, f"the Canary is deleted{_while(before)}"
        case _, phase if phase not in UNDER_WAY:
            return Outcome.ABORTED, decision.reason
    newer = f"another try was asked for by {RETRY_ANNOTATION}" if again else f"a newer revision came{_while(before)}"
    if before.reason == ROLLING_BACK:
        return Outcome.ROLLED_BACK, f"{before.message}; {newer}"
    if before.reason == HELD:
        return Outcome.SUPERSEDED, f"it was held as failed: {before.message}; {newer}"
    return Outcome.SUPERSEDED, newer


def _while(before: CanaryStatus) -> str:
    return f" while it waited for {before.message}" if before.reason in AT_GATES else ""


def _amended(s: Situation, decision: Decision) -> tuple[PastRollout, ...]:
    """The rollouts before, where what is found out at rest tells that the last one did not end as it was said."""
    before, after = s.status, decision.status
    history = after.history
    if decision.ending is Ending.FAILED:
        put_back = "; the last good version is put back" if after.reason == RESTORING else ""
        return _amend(history, before.last_promoted_spec, s, after, Outcome.BAKE_FAILED, f"{after.message}{put_back}")
    if after.reason == NO_WAY_BACK != before.reason:
        return _amend(history, before.last_applied_spec, s, after, Outcome.PROMOTED_UNCHECKED, after.message)
    return history


def _amend(
    history: tuple[PastRollout, ...], revision: str, s: Situation, after: CanaryStatus, outcome: Outcome, cause: str
) -> tuple[PastRollout, ...]:
    failed = _failed(after, cause)
    found = next((index for index, each in enumerate(history) if each.revision == revision), None)
    if found is None:
        return history
    said = history[found].cause if outcome is Outcome.PROMOTED_UNCHECKED else ""
    words = _worded(f"{said}; {cause}" if said else cause, failed)
    amended = history[found].replace(ended=s.now, outcome=outcome, cause=words, checks=_kept(failed))
    return _bounded((*history[:found], amended, *history[found + 1 :]))


def _failed(after: CanaryStatus, cause: str) -> list[CheckStatus]:
    """The checks of the last look that have ended a rollout: those that its cause counts, or names."""
    counted = messages.THRESHOLD_REACHED in cause
    return [
        each
        for each in after.checks
        if (counted and each.verdict is Verdict.FAIL)
        or (each.message and each.verdict is not Verdict.PASS and each.message in cause)
    ]


def _worded(cause: str, failed: Iterable[CheckStatus]) -> str:
    """A cause with what was measured, as far as it does not say that itself."""
    measured = [messages.measured(each) for each in failed if not each.message or each.message not in cause]
    return messages.shortened(f"{cause}: {'; '.join(measured)}" if measured else cause, MOST_WORDS)


def _kept(failed: list[CheckStatus]) -> tuple[Measured, ...]:
    """The numbers of the checks that failed; their words are in the cause."""
    return tuple(
        Measured(
            name=each.name[:MOST_NAME],
            verdict=each.verdict,
            value=each.value,
            threshold=each.threshold[:MOST_NAME],
            time=each.time,
            samples=each.samples,
            since=each.since,
        )
        for each in failed[:MOST_CHECKS]
    )


def _bounded(history: tuple[PastRollout, ...]) -> tuple[PastRollout, ...]:
    """As many of the newest as may be kept; the newest one in any case."""
    sizes = accumulate(len(each.model_dump_json(by_alias=True, exclude_none=True).encode()) for each in history[:KEPT])
    return history[: max(1, sum(size <= MOST_BYTES for size in sizes))]
