"""From nothing to a primary that serves."""

from dataclasses import replace

from canary.api.analysis import Severity
from canary.api.status import Phase
from canary.rollout import messages
from canary.rollout.capacity import floor_at_rest, guarded
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
from canary.rollout.situation import Situation, replicas_wanted


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
    if s.status.traffic_removed_time is None and (known := s.learning(primary)) is not None:
        return s.stay("the routers learn of the primary's pods", actions=actions, wake=known)
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
