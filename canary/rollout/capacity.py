"""How many pods the primary keeps while a rollout runs, however little traffic its autoscaler sees on it."""

from dataclasses import replace
from datetime import timedelta

from canary.api.traffic import TOTAL_WEIGHT
from canary.rollout.decision import Action, Decision, RestorePrimary, ScalePrimary
from canary.rollout.situation import Situation, replicas_wanted

FLOOR_STAYS = timedelta(minutes=5)
"""How long the primary keeps its pods once it has all traffic again: what its autoscaler has measured is older.

It is the time over which a HorizontalPodAutoscaler looks back before it takes pods away, where nobody told it another.
"""


ROLLING_BACK = "RollingBack"
"""Reason of a failed version that still has traffic: the primary gets it back as it can take it."""


def guarded(s: Situation) -> Situation:
    """The situation with a floor under the primary that is as high as the primary has come, and never falls.

    Whoever scales by hand is not held to it before the primary is to have all traffic again. Pods of other kinds of
    target come and go with nodes.
    """
    if not s.autoscaled and s.canary.spec.target_ref.kind != "Deployment":
        return s
    floor = max(s.status.primary_replicas or 0, replicas_wanted(s.facts.primary))
    if floor == s.status.primary_replicas:
        return s
    return replace(s, canary=s.canary.replace(status=s.evolve(primary_replicas=floor)))


def floor_at_rest(s: Situation) -> int | None:
    """What is left of the floor when a rollout has ended; None where nothing scales by itself."""
    return s.status.primary_replicas if s.autoscaled else None


def refill(s: Situation) -> tuple[Action, ...]:
    """A primary from which pods were taken in mid-rollout gets them back: it is to serve everybody again."""
    size, primary = s.status.primary_replicas, s.facts.primary
    short = primary is not None and size is not None and primary.readiness.desired < size
    return (ScalePrimary(size),) if short and size is not None and not s.autoscaled else ()


def revive(s: Situation) -> tuple[Action, ...]:
    """A primary that somebody has scaled to nothing gets pods again: it is to serve everybody."""
    primary = s.facts.primary
    asleep = primary is not None and primary.readiness.desired == 0
    return (ScalePrimary(s.status.primary_replicas or replicas_wanted(s.facts.target)),) if asleep else ()


def remake(s: Situation) -> tuple[Action, ...]:
    """A primary that is gone is made again of what was promoted, as large as it was."""
    size = s.status.primary_replicas
    scale = () if s.autoscaled or size is None else (ScalePrimary(size),)
    return (RestorePrimary(s.kept), *scale)


def stays(s: Situation) -> int:
    """Percent of requests that stay with a failed version for now; 0 as soon as the primary can take all of them.

    That is at once, save where pods were taken from the primary in mid-rollout, or the spec asks for steps. Chosen
    requests have no weight to go back by.
    """
    share = s.status.canary_weight
    if s.split.matched or not s.canary_serving or s.facts.partitions is not None:
        return 0
    step, begun = s.canary.analysis.step_weight_rollback, s.status.reason == ROLLING_BACK
    waits = begun and s.now < s.due(s.status.last_check_time or s.now, s.canary.analysis_interval)
    stepped = max(0, share if waits else share - step) if step else 0
    return min(s.split.canary, max(stepped, min(share, _beyond(s, begun=begun))))


def _beyond(s: Situation, *, begun: bool) -> int:
    """Percent of all requests that the primary has no pods for, against what it has come to in this rollout."""
    size, primary = s.status.primary_replicas, s.facts.primary
    if size is None or primary is None or (primary.readiness.desired >= size and not begun):
        return 0
    enough = max(1, size * s.canary.analysis.primary_ready_threshold // 100)
    ready = primary.readiness.ready
    return 0 if ready >= enough else TOTAL_WEIGHT - TOTAL_WEIGHT * ready // size


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
