"""A Canary is deleted: what it made goes with it, and where the spec asks for it the target takes over again."""

from datetime import datetime

from canary.api.status import Phase
from canary.rollout.decision import Action, Decision, DropFinalizer, Event, HandBack, Orphan
from canary.rollout.situation import SETTLE, Situation

FINALIZER = "finalizer.flagger.app"


def leave(s: Situation) -> Decision:
    """Give the target its pods, then its traffic, then let go. The finalizer comes off in any case."""
    if FINALIZER not in s.canary.metadata.finalizers:
        return s.stay("the Canary is being deleted")
    target = s.facts.target
    if not s.canary.spec.revert_on_deletion or target is None:
        return s.stay("nothing is to be given back", actions=(DropFinalizer(),))
    if s.status.phase != Phase.TERMINATING:
        return Decision(
            status=s.evolve(
                phase=Phase.TERMINATING, reason="Terminating", last_progress_time=s.now, traffic_removed_time=None
            ),
            reason="the target gets its pods back",
            events=(Event(f"Terminating canary {s.full_name}"),),
            wake=s.now,
        )
    moved = s.status.traffic_removed_time
    lost = s.primary_serving and not s.canary_serving
    if moved is not None and not lost:
        settled = s.settled_at(moved)
        done = s.now >= settled
        actions: tuple[Action, ...] = (HandBack(), DropFinalizer()) if done else (HandBack(),)
        return s.stay("the target has its traffic back", actions=actions, wake=None if done else settled)
    if s.canary_ready:
        return Decision(
            status=s.evolve(traffic_removed_time=s.now, canary_weight=0),
            reason="the target gets its traffic back",
            actions=(HandBack(),),
            wake=s.now + SETTLE,
        )
    deadline = (s.status.last_progress_time or s.now) + s.canary.progress_deadline
    return _wait_for_target(s, deadline, lost=lost) if s.now < deadline else _give_up(s, lost=lost)


def _wait_for_target(s: Situation, deadline: datetime, *, lost: bool) -> Decision:
    """Until the target can serve the primary does, where it can."""
    return Decision(
        status=s.evolve(canary_weight=0, traffic_removed_time=None) if lost else s.status,
        reason="waiting for the target's pods",
        actions=(*(s.keep_all_on_primary() if lost else ()), *s.wake()),
        wake=deadline,
    )


def _give_up(s: Situation, *, lost: bool) -> Decision:
    """The target is not what it should be, and people have waited long enough: what serves goes on serving."""
    if s.canary_serving and not s.primary_serving:
        return s.stay("the target serves, if not with all its pods", actions=(HandBack(), DropFinalizer()))
    # The primary can serve: it must outlive the Canary rather than take the users with it.
    actions = (*(s.keep_all_on_primary() if lost else ()), Orphan(), DropFinalizer())
    return s.stay("the target never became ready; the primary goes on serving", actions=actions)
