"""How many pods the primary keeps while a rollout runs, however little traffic its autoscaler sees on it."""

from dataclasses import replace
from datetime import timedelta

from canary.rollout.decision import Action, Decision
from canary.rollout.situation import Situation, replicas_wanted

FLOOR_STAYS = timedelta(minutes=5)
"""How long the primary keeps its pods once it has all traffic again: what its autoscaler has measured is older.

It is the time over which a HorizontalPodAutoscaler looks back before it takes pods away, where nobody told it another.
"""


def guarded(s: Situation) -> Situation:
    """The situation with a floor under the primary that is as high as the primary has come, and never falls."""
    if not s.autoscaled:
        return s
    floor = max(s.status.primary_replicas or 0, replicas_wanted(s.facts.primary))
    return replace(s, canary=s.canary.replace(status=s.evolve(primary_replicas=floor)))


def floor_at_rest(s: Situation) -> int | None:
    """What is left of the floor when a rollout has ended; None where nothing scales by itself."""
    return s.status.primary_replicas if s.autoscaled else None


def settle(s: Situation, actions: tuple[Action, ...]) -> Decision:
    """Rest, and leave the primary to its autoscaler once that has seen all of the traffic for a while."""
    if s.status.primary_replicas is None:
        return s.stay("at rest", actions=actions)
    until = s.due(s.status.last_transition_time or s.now, FLOOR_STAYS if s.autoscaled else timedelta(0))
    if s.now < until:
        return s.stay("at rest; the primary keeps its pods for a while", actions=actions, wake=until)
    return Decision(
        status=s.evolve(primary_replicas=None),
        reason="the primary's autoscaler decides alone again",
        actions=actions,
    )
