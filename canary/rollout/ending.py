"""How a rollout ends well: the primary takes the new version over."""

from dataclasses import replace

from canary.api.analysis import Severity
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.rollout import bake, messages
from canary.rollout.capacity import floor_at_rest, refill, revive
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
)
from canary.rollout.initial import begin_initializing
from canary.rollout.plan import EVERYBODY
from canary.rollout.rollback import roll_back
from canary.rollout.situation import PRIMARY_NOT_READY, Situation, warning
from canary.rollout.start import restart, revert

PROMOTING = "Promoting"

HANDING_OVER = "HandingOver"
"""Reason of a promotion whose traffic goes back step by step."""

REFILLING = "RefillingPrimary"
"""Reason of a promotion whose primary gets pods back that somebody has taken from it."""


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
    if not s.primary_ready:
        return _wait_for_primary(s)
    if s.split.canary and (until := s.learning(primary)) is not None:
        # The share is left as it is: some of it may have been taken back already, by a controller that was cut off.
        kept = (*s.keep_services(), *s.keep_pods())
        return s.stay("the routers learn of the primary's new pods", actions=kept, wake=until)
    return _hand_over(s)


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
