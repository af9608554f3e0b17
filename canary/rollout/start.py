"""From nothing to a primary that serves, and from rest to a rollout that runs."""

from dataclasses import replace

from canary.api.analysis import HookType, Severity
from canary.api.status import Phase
from canary.rollout import bake, messages
from canary.rollout.capacity import floor_at_rest, guarded, revive, settle
from canary.rollout.data_plane import follow_routes
from canary.rollout.deadlines import deadline
from canary.rollout.decision import (
    Action,
    Alert,
    CopyToPrimary,
    Decision,
    Event,
    KeepApexService,
    KeepVersionServices,
    RestorePrimary,
    ScalePrimary,
)
from canary.rollout.situation import PRIMARY_NOT_READY, Situation, replicas_wanted, warning

NOBODY_ELSE = "the canary has traffic that is not its own, and the primary no ready pods to take it back"


def initialise(s: Situation) -> Decision:
    """Stand a primary beside the target, lead traffic to it once it is ready, and put the target to sleep."""
    target = s.facts.target
    if target is None:
        return s.stay("the target does not exist")
    primary = s.facts.primary
    making: tuple[Action, ...] = ()
    # A primary that serves users is never overwritten here: it may hold what was promoted before the Canary was made
    # anew. One that no route leads to yet may be stuck with a revision that was mended since.
    serves = s.primary_serving and (s.facts.split is not None or s.primary_ready)
    wanted = _wanted(s, target.revision)
    if primary is None or (primary.revision != wanted and not serves):
        making = (CopyToPrimary(wanted) if wanted == target.revision else RestorePrimary(wanted),)
    elif primary.revision == wanted and primary.readiness.desired < replicas_wanted(target):
        making = (ScalePrimary(replicas_wanted(target)),)
    actions = (KeepVersionServices(), *making)
    if s.status.phase is not Phase.INITIALIZING:
        return replace(begin_initializing(s, "initialization starts"), actions=actions, wake=s.now)
    if making or not s.primary_ready:
        why = messages.pending(primary.readiness) if primary is not None else "the primary is made"
        until = deadline(s)
        waits = wanted != target.revision and s.changed and s.now < until
        return s.stay(why, actions=actions, wake=until if waits else None)
    return _take_over(s, actions)


def _wanted(s: Situation, revision: str) -> str:
    """The revision that the primary is made of: what was promoted before, where that is kept; else the target's.

    Where what was promoted does not get ready any more, a revision that came since may mend it.
    """
    stuck = s.status.phase is Phase.INITIALIZING and s.now >= deadline(s)
    return revision if not s.kept or (stuck and s.changed) else s.kept


def _judged(s: Situation) -> bool:
    """Whether the target still runs what has failed, and the primary is what was promoted before."""
    status, target, primary = s.status, s.facts.target, s.facts.primary
    failed = status.last_applied_spec not in ("", status.last_promoted_spec)
    if target is None or primary is None or not failed:
        return False
    return (target.revision, primary.revision) == (status.last_applied_spec, status.last_promoted_spec)


def _take_over(s: Situation, actions: tuple[Action, ...]) -> Decision:
    """The primary is ready: traffic first, and a moment later the target's pods go."""
    s = guarded(s)
    actions = (*actions, *s.keep_all_on_primary())
    moved = s.status.traffic_removed_time
    if moved is None:
        return Decision(
            status=s.evolve(traffic_removed_time=s.now),
            reason="the primary is ready and takes the traffic",
            first=(KeepVersionServices(), KeepApexService()),
            actions=actions,
            wake=s.now + s.facts.settle,
        )
    if (behind := follow_routes(s, moved, actions)) is not None:
        return behind
    target, primary = s.facts.target, s.facts.primary
    configs = dict(target.configs) if target is not None else {}
    revision = (primary.revision if primary is not None else "") or (target.revision if target is not None else "")
    if _judged(s):
        return Decision(
            status=s.evolve(
                phase=Phase.FAILED,
                reason="Reinitialized",
                traffic_removed_time=None,
                primary_replicas=floor_at_rest(s),
            ),
            reason="the primary is made again of what was promoted",
            actions=(*actions, *s.let_go()),
            events=(Event(f"{s.canary.primary_name}.{s.canary.namespace} is made again of what was promoted"),),
        )
    return Decision(
        status=s.evolve(
            phase=Phase.INITIALIZED,
            reason="Initialized",
            canary_weight=0,
            primary_replicas=floor_at_rest(s),
            failed_checks=0,
            iterations=0,
            last_applied_spec=revision,
            last_promoted_spec=revision,
            tracked_configs=configs,
            traffic_removed_time=None,
        ),
        reason="initialization is done",
        actions=(*actions, *s.let_go()),
        events=(Event(f"Initialization done! {s.full_name}"),),
        alerts=(
            Alert(
                f"New {s.canary.spec.target_ref.kind} detected, initialization completed.",
                Severity.INFO,
                details=True,
            ),
        ),
    )


def begin_initializing(s: Situation, why: str) -> Decision:
    """Make a primary, whatever there was before."""
    status = s.evolve(
        phase=Phase.INITIALIZING,
        reason="Initializing",
        message="",
        last_progress_time=s.now,
        traffic_removed_time=None,
    )
    return Decision(status=status, reason=why)


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
    if s.changed or s.retry_asked:
        return start(s)
    tidied = _tidy(s)
    return bake.look_after(s, tidied) if tidied.status == s.status else tidied


def waiting(s: Situation) -> Decision:
    """A new revision waits for its approval, unless it is taken back before."""
    if not s.primary_can_take_over:
        return s.stay(NOBODY_ELSE, actions=revive(s))
    if s.reverted:
        return revert(s)
    if s.changed or s.retry_asked:
        return start(s)
    promoted = s.status.last_applied_spec == s.status.last_promoted_spec
    return Decision(
        status=s.evolve(phase=Phase.SUCCEEDED if promoted else Phase.FAILED, reason="Reverted"),
        reason="the revision that waited was taken back",
        actions=s.keep_all_on_primary(),
    )


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
    hooks = s.hooks(HookType.CONFIRM_ROLLOUT)
    due = s.due(s.status.last_check_time or s.now, s.canary.analysis_interval)
    if s.status.phase == Phase.WAITING and s.now < due:
        return s.stay("waiting for approval", wake=due)
    if s.unanswered(hooks):
        return s.stay("asking whether the rollout may start", asks=tuple(hooks), actions=s.keep_all_on_primary())
    for question, hook in hooks.items():
        answer = s.approved(question)
        if not answer.approved:
            first = s.status.phase != Phase.WAITING
            alert = Alert(messages.GATE_ALERTS[hook.type], Severity.WARN)
            return Decision(
                status=s.evolve(
                    phase=Phase.WAITING,
                    reason="WaitingForApproval",
                    message=f"{hook.name}: {answer.message}",
                    last_check_time=s.now,
                    canary_weight=0,
                    iterations=0,
                    failed_checks=0,
                ),
                reason=f"the rollout waits for {hook.name}",
                events=(messages.refused(s.canary, hook, answer.message),) if first else (),
                alerts=(alert,) if first and not hook.mute_alert else (),
                wake=s.now + s.canary.analysis_interval,
            )
    passed = tuple(event for hook in hooks.values() if (event := messages.passed(hook)) is not None)
    return begin(s, events=(*passed, Event(s.starting)))


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
            analysis_start_time=s.now if in_place else None,
            off_share_weight=None,
            traffic_removed_time=None,
            checks=(),
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
