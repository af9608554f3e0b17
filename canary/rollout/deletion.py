"""A Canary is deleted: its users go on being served, and what it made goes where nobody needs it any more.

The target serves again, as it did before there was a Canary. Without `revertOnDeletion` that holds for a target that
runs what is promoted; where it runs something else, which nobody has promoted, the primary goes on serving instead.
"""

from datetime import datetime, timedelta

from canary.api.meta import utc
from canary.api.status import Phase
from canary.rollout.data_plane import clock_was_set_back
from canary.rollout.deadlines import deadline
from canary.rollout.decision import Action, Decision, DropFinalizer, Event, HandBack, Orphan, ScaleTarget
from canary.rollout.hindrances import INVALID
from canary.rollout.situation import Situation
from canary.rollout.status_conditions import hindered

FINALIZER = "finalizer.flagger.app"

TOGETHER = timedelta(seconds=10)
"""A target that is deleted within this time of its Canary is deleted with it: the application is to go."""


STRENGTHEN = timedelta(minutes=1)
"""How long a target that is ready, with fewer pods than the primary, is given to get as many."""


def leave(s: Situation) -> Decision:
    """Give the target its pods, then its traffic, then let go. The finalizer comes off in any case."""
    if FINALIZER not in s.canary.metadata.finalizers:
        return s.stay("the Canary is being deleted")
    if s.facts.target is None or not s.facts.returnable:
        return _without_target(s)
    if s.status.phase != Phase.TERMINATING:
        return Decision(
            status=s.evolve(
                phase=Phase.TERMINATING, reason="Terminating", last_progress_time=s.now, traffic_removed_time=None
            ),
            reason="the Canary is to go",
            events=(Event(f"Terminating canary {s.full_name}"),),
            wake=s.now,
        )
    moved = s.status.traffic_removed_time
    if moved is None and _target_is_unpromoted(s):
        return _leave_primary(s)
    lost = s.primary_serving and not s.canary_serving
    if moved is not None and not lost and clock_was_set_back(s, moved):
        return _give_back(s, "the clock was set back; waiting for the routers to follow")
    if moved is not None and not lost:
        settled = s.settled_at(moved)
        done = s.now >= settled
        actions: tuple[Action, ...] = (HandBack(), *s.release_autoscaler(), DropFinalizer()) if done else (HandBack(),)
        return s.stay("the target has its traffic back", actions=actions, wake=None if done else settled)
    if s.canary_ready and _strong_enough(s):
        if (until := s.learning(s.facts.target)) is not None:
            return s.stay("the routers learn of the target's pods", wake=until)
        return _give_back(s, "the target gets its traffic back")
    until = deadline(s)
    return _wait_for_target(s, until, lost=lost) if s.now < until else _give_up(s, lost=lost)


def _give_back(s: Situation, why: str) -> Decision:
    """The target gets the traffic; what it came from goes once the data plane has followed."""
    return Decision(
        status=s.evolve(traffic_removed_time=s.now, canary_weight=0),
        reason=why,
        actions=(HandBack(),),
        wake=s.now + s.facts.settle,
    )


def _without_target(s: Situation) -> Decision:
    """Users can't be led back: the primary goes on serving them, save where the whole application is to go."""
    if not s.primary_serving or _goes_with_target(s):
        return s.stay("nothing is to be given back", actions=(DropFinalizer(),))
    actions = s.keep_all_on_primary() if s.split.canary and s.facts.returnable else ()
    return s.stay("there is no target to lead to; the primary goes on serving", actions=(*actions, *_release(s)))


def _goes_with_target(s: Situation) -> bool:
    """Whether the target was deleted by the same act: it has not been missed for long, or went after the Canary."""
    deleted, stalled = s.canary.metadata.deletion_timestamp, hindered(s.status)
    if s.facts.target is not None or deleted is None:
        return False
    missed = stalled.last_transition_time if stalled is not None and stalled.reason == INVALID else None
    return s.status.phase == Phase.TERMINATING or missed is None or utc(deleted) - missed < TOGETHER


def _target_is_unpromoted(s: Situation) -> bool:
    target = s.facts.target
    if s.canary.spec.revert_on_deletion or target is None or not s.primary_serving:
        return False
    return target.revision != s.promoted


def _leave_primary(s: Situation) -> Decision:
    """The primary gets all traffic, and a while to see whether the target is deleted too; then it is let go."""
    if s.split.canary or s.status.canary_weight:
        return Decision(
            status=s.evolve(canary_weight=0, iterations=0),
            reason="the target runs what nobody has promoted: the primary goes on serving",
            actions=s.keep_all_on_primary(),
            wake=s.now,
        )
    until = s.due(s.status.last_progress_time or s.now, TOGETHER)
    if s.now < until:
        return s.stay("the primary goes on serving, unless the target is to go too", wake=until)
    return s.stay("the target runs what nobody has promoted: the primary goes on serving", actions=_release(s))


def _strengthened(s: Situation) -> datetime:
    return s.due(s.status.last_progress_time or s.now, STRENGTHEN)


def _strong_enough(s: Situation) -> bool:
    """Whether the target has as many pods as serve everybody now; an autoscaler that takes them away is waited for."""
    return _strengthened(s) <= s.now or not any(isinstance(action, ScaleTarget) for action in s.wake_for_all())


def _wait_for_target(s: Situation, until: datetime, *, lost: bool) -> Decision:
    """Until the target can serve the primary does, where it can."""
    return Decision(
        status=s.evolve(canary_weight=0, traffic_removed_time=None) if lost else s.status,
        reason="waiting for the target's pods",
        actions=(*(s.keep_all_on_primary() if lost else ()), *s.wake_for_all()),
        wake=min(until, _strengthened(s)) if s.now < _strengthened(s) else until,
    )


def _give_up(s: Situation, *, lost: bool) -> Decision:
    """The target is not what it should be, and people have waited long enough: what serves goes on serving."""
    if s.canary_serving and not s.primary_serving:
        return _give_back(s, "the target serves, if not with all its pods")
    # The primary can serve: it must outlive the Canary rather than take the users with it.
    actions = (*(s.keep_all_on_primary() if lost else ()), *_release(s))
    return s.stay("the target never became ready; the primary goes on serving", actions=actions)


def _release(s: Situation) -> tuple[Action, ...]:
    return (*s.release_autoscaler(), Orphan(), DropFinalizer())
