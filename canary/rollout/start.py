"""From rest to a rollout that runs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from canary.api.analysis import HookType, Severity, Webhook
from canary.api.status import CanaryStatus, Phase
from canary.rollout import approvals, bake, gates, holds, messages, steps
from canary.rollout.capacity import floor_at_rest, guarded, remake, revive, settle
from canary.rollout.data_plane import follow_routes
from canary.rollout.deadlines import deadline
from canary.rollout.decision import (
    Alert,
    Decision,
    Event,
)
from canary.rollout.facts import HookAnswer, HookQuestion
from canary.rollout.groups import WAITING_FOR_GROUP
from canary.rollout.initial import begin_initializing
from canary.rollout.runs import last_asked, until_asked
from canary.rollout.situation import PRIMARY_NOT_READY, Situation, warning

_UNDER_WAY = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})

NOBODY_ELSE = "the canary has traffic that is not its own, and the primary no ready pods to take it back"


def rest(s: Situation) -> Decision:
    """Nothing is under way: keep everything on the primary, and start when the target changes."""
    if (restoring := bake.restore(s)) is not None:
        return restoring
    if s.facts.primary is None:
        return begin_initializing(s, "the primary is gone and is made again")
    if not s.primary_can_take_over:
        return s.stay(NOBODY_ELSE, actions=revive(s))
    if s.reverted:
        return revert(s)
    return _look_after(s, start(s) if s.changed or s.retry_asked else _tidy(s))


def _look_after(s: Situation, decision: Decision) -> Decision:
    """Where nothing is done, look at what is promoted, if that is to be looked at.

    What serves everybody is looked at to its end: no wait of the next version is a reason not to.
    """
    if decision.status != s.status:
        waits = decision.status.is_baking and decision.status.phase is Phase.WAITING
        return replace(decision, wake=s.now) if waits else decision
    return decision if decision.asks else bake.look_after(s, decision)


def waiting(s: Situation) -> Decision:
    """A new revision waits for its approval, unless it is taken back before."""
    if s.facts.primary is None and s.facts.partitions is None:
        why = "the primary is gone and is made again"
        return s.stay(why, actions=remake(s)) if s.kept else begin_initializing(s, why)
    if not s.primary_can_take_over:
        return s.stay(NOBODY_ELSE, actions=revive(s))
    if s.reverted:
        return revert(s)
    if s.status.traffic_removed_time is not None and s.status.reason in holds.HOLDS and s.facts.partitions is None:
        return _tidy(s)  # of a rollout that has ended by the one that waits
    if s.changed or s.retry_asked:
        return _look_after(s, start(s))
    promoted = s.status.last_applied_spec == s.status.last_promoted_spec
    status = s.evolve(phase=Phase.SUCCEEDED if promoted else Phase.FAILED, reason="Reverted")
    return Decision(status, "the revision that waited was taken back", s.keep_all_on_primary())


def _tidy(s: Situation) -> Decision:
    """Drift is repaired, and pods that traffic has left are let go."""
    actions = (*s.keep_all_on_primary(), *bake.keep_promoted(s))
    moved = s.status.traffic_removed_time
    if moved is None:
        return settle(s, (*actions, *s.rest()))
    if (behind := follow_routes(s, moved, actions)) is not None:
        return behind
    return Decision(
        status=s.evolve(traffic_removed_time=None, primary_replicas=floor_at_rest(s)),
        reason="the canary's pods are let go",
        actions=(*actions, *s.let_go()),
    )


def revert(s: Situation) -> Decision:
    """The target was set back to what the primary serves: nothing is left to roll out."""
    if not s.primary_can_take_over:
        return s.stay("the target is set back; the primary has no ready pods to take the traffic")
    target = s.facts.target
    configs = dict(target.configs) if target is not None else {}
    revision = target.revision if target is not None else ""
    events: tuple[Event, ...] = ()
    if s.status.phase not in (Phase.SUCCEEDED, Phase.INITIALIZED):
        events = (Event(f"{s.target_name} is back at the promoted revision"),)
    return Decision(
        status=s.evolve(
            phase=Phase.INITIALIZED if s.status.phase == Phase.INITIALIZED else Phase.SUCCEEDED,
            reason="Reverted",
            message="the target is back at the promoted revision",
            last_applied_spec=revision,
            last_promoted_spec=revision,
            tracked_configs=configs,
            canary_weight=0,
            iterations=0,
            failed_checks=0,
            traffic_removed_time=s.now,
        ),
        reason="the target is back at the promoted revision",
        actions=s.keep_all_on_primary(),
        events=events,
        wake=s.now + s.facts.settle,
    )


def start(s: Situation) -> Decision:
    """A new revision: once it is allowed to, its pods start."""
    if (said := by_people(s)) is not None:
        return said
    if (hold := next(holds.before_start(s), None)) is not None:
        return holds.wait(s, hold)
    queued = holds.queued_before(s)
    hooks = s.hooks(HookType.CONFIRM_ROLLOUT)
    if queued and (taken_back := _taken_back(s, hooks)) is not None:
        return taken_back
    if queued and next(holds.queue(s), None) is not None:
        return _in_turn(s, ())
    due = s.due(last_asked(s), until_asked(s))
    approving = s.status.phase is Phase.WAITING and s.status.reason not in holds.HOLDS
    if approving and s.now < due:
        return s.stay("waiting for approval", wake=due)
    if (budgeted := holds.budget_at_start(s)) is not None:
        return budgeted
    if queued:
        return _in_turn(s, ())
    asked = gates.asked_outside(hooks)
    if s.unanswered(asked):
        return s.stay("asking whether the rollout may start", asks=asked, actions=s.keep_all_on_primary())
    passed: list[Event] = []
    for question, hook in hooks.items():
        answer = gates.said_by(s, question, hook)
        if not answer.approved:
            return _wait_to_start(s, hook, answer)
        event = messages.passed(hook, answer.message)
        passed += [event] if event is not None else []
    # What waits for its group comes here at each pass: that its gates are open is told once.
    return _in_turn(s, () if s.status.reason == WAITING_FOR_GROUP else tuple(passed))


def by_people(s: Situation) -> Decision | None:
    """What has come of gates that people open: it is stored first, and they may not want it rolled out."""
    if (news := approvals.news(s)) is not None:
        return news
    return decline(s, refused, approvals.REJECTED) if (refused := approvals.refusal(s)) else None


def _taken_back(s: Situation, hooks: Mapping[HookQuestion, Webhook]) -> Decision | None:
    """People may think anew for as long as a rollout waits for its turn: nothing was done yet by their word.

    What others have answered stands: they are not asked at each look for a day.
    """
    for question, hook in hooks.items():
        if approvals.approval_of(hook) is not None and not (answer := gates.said_by(s, question, hook)).approved:
            return _wait_to_start(s, hook, answer)
    return None


def _in_turn(s: Situation, passed: tuple[Event, ...]) -> Decision:
    """Nothing stands in the way but others that are rolled out: it begins when it is its turn."""
    if (hold := next(iter((*holds.group(s), *holds.queue(s))), None)) is not None:
        waiting_so = holds.wait(s, hold)
        return replace(waiting_so, events=(*passed, *waiting_so.events))
    return begin(s, events=(*passed, Event(s.starting)))


def _wait_to_start(s: Situation, hook: Webhook, answer: HookAnswer) -> Decision:
    """The revision waits, without a deadline."""
    reason = gates.reason_of(answer)
    waits = s.status.phase == Phase.WAITING and s.status.reason == reason
    events, alerts = gates.told_of(s, hook, answer) if gates.first_told(s, hook, waits=waits) else ((), ())
    status = s.evolve(
        phase=Phase.WAITING,
        reason=reason,
        message=f"{hook.name}: {answer.message}",
        checks=gates.kept_of(s, hook, answer) or s.status.checks,
        canary_weight=0,
        iterations=0,
        failed_checks=0,
        approvals=gates.remembering(s, hook),
    )
    return Decision(
        # A gate may be closed for days: what says the same as before is not written at each look.
        status=s.status if _untimed(status) == _untimed(s.status) else status.replace(last_check_time=s.now),
        reason=f"the rollout waits for {hook.name}",
        events=events,
        alerts=alerts,
        wake=s.now + s.canary.analysis_interval,
        looked_at=s.now,
    )


def _untimed(status: CanaryStatus) -> CanaryStatus:
    """What a look says, whenever it was."""
    return status.replace(checks=tuple(each.replace(time=None) for each in status.checks))


def decline(s: Situation, why: str, reason: str) -> Decision:
    """A version that waits for its approval is not to be rolled out."""
    target = s.facts.target
    if target is None or not s.primary_can_take_over:
        return s.stay(why, actions=s.keep_all_on_primary())
    status = s.evolve(
        phase=Phase.FAILED,
        reason=reason,
        message=why,
        last_applied_spec=target.revision,
        last_retry=s.retry,  # another try that was asked for is answered by that
        tracked_configs=dict(target.configs),
        canary_weight=0,
        iterations=0,
    )
    return Decision(status, why, s.keep_all_on_primary(), (warning(f"{s.target_name} is not rolled out, {why}"),))


def begin(s: Situation, *, events: tuple[Event, ...], in_place: bool = False) -> Decision:
    """Start the canary's pods, with everything on the primary, from the first step of the plan.

    Args:
        s: the Canary and its facts.
        events: what there is to tell.
        in_place: whether traffic can't leave the canary, so that the analysis goes on from the step that it is at.
    """
    target = s.facts.target
    if target is None:
        return s.stay("the target does not exist")
    s = guarded(s)
    # A revision may come in the moment in which the one before is promoted: that is kept first, to be put back.
    routes = s.keep_services() if in_place else s.keep_all_on_primary()
    actions = (*routes, *s.wake())
    if s.canary.wants_baseline and s.facts.weighted:
        beside = f"Scaling up {s.baseline_name} beside {s.target_name}, of what is promoted, to compare the two"
        events = (*events, Event(beside))
    return Decision(
        first=bake.keep_promoted(s),
        status=s.evolve(
            phase=Phase.PROGRESSING,
            reason="WaitingForPods",
            message="the pods of the new version are not ready yet",
            canary_weight=s.status.canary_weight if in_place else 0,
            failed_checks=0,
            iterations=s.status.iterations if in_place else 0,
            last_applied_spec=target.revision,
            last_retry=s.retry,
            tracked_configs=dict(target.configs),
            last_check_time=None,
            last_progress_time=s.now,
            rollout_start_time=_alone_until(s),
            analysis_start_time=s.now if in_place else None,
            **(steps.begun_now(s) if in_place else steps.none_begun()),
            off_share_weight=None,
            traffic_removed_time=None,
            checks=(),
            failure_counts=(),
        ),
        reason="a new revision is rolled out",
        actions=actions,
        events=events,
        alerts=(Alert("New revision detected, progressing canary analysis.", Severity.INFO, details=True),),
        wake=s.now + s.canary.progress_deadline,
    )


def restart(s: Situation) -> Decision:
    """Another revision came in mid-rollout: back to the first step, with no traffic on what nobody has looked at.

    A primary without ready pods can't take that traffic. After its deadline the new revision is looked at where it
    stands: it may be what mends the primary.
    """
    told = Event(f"New revision detected! Restarting analysis for {s.target_name}")
    if s.primary_can_take_over and s.primary_serving and (hold := next(holds.before_start(s), None)) is not None:
        return holds.wait_anew(guarded(s), hold)
    if s.primary_can_take_over:
        return begin(s, events=(told,))
    why = "a new revision waits; the primary has no ready pods to take the traffic"
    if s.status.reason != PRIMARY_NOT_READY:
        return Decision(
            status=s.evolve(reason=PRIMARY_NOT_READY, message=why, last_progress_time=s.now),
            reason=why,
            actions=revive(s),
            events=(warning(f"Halt {s.full_name} advancement {why}"),),
            wake=s.now + s.canary.progress_deadline,
        )
    until = deadline(s)
    if s.now < until:
        return s.stay(why, actions=revive(s), wake=until)
    return begin(s, events=(told,), in_place=True)


def _alone_until(s: Situation) -> datetime:
    """When what is promoted last ran alone: a rollout that follows on another has that one's pods before it."""
    before = s.status.rollout_start_time
    return before if before is not None and s.status.phase in _UNDER_WAY else s.now
