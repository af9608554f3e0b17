"""What is waited for before pods go: a data plane does what its route says some time after it was written."""

from datetime import datetime

from canary.rollout.decision import Action, Decision
from canary.rollout.situation import Situation


def follow_routes(s: Situation, moved: datetime, actions: tuple[Action, ...]) -> Decision | None:
    """Wait until the data plane has followed a change of that time; None once it has, so that pods may go.

    What has led requests back to the canary since is undone by the actions, and waited for from now on.
    """
    if s.facts.target is not None and (s.split.canary or s.facts.left):
        return Decision(
            status=s.evolve(traffic_removed_time=s.now),
            reason="requests were led back to the canary, and leave it again",
            actions=actions,
            wake=s.now + s.facts.settle,
        )
    settled = s.settled_at(moved)
    if s.now < settled:
        return s.stay("waiting for the routers to follow", actions=actions, wake=settled)
    return None
