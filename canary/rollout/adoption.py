"""A Canary that Flagger ran until now goes on here from where it stands: no rollout begins by that, no weight moves.

Flagger's status says what phase a Canary is in. Of the revisions it keeps hashes that nobody else can make, so what
was applied and what was promoted is read from what runs: a primary that makes the pods that the target would make
carries the target's revision, whoever wrote it.
"""

from typing import TypedDict

from canary.api.status import CanaryStatus, Phase
from canary.rollout.analysis import ANALYSING
from canary.rollout.decision import Action, Adopt, Decision, HoldFinalizer
from canary.rollout.ending import PROMOTING
from canary.rollout.gates import WAITING_FOR_APPROVAL
from canary.rollout.look import WAITING_FOR_PODS
from canary.rollout.orders import order_of
from canary.rollout.plan import EVERYBODY
from canary.rollout.situation import Situation, replicas_wanted

TAKEN_OVER = "TakenOver"
"""Reason of a Canary at rest that Flagger ran before."""

UNDER_WAY = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING})
"""Phases in which the canary may have traffic."""

BEGUN = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.FAILED})
"""Phases in which the target's revision is the one that the last rollout was, or is, about."""

ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED})
"""Phases in which the target has no pods of its own."""

_REASONS = {
    Phase.WAITING: WAITING_FOR_APPROVAL,
    Phase.WAITING_PROMOTION: WAITING_FOR_APPROVAL,
    Phase.PROMOTING: PROMOTING,
}


def is_foreign(status: CanaryStatus) -> bool:
    """Whether somebody else wrote this status last: ours names the generation that it speaks of, Flagger's never.

    Before the primary has taken over there is nothing in it that is not seen anyway.
    """
    return status.observed_generation is None and status.phase not in (Phase.EMPTY, Phase.INITIALIZING)


def adopt(s: Situation) -> Decision:
    """Say in our words where the Canary stands, and take over the objects around it as they are."""
    actions: tuple[Action, ...] = (Adopt(),)
    if s.canary.metadata.deletion_timestamp is None:
        actions = (*actions, HoldFinalizer())
    return Decision(
        status=_adopted(s),
        reason=f"taken over from Flagger in phase {s.status.phase}",
        actions=actions,
        wake=s.now,
    )


class _Revisions(TypedDict):
    last_applied_spec: str
    last_promoted_spec: str
    tracked_configs: dict[str, str] | None


def _adopted(s: Situation) -> CanaryStatus:
    phase = _phase(s)
    moving = phase in UNDER_WAY
    weight, iterations = (s.split.canary, _iterations(s)) if moving else (0, 0)
    started = bool(weight or iterations)
    asked = phase is Phase.WAITING or (moving and started)
    progress = ANALYSING if started else WAITING_FOR_PODS
    reason = progress if phase is Phase.PROGRESSING else _REASONS.get(phase, TAKEN_OVER)
    return s.status.replace(
        **_revisions(s, phase),
        phase=phase,
        canary_weight=weight,
        iterations=iterations,
        failed_checks=max(0, s.status.failed_checks),
        # A step that was begun elsewhere lasts a whole interval here: it is judged by what is seen of it.
        last_check_time=s.now if asked else None,
        last_progress_time=s.now,
        traffic_removed_time=s.now if phase is Phase.FINALISING or _left_behind(s, phase) else None,
        # What stands in the annotation was heeded, or came while nobody was there to heed it.
        last_retry=s.retry,
        last_order=order_of(s),
        primary_replicas=replicas_wanted(s.facts.primary) if moving else None,
        checks=(),
        reason=reason,
        message="taken over from Flagger",
    )


def _left_behind(s: Situation, phase: Phase) -> bool:
    """Whether a rollout has ended and the pods of its canary have not been let go."""
    target = s.facts.target
    return phase in ENDED and target is not None and target.readiness.desired > 0 and not s.split.canary


def _carries(s: Situation) -> bool:
    """Whether the primary runs what the target would."""
    target, primary = s.facts.target, s.facts.primary
    return target is not None and primary is not None and primary.revision == target.revision


def _phase(s: Situation) -> Phase:
    """Flagger calls a promotion failed whose primary got stuck, with all traffic on the canary: it is under way."""
    if s.status.phase is Phase.FAILED and s.split.canary and _carries(s):
        return Phase.PROMOTING
    return s.status.phase


def _revisions(s: Situation, phase: Phase) -> _Revisions:
    """What was applied and promoted last, as far as what runs tells; empty for what nobody knows.

    At rest the primary is what was applied last, so that a target that differs from it is a new version. The same is
    true of a promotion: Flagger copies the target before it calls it one.
    """
    target, primary = s.facts.target, s.facts.primary
    promoted = primary.revision if primary is not None else ""
    applied = target.revision if target is not None and phase in BEGUN else promoted
    known = target is not None and applied == target.revision
    return _Revisions(
        last_applied_spec=applied,
        last_promoted_spec=promoted,
        tracked_configs=dict(target.configs) if target is not None and known else s.status.tracked_configs,
    )


def _iterations(s: Situation) -> int:
    """How many steps were begun where they are counted; the route tells better than the count, which is stored later.

    While it waits for the promotion's approval, Flagger's own count is one short.
    """
    plan, split = s.plan, s.split
    if plan.written:
        return 0  # it is the first place at which nobody gets more than now
    if not any(step.iteration for step in plan.steps):
        return 0
    if not plan.iterations:
        return 1 if split.canary or split.mirror else 0
    if split == EVERYBODY:
        return plan.iterations + 1
    if s.status.phase is not Phase.PROGRESSING:
        return plan.iterations
    least = 1 if split.canary or split.mirror else 0
    return min(max(s.status.iterations, least), plan.iterations)
