"""Routes before pods: a data plane does what its route says some time after it was written."""

from dataclasses import replace
from datetime import datetime, timedelta

from canary.api.traffic import ALL_PRIMARY
from canary.rollout.decision import Action, Decision, LeaveRoutes, Route
from canary.rollout.situation import SKEW, Situation

AT_ONCE = timedelta(seconds=1)
"""For how long requests that somebody leads back again and again are led away without being counted anew."""


def clock_was_set_back(s: Situation, moved: datetime) -> bool:
    """Whether a time that was stored tells nothing of how long it has been."""
    return moved - s.now > SKEW


def leave_routes(s: Situation, decision: Decision) -> Decision:
    """The decision, and the canary off the routes that the spec named before an edit, where that harms nobody."""
    if not s.facts.left or not s.primary_can_take_over:
        return decision
    return replace(decision, actions=(LeaveRoutes(), *decision.actions))


def follow_routes(s: Situation, moved: datetime, actions: tuple[Action, ...]) -> Decision | None:
    """Wait until the data plane has followed a change of that time; None once it has, so that pods may go.

    What has led requests back to the canary since is undone by the actions, and waited for from now on.
    """
    led_back = s.facts.target is not None and (s.split.canary or s.facts.left)
    if led_back and (s.refuses(Route(ALL_PRIMARY), LeaveRoutes()) or s.now < moved <= s.now + AT_ONCE):
        # What is refused, or undone each time, is not stored anew with each try.
        return s.stay("requests still reach the canary", actions=actions, wake=moved + s.facts.settle)
    if led_back or clock_was_set_back(s, moved):
        why = "requests were led back to the canary, and leave it again" if led_back else "the clock was set back"
        since = s.now + AT_ONCE
        return Decision(
            status=s.evolve(traffic_removed_time=since),
            reason=f"{why}; waiting for the routers to follow",
            actions=actions,
            wake=since + s.facts.settle,
        )
    settled = s.settled_at(moved)
    if s.now < settled:
        return s.stay("waiting for the routers to follow", actions=actions, wake=settled)
    return None
